"""The commands' own requests to a ClawLog backend over HTTP: to show tasks, and to do what a person wants done with them.

Everything else goes through the daemon. The routes are those of the HTTP contract's plain profile, so any ClawLog server
works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from clawlog.cli.errors import BackendRefused, BackendUnreachable
from clawlog.cli.render.backend_views import BackendEvent, BackendTask, Receipts
from clawlog.cli.sources.query import DEFAULT_LIMIT
from clawlog.protocol.summary import any_line

T = TypeVar("T")

TIMEOUT_S = 10.0
_MAX_REASON_CHARS = 300


class Backend:
    """One ClawLog backend.

    Args:
        base_url: Its address.
        env: The environment variables that say where the token is.
        timeout_s: How long to wait for an answer.
    """

    def __init__(self, base_url: str, env: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> None:
        self.base_url = base_url.rstrip("/")
        from clawlog.cli.sources.transport import Transport  # noqa: PLC0415 - urllib is half of what its importers load

        self._transport = Transport(self.base_url, env, timeout_s=timeout_s)

    def task(self, task_id: str) -> BackendTask:
        """Returns one task with its newest events.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: It does not know the task, or declined.
        """
        return self.read_task(self.task_answer(task_id))

    def task_answer(self, task_id: str) -> Any:
        """Returns the backend's raw answer for ``task``. Raises as that does."""
        return self._ask("GET", f"/api/tasks/{quote(task_id, safe='')}")

    def read_task(self, answer: Any) -> BackendTask:
        """Reads such an answer. Raises ``BackendUnreachable`` where its shape is unknown."""
        return self._read(BackendTask.read, answer)

    def tasks(self, **query: str | int | None) -> tuple[BackendTask, ...]:
        """Returns its newest tasks: all, or those that the list's query describes. Raises as ``task`` does."""
        return self.read_tasks(self.tasks_answer(**query))

    def tasks_answer(self, **query: str | int | None) -> Any:
        """Returns the backend's raw answer for ``tasks``. Raises as ``task`` does."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"/api/tasks?{urlencode({'limit': DEFAULT_LIMIT, **given})}")

    def read_tasks(self, answer: Any) -> tuple[BackendTask, ...]:
        """Reads such an answer. Raises ``BackendUnreachable`` where its shape is unknown."""
        return self._read(lambda view: tuple(BackendTask.read(each) for each in view["tasks"]), answer)

    def events_before(
        self, task_id: str, seq: int, *, limit: int, kinds: Sequence[str] = ()
    ) -> tuple[tuple[BackendEvent, ...], bool]:
        """Returns the newest events of a task before one, the newest last, and whether there are older ones.

        Args:
            task_id: The task.
            seq: The number of that one.
            limit: At most so many.
            kinds: Only those of these kinds; all without any.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: It does not know the task, or has no such route.
        """
        query = urlencode({"before": seq, "limit": limit, "kind": kinds}, doseq=True)
        page = self._ask("GET", f"/api/tasks/{quote(task_id, safe='')}/events?{query}")
        events = self._read(lambda view: tuple(BackendEvent.read(each) for each in view["events"]), page)
        return events, page.get("next_before") is not None

    def close(self, task_id: str, status: str, *, summary: str | None = None, by: str | None = None) -> None:
        """Ends a task whose agent is gone.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: The task is not known, or its agent is alive.
        """
        self._ask("POST", f"/api/tasks/{quote(task_id, safe='')}/close", _given(status=status, summary=summary, by=by))

    def acknowledge(self, task_id: str, *, by: str | None = None) -> None:
        """Says that a person has seen that a task failed or was lost.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: The task is not known, or needs something else than to be seen.
        """
        self._ask("POST", f"/api/tasks/{quote(task_id, safe='')}/acknowledge", _given(by=by))

    def page(self, task_id: str) -> str | None:
        """Returns the address of a task's page; None where the backend does not say that it has one. Raises as ``task``."""
        try:
            document = self._ask("GET", "/openapi.json")
            template = document["x-clawlog"]["task_page"]
        except (BackendRefused, KeyError, TypeError):
            return None
        return f"{self.base_url}{str(template).replace('{task_id}', quote(task_id, safe=''))}"

    def request_stop(self, task_id: str, *, reason: str | None = None, requested_by: str | None = None) -> Receipts:
        """Requests a soft stop; while one is open, returns that one.

        Raises:
            BackendUnreachable: It did not answer.
            BackendRefused: The task is not known, or has ended.
        """
        body = _given(mode="soft_stop", reason=reason, requested_by=requested_by)
        answer = self._ask("POST", f"/api/tasks/{quote(task_id, safe='')}/interrupt", body)
        return self._read(Receipts.read, answer)

    def date(self) -> str | None:
        """Returns the backend's time in HTTP's format, if it sends one. Raises as ``task`` does."""
        return self._transport.exchange("GET", "/api/tasks?limit=1").date

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        return self._transport.exchange(method, path, body).content

    def _read(self, read: Callable[[Any], T], view: Any) -> T:
        try:
            return read(view)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = any_line(repr(error), _MAX_REASON_CHARS)
            message = f"{self.base_url} answers in an unknown shape ({reason}): is it a ClawLog backend?"
            raise BackendUnreachable(message) from None


def _given(**members: object) -> Mapping[str, object]:
    """Leaves out what was not given."""
    return {name: value for name, value in members.items() if value is not None}
