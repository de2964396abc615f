"""Sends a script's requests to the daemon, or writes them to the spool, and returns the outcome of each."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawlog import drop, locations, spool, view
from clawlog.client import Client
from clawlog.connection import address
from clawlog.connection.call import Call
from clawlog.connection.results import JsonObject, StopState, raw, stop_state
from clawlog.errors import ClawlogError, DaemonUnreachable, ProtocolViolation, Refused, SpoolFailed
from clawlog.protocol import errors, jsonrpc, vocabulary
from clawlog.protocol import spool as proto
from clawlog.scripting import sandboxed
from clawlog.scripting.plan import PlannedRequest, UsageError

_TAKEN_S, _PAUSE_S = 0.7, 0.02
REMEDY = "set CLAWLOG_DROP, for this program and for clawlogd, to a folder that both may write to; see: clawlog doctor"


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
            return _by_files(requests, env, error) if is_forbidden(error) else _keep(requests, env, error)
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


def is_forbidden(error: ClawlogError) -> bool:
    """Whether the daemon cannot be reached because this program may not: it runs in a sandbox."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    return cause is not None and cause.errno in (errno.EPERM, errno.EACCES, errno.EROFS)


def _by_files(requests: Sequence[PlannedRequest], env: Mapping[str, str], cause: ClawlogError) -> Delivery:
    """Carries requests out where the daemon's socket is forbidden: what is reported as a file, a check from the task's view."""
    daemon = drop.daemon(env)
    takes = proto.DROPPABLE if daemon.alive else proto.SPOOLABLE
    events = [each for each in requests if each.method in takes]
    outcomes, warnings = _written(events, env, daemon, cause)
    for each in requests:
        if each.method == "interrupt.check":
            outcomes[id(each)] = Outcome(each, _checked(each, env, daemon, is_sign=not events))
    return Delivery(tuple(outcomes.get(id(each)) or Outcome(each, error=cause) for each in requests), warnings)


def _written(
    events: Sequence[PlannedRequest], env: Mapping[str, str], daemon: drop.Daemon, cause: ClawlogError
) -> tuple[dict[int, Outcome], tuple[str, ...]]:
    """Writes what is reported to a file. Returns the outcome of each, by identity, and what the user should know."""
    if not events:
        return {}, ()
    try:
        kept = spool.keep_from_sandbox([(each.method, each.params) for each in events], env)
    except SpoolFailed as error:
        told = SpoolFailed(f"{cause} (a sandbox?), and {error}; {REMEDY}")
        return {id(each): Outcome(each, error=told) for each in events}, ()
    except ClawlogError as error:
        return {id(each): Outcome(each, error=error) for each in events}, ()
    warnings: tuple[str, ...] = ()
    if not daemon.alive:
        warnings = (f"{cause} (a sandbox?), and no daemon is seen to run; kept in {kept.folder}, the next daemon delivers it",)
    elif not _is_emptied(kept, daemon):
        warnings = (f"{cause} (a sandbox?); kept in {kept.folder}, which the daemon does not look into yet; {REMEDY}",)
    return {id(each): Outcome(each, result) for each, result in zip(events, kept.results, strict=True)}, warnings


def _is_emptied(kept: spool.Kept, daemon: drop.Daemon) -> bool:
    """Whether the daemon takes what was written: as it says, or, of a folder that was just made, as is seen in a moment."""
    if daemon.empties(kept.folder) or os.path.basename(kept.folder) == locations.SPOOL_NAME:
        return True
    deadline = time.monotonic() + _TAKEN_S
    while not kept.is_taken and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    return kept.is_taken


def _checked(request: PlannedRequest, env: Mapping[str, str], daemon: drop.Daemon, *, is_sign: bool) -> JsonObject:
    """What a check for a stop is answered from the task's view; that somebody asked is a sign of life, as over the socket."""
    task_id = request.params["task_id"]
    if is_sign and daemon.alive:
        _tell([sandboxed.sign_of_life(task_id)], env)
    max_age_s = request.params.get("max_age_s", vocabulary.DEFAULT_MAX_AGE_S)
    seen = view.wait(task_id, env, max_age_s) if daemon.alive else view.look(task_id, env, max_age_s)
    answer: JsonObject = jsonrpc.loads(seen.answer)
    if seen.state == "requested":
        report_read(task_id, str(answer["interrupt_id"]), env)
    return answer


def view_of(task_id: str, env: Mapping[str, str]) -> StopState:
    """Returns what a task's view says now."""
    return stop_state(jsonrpc.loads(view.look(task_id, env).answer))


def report_read(task_id: str, interrupt_id: str, env: Mapping[str, str]) -> None:
    """Lets the daemon know that a stop was read of in a task's view."""
    if drop.daemon(env).alive:
        params = {"task_id": task_id, "interrupt_id": interrupt_id}
        _tell([PlannedRequest("delivered", "interrupt.delivered", params)], env)


def _tell(requests: Sequence[PlannedRequest], env: Mapping[str, str]) -> None:
    """Lets the daemon know of what is true now. Where that cannot be written, it is not: nothing depends on it alone."""
    with contextlib.suppress(ClawlogError):
        spool.keep_from_sandbox([(each.method, each.params) for each in requests], env)


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
