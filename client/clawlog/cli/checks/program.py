"""Checks the installation: programs, their versions, and settings that would let the daemon start.

Where all is well ``clawlogd`` is started once: it says its version with its settings.
"""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, Verdict, fault, ok, warning

_LIMIT_S = 20.0
_GOOD = re.compile(r"settings are (?P<found>good)(?: for clawlogd (?P<version>\S+))?(?P<where>.*)")
_SETTING = re.compile(r"^  (?P<key>[\w.]+) = (?P<value>.*)  \((?P<origin>.*)\)$")


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the daemon's settings: its dotted key, its value as Python writes it, and its origin."""

    key: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What ``clawlogd`` says of itself and of its settings.

    Attributes:
        version: Its version; None where it did not say it together with its settings.
        findings: Of the settings.
        settings: What is in force; empty where it would not start.
    """

    version: str | None = None
    findings: tuple[Finding, ...] = ()
    settings: tuple[Setting, ...] = ()

    @property
    def startable(self) -> bool:
        """Whether its settings would let it start."""
        return all(finding.verdict is not Verdict.FAULT for finding in self.findings)


def versions(environment: Environment, installed: Installed) -> Iterator[Finding]:
    """Checks the versions of this program, of Python and of the daemon's program.

    Args:
        environment: The user's set-up.
        installed: What the daemon's program says.
    """
    own = version("clawlog-status-sync")
    yield ok("version", f"clawlog {own}, Python {platform.python_version()} on {platform.system()} {platform.release()}")
    if environment.program is None:
        yield fault("program", "clawlogd is not installed", "install it: pipx install . in a clone of its repository")
        return
    if installed.version == own:
        yield ok("program", environment.program)
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


def configuration(environment: Environment) -> Installed:
    """Checks whether the daemon would accept its settings."""
    if environment.program is None:
        return Installed()
    ran = _run([environment.program, "--check-config"], environment.variables)
    if ran.returncode != 0:
        printed = ran.stderr.strip().removeprefix("clawlogd: ")
        return Installed(
            findings=(fault("settings", printed, "correct that key or file; docs/configuration.md lists every key"),)
        )
    first, *lines = ran.stdout.splitlines()
    settings = tuple(Setting(*found.groups()) for line in lines if (found := _SETTING.match(line)))
    changed = [setting.key for setting in settings if setting.origin != "default"]
    said = _GOOD.match(first)
    shown = (said["found"] + said["where"] if said else first) + (f"; set: {', '.join(changed)}" if changed else "")
    return Installed(said["version"] if said else None, (ok("settings", shown),), settings)


def _run(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
