"""The asyncio client: the same verbs as ``clawlog.client``, on the same calls and session.

Concurrent calls share one connection, pipelined. The daemon replies in order, so a call that waits
(``check_interrupt`` with ``wait_s``, ``flush``) holds up those after it: give it a client of its own, or watch.
"""

from __future__ import annotations

import asyncio
import functools
import os
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar

from clawlog import autostart
from clawlog.connection import address, calls, features
from clawlog.connection.address import NO_LISTENER, Address
from clawlog.connection.asynchronous import Link
from clawlog.connection.call import DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, Call, ConnectionLost
from clawlog.connection.features import Features
from clawlog.connection.results import StopState
from clawlog.errors import ClawlogError, DaemonUnreachable, Refused

P = ParamSpec("P")
T = TypeVar("T")


def _verb(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Turns a function of ``calls`` into a method that performs the call; parameters and documentation are the function's."""

    @functools.wraps(build)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.perform(build(*args, **kwargs))

    return method


@dataclass(slots=True)
class _Conversation:
    """One event loop's connection."""

    connecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    link: Link | None = None


class AsyncClient:
    """The way to the daemon, for any number of tasks; each event loop has a connection of its own.

    Args:
        where: The daemon's address, in the form of ``CLAWLOG_SOCKET``; by default the environment's.
        timeout_s: How long a call waits for its reply.
        autostart: Whether to start a daemon where none runs; by default as ``CLAWLOG_AUTOSTART`` says.
        env: The environment variables to use; by default this process's own.
        warn: As of ``Client``.

    Raises:
        BadAddress: The address is not valid. Every call may raise ``DaemonUnreachable``, ``Refused`` and ``ProtocolViolation``.
    """

    def __init__(
        self,
        where: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        autostart: bool | None = None,
        env: Mapping[str, str] | None = None,
        warn: Callable[[str], None] = features.log,
    ) -> None:
        env = os.environ if env is None else env
        self.address = address.parse(where) if where else address.of_environment(env)
        self._timeout_s = timeout_s
        self._connector = AsyncConnector(self.address, env, timeout_s=timeout_s, may_start=autostart)
        self._features = features.Features(warn)
        self._conversations: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Conversation] = weakref.WeakKeyDictionary()

    create_task = _verb(calls.create_task)
    update_task = _verb(calls.update_task)
    get_task = _verb(calls.get_task)
    list_tasks = _verb(calls.list_tasks)
    plan_task = _verb(calls.plan_task)
    add_step = _verb(calls.add_step)
    annotate_task = _verb(calls.annotate_task)
    link_task = _verb(calls.link_task)
    update_step = _verb(calls.update_step)
    heartbeat = _verb(calls.heartbeat)
    check_interrupt = _verb(calls.check_interrupt)
    ack_interrupt = _verb(calls.ack_interrupt)
    agent_event = _verb(calls.agent_event)
    daemon_status = _verb(calls.daemon_status)
    flush = _verb(calls.flush)
    list_dead_letters = _verb(calls.list_dead_letters)
    retry_dead_letters = _verb(calls.retry_dead_letters)
    drop_dead_letters = _verb(calls.drop_dead_letters)
    show_contract = _verb(calls.show_contract)
    try_contract = _verb(calls.try_contract)

    async def perform(self, call: Call[T]) -> T:
        """Performs one call.

        Raises:
            DaemonUnreachable: No daemon answered.
            Refused: The daemon declined.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            link = await self._connected()
            try:
                async with asyncio.timeout(self._timeout_s + link.patience_s + call.may_take_s):
                    outcome = await link.request(call)
            except TimeoutError as error:
                link.close()
                raise DaemonUnreachable(f"The daemon at {self.address} did not answer in time") from error
            except ConnectionLost as error:
                link.close()
                self._features.forget()
                if attempt == MAX_ATTEMPTS:
                    raise DaemonUnreachable(f"The connection to {self.address} was lost: {error}") from error
            else:
                if isinstance(outcome, Refused):
                    raise outcome
                return outcome
        raise AssertionError("unreachable")

    async def pipeline(self, batch: Sequence[Call[Any]]) -> list[Any]:
        """Performs calls in order, without waiting for a reply before sending the next.

        Returns:
            An outcome for each: its value or a ``Refused``. A refused call does not hold up those after it.

        Raises:
            DaemonUnreachable: No daemon answered; some calls may have been accepted all the same.
        """
        await self._connected()  # so that all go out over one connection, in order
        return await asyncio.gather(*(self._outcome(call) for call in batch))

    def watch_interrupt(
        self, task_id: str, *, on_change: Callable[[StopState], None] | None = None, may_start: bool = True
    ) -> AsyncInterruptWatch:
        """Returns a connection of its own, over which the daemon pushes every change of a task's stop state.

        Args:
            task_id: The task.
            on_change: Called from the event loop with each state as it arrives.
            may_start: Whether to start a daemon where none runs, if this client may.
        """
        return AsyncInterruptWatch(task_id, self._connector if may_start else self._connector.without_start(), on_change)

    async def close(self) -> None:
        """Closes the connection; a later call opens a new one."""
        conversation = self._conversations.pop(asyncio.get_running_loop(), None)
        if conversation is not None and conversation.link is not None:
            conversation.link.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AsyncClient cannot be sent to another process: make one there, and send it the task_id")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _outcome(self, call: Call[Any]) -> Any:
        try:
            return await self.perform(call)
        except Refused as refusal:
            return refusal

    async def _connected(self) -> Link:
        conversation = self._conversations.setdefault(asyncio.get_running_loop(), _Conversation())
        async with conversation.connecting:
            if conversation.link is None or not conversation.link.is_open:
                link = Link(self._features)
                await self._connector.connect(link)
                conversation.link = link
            return conversation.link


class AsyncInterruptWatch:
    """A subscription to one task's stop state: the present state first, then every change.

    A context manager, which closes the connection, and an iterator over the states. After a lost connection the next call
    opens a new one.
    """

    def __init__(self, task_id: str, connector: AsyncConnector, on_change: Callable[[StopState], None] | None) -> None:
        self._call = calls.watch_interrupt(task_id)
        self._connector = connector
        self._on_change = on_change
        self._link: Link | None = None
        self._subscription: asyncio.Task[None] | None = None
        self._failure: ClawlogError | None = None
        self._inbox: deque[StopState] = deque()
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Connects and subscribes; ``next`` reads the states.

        Raises:
            DaemonUnreachable: No daemon answered.
        """
        if self._link is not None:
            return
        self._failure = None
        link = Link(Features(), on_change=self._receive, on_lost=self._changed.set)
        await self._connector.connect(link)
        self._link = link
        self._subscription = asyncio.create_task(
            self._subscribe(link), name=f"ask about stops of {self._call.params['task_id']}"
        )

    async def next(self, timeout_s: float | None = None) -> StopState | None:
        """Returns the next state that the daemon sends; None when none came in time.

        Args:
            timeout_s: How long to wait; None waits without limit.

        Raises:
            DaemonUnreachable: The connection was lost.
            Refused: It does not know the task.
        """
        await self.open()
        try:
            async with asyncio.timeout(timeout_s):
                while not self._inbox:
                    if self._failure is not None:
                        raise self._failure
                    if self._link is None or not self._link.is_open:
                        await self.close()
                        raise DaemonUnreachable(f"The connection to {self._connector.address} was lost")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return None
        return self._inbox.popleft()

    async def notify(self, call: Call[Any]) -> None:
        """Sends a call over this connection as a notification, without a reply; nothing is sent while it is closed."""
        if self._link is not None and self._link.is_open:
            await self._link.notify(call)

    async def close(self) -> None:
        """Closes the connection."""
        if self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
        if self._link is not None:
            self._link.close()
            self._link = None
        self._changed.set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StopState:
        stop = await self.next()
        if stop is None:
            raise StopAsyncIteration
        return stop

    async def _subscribe(self, link: Link) -> None:
        try:
            outcome = await link.request(self._call)
            if isinstance(outcome, Refused):
                raise outcome
            self._receive(outcome)
        except ConnectionLost:
            self._changed.set()
        except ClawlogError as error:
            self._failure = error
            self._changed.set()

    def _receive(self, stop: StopState) -> None:
        self._inbox.append(stop)
        self._changed.set()
        if self._on_change is not None:
            self._on_change(stop)


