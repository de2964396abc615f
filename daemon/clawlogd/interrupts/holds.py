"""The files by which sessions of coding agents are held: while one is there, the agent's hook refuses every tool.

A hold begins with a person's stop and outlasts its acknowledgement, until a person speaks to the agent again or its session
ends: a hook can say no, but it cannot make every agent stop trying. That it is there stands in the task's record, so the
files follow from the records alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from clawlog.protocol.agents import AGENTS, session_file
from clawlogd.instance import private_folder
from clawlogd.logs import Log
from clawlogd.model import Interrupt, Session, Task
from clawlogd.tasks.registry import ObserverOrder, Registry

_log = Log("holds")


def session_after(session: Session | None, known: Interrupt | None, interrupt: Interrupt | None, now_ms: int) -> Session | None:
    """What a stop that has come, or has been withdrawn, means to a session.

    Args:
        session: The session of the task, if it is one's.
        known: The stop of which was known before.
        interrupt: The one that is known now.
        now_ms: The time, in milliseconds since 1970.
    """
    if session is None:
        return None
    if interrupt is None:
        withdrawn = known is not None and not known.acknowledged
        return lifted(session) if withdrawn else session
    if interrupt.acknowledged or (known is not None and known.interrupt_id == interrupt.interrupt_id):
        return session
    return msgspec.structs.replace(session, held=interrupt.interrupt_id, held_ms=now_ms, refused_ms=None)


def lifted(session: Session) -> Session:
    """A session that is not held any more."""
    return msgspec.structs.replace(session, held=None, held_ms=0, refused_ms=None)


class Holds:
    """Keeps the files.

    Args:
        registry: The tasks.
        folder: Where the files are.

    Attributes:
        held: The tasks whose sessions are held.
    """

    def __init__(self, *, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._agents_folders = tuple(folder / agent for agent in AGENTS)  # looked for every two seconds
        self.held: set[str] = set()
        registry.observe(ObserverOrder.SESSIONS, self._task_changed)

    def resume(self) -> None:
        """Brings the files in line with the records: those of an earlier run may be stale.

        Raises:
            InstanceError: The folder is none, a link or somebody else's.
        """
        private_folder(self._folder)
        wanted = {self._path(task.session) for task in self._registry if task.session is not None and task.session.held}
        for path in self._folder.glob("*/*"):
            if path not in wanted:
                try:
                    path.unlink()
                except OSError as error:  # a folder, which nobody here has made
                    _log.warning("hold_stays", path=str(path), error=str(error))
        self._write_all()

    def restore_files(self) -> None:
        """Makes the folders anew where they were removed, with all files. Cheap where they were not."""
        if not self._folder.parents[1].is_dir():  # a state folder that is gone is not made here
            return
        if all(path.is_dir() for path in self._agents_folders):
            return
        _log.warning("holds_lost", path=str(self._folder), remedy="written anew")
        self._write_all()

    def _write_all(self) -> None:
        for agent in AGENTS:
            self._make_folder(self._folder / agent)
        for task in self._registry:
            if task.session is not None and task.session.held:
                self.held.add(task.task_id)
                self._write(task, task.session)

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        was = before.session if before is not None else None
        now = after.session if after is not None else None
        if was is None and now is None:
            return
        held = now.held if now is not None else None
        if held == (was.held if was is not None else None):
            return
        if held is not None and after is not None and now is not None:
            self.held.add(after.task_id)
            self._write(after, now)
        elif before is not None and was is not None:
            self.held.discard(before.task_id)
            self._remove(was)

    def _path(self, session: Session) -> Path:
        return self._folder / session.agent / session_file(session.session_id)

    def _write(self, task: Task, session: Session) -> None:
        """Writes a session's file whole, whatever is in its place."""
        path = self._path(session)
        draft = path.with_name(f".{path.name[:200]}.draft")
        message = message_of(task.interrupt)
        try:
            self._make_folder(path.parent)
            draft.unlink(missing_ok=True)
            with draft.open("x", encoding="utf-8") as file:
                file.write(f"{session.held}\n{message}\n{json.dumps(message)}\n")
            draft.replace(path)
        except OSError as error:
            _log.warning("hold_failed", task_id=task.task_id, error=str(error))

    def _remove(self, session: Session) -> None:
        try:
            self._path(session).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("hold_stays", path=str(self._path(session)), error=str(error))

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            _log.warning_seldom("holds_lost", error=str(error))


def message_of(interrupt: Interrupt | None) -> str:
    """What an agent is told when a tool of it is refused."""
    said = f" ({interrupt.reason})" if interrupt is not None and interrupt.reason else ""
    return (
        f"A person has stopped this session in ClawLog{said}. Use no more tools: say what is done and what is left, and wait."
    )
