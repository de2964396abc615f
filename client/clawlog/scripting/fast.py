"""The entry of every script call, and its fast path.

A call must cost hardly more than Python's own start. So known flags with plain values are read, sent and answered here with
nothing but ``_socket`` and, where a text needs escapes, the C half of ``json``. All that is unusual (help, mistakes, a rarer
flag, no daemon, a refusal, ZeroMQ) takes the full path: the script's own module, with argparse and everything else. What each
import would cost is in ``docs/adr/0003-fast-scripts.md``.

Both paths use the same flags (``options``) and the same requests (``plan``). The messages alone are spelt here once more,
by hand, because importing ``protocol.jsonrpc`` costs more than all else here: ``plan.encode`` and ``message`` write the
requests of ``jsonrpc.encode_request``, byte for byte, and ``exchange`` knows how a result begins. A test
(``test_fast_path.py``) compares them with the protocol's own encoder for every verb that a script may send.

Where a sandbox forbids the daemon's socket, ``sandboxed`` does the same by files.

It must not import argparse, collections, enum, json, pathlib, re, socket or typing, nor anything that does.
"""

import os
import sys

from clawlog import exits, locations
from clawlog.protocol.vocabulary import INTERRUPT_STATES
from clawlog.scripting import options, plan
from clawlog.scripting.plan import encode

try:
    from _socket import AF_UNIX, SOCK_STREAM, socket
except ImportError:  # a Python that is not CPython: everything takes the full path
    socket = None  # type: ignore[assignment, misc]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Read = tuple[dict[str, Any], list[plan.PlannedRequest]]

TIMEOUT_S = 10.0

_PLANS = {"create_task": plan.create_task, "update_status": plan.update_status}
_RARE = ("format", "state_file")
"""Flags whose effects the full path alone knows."""

_NONE, _REQUESTED, _ACKNOWLEDGED = [f'"state":"{state}"'.encode() for state in INTERRUPT_STATES[:3]]
"""The stop states as a result holds them. Comparing bytes is safe: within a text these quotation marks would be escaped."""


def main(script: str) -> int:
    """Runs one of the scripts on this process's arguments; returns its exit status, or ends the process with it."""
    arguments = sys.argv[1:]
    try:
        plain = prepare(script, arguments, os.environ)
        if plain is None:
            return run_full(script, arguments)
        answered = True
        try:
            status = run_fast(plain[1])
        except TimeoutError:  # it would not answer a second time either: what can be spooled is
            status, answered = None, False
        except OSError:  # the full path says what is wrong, if that is still so
            status = None
        if status is None:
            # Repeating is safe: each event carries its event_id, which the daemon accepts once.
            return run_full(script, arguments, plain, answered=answered)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    # All output is flushed. Skipping the interpreter's own shutdown saves a twentieth of its start-up time.
    os._exit(status)


def run_fast(requests: "Sequence[plan.PlannedRequest]") -> "int | None":
    """Sends the requests of a plain command line; returns the exit status, or None where the full path has to take over.

    Raises:
        TimeoutError: The daemon did not answer.
    """
    try:
        try:
            results = exchange(requests, locations.socket_address(os.environ))
        except PermissionError:  # a sandbox forbids its socket
            from clawlog.scripting import sandboxed  # noqa: PLC0415 - only there

            results = sandboxed.perform(requests, os.environ)
    except locations.Unfit:
        results = None  # the full path says what is wrong
    return None if results is None else report(requests, results)


def run_full(script: str, arguments: "Sequence[str]", plain: "Read | None" = None, *, answered: bool = True) -> int:
    """Runs a command line, or what was already read of it, with the script's own module, which can do everything.

    Args:
        script: Which script.
        arguments: Its arguments.
        plain: What was already read of them.
        answered: Whether the daemon may be asked: it did not let a time-out pass already.
    """
    import importlib  # noqa: PLC0415 - the fast path needs none of it

    from clawlog import streams  # noqa: PLC0415 - as above

    module = importlib.import_module(f"clawlog.scripting.{script}")
    streams.guard()
    try:
        status: int = module.main(arguments) if plain is None else module.perform(plain[1], plain[0], answered=answered)
    except SystemExit as ending:  # --help, or a wrong command line
        status = ending.code if isinstance(ending.code, int) else exits.SUCCESS
    return streams.finish(f"{script}.py", status)