class AsyncConnector:
    """Opens connections to one address, and starts the daemon where none runs.

    Args:
        where: The daemon's address.
        env: The environment that a started daemon inherits.
        timeout_s: How long connecting may take.
        may_start: Whether to start a daemon; by default as the environment says.
    """

    def __init__(self, where: Address, env: Mapping[str, str], *, timeout_s: float, may_start: bool | None) -> None:
        self.address = where
        self.timeout_s = timeout_s
        self._env = env
        self._starter = autostart.Starter(where, env, allowed=may_start)

    def without_start(self) -> AsyncConnector:
        """Returns a connector to the same address that never starts a daemon."""
        return AsyncConnector(self.address, self._env, timeout_s=self.timeout_s, may_start=False)

    async def connect(self, link: Link) -> None:
        """Connects a link.

        Raises:
            DaemonUnreachable: No daemon runs, and none could be started.
        """
        try:
            await self._try_to_connect(link)
        except NO_LISTENER:
            with self._starter.launch() as launch:
                while True:
                    launch.advance()
                    await asyncio.sleep(autostart.PAUSE_S)
                    try:
                        return await self._try_to_connect(link)
                    except NO_LISTENER:
                        continue

    async def _try_to_connect(self, link: Link) -> None:
        try:
            async with asyncio.timeout(self.timeout_s):
                await link.open(self.address, self._env)
        except NO_LISTENER:
            raise
        except OSError as error:
            reason = error.strerror or str(error) or "timed out"
            raise DaemonUnreachable(f"No connection to the daemon at {self.address}: {reason}") from error
