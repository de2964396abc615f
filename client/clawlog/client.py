"""The blocking client: one method per verb.

A call has a connection to itself for as long as it lasts: one that lies idle, else a new one. So nobody waits for anybody: not
a thread for another one's long call, nor a signal handler, a logging handler or a finalizer for the call that it interrupts;
and there is no lock that a forked process could inherit held.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar

from clawlog import autostart
from clawlog.connection import address, calls, features
from clawlog.connection.address import NO_LISTENER, Address
from clawlog.connection.blocking import Channel, open_channel
from clawlog.connection.call import DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, Call, ConnectionLost
from clawlog.connection.results import StopState
from clawlog.connection.session import Answer, Changed, Session
from clawlog.errors import DaemonUnreachable, Refused

P = ParamSpec("P")
T = TypeVar("T")


def _verb(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """Turns a function of ``calls`` into a method that performs the call; parameters and documentation are the function's."""

    @functools.wraps(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.perform(build(*args, **kwargs))

    return method


_MOST_IDLE = 4
"""How many connections are kept for later calls; a single thread needs one."""


@dataclass(frozen=True, slots=True)
class _Connection:
    """A connection, and the numbers of its requests."""

    channel: Channel
    session: Session


class Client:
    """The way to the daemon, for any number of threads, and for calls within calls.

    Args:
        where: The daemon's address, in the form of ``CLAWLOG_SOCKET``; by default the environment's.
        timeout_s: How long a call waits for its reply.
        autostart: Whether to start a daemon where none runs; by default as ``CLAWLOG_AUTOSTART`` says.
        env: The environment variables to use; by default this process's own.
        warn: Called with one line, once per process and feature, where the daemon is older than this program and lacks
            something; by default the logger ``clawlog`` is told.

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
        self._env = os.environ if env is None else env
        self.address = address.parse(where) if where else address.of_environment(self._env)
        self._timeout_s = timeout_s
        self._connector = Connector(self.address, self._env, timeout_s=timeout_s, may_start=autostart)
        self._features = features.Features(warn)
        self._idle: deque[_Connection] = deque()

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

    def perform(self, call: Call[T]) -> T:
        """Performs one call.

        Raises:
            DaemonUnreachable: No daemon answered.
            Refused: The daemon declined.
        """
        (outcome,) = self.pipeline([call])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def pipeline(self, batch: Sequence[Call[T]]) -> list[T | Refused]:
        """Performs calls in order, without waiting for a reply before sending the next.

        Returns:
            An outcome for each: its value or a ``Refused``. A refused call does not hold up those after it.

        Raises:
            DaemonUnreachable: No daemon answered; some calls may have been accepted all the same.
        """
        outcomes: dict[int, T | Refused] = {}
        for attempt in range(1, MAX_ATTEMPTS + 1):
            connection = self._take()
            try:
                self._converse(connection, batch, outcomes)
                break
            except TimeoutError as error:
                connection.channel.close()
                raise DaemonUnreachable(f"The daemon at {self.address} did not answer in time") from error
            except ConnectionLost as error:
                connection.channel.close()
                self.close()  # what lies idle was lost with it
                self._features.forget()
                if attempt == MAX_ATTEMPTS:
                    raise DaemonUnreachable(f"The connection to {self.address} was lost: {error}") from error
            except BaseException:
                connection.channel.close()  # a reply may still arrive, and would be taken for the next call's
                raise
        self._give_back(connection)
        return [outcomes[index] for index in range(len(batch))]

    def watch_interrupt(self, task_id: str, *, may_start: bool = True) -> InterruptWatch:
        """Returns a connection of its own, over which the daemon pushes every change of a task's stop state.

        Args:
            task_id: The task.
            may_start: Whether to start a daemon where none runs, if this client may.
        """
        return InterruptWatch(task_id, self._connector if may_start else self._connector.without_start())

    def close(self) -> None:
        """Closes the idle connections; a later call opens a new one."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client cannot be sent to another process: make one there, and send it the task_id")

    def _converse(self, connection: _Connection, batch: Sequence[Call[T]], outcomes: dict[int, T | Refused]) -> None:
        """Sends the calls that have no outcome yet, and reads until all have one."""
        channel, session = connection.channel, connection.session
        asked: dict[int, int] = {}
        messages = []
        for index, call in enumerate(batch):
            if index not in outcomes:
                number, message = session.request(call)
                asked[number] = index
                messages.append(message)
        deadline = time.monotonic() + self._timeout_s + sum(call.may_take_s for call in batch)
        channel.send(messages, deadline)
        while asked:
            for message in channel.receive(deadline):
                received = session.receive(message)
                if not isinstance(received, Answer) or (position := asked.pop(received.number, None)) is None:
                    continue
                if session.must_repeat(received):
                    number, again = session.request(batch[position])
                    asked[number] = position
                    channel.send([again], deadline)
                else:
                    outcomes[position] = received.call.decode_outcome(received.response)

    def _take(self) -> _Connection:
        """Takes an idle connection, or opens one. A deque's own methods are whole, whoever interrupts whom."""
        with contextlib.suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if connection.channel.is_open:  # else it is the parent's of this forked process
                    return connection
        return _Connection(self._connector.connect(), Session(self._features))

    def _give_back(self, connection: _Connection) -> None:
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.channel.close()


