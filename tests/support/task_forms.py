"""The blocking and the asyncio form of a task alike, so that a test tells one story for both."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any

import clawlog
from support.scripted_daemon import ScriptedDaemon


async def settled(value: Any) -> Any:
    """A call's result, whether it has to be awaited or not."""
    return await value if inspect.isawaitable(value) else value


class Context:
    """A blocking or an asyncio context, entered and left alike."""

    def __init__(self, inner: Any, *, is_async: bool | None = None) -> None:
        self.inner = inner
        self._is_async = not hasattr(inner, "__enter__") if is_async is None else is_async

    async def __aenter__(self) -> Any:
        return await settled((self.inner.__aenter__ if self._is_async else self.inner.__enter__)())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        leave = self.inner.__aexit__ if self._is_async else self.inner.__exit__
        return await settled(leave(kind, error, trace))


class Form:
    """One of the two forms.

    Args:
        is_async: Whether it is asyncio's.
    """

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async

    def task(self, *args: Any, **kwargs: Any) -> Context:
        return Context(clawlog.task(*args, **kwargs), is_async=self.is_async)

    def attach(self, *args: Any, **kwargs: Any) -> Context:
        return Context(clawlog.attach(*args, **kwargs), is_async=self.is_async)

    async def each(self, items: Any) -> AsyncIterator[Any]:
        """Goes through what ``clawlog.track`` gave; without a break, which this would hide."""
        if self.is_async:
            async for item in items:
                yield item
        else:
            for item in items:
                yield item


def told(daemon: ScriptedDaemon, *methods: str) -> list[tuple[Any, ...]]:
    """Verb, and what it is about, of every event but the task's creation: steps by their titles."""
    titles = titles_of(daemon)
    found = []
    for each in daemon.requests:
        params = each.params
        if (methods and each.method not in methods) or "event_id" not in params or each.method == "task.create":
            continue
        step = titles.get(params.get("step"), params.get("step"))
        about = [step, params.get("title"), params.get("status"), params.get("summary"), _count(params.get("progress"))]
        found.append((each.method, *[value for value in about if value is not None]))
    return found


def _count(progress: dict[str, Any] | None) -> str | None:
    return None if progress is None else "/".join(str(progress[name]) for name in ("done", "total") if name in progress)


def titles_of(daemon: ScriptedDaemon) -> dict[object, str]:
    """The titles of the steps that a daemon was told of, by their ids."""
    titles = {}
    for each in daemon.requests:
        if each.method == "task.create":
            titles.update({f"{each.params['task_id']}-{n}": title for n, title in enumerate(each.params["steps"], 1)})
        elif each.method == "step.add":
            titles[each.params["step_id"]] = each.params["title"]
    return titles


def unknown_steps(daemon: ScriptedDaemon, known: Iterable[str] = ()) -> None:
    """Lets a daemon know the steps that it was told of, and no others."""
    from clawlog.protocol.errors import UNKNOWN_STEP, RpcError

    polite = daemon.answers["step.update"]

    def reply(params: Any) -> Any:
        titles = titles_of(daemon)
        if params["step"] in titles or params["step"] in titles.values() or params["step"] in known:
            return polite(params)
        return RpcError(UNKNOWN_STEP, f"No step {params['step']!r} in task t; give an id, a position or a title of: 1 check")

    daemon.answers["step.update"] = reply