def prepare(script: str, arguments: "Sequence[str]", env: "Mapping[str, str]") -> "Read | None":
    """Reads a plain command line: returns the flags' values and the requests, or None where the full path has to read it."""
    if script not in _PLANS or socket is None:
        return None
    values = read(arguments, options.SCRIPTS[script])
    if values is None or any(name in values for name in _RARE):
        return None
    try:
        return values, _PLANS[script](values, env)
    except plan.UsageError:
        return None


def read(arguments: "Sequence[str]", known: "Sequence[options.Option]") -> "dict[str, Any] | None":
    """Returns the flags' values; None where argparse has to read them."""
    by_flag = {option.flag: option for option in known}
    values: dict[str, Any] = {}
    rest = iter(arguments)
    for flag in rest:
        option = by_flag.get(flag)
        if option is None:
            return None
        if option.kind == options.SWITCH:
            values[option.name] = True
            continue
        text = next(rest, "-")
        if text.startswith("-") or (option.choices and text not in option.choices) or not _is_text(text):
            return None
        if option.kind == options.TEXT:
            values[option.name] = text
        elif option.kind == options.TEXTS:
            values.setdefault(option.name, []).append(text)
        elif option.kind == options.SECONDS and text.isascii() and text.isdigit() and len(text) < 10:
            values[option.name] = float(text)
        elif option.kind == options.PID and text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text):
            values[option.name] = int(text)
        elif option.kind == options.PROGRESS:
            done, slash, total = text.partition("/")
            if not _is_count(done) or (slash and not _is_count(total)):
                return None
            values[option.name] = {"done": int(done), "total": int(total)} if slash else {"done": int(done)}
        else:
            return None
    return values


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _is_text(argument: str) -> bool:
    """Whether an argument's bytes are UTF-8: those that are not come as surrogates, which no request can hold."""
    return argument.isascii() or not any("\ud800" <= char <= "\udfff" for char in argument)


def message(number: int, request: plan.PlannedRequest) -> str:
    """Returns a request as one line, as ``protocol.jsonrpc.encode_request`` writes it, with its line end."""
    return f'{{"jsonrpc":"2.0","id":{number},"method":"{request.method}","params":{encode(request.params)}}}\n'


def exchange(requests: "Sequence[plan.PlannedRequest]", address: str) -> "list[bytes] | None":
    """Sends the requests at once and returns their results; None as soon as anything is unusual.

    Raises:
        TimeoutError: The daemon did not answer.
        PermissionError: Its socket is forbidden.
    """
    if address.startswith("zmq:"):
        return None
    try:
        connection = socket(AF_UNIX, SOCK_STREAM)
    except PermissionError:
        raise
    except OSError:  # the full path says what is wrong
        return None
    try:
        connection.settimeout(TIMEOUT_S)
        lines = "".join([message(number, request) for number, request in enumerate(requests, 1)])
        connection.connect(address)
        connection.sendall(lines.encode())
        received = b""
        while received.count(b"\n") < len(requests):
            chunk = connection.recv(65536)
            if not chunk:
                return None
            received += chunk
    except (TimeoutError, PermissionError):
        raise
    except (OSError, ValueError):  # no daemon; or text that UTF-8 cannot hold
        return None
    finally:
        connection.close()
    results = []
    for number, line in enumerate(received.split(b"\n")[:-1], 1):
        head = b'{"jsonrpc":"2.0","id":%d,"result":' % number
        if not line.startswith(head):
            return None
        results.append(line[len(head) : -1])
    return results


def report(requests: "Sequence[plan.PlannedRequest]", results: "Sequence[bytes]") -> "int | None":
    """Prints the results; returns the exit status, or None where the full path has to report more."""
    status = exits.SUCCESS
    if requests[-1].action == "interrupt":
        if _REQUESTED in results[-1]:
            status = exits.STOP_REQUESTED
        elif _NONE not in results[-1] and _ACKNOWLEDGED not in results[-1]:
            return None
    if requests[0].action == "task" and requests[0].method == "task.create":
        line = results[0]
    else:
        members = []
        for action in dict.fromkeys([request.action for request in requests]):
            done = [result for request, result in zip(requests, results, strict=True) if request.action == action]
            shown = b"[%s]" % b",".join(done) if action in plan.LISTED else done[0]
            members.append(b'"%s":%s' % (action.encode(), shown))
        line = b'{"task_id":%s,%s}' % (encode(requests[0].params["task_id"]).encode(), b",".join(members))
    try:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()
    except (AttributeError, OSError):  # no stdout, or a closed pipe: the full path can handle it
        return None
    return status
