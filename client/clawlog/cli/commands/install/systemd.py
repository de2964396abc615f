"""The units: for one user (``systemctl --user``), or for the whole machine.

The units are installed as shipped. What is specific to this machine (the program's path, the state folder) goes into a
drop-in, so that an upgrade may replace the units.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from clawlog import autostart, exits, locations
from clawlog.cli.commands.install import sources
from clawlog.cli.commands.install.plan import Action, Remove, Run, Write
from clawlog.cli.commands.install.record import Record
from clawlog.cli.errors import CommandError

KIND = "systemd"
UNITS = ("clawlogd.service", "clawlogd.socket")
_SYSTEM_FOLDER = "/etc/systemd/system"
_DROP_IN = os.path.join("clawlogd.service.d", "10-place.conf")


def install(env: Mapping[str, str], *, system: bool, force: bool) -> Sequence[Action]:
    """Returns the plan that installs the units and starts the socket.

    Args:
        env: The environment variables that say where the user's folders and the program are.
        system: Whether they are for the whole machine.
        force: Whether to overwrite units that were not written here.

    Raises:
        CommandError: The program is not installed, or the shipped units are missing.
    """
    scope, folder = ("system", _SYSTEM_FOLDER) if system else ("user", _user_folder(env))
    units = {name: sources.read(os.path.join("systemd", scope, name)) for name in UNITS}
    plan: list[Action] = [Write(os.path.join(folder, name), content, force=force) for name, content in units.items()]
    if drop_in := _drop_in(units["clawlogd.service"].decode("utf-8"), env, system=system):
        plan.append(Write(os.path.join(folder, _DROP_IN), drop_in.encode("utf-8"), force=force))
    return [*plan, _systemctl("daemon-reload", system=system), _systemctl("enable", "--now", "clawlogd.socket", system=system)]


def uninstall(env: Mapping[str, str], *, system: bool) -> Sequence[Action]:
    """Returns the plan that stops and removes them."""
    folder = _SYSTEM_FOLDER if system else _user_folder(env)
    written = [path for path in Record.load(KIND, env).files if path.startswith(folder + os.sep)]
    if not written:
        return []
    stop = _systemctl("disable", "--now", *reversed(UNITS), system=system, may_fail=True)
    return [stop, *map(Remove, written), _systemctl("daemon-reload", system=system, may_fail=True)]


def _systemctl(*arguments: str, system: bool, may_fail: bool = False) -> Run:
    return Run(("systemctl", *(() if system else ("--user",)), *arguments), may_fail=may_fail)


def _user_folder(env: Mapping[str, str]) -> str:
    return os.path.join(locations.config_dir(env), "systemd", "user")


def _drop_in(service: str, env: Mapping[str, str], *, system: bool) -> str | None:
    """Returns the drop-in for this machine; None where the unit fits as shipped."""
    start = next(line.removeprefix("ExecStart=") for line in service.splitlines() if line.startswith("ExecStart="))
    shipped, *arguments = start.split()
    home = locations.home(env)
    # Not CLAWLOG_STATE_DIR: it would bring its own socket, but callers expect the units' socket.
    state_dir = None if system else locations.state_dir({**env, "CLAWLOG_STATE_DIR": "", "STATE_DIRECTORY": ""})
    moved = state_dir is not None and state_dir != os.path.join(home, ".local", "state", "clawlog")
    expected = shipped.replace("%h", home)
    program = expected if os.access(expected, os.X_OK) else autostart.find_program(env)
    if program is None:
        raise CommandError(
            "clawlogd is not installed; install it: pipx install . in a clone of its repository", exits.UNAVAILABLE
        )
    if program == expected and not moved:
        return None
    lines = ["# Where things are on this machine, as clawlog install found it.", "[Service]"]
    if moved and state_dir is not None:
        index = arguments.index("--state-dir") + 1
        arguments[index] = _escaped(state_dir)
        lines += [f"ExecStartPre=+/usr/bin/install -d -m 0700 {_escaped(state_dir)}", f"ReadWritePaths={_escaped(state_dir)}"]
    start = _escaped(program) if program != expected else shipped
    return "\n".join([*lines, "ExecStart=", f"ExecStart={start} {' '.join(arguments)}", ""])


def _escaped(path: str) -> str:
    """Returns a path as a unit may hold it: ``%`` begins a specifier, a space ends a word (systemd.unit(5))."""
    plain = os.path.abspath(path).replace("%", "%%")
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"' if any(c in plain for c in ' "\\') else plain
