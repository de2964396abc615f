"""What a caller is answered when a command fails: the domain's errors as JSON-RPC errors, here and nowhere else."""

from __future__ import annotations

from dataclasses import asdict

from clawlog.protocol.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NO_OPEN_INTERRUPT,
    OUTBOX_FULL,
    SHUTTING_DOWN,
    STORAGE_FAILED,
    TASK_FINISHED,
    TOO_LARGE,
    UNKNOWN_STEP,
    UNKNOWN_TASK,
    RpcError,
    invalid_params,
)
from clawlog.protocol.vocabulary import MAX_LINE_BYTES
from clawlogd.errors import (
    DuplicateEvent,
    EventIdReused,
    InvalidValue,
    NoOpenInterrupt,
    OutboxFull,
    StorageFailed,
    StorageLost,
    TaskFinished,
    TooManyBackends,
    TooManyTasks,
    UnknownStep,
    UnknownTask,
)
from clawlogd.logs import Log
from clawlogd.rpc.discovery import SERVED
from clawlogd.text import clean_text

_log = Log("dispatcher")


def refusal_of(method: str, error: BaseException) -> RpcError:
    """The error that answers a command which failed.

    Args:
        method: The verb.
        error: What it raised. One that is no error of the domain is a fault of the daemon: it is logged, and the caller is not
            given its text.
    """
    match error:
        case RpcError():
            return error
        case InvalidValue():
            return invalid_params(error.field, error.problem, error.hint)
        case EventIdReused():
            return RpcError(INVALID_PARAMS, str(error), field="event_id", hint=error.hint, reason="key_reused")
        case NoOpenInterrupt():
            return RpcError(NO_OPEN_INTERRUPT, str(error), task_id=error.task_id)
        case UnknownTask():
            return RpcError(UNKNOWN_TASK, str(error), task_id=error.task_id)
        case UnknownStep():
            return RpcError(UNKNOWN_STEP, str(error), steps=[asdict(choice) for choice in error.choices])
        case TaskFinished():
            return RpcError(TASK_FINISHED, str(error), status=error.status)
        case OutboxFull() | TooManyTasks() | TooManyBackends():
            return RpcError(OUTBOX_FULL, str(error), **({} if isinstance(error, OutboxFull) else {"bound": error.bound}))
        case DuplicateEvent():
            return RpcError(STORAGE_FAILED, "Nothing was accepted, because a call was repeated with its event id; try again")
        case StorageLost():
            return RpcError(STORAGE_FAILED, f"Nothing was accepted: {error}")
        case StorageFailed():
            why = clean_text(error, 300)
            return RpcError(STORAGE_FAILED, f"Nothing was accepted: the commit failed ({why}); free disk space and try again")
    _log.error("command_failed", method=method, error=repr(error), exc_info=error)
    return RpcError(INTERNAL_ERROR, "The daemon failed at this; its log says why")


def concerns_one_task(refusal: RpcError) -> bool:
    """Whether a refusal for now is one of a new task alone: what is known of others is taken all the same."""
    return "bound" in refusal.data


def unknown_method(method: str) -> RpcError:
    """Answers a method that is no verb."""
    names = ", ".join(verb.name for verb in SERVED)
    return RpcError(METHOD_NOT_FOUND, f"There is no method {method[:80]!r}; expected one of {names}")


def too_large() -> RpcError:
    """Answers a line over the bound."""
    return RpcError(TOO_LARGE, f"A line over {MAX_LINE_BYTES} bytes; send less in one request: summaries are one short line")


def too_much_unread() -> RpcError:
    """Answers a request whose answer is large, while callers leave too much unread."""
    return RpcError(TOO_LARGE, "The answer is large, and callers leave too much unread for now; ask for less (limit), or again")


def too_many_in_array(bound: int) -> RpcError:
    """Answers an array of requests that is over the bound."""
    return RpcError(INVALID_REQUEST, f"An array of over {bound} requests; send the others in another")


def too_much_in_array() -> RpcError:
    """Answers a request of an array whose answers are large together."""
    return RpcError(TOO_LARGE, "The answers of this array's other requests are large together; send this one in another")


def too_much_waiting() -> RpcError:
    """Answers a message of a caller that has too much in hand, over a way by which it cannot be held back."""
    return RpcError(TOO_LARGE, "Too much of what was sent waits to be carried out; read the answers before sending more")


def shutting_down(then: str) -> RpcError:
    """Answers a command that the daemon does not carry out because it ends.

    Args:
        then: What the caller may do when it is back, such as "try again".
    """
    return RpcError(SHUTTING_DOWN, f"The daemon is shutting down; {then} when it is back")
