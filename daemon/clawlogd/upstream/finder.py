"""Finds out how a backend wants to be spoken to, on a connection and a timer of its own.

What the settings name comes first, then what was found before, then what the server's own document says. A server without a
document is taken for one of the standard contract once it answers a creation as that says. Where nothing of this leads to a
contract nothing is sent, events wait, and what was looked for is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from clawlogd.logs import Log
from clawlogd.settings import LiveSettings
from clawlogd.text import clean_text, path_text
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.contracts.contract import Contract, Root, read_contract
from clawlogd.upstream.contracts.discovery import Choice, discover
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.contracts.keeper import Keeper
from clawlogd.upstream.document import Document, read_document

_AGAIN_S = 24 * 3600.0
_INTERNAL_ERROR = 500
_MOST_FAILURES = 3
_FIRST_PAUSE_S = 1.0
_DOUBT_AGAIN_S = 5.0
_PLACES = ("/openapi.json", "/api/openapi.json", "/api/v1/openapi.json")
AUTO = "auto"
STANDARD = "standard"
_NOT_MODIFIED = 304
_STANDARD_MARK = "x-clawlog-contract"


class ContractState(StrEnum):
    """What is known of how a backend wants to be spoken to."""

    UNKNOWN = "unknown"
    """Nothing yet: the first creation is sent as the standard contract says, and its answer tells."""
    STANDARD = "standard"
    FOUND = "found"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ContractReport:
    """How a backend is spoken to, for people.

    Attributes:
        state: What is known.
        source: Where that is from.
        detail: What was looked for and not found.
        choices: What was found for each action, where a document was read.
        contract: The contract, where it is not the standard one.
    """

    state: ContractState
    source: str
    detail: str
    choices: tuple[Choice, ...]
    contract: Contract | None


class ContractFinder:
    """One backend's contract.

    Args:
        base_url: The backend's address.
        open_upstream: Makes the backend's connections; they are closed when each reading is over.
        keeper: Where contracts that were found are kept.
        configured: What the settings say: ``auto``, ``standard`` or the path of a contract.
        settings: The longest pause between two readings.
        delivered_before: Whether the backend has tasks of this daemon's: then it was spoken to as the standard contract says.
        changed: Called when another contract holds than before.

    Attributes:
        state: What is known.
        interpreter: Speaks as the contract says; None where that is the standard one, or none is known.
        generation: How often another contract took the place of one: then the server may be another, too.
        document: What the server says of itself; None while it has not been read, or where there is none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        open_upstream: Callable[[], Upstream],
        keeper: Keeper,
        configured: str,
        settings: LiveSettings,
        delivered_before: bool,
        changed: Callable[[], None],
    ) -> None:
        self._base_url = base_url
        self._open_upstream = open_upstream
        self._keeper = keeper
        self._settings = settings
        self._configured = configured
        self._delivered_before = delivered_before
        self._changed = changed
        self._log = Log("contract", backend=base_url)
        self._woken = asyncio.Event()
        self._at_once = False  # whether the document is to be read without a pause
        self._reading = anyio.Lock()
        self._answered = False  # whether the last reading was, be it that there is no document
        self._failures = 0  # of the server at its document, since it last did anything else
        self._choices: tuple[Choice, ...] = ()
        self._source, self._detail = "", ""
        self._read_version: tuple[str, Root, str] | None = None  # of the document that was read last: where it is, and its ETag
        self._unread = ""  # what came in place of a document
        self._doubt = ""  # what was refused, while the document is read for that
        self._doubts_from = 0.0
        self._last: tuple[str, ...] | None = None  # the routes of the contract that held last
        self.generation = 0
        self.state = ContractState.UNKNOWN
        self.interpreter: Interpreter | None = None
        self.document: Document | None = None
        self._begin()

    def _begin(self) -> None:
        if self._configured == STANDARD:
            self.state, self._source = ContractState.STANDARD, "the settings"
        elif self._configured != AUTO:
            self._read_file(self._configured)
        elif (kept := self._keeper.load(self._base_url)) is not None:
            self._set(kept, f"found before: {kept.source}")
        elif self._delivered_before:
            self.state, self._source = ContractState.STANDARD, "delivered to before as the standard contract says"

    @property
    def _fixed(self) -> bool:
        return self._configured != AUTO

    def _read_file(self, path: str) -> None:
        try:
            contract = read_contract(Path(path).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            self.state, self._detail = ContractState.MISSING, f"the contract in {path_text(path)}: {clean_text(error, 300)}"
        else:
            self._set(contract, path_text(path))

    # ── For others ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def may_send(self) -> bool:
        """Whether events may be sent: as a contract says, or the first creation to try the standard one."""
        return self.state is not ContractState.MISSING

    @property
    def is_trial(self) -> bool:
        """Whether what is sent next is to show that the backend is one of the standard contract."""
        return self.state is ContractState.UNKNOWN

    async def ask(self) -> Answer | None:
        """Sees to it that the backend was asked for its document. Returns why it did not answer; None where it did."""
        async with self._reading:
            return None if self._answered else await self._read_alone()

    def configure(self, configured: str) -> None:
        """Takes what the settings say by now. A contract that they name is read again, for it may have been edited.

        Args:
            configured: ``auto``, ``standard`` or the path of a contract.
        """
        if configured == self._configured and configured in {AUTO, STANDARD}:
            return
        self._configured = configured
        if self.state is ContractState.STANDARD:
            self._last = ()  # of other routes than any other contract
        self.interpreter, self.state, self._choices = None, ContractState.UNKNOWN, ()
        self._read_version = None
        self._source, self._detail = "", ""
        self._begin()
        self._answered, self._at_once = False, True
        self._woken.set()
        self._changed()

    def retry_now(self) -> None:
        """Asks anew now, where that may help: there is reason to think that the backend is there."""
        if self._reading.locked():
            return
        if self.document is None or self.state in {ContractState.UNKNOWN, ContractState.MISSING}:
            self._at_once = True
            self._woken.set()

    def taken(self) -> None:
        """Notes that the backend has answered a creation as the standard contract says."""
        if self.state is ContractState.UNKNOWN:
            self.state, self._source, self._detail = (
                ContractState.STANDARD,
                "it took a creation as the standard contract says",
                "",
            )
            self._log.info("standard_contract")
            self._changed()

    def unanswered(self) -> None:
        """Notes that the backend is not there: whoever answers next may be another, and is asked for its document first."""
        self._answered = False

    def doubted(self, detail: str) -> None:
        """Notes that the backend did not take a creation as the standard contract says: there is none, until it has another.

        Args:
            detail: What it answered.
        """
        if self.state is ContractState.UNKNOWN:
            self._miss(f"it has no OpenAPI document that can be read, and {detail}")

    async def still_fits(self, detail: str) -> bool:
        """Whether the contract holds after the backend refused something: its document is read anew, every few seconds at most.

        Args:
            detail: What it answered.
        """
        now = anyio.current_time()
        if self._fixed or now < self._doubts_from:
            return self.state is not ContractState.MISSING
        self._doubts_from = now + _DOUBT_AGAIN_S
        before, self._doubt = self._spoken(), detail
        await self._read()
        self._doubt = ""
        return self.state is not ContractState.MISSING and self._spoken() == before

    def _spoken(self) -> Contract | None:
        return self.interpreter.contract if self.interpreter is not None else None

    def report(self) -> ContractReport:
        """How the backend is spoken to, for people."""
        contract = self._spoken()
        detail = self._detail or (self._unread if self.state is ContractState.UNKNOWN else "")
        return ContractReport(self.state, self._source, detail, self._choices, contract)

    async def look(self) -> None:
        """Reads the document, where the settings leave it to that and there was no answer yet."""
        if not self._fixed and not self._answered:
            await self._read()

    # ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Reads until cancelled: the document once a day, and after growing pauses while there is no answer or no contract."""
        pause_s = _FIRST_PAUSE_S
        while True:
            self._at_once = False
            await self._read()
            read_at = anyio.current_time()
            if self._answered and self.state in {ContractState.STANDARD, ContractState.FOUND}:
                pause_s = _FIRST_PAUSE_S
            while not self._at_once:
                is_settled = self._answered and self.state is not ContractState.MISSING
                self._woken.clear()
                with anyio.move_on_after(read_at + (_AGAIN_S if is_settled else pause_s) - anyio.current_time()) as pause:
                    await self._woken.wait()
                if pause.cancelled_caught:
                    pause_s = min(pause_s * 2, max(_FIRST_PAUSE_S, self._settings.now.retry.max_delay_s))
                    break

    async def _read(self) -> Answer | None:
        """Looks for a document once. Returns why there was no answer; None where there was one, be it that there is none."""
        async with self._reading:
            return await self._read_alone()

    async def _read_alone(self) -> Answer | None:
        upstream = self._open_upstream()
        try:
            answer, place, root = await self._document(upstream)
        finally:
            with anyio.CancelScope(shield=True):  # also when the reading is cancelled: no connection is left open
                await upstream.close()
        self._failures = self._failures + 1 if answer.status == _INTERNAL_ERROR else 0
        if self._failures >= _MOST_FAILURES:  # it is the document that the server fails at: others fail with it, if they do
            answer = Answer(Outcome.REFUSED, answer.detail, answer.status)
        self._log.debug("document", outcome=answer.outcome.value, detail=answer.detail)
        self._unread = "" if answer.outcome is Outcome.DELIVERED else f"no OpenAPI document could be read: {answer.detail}"
        if answer.outcome is Outcome.DELIVERED and answer.status == _NOT_MODIFIED:
            self._answered = self._read_version is not None  # unless the settings have changed meanwhile
            return None
        if answer.outcome is Outcome.DELIVERED:
            self._read_version = (place, root, answer.etag) if answer.etag else None
            await self._understand(answer.body, place, root)
        elif answer.outcome is Outcome.REFUSED:
            self._read_version = None
            if self.state is not ContractState.STANDARD or not self._doubt:  # one bad answer says nothing of what it has
                self.document = None
            self._without_document()
        self._answered = answer.outcome in {Outcome.DELIVERED, Outcome.REFUSED}
        return None if self._answered else answer

    async def _document(self, upstream: Upstream) -> tuple[Answer, str, Root]:
        """The first place that has a document, or what the first one answered."""
        places = [(place, Root.BASE) for place in _PLACES]
        if urlsplit(self._base_url).path:
            places.insert(1, ("/openapi.json", Root.ORIGIN))
        refusals: list[Answer] = []
        for place, root in places:
            known = self._read_version
            etag = known[2] if known is not None and known[:2] == (place, root) else None
            answer = await upstream.get_document(place, from_origin=root is Root.ORIGIN, etag=etag)
            if answer.outcome is Outcome.DELIVERED and answer.status == _NOT_MODIFIED:
                return answer, place, root
            is_document = isinstance(answer.body, dict) and ("paths" in answer.body or _STANDARD_MARK in answer.body)
            if answer.outcome is Outcome.DELIVERED and is_document:
                return answer, place, root
            if answer.status is None:
                return answer, place, root
            refusals.append(_no_document(answer))
        return refusals[0], "", Root.BASE

    def _without_document(self) -> None:
        if self._fixed:
            return
        if self._doubt and self.interpreter is not None:
            self._keeper.drop(self._base_url)
            self._miss(f"the contract that was found does not fit any more ({self._doubt}), and it has no OpenAPI document")
        elif self.state is ContractState.MISSING:
            self.state = ContractState.UNKNOWN  # there may be another server by now: one more creation tells
            self._changed()

    async def _understand(self, body: object, place: str, root: Root) -> None:
        self.document = read_document(body)
        if self._fixed:
            return
        if self.document.routes is not None or _is_marked(body):
            self._understand_standard(place, root)
            return
        try:
            found = await to_thread.run_sync(partial(discover, body, root=root, source=f"OpenAPI document at {place}"))
        except Exception as error:  # noqa: BLE001 - whatever a document does to its reading is that document's fault
            self._log.error("document_unreadable", error=repr(error))
            if self.state is not ContractState.STANDARD:
                self._miss(f"the OpenAPI document at {place} cannot be read: {type(error).__name__}")
            return
        if self._configured != AUTO:  # by now
            return
        self._choices = found.choices
        if found.contract is not None:
            self._keeper.store(self._base_url, found.contract)
            self._take(found.contract, found.contract.source)
        elif self.state is not ContractState.STANDARD:
            missing = "; ".join(f"{each.action}: {each.reason}" for each in found.missing)
            self._miss(f"the OpenAPI document at {place} does not say how to {missing}")

    def _understand_standard(self, place: str, root: Root) -> None:
        """Takes a server for one of the standard contract, as its document says: nothing more is looked for."""
        self._choices = ()
        known = self.state is ContractState.STANDARD
        if root is Root.ORIGIN:
            self.document = None
            if not known:
                path = urlsplit(self._base_url).path
                self._miss(f"the server's document at {place} is not below {path}: set base_url to the address without it")
        elif not known:
            self.interpreter, self.state = None, ContractState.STANDARD
            self._source, self._detail = f"its OpenAPI document at {place}", ""
            self._keeper.drop(self._base_url)
            self._changed()

    def _take(self, contract: Contract, source: str) -> None:
        if self.interpreter is not None and self.interpreter.contract == contract:
            self._source = source
            return
        self._set(contract, source)
        self._log.info("contract_found", source=source)
        self._changed()

    def _set(self, contract: Contract, source: str) -> None:
        if self.state is ContractState.STANDARD or self._last not in {None, contract.routes()}:
            self.generation += 1
        self._last = contract.routes()
        self.interpreter, self.state = Interpreter(contract), ContractState.FOUND
        self._source, self._detail = source, ""

    def _miss(self, detail: str) -> None:
        if self.state is not ContractState.MISSING or self._detail != detail:
            self._log.warning("no_contract", detail=detail)
        self.interpreter, self.state, self._detail = None, ContractState.MISSING, detail
        self._woken.set()
        self._changed()


def _no_document(answer: Answer) -> Answer:
    """An answer that is no document: where the server answered at all, it has none there."""
    transient = answer.outcome in {Outcome.TRANSIENT, Outcome.UNAUTHORIZED, Outcome.FORBIDDEN} and (answer.status or 0) >= 500
    return answer if transient else Answer(Outcome.REFUSED, answer.detail, answer.status)


def _is_marked(body: object) -> bool:
    """Whether a document says that its server is one of the standard contract."""
    return isinstance(body, dict) and (_STANDARD_MARK in body or "x-clawlog" in body)
