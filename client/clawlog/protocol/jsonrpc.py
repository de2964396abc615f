"""JSON-RPC 2.0 messages: bytes to values and back (https://www.jsonrpc.org/specification).

Decoding is strict where Python's ``json`` is lenient: NaN and infinities, duplicate keys, numbers beyond a double or 64 bits,
lone surrogates and nesting without bound are all refused as parse errors, because they could not be passed on unchanged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from clawlog.protocol.errors import INVALID_REQUEST, PARSE_ERROR, RpcError, invalid_params

RequestId = str | int | float | None

_MEMBERS = frozenset({"jsonrpc", "method", "params", "id"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Without an ``id`` member it is a notification, which gets no reply.

    Attributes:
        method: The verb's name.
        params: The named parameters; empty when the member is absent.
        id: What the reply repeats.
        is_notification: Whether the ``id`` member was absent.
    """

    method: str
    params: Mapping[str, Any]
    id: RequestId = None
    is_notification: bool = False


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that is not a valid request, and the error to reply with (unless it was a notification)."""

    error: RpcError
    id: RequestId = None
    is_notification: bool = False


Message = Request | Malformed


@dataclass(frozen=True, slots=True)
class Response:
    """A reply: a result, or an error."""

    id: RequestId
    result: Any = None
    error: RpcError | None = None


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """A JSON array of requests, answered by an array of the replies."""

    messages: tuple[Message, ...]


def decode(line: bytes, read: Callable[[bytes], Any] | None = None) -> Message | ParsedBatch:
    """Reads one line or message of a caller. Never raises: an invalid message is returned as ``Malformed``.

    Args:
        line: The message, without its line end.
        read: A faster reader that is as strict as ``loads``.
    """
    try:
        value = (read or loads)(line)
    except ValueError as error:
        return Malformed(RpcError(PARSE_ERROR, f"Not JSON: {error}; send one JSON-RPC 2.0 request per line, in UTF-8"))
    if isinstance(value, list):
        if not value:
            return Malformed(RpcError(INVALID_REQUEST, "An empty batch; a batch holds at least one request"))
        return ParsedBatch(tuple(_classify(item) for item in value))
    return _classify(value)


def _classify(value: object) -> Message:
    if not isinstance(value, dict):
        return Malformed(RpcError(INVALID_REQUEST, 'Not a request object; expected {"jsonrpc": "2.0", "method": …}'))
    request_id = value.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | float | None):
        return Malformed(RpcError(INVALID_REQUEST, "id: expected a string, a number or null"))
    if value.get("jsonrpc") != "2.0":
        return Malformed(RpcError(INVALID_REQUEST, 'jsonrpc: expected "2.0"'), request_id)
    method = value.get("method")
    if not isinstance(method, str):
        return Malformed(RpcError(INVALID_REQUEST, "method: expected a string"), request_id)
    if unknown := value.keys() - _MEMBERS:
        names = ", ".join(sorted(unknown))
        return Malformed(RpcError(INVALID_REQUEST, f"Unknown member: {names}; parameters belong into params"), request_id)
    params = value.get("params", {})
    if not isinstance(params, dict):
        error = invalid_params("params", "not an object", 'name the parameters: {"task_id": …}')
        return Malformed(error, request_id, "id" not in value)
    return Request(method, params, request_id, "id" not in value)


def encode_request(method: str, params: Mapping[str, object], request_id: RequestId) -> bytes:
    """A request as one line, without its line end."""
    return dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def encode_notification(method: str, params: Mapping[str, object]) -> bytes:
    """A notification as one line, without its line end."""
    return dumps({"jsonrpc": "2.0", "method": method, "params": params})


def encode_error(request_id: RequestId, error: RpcError) -> bytes:
    """An error reply as one line, without its line end."""
    return dumps({"jsonrpc": "2.0", "id": request_id, "error": error.as_member()})


def decode_reply(line: bytes) -> Response | Request:
    """Reads a message of the daemon: a reply, or a notification such as ``interrupt.changed``.

    Raises:
        ValueError: The message is neither.
    """
    value = loads(line)
    if not isinstance(value, dict):
        raise ValueError("expected a JSON-RPC object")  # noqa: TRY004 - a malformed text is a ValueError to every caller
    if "method" in value:
        message = _classify(value)
        if isinstance(message, Malformed):
            raise ValueError(message.error.message)
        return message
    error = value.get("error")
    if error is None:
        return Response(value.get("id"), value.get("result"))
    data = dict(error.get("data") or {})
    data.pop("code", None)
    return Response(value.get("id"), error=RpcError(error["code"], error["message"], **data))


# ── Strict JSON ────────────────────────────────────────────────────────────────────────────────────────────────────


def dumps(value: object) -> bytes:
    """Compact JSON in UTF-8.

    Raises:
        ValueError: The value holds NaN, an infinity or a lone surrogate.
    """
    return _ENCODER.encode(value).encode()


def loads(text: bytes) -> Any:
    """Reads JSON strictly.

    Raises:
        ValueError: The text is not JSON, or holds something that could not be passed on unchanged; the message says what.
    """
    try:
        value = _DECODER.decode(text.decode())
        if b"\\u" in text:
            _ENCODER.encode(value).encode()  # refuses a lone surrogate
    except UnicodeDecodeError as error:
        raise ValueError(f"invalid UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate, which no UTF-8 text can hold") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits[:20]} is beyond a double")
    return value


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:40]!r} occurs twice in one object")
    return value


_hook: Callable[[list[tuple[str, Any]]], Any] = _object_without_duplicates
_DECODER = json.JSONDecoder(
    object_pairs_hook=_hook, parse_constant=_refuse_constant, parse_int=_bounded_int, parse_float=_finite_float
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