class InterruptWatch:
    """A subscription to one task's stop state: the present state first, then every change.

    A context manager, which closes the connection. After a lost connection the next call opens a new one.
    """

    def __init__(self, task_id: str, connector: Connector) -> None:
        self._call = calls.watch_interrupt(task_id)
        self._connector = connector
        self._session = Session()
        self._channel: Channel | None = None
        self._inbox: deque[StopState] = deque()

    def open(self) -> None:
        """Connects and subscribes; ``next`` reads the states.

        Raises:
            DaemonUnreachable: No daemon answered.
        """
        if self._channel is None:
            self._channel = self._connector.connect()
            _, message = self._session.request(self._call)
            self._guarded(lambda channel: channel.send([message], time.monotonic() + self._connector.timeout_s))

    def next(self, timeout_s: float | None = None) -> StopState | None:
        """Returns the next state that the daemon sends; None when none came in time.

        Args:
            timeout_s: How long to wait; 0 returns only what has already come, None waits without limit.

        Raises:
            DaemonUnreachable: The connection was lost.
            Refused: It does not know the task.
        """
        self.open()
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not self._inbox:
            try:
                messages = self._guarded(lambda channel: channel.receive(deadline))
            except TimeoutError:
                return None
            for message in messages:
                received = self._session.receive(message)
                if isinstance(received, Changed):
                    self._inbox.append(received.stop)
                elif isinstance(received, Answer):
                    self._inbox.append(self._answered(received))
        return self._inbox.popleft()

    def notify(self, call: Call[Any]) -> None:
        """Sends a call over this connection as a notification, without a reply; nothing is sent while it is closed.

        Raises:
            DaemonUnreachable: The connection was lost.
        """
        if self._channel is not None:
            self._guarded(
                lambda channel: channel.send([call.encode_notification()], time.monotonic() + self._connector.timeout_s)
            )

    def close(self) -> None:
        """Closes the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answered(self, answer: Answer) -> StopState:
        outcome = self._guarded(lambda _: self._call.decode_outcome(answer.response))
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def _guarded(self, action: Callable[[Channel], T]) -> T:
        if self._channel is None:
            raise DaemonUnreachable("The watch is closed")
        try:
            return action(self._channel)
        except ConnectionLost as error:
            self.close()
            raise DaemonUnreachable(f"The connection to {self._connector.address} was lost: {error}") from error


class Connector:
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

    def without_start(self) -> Connector:
        """Returns a connector to the same address that never starts a daemon."""
        return Connector(self.address, self._env, timeout_s=self.timeout_s, may_start=False)

    def connect(self) -> Channel:
        """Connects.

        Raises:
            DaemonUnreachable: No daemon runs, and none could be started.
        """
        try:
            return self._try_to_connect()
        except NO_LISTENER:
            with self._starter.launch() as launch:
                while True:
                    launch.advance()
                    time.sleep(autostart.PAUSE_S)
                    try:
                        return self._try_to_connect()
                    except NO_LISTENER:
                        continue

    def _try_to_connect(self) -> Channel:
        deadline = time.monotonic() + self.timeout_s
        try:
            try:
                return open_channel(self.address, self._env, deadline)
            except ConnectionLost:  # forked in the middle of it: this process connects for itself
                return open_channel(self.address, self._env, deadline)
        except NO_LISTENER:
            raise
        except OSError as error:
            raise DaemonUnreachable(
                f"No connection to the daemon at {self.address}: {error.strerror or error or 'timed out'}"
            ) from error
