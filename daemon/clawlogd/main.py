"""``clawlogd``: reads flags and settings, then runs the daemon.

Exit statuses: 0 ended as asked, 1 failed, 2 bad usage or settings, 69 it cannot run here (another has the state folder).
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from clawlog import locations
from clawlogd import __version__, configuration, event_loop, logs, settings

if TYPE_CHECKING:  # --help and --version need not load it
    from asyncio import AbstractEventLoop

EX_FAILED = 1
EX_USAGE = 2
EX_UNAVAILABLE = 69

_DESCRIPTORS = 65_536  # one for each caller and each watched process: the usual soft limit of 1,024 is soon reached

_EPILOG = """\
examples:
  clawlogd                                      run in the foreground, on the usual paths
  clawlogd --base-url http://localhost:8000     with another default backend
  clawlogd --zmq ipc:///run/user/1000/clawlog/clawlogd.zmq
  clawlogd --config clawlog.toml --check-config

exit statuses:
  0   ended as asked       1   failed; the log says why
  2   usage or settings    69  another daemon has the state folder, or it cannot run here

Programs start it by themselves when they need it; a service manager may, too: see docs/running-as-a-service.md.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="clawlogd",
        description="The sidecar that brings task status to ClawLog backends, and people's requests to stop to agents.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", metavar="F", type=Path, help="the settings' file (default: clawlog.toml in the usual places)"
    )
    parser.add_argument("--socket", metavar="PATH", help="where the Unix socket goes")
    parser.add_argument("--zmq", metavar="ENDPOINT", help="also serve ZeroMQ, at ipc:///path or tcp://address:port")
    parser.add_argument("--state-dir", metavar="DIR", help="where the outbox is kept")
    parser.add_argument("--base-url", metavar="URL", help="the backend of tasks that name none")
    parser.add_argument(
        "--metrics", metavar="HOST:PORT", help="serve metrics for Prometheus at a loopback address, or unix:/path"
    )
    parser.add_argument("--loop", metavar="L", help="the event loop: auto (uvloop where it is installed), asyncio or uvloop")
    parser.add_argument("--log-level", metavar="L", help="debug, info, warning or error")
    parser.add_argument("--log-format", metavar="F", help="text, json or journal")
    parser.add_argument("--idle-exit", metavar="S", type=float, help="end after S seconds without tasks and callers")
    parser.add_argument("--check-config", action="store_true", help="check the settings, and say what is in force")
    parser.add_argument("--version", action="version", version=f"clawlogd {__version__}")
    return parser


def main(argv: list[str] | None = None) -> NoReturn:
    """Runs the program: reads flags and settings, then runs the daemon until it ends. Does not return."""
    arguments = build_parser().parse_args(argv)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started it may have blocked some, such as SIGTERM
    flags = {
        "socket": arguments.socket,
        "zmq": arguments.zmq,
        "state_dir": arguments.state_dir,
        "base_url": arguments.base_url,
        "metrics": arguments.metrics,
        "loop": arguments.loop,
        "log_level": arguments.log_level,
        "log_format": arguments.log_format,
        "idle_exit_s": arguments.idle_exit,
    }
    read = partial(configuration.load, flags, os.environ, arguments.config)
    try:
        loaded = read()
        make_loop = event_loop.factory_of(loaded.settings.loop)
    except settings.SettingsError as error:
        _fail(EX_USAGE, str(error))
    if arguments.check_config:
        print(_describe(loaded))  # noqa: T201 - what was asked for
        sys.exit(0)
    _limit_process()
    sys.setswitchinterval(0.0005)  # the outbox thread must get its turn beside a busy event loop
    gc.set_threshold(20_000, 20, 50)  # a burst of commands makes many objects, and hardly a cycle among them
    logs.configure(loaded.settings.log_level, loaded.settings.log_format)  # type: ignore[arg-type]
    sys.exit(_run(loaded.settings, lambda: read().settings, make_loop))


def _limit_process() -> None:
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a caller that starts it may have blocked what is to end it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold summaries, and perhaps the token
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run(
    chosen: settings.Settings,
    read: Callable[[], settings.Settings],
    make_loop: Callable[[], AbstractEventLoop] | None,
) -> int:
    import anyio  # noqa: PLC0415 - --help and --version need not pay for it

    from clawlogd import app, assembly  # noqa: PLC0415 - as above
    from clawlogd.instance import InstanceError  # noqa: PLC0415 - as above
    from clawlogd.outbox.schema import UnknownSchemaError  # noqa: PLC0415 - as above

    try:
        where = assembly.Environment.of_process(chosen, os.environ)
    except locations.Unfit as error:
        return _report(error)
    try:
        anyio.run(app.run_until_signalled, chosen, where, read, backend_options={"loop_factory": make_loop})
    except BaseExceptionGroup as group:
        return _explain(group, (InstanceError, UnknownSchemaError, settings.SettingsError))
    except (InstanceError, UnknownSchemaError, settings.SettingsError) as error:
        return _report(error)
    return 0


def _explain(group: BaseExceptionGroup[BaseException], expected: tuple[type[Exception], ...]) -> int:
    known, other = group.split(expected)
    if other is not None:
        logs.Log("main").error("failed", error=repr(other.exceptions[0]), exc_info=other)
        return EX_FAILED
    error: BaseException = known or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return _report(error)


def _report(error: BaseException) -> int:
    print(f"clawlogd: {error}", file=sys.stderr)  # noqa: T201 - for the person who started it
    return EX_USAGE if isinstance(error, settings.SettingsError) else EX_UNAVAILABLE


def _fail(status: int, text: str) -> NoReturn:
    print(f"clawlogd: {text}", file=sys.stderr)  # noqa: T201 - for the person who started it
    sys.exit(status)


def _describe(loaded: configuration.Loaded) -> str:
    lines = [f"settings are good for clawlogd {__version__} ({loaded.path or 'no file'})"]
    for key, value in configuration.flatten(loaded.settings):
        lines.append(f"  {key} = {value!r}  ({loaded.origins.get(key, 'default')})")
    return "\n".join(lines)
