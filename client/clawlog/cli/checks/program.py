"""Checks the installation: programs, their versions, and settings that would let the daemon start."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, fault, ok, warning

_LIMIT_S = 20.0
_SETTING = re.compile(r"^  (?P<key>[\w.]+) = (?P<value>.*)  \((?P<origin>.*)\)$")


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the daemon's settings: its dotted key, its value as Python writes it, and its origin."""

    key: str
    value: str
    origin: str


def versions(environment: Environment) -> Iterator[Finding]:
    """Checks the versions of this program, of Python and of the daemon's program."""
    own = version("clawlog-status-sync")
    yield ok("version", f"clawlog {own}, Python {platform.python_version()} on {platform.system()} {platform.release()}")
    if environment.program is None:
        yield fault("program", "clawlogd is not installed", "install it: pipx install . in a clone of its repository")
        return
    ran = _run([environment.program, "--version"], environment.variables)
    printed = ran.stdout.strip() or ran.stderr.strip() or f"ended with status {ran.returncode}"
    if ran.returncode != 0:
        yield fault(
            "program", f"{environment.program} does not run: {printed}", "reinstall it: pipx reinstall clawlog-status-sync"
        )
    elif printed.split()[-1] != own:
        yield warning("program", f"{environment.program} is {printed}", f"install {own}, the version of this command")
    else:
        yield ok("program", environment.program)


def configuration(environment: Environment) -> tuple[list[Finding], list[Setting]]:
    """Checks whether the daemon would accept its settings; returns the findings and the settings."""
    if environment.program is None:
        return [], []
    ran = _run([environment.program, "--check-config"], environment.variables)
    if ran.returncode != 0:
        printed = ran.stderr.strip().removeprefix("clawlogd: ")
        return [fault("settings", printed, "correct that key or file; docs/configuration.md lists every key")], []
    first, *lines = ran.stdout.splitlines()
    settings = [Setting(*found.groups()) for line in lines if (found := _SETTING.match(line))]
    changed = [setting.key for setting in settings if setting.origin != "default"]
    shown = first.removeprefix("settings are ") + (f"; set: {', '.join(changed)}" if changed else "")
    return [ok("settings", shown)], settings


def _run(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
