"""Sends a script's requests to the daemon, or writes them to the spool, and returns the outcome of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawlog import spool
from clawlog.client import Client
from clawlog.connection import address
from clawlog.connection.call import Call
from clawlog.connection.results import JsonObject, raw
from clawlog.errors import ClawlogError, DaemonUnreachable, ProtocolViolation, Refused
from clawlog.protocol import errors
from clawlog.scripting.plan import PlannedRequest, UsageError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one request: a result or an error.

    Attributes:
        request: The request.
        result: The daemon's result, or the spool's in its place.
        error: Why there is no result.
    """

    request: PlannedRequest
    result: JsonObject | None = None
    error: ClawlogError | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcomes of a script's requests.

    Attributes:
        outcomes: One per request, in order.
        warnings: What the user should know although nothing failed.
    """

    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()


def deliver(requests: Sequence[PlannedRequest], env: Mapping[str, str]) -> Delivery:
    """Performs the requests over one connection, pipelined.

    Those that may wait go to the spool where there is no daemon, or where it cannot accept them now.

    Raises:
        BadAddress: The environment has no valid address of a daemon.
        UsageError: A value cannot be sent.
    """
    batch = [Call(each.method, each.params, raw, each.may_take_s) for each in requests]
    lacks: list[str] = []
    with Client(env=env, warn=lacks.append) as client:
        try:
            results = client.pipeline(batch)
        except (DaemonUnreachable, ProtocolViolation) as error:
            return _keep(requests, env, error)
        except UnicodeEncodeError as error:
            raise UsageError("an argument or a variable of the environment is not valid UTF-8") from error
    outcomes = tuple(_outcome(request, result) for request, result in zip(requests, results, strict=True))
    delivery = _keep_what_was_refused_for_now(outcomes, env)
    return Delivery(delivery.outcomes, (*lacks, *delivery.warnings))


def spooled(requests: Sequence[PlannedRequest], env: Mapping[str, str]) -> Delivery:
    """Writes to the spool what may wait there, because the daemon has just let a time-out pass.

    Raises:
        BadAddress: As ``deliver``.
    """
    return _keep(requests, env, DaemonUnreachable(f"The daemon at {address.of_environment(env)} did not answer in time"))


def _keep_what_was_refused_for_now(outcomes: Sequence[Outcome], env: Mapping[str, str]) -> Delivery:
    """Writes to the spool what the daemon could not accept now: its disk or its outbox is full, or it is ending."""
    refused = [each for each in outcomes if isinstance(each.error, Refused) and each.error.code in errors.NOT_NOW]
    if not refused or refused[0].error is None:
        return Delivery(tuple(outcomes))
    kept = _keep([each.request for each in refused], env, refused[0].error)
    instead = dict(zip(map(id, refused), kept.outcomes, strict=True))
    return Delivery(tuple(instead.get(id(each), each) for each in outcomes), kept.warnings)


def _outcome(request: PlannedRequest, result: JsonObject | Refused) -> Outcome:
    return Outcome(request, error=result) if isinstance(result, Refused) else Outcome(request, result)


def _keep(requests: Sequence[PlannedRequest], env: Mapping[str, str], cause: ClawlogError) -> Delivery:
    events = [each for each in requests if spool.is_spoolable(each.method)]
    if not events:
        return Delivery(tuple(Outcome(each, error=cause) for each in requests))
    try:
        kept = iter(spool.keep([(each.method, each.params) for each in events], env))
    except ClawlogError as error:  # refused, or no spool either
        return Delivery(tuple(Outcome(each, error=error if each in events else cause) for each in requests), (str(cause),))
    outcomes = tuple(Outcome(each, next(kept)) if each in events else Outcome(each, error=cause) for each in requests)
    return Delivery(outcomes, (f"{cause}; kept in the spool, the next daemon delivers it",))
