"""What a contract makes of a report: the request for a server, and the meaning of its answer. Nothing is sent here.

A server that has no word for something is told the nearest, with the truth in the summary: a status that it lacks, a step that
it does not know, a summary that is too long. What it has no route for at all is told by its heartbeat's summary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.model import UNMAPPED, Beat, Event, NewStep, Progress
from clawlogd.text import clean_text
from clawlogd.upstream.answers import Answer, Outcome, read_id, read_reply
from clawlogd.upstream.contracts.contract import Action, Contract, ControlAnswer, CreateAnswer, ListAnswer, Root, StandIn
from clawlogd.upstream.contracts.templates import ABSENT, fill, fill_path, uses
from clawlogd.upstream.controls import Control, Unreadable, read_moments, read_time
from clawlogd.upstream.remote_ids import RemoteIds, match_steps
from clawlogd.upstream.routes import HttpRequest

_encode = msgspec.json.Encoder().encode
_NEAREST = {"skipped": ("done",), "failed": ("skipped", "running"), "interrupted": ("failed", "done"), "waiting": ("running",)}
"""A status that a server has no word for → those that come nearest."""
_MAX_REASON_CHARS = 1000
_CLOCKS_DIFFER_S = 60.0  # the server's and ours
_FIRST_STATUS, _LAST_STATUS = 400, 599


class Interpreter:
    """Speaks to a server as its contract says.

    Args:
        contract: The contract.
        may_move: Whether the server may send a request on to another path of its own.
    """

    def __init__(self, contract: Contract, *, may_move: bool = True) -> None:
        self.contract = contract
        self._may_move = may_move

    # ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, event: Event, agent: str | None = None) -> HttpRequest:
        """The creation of a task."""
        create = self.contract.create
        title = _cut(event.title or "", create.max_title_chars)
        steps = (event.steps or ())[: create.max_steps]
        if not steps and create.min_steps:
            steps = (NewStep(event.task_id, title),)
        about = {"title": title, "metadata": event.metadata or None, "parent_task_id": event.parent_task_id or None}
        values = {**self._common(event), **about, "agent": agent or "agent"}
        values["summary"] = values["summary"] or None
        return self._request(create, values, self._offered(steps, {}), key=event.event_id)

    def plan(self, event: Event, task_id: str) -> HttpRequest | None:
        """All steps of a task, as they are from now on; None where the server has no route for it."""
        action = self.contract.plan
        if action is None:
            return None
        steps = self._offered(event.steps or (), action.statuses or self.contract.step_statuses)
        return self._request(action, {**self._common(event), "task_id": task_id}, steps, key=event.event_id)

    def metadata(self, event: Event, task_id: str) -> HttpRequest | None:
        """The pairs of a task's metadata that change; None where the server has no route for it."""
        return self._attachment(self.contract.metadata, event, task_id, {"metadata": event.metadata})

    def link(self, event: Event, task_id: str) -> HttpRequest | None:
        """A link of a task; None where the server has no route for it."""
        return self._attachment(self.contract.link, event, task_id, {"name": event.name or None, "url": event.url})

    def _attachment(self, action: Action | None, event: Event, task_id: str, about: Mapping[str, Any]) -> HttpRequest | None:
        if action is None:
            return None
        return self._request(action, {**self._common(event), **about, "task_id": task_id}, key=event.event_id)

    def step(self, event: Event, task_id: str, step_id: str) -> HttpRequest | None:
        """A step's new status; None where the server has no word that comes near.

        Args:
            event: What happened.
            task_id: The task's id there.
            step_id: The step's id there.
        """
        action = self.contract.step
        if action is None:
            return None
        status, summary = _word(event.status or "", action.statuses or self.contract.step_statuses, event.summary)
        if status is None:
            return None
        told = {**self._summary(summary, event.status), **_progress(event.progress)}
        values = {**self._common(event), **told, "task_id": task_id, "step_id": step_id, "status": status}
        return self._request(action, values, key=event.event_id)

    def task(self, event: Event, task_id: str) -> list[HttpRequest]:
        """A task's new status and summary: what its own route does not take is told by the heartbeat's summary, first."""
        action = self.contract.task
        words = None if action is None else action.statuses or self.contract.task_statuses
        status, summary = (None, None) if words is None else _word(event.status or "", words, event.summary)
        if action is None or status is None:
            said = [] if event.status in {None, "running"} else [event.status]
            told = ": ".join(filter(None, [*said, event.summary])) or None
            return _present(self.say(event, task_id, told))
        values = {**self._common(event), "task_id": task_id, "status": status, **self._summary(summary, event.status)}
        first = None if _takes_summary(action) else self.say(event, task_id, summary)
        return _present(first, self._request(action, values, key=event.event_id))

    def say(self, event: Event, task_id: str, summary: str | None) -> HttpRequest | None:
        """A summary of a task in words, by its heartbeat; None where that takes none."""
        action = self.contract.heartbeat
        if action is None or summary is None or not _takes_summary(action):
            return None
        values = {**self._common(event), "task_id": task_id, **self._summary(summary, None)}
        return self._request(action, values, key=event.event_id)

    def ack(self, event: Event, task_id: str) -> HttpRequest | None:
        """The acknowledgement of a stop."""
        if self.contract.ack is None:
            return None
        told = self._summary(event.summary, "stopped")
        values = {**self._common(event), **told, "task_id": task_id, "interrupt_id": event.interrupt_id or None}
        return self._request(self.contract.ack, values, key=event.event_id)

    def heartbeat(self, beat: Beat, task_id: str) -> HttpRequest | None:
        """A heartbeat; None where the server has no route for it."""
        action = self.contract.heartbeat
        if action is None:
            return None
        values: dict[str, Any] = {
            "task_id": task_id, "at": beat.at, **_times(beat.at), "agent_seen_at": beat.agent_seen_at, "stalled": beat.stalled,
            "event_id": new_uuid(), "evidence": beat.evidence.value, "pid": beat.pid,
            **self._summary(beat.summary, "alive"), **_progress(beat.progress), "agent": "agent",
        }  # fmt: skip
        return self._request(action, values)

    def control(self, task_id: str) -> HttpRequest | None:
        """The question whether a task is to stop."""
        return self._question(self.contract.control, task_id)

    def read(self, task_id: str) -> HttpRequest | None:
        """One task."""
        return self._question(self.contract.read, task_id)

    def list_tasks(self) -> HttpRequest | None:
        """The newest tasks."""
        return self._question(self.contract.list_tasks, "")

    def _question(self, action: Action | None, task_id: str) -> HttpRequest | None:
        return None if action is None else self._request(action, {"task_id": task_id or None})

    def _request(
        self, action: Action, values: Mapping[str, Any], steps: tuple[Mapping[str, Any], ...] = (), key: str | None = None
    ) -> HttpRequest:
        path = fill_path(action.path, values)
        query = fill(action.query, values)
        body = None if action.body is None else fill(action.body, values, steps)
        content = None if body is None or body is ABSENT else _encode(body)
        pairs = tuple((name, each if isinstance(each, str) else _encode(each).decode()) for name, each in query.items())
        from_origin = self.contract.root is Root.ORIGIN
        route = action.path if self._may_move else ""
        return HttpRequest(action.method, path, content, key, query=pairs, from_origin=from_origin, route=route)

    def _offered(self, steps: Sequence[NewStep], words: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
        most = self.contract.create.max_title_chars
        return tuple(
            {
                "step.title": _cut(step.title, most), "step.step_id": step.step_id, "step.position": place,
                "step.index": place - 1, "step.status": None if step.status is None else _word(step.status, words, None)[0],
            }
            for place, step in enumerate(steps, 1)
        )  # fmt: skip

    def _common(self, event: Event) -> dict[str, Any]:
        return {
            "task_id": event.task_id, "event_id": event.event_id, "at": event.at, **_times(event.at), "agent": "agent",
            **self._summary(event.summary, event.status),
        }  # fmt: skip

    def _summary(self, summary: str | None, instead: str | None) -> dict[str, Any]:
        text = None if summary is None else _cut(summary, self.contract.summary_chars)
        return {"summary": text, "summary_text": text or instead or "-"}

    # ── Answers ────────────────────────────────────────────────────────────────────────────────────────────────────

    def judge(self, sent: str, answer: Answer) -> Answer:
        """What an answer means by what it says of itself: a success with an error's code in it is that error."""
        envelope = self.contract.envelope
        if answer.outcome is not Outcome.DELIVERED or not isinstance(answer.body, Mapping):
            return answer
        code = _first(answer.body, envelope.code)
        if code is None or isinstance(code, float) or code in envelope.ok or not _is_code(code):
            return answer
        message = _first(answer.body, envelope.message)
        status = _status_in(code)
        detail = _encode({"detail": clean_text(message if message is not None else "", 300)})
        if status is None:
            return replace(answer, outcome=Outcome.REFUSED, detail=f"{sent}: code {code} {clean_text(message or '', 300)}")
        read = read_reply(f"{sent}: code {code}", status, detail)
        return replace(read, with_token=answer.with_token)

    def remote_ids(self, event: Event, body: object) -> RemoteIds | None:
        """The ids that a created task has there; None where the answer names none."""
        answer = self.contract.create.answer
        task_id = next((found for each in answer.task_id if (found := read_id(_at(body, each))) is not None), None)
        if task_id is None:
            return None
        return RemoteIds(task_id if task_id != event.task_id else None, self._remote_steps(list(event.steps or ()), body))

    def find_created(
        self, event: Event, body: object, is_taken: Callable[[str], bool], now_ms: float
    ) -> tuple[str, Mapping[str, Any]] | None:
        """The newest task of a list that a creation can have made, and its id; None where there is none.

        Args:
            event: The creation.
            body: The answer that lists tasks.
            is_taken: Whether a task of the server's is known to be another one.
            now_ms: Wall-clock time.
        """
        answer = self.contract.list_tasks.answer if self.contract.list_tasks else ListAnswer()
        listed = next((found for each in answer.tasks if isinstance(found := _at(body, each), list)), [])
        title = _cut(event.title or "", self.contract.create.max_title_chars)
        since_s = datetime.fromisoformat(event.at).timestamp() - _CLOCKS_DIFFER_S
        fitting: list[tuple[float, str, Mapping[str, Any]]] = []
        for each in listed:
            task_id = read_id(_first(each, answer.task_id)) if isinstance(each, Mapping) else None
            if task_id is None or _first(each, answer.title) != title or is_taken(task_id):
                continue
            if task_id == event.task_id:
                return task_id, each
            times = read_moments(_first(each, answer.created_at))
            created_s = next((time for time in times if since_s <= time <= now_ms / 1000 + _CLOCKS_DIFFER_S), None)
            if created_s is not None:
                fitting.append((created_s, task_id, each))
        return max(fitting, key=lambda each: each[0])[1:] if fitting else None

    def found_ids(self, event: Event, task_id: str, bodies: Sequence[object]) -> RemoteIds:
        """The ids of a task that was found there.

        Args:
            event: Its creation.
            task_id: The task's id there.
            bodies: Where its steps may be, the best place first.
        """
        offered = list(event.steps or ())
        steps: tuple[str | None, ...] = (UNMAPPED,) * len(offered)
        for body in bodies:
            if all(each == UNMAPPED for each in steps):
                steps = self._remote_steps(offered, body)
        return RemoteIds(task_id if task_id != event.task_id else None, steps)

    def _remote_steps(self, offered: list[NewStep], body: object) -> tuple[str | None, ...]:
        answer, most = self.contract.create.answer, self.contract.create.max_steps
        told = offered[:most]
        beyond = (UNMAPPED,) * (len(offered) - len(told))
        ids = match_steps(told, self.listed_steps(body) or [])
        if told and all(each == UNMAPPED for each in ids) and answer.step_id_from is not None:
            first = 0 if answer.step_id_from is StandIn.INDEX else 1
            ids = tuple(str(number) for number in range(first, first + len(told)))
        # The server never took an id that it was not offered: one that is the same by chance is its own, too.
        return tuple(step.step_id if each is None else each for step, each in zip(told, ids, strict=True)) + beyond

    def listed_steps(self, body: object) -> list[dict[str, Any]] | None:
        """The steps that an answer lists, with the standard contract's names for what is said of them; None without a list."""
        answer = self.contract.create.answer
        places = (*answer.steps, *(each[each.rfind("/") :] for each in answer.steps))  # also of a task by itself
        listed = next((found for each in places if isinstance(found := _at(body, each), list)), None)
        if listed is None:
            return None
        members = _step_members(answer)
        return [{name: _first(each, found) for name, found in members} for each in listed if isinstance(each, Mapping)]

    def read_control(self, body: object) -> Control | Unreadable:
        """Whether a person wants a task to stop, as an answer says."""
        if self.contract.control is None:
            return Unreadable("the contract has no control")
        return _control_in(self.contract.control.answer, body)

    @property
    def hears_with_beats(self) -> bool:
        """Whether the control state comes with the answers to heartbeats alone."""
        return self.contract.control is None and self.contract.heartbeat_answer is not None

    def read_beat_answer(self, body: object) -> Control | Unreadable | None:
        """Whether a person wants a task to stop, as the answer to a heartbeat says; None where it is asked for by itself."""
        answer = self.contract.heartbeat_answer
        return _control_in(answer, body) if answer is not None and self.hears_with_beats else None


def _control_in(answer: ControlAnswer, body: object) -> Control | Unreadable:
    found = [value for each in answer.stop if not isinstance(value := _at(body, each), dict | list | _Missing)]
    if not found:
        return Unreadable("the answer has none of the members that could say whether to stop")
    flag = found[0]
    wanted = any(flag == each and type(flag) is type(each) for each in answer.stop_values)
    if isinstance(flag, str) and not wanted:
        wanted = flag.strip().lower() in {each for each in answer.stop_values if isinstance(each, str)}
    reason, at = _first(body, answer.reason), _first(body, answer.requested_at)
    return Control(
        interrupt_requested=wanted,
        mode="soft_stop" if wanted else None,
        interrupt_id=read_id(_first(body, answer.interrupt_id)),
        reason=clean_text(reason, _MAX_REASON_CHARS) or None if wanted and isinstance(reason, str) else None,
        requested_at=read_time(at),
        may_outlast=True,
    )


def _step_members(answer: CreateAnswer) -> tuple[tuple[str, Sequence[str]], ...]:
    return ("step_id", answer.step_id), ("position", answer.position), ("title", answer.title)


class _Missing:
    """What a pointer that leads nowhere gives."""


_MISSING = _Missing()


def _at(body: object, pointer: str) -> Any:
    """What a JSON Pointer (RFC 6901) leads to."""
    value = body
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(name, _MISSING)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(value):
            value = value[int(name)]
        else:
            return _MISSING
    return value


def _first(body: object, pointers: Sequence[str]) -> Any:
    """What the first pointer that leads somewhere leads to; None where none does."""
    return next((found for each in pointers if not isinstance(found := _at(body, each), _Missing) and found is not None), None)


def _takes_summary(action: Action) -> bool:
    return any(uses([action.path, action.query, action.body], name) for name in ("summary", "summary_text"))


def _present(*requests: HttpRequest | None) -> list[HttpRequest]:
    return [each for each in requests if each is not None]


def _word(status: str, statuses: Mapping[str, str], summary: str | None) -> tuple[str | None, str | None]:
    """The server's word for a status, or the nearest that it has; and the summary, with the truth where that is another."""
    if not statuses:
        return status, summary
    if status in statuses:
        return statuses[status], summary
    for near in _NEAREST.get(status, ()):
        if near in statuses:
            return statuses[near], f"{status}: {summary}" if summary else status
    return None, summary


def _progress(progress: Progress | None) -> dict[str, Any]:
    if progress is None:
        return {}
    percent = round(100 * progress.done / progress.total) if progress.total else None
    return {"progress": progress, "done": progress.done, "total": progress.total, "unit": progress.unit, "percent": percent}


def _times(at: str) -> dict[str, Any]:
    seconds = datetime.fromisoformat(at).timestamp()
    return {"at_s": round(seconds, 3), "at_ms": round(seconds * 1000)}


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: max(0, most - 1)] + "…"[:most]


def _is_code(code: object) -> bool:
    return isinstance(code, bool | int) or (isinstance(code, str) and code.strip().lstrip("-").isdigit())


def _status_in(code: object) -> int | None:
    """The HTTP status that an error's code stands for: 404, "404", 40401."""
    digits = str(code).strip()
    if not (digits.isascii() and digits.isdigit()):
        return None
    status = int(digits[:3])
    return status if _FIRST_STATUS <= status <= _LAST_STATUS and len(digits) in {3, 5, 6} else None
