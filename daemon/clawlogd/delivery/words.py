"""What one backend's server is known to have words for, over one profile: by its document, or by its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clawlogd.clock import Clock
from clawlogd.delivery.nearest import KIND_WORDS, Word
from clawlogd.model import Event, EventKind, TaskStatus
from clawlogd.upstream.document import ADD_LINK, REPLACE_STEPS, UPDATE_STEP, UPDATE_TASK, Document

_AGAIN_S = 24 * 3600.0  # a server may have been replaced by a newer one
_MOST_TASKS = 1000

Reading = Callable[[Document], dict[Word, bool | None]]
"""What a document says of words: whether the server has each; None where it does not say."""


class Words:
    """The words of one server. One of which nothing is known is tried, and its answer is waited for.

    Args:
        clock: Where the time is read.
        document: The server's document, once it is known.
        read: What it says of words.
    """

    def __init__(self, *, clock: Clock, document: Callable[[], Document | None], read: Reading) -> None:
        self._clock = clock
        self._document = document
        self._read = read
        self._learned: Document | None = None
        self._known: set[Word] = set()
        self._lacking: dict[Word, float] = {}  # until when that is believed, monotonic
        self._told: dict[str, dict[str, str]] = {}

    def refresh(self) -> None:
        """Takes in what the document says, where that is news."""
        document = self._document()
        if document is None or document is self._learned:
            return
        self._learned = document
        for word, has in self._read(document).items():
            if has is not None:
                (self.found if has else self.missed)(word)

    @property
    def all_known(self) -> bool:
        """Whether the server has all words."""
        return len(self._known) == len(Word)

    def knows(self, word: Word) -> bool:
        """Whether the server has shown or said that it has a word."""
        return word in self._known

    def lacks(self, word: Word) -> bool:
        """Whether the server lacks a word."""
        until = self._lacking.get(word)
        if until is not None and until <= self._clock.monotonic():
            del self._lacking[word]
            return False
        return until is not None

    def found(self, word: Word) -> None:
        """Notes that the server has a word."""
        self._known.add(word)
        self._lacking.pop(word, None)

    def missed(self, word: Word) -> bool:
        """Notes that the server lacks a word: it is asked again in a day. Returns whether that is news."""
        news = not self.lacks(word)
        self._known.discard(word)
        self._lacking[word] = self._clock.monotonic() + _AGAIN_S
        return news

    # ── The statuses of steps that were told in place of plans ─────────────────────────────────────────────────────

    def told(self, task_id: str) -> Mapping[str, str] | None:
        """The statuses of a task's steps as told last; None where no plan of it was told in other words."""
        return self._told.get(task_id)

    def note_told(self, event: Event, said: list[Event]) -> None:
        """Notes what the server has taken in place of a plan, and what it was told of the task's steps since.

        Args:
            event: The event.
            said: What was sent for it: itself, or what stands for it.
        """
        if event.kind is EventKind.PLAN and said[-1] is event:
            self._told.pop(event.task_id, None)  # it has the plan itself
            return
        if event.kind is EventKind.PLAN:
            told = self._told.setdefault(event.task_id, {})
        elif (found := self._told.get(event.task_id)) is not None:
            told = found
        else:
            return
        told.update({each.step_id: each.status for each in said if each.step_id is not None and each.status is not None})
        while len(self._told) > _MOST_TASKS:
            del self._told[next(iter(self._told))]


def read_batch_words(document: Document) -> dict[Word, bool | None]:
    """What a document says of the words of the batch route."""
    kinds, statuses = document.kinds, document.statuses
    return {
        **{word: None if kinds is None else kind in kinds for kind, word in KIND_WORDS.items()},
        Word.WAITING: None if statuses is None else TaskStatus.WAITING in statuses,
        Word.PROGRESS: document.takes(UPDATE_STEP, "progress"),
    }


def read_plain_words(document: Document) -> dict[Word, bool | None]:
    """What a document says of the words of the plain routes."""
    routes, statuses = document.routes, document.statuses
    plan = None if routes is None else REPLACE_STEPS in routes
    return {
        Word.PLAN: plan,
        Word.STEP_ADDED: plan,
        Word.METADATA: document.takes(UPDATE_TASK, "metadata"),
        Word.LINK: None if routes is None else ADD_LINK in routes,
        Word.WAITING: None if statuses is None else TaskStatus.WAITING in statuses,
        Word.PROGRESS: document.takes(UPDATE_STEP, "progress"),
    }
