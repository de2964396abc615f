"""A lane speaks to its backend as that wants to be spoken to, and stops where the answers say that it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from clawlogd.delivery.profiles import Result, Round
from clawlogd.model import Beat
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.finder import ContractFinder

_FORM = frozenset({400, 404, 405, 415, 422, 501})  # refusals of a request for its form, if not for what it says


class Agreement:
    """What one lane's rounds have to do with its backend's contract.

    Args:
        contract: How the backend wants to be spoken to, as far as that is known.

    Attributes:
        contract: The same.
    """

    def __init__(self, contract: ContractFinder) -> None:
        self.contract = contract
        self._generation = contract.generation
        self._planned: tuple[object, ...] = ()  # how it was to be spoken to when the round was planned

    def begin(self) -> bool:
        """Called before a round is planned. Returns whether another contract took the place of the one of the last round."""
        self._planned = self.contract.state, self.contract.interpreter
        before, self._generation = self._generation, self.contract.generation
        return before != self._generation

    async def send(self, send: Callable[[], Awaitable[Round]], beats: Sequence[Beat]) -> Round:
        """Sends a round, once the backend was asked how it wants that, and judges by the answers whether it is so.

        Args:
            send: Sends the round.
            beats: Its beats.

        Returns:
            What came of it. Nothing was sent where the backend gave no answer, or another than was expected when the round was
            planned; and nothing of it counts as refused where the backend has no such contract.
        """
        if self.contract.is_trial:
            unanswered = await self.contract.ask()
            if unanswered is not None:
                return Round([], unanswered, list(beats))
        if self._planned != (self.contract.state, self.contract.interpreter):
            return Round([], unsent=list(beats))
        if self.contract.is_trial:
            return self._tried(await send(), beats)
        sent = await send()
        answer = _refusal_of(sent)
        is_event = sent.failure is None and self.contract.interpreter is None  # the standard contract is not to blame for it
        if answer is None or is_event or await self.contract.still_fits(answer.detail):
            return sent
        return Round(_taken(sent.results), answer, list(beats))

    def _tried(self, sent: Round, beats: Sequence[Beat]) -> Round:
        if any(each.accepted for each in sent.results):
            self.contract.taken()
        elif (answer := _refusal_of(sent)) is not None:
            self.contract.doubted(answer.detail)
            return Round([], answer, list(beats))
        elif sent.failure is not None:
            self.contract.unanswered()
        return sent


def _refusal_of(sent: Round) -> Answer | None:
    """The answer of a round that may be no ClawLog's, or one that is spoken to otherwise; None where there is none such."""
    if sent.failure is not None:
        status, outcome = sent.failure.status, sent.failure.outcome
        strange = outcome is Outcome.NO_CONTRACT or (
            outcome is Outcome.TRANSIENT and status is not None and 200 <= status < 400
        )
        return Answer(Outcome.NO_CONTRACT, sent.failure.detail, status) if strange else None
    refused = next((each for each in sent.results if not each.accepted and each.status in _FORM), None)
    return Answer(Outcome.NO_CONTRACT, refused.detail, refused.status) if refused is not None else None


def _taken(results: Sequence[Result]) -> list[Result]:
    """What was taken of each task before anything of it was refused."""
    refused: set[str] = set()
    taken: list[Result] = []
    for each in results:
        if not each.accepted:
            refused.add(each.stored.task_id)
        elif each.stored.task_id not in refused:
            taken.append(each)
    return taken
