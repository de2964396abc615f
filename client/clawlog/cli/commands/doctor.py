"""``clawlog doctor``: see ``clawlog.cli.checks``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.checks.findings import Finding, Verdict
from clawlog.cli.checks.program import Setting
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output
from clawlog.cli.render.counts import counted

MARKS = {Verdict.OK: ("✓", "green"), Verdict.WARNING: ("!", "bold yellow"), Verdict.FAULT: ("✗", "bold red")}


@click.command(
    short_help="Check the installation and say what to fix.",
    epilog=epilog(
        ("clawlog doctor", "check everything"),
        ("clawlog doctor --settings", "and show every setting with its origin"),
        ("clawlog doctor --json", "for programs"),
        s0="no errors (there may be warnings)",
        s1="at least one error",
    ),
)
@click.option("--settings", "with_settings", is_flag=True, help="Show every setting and where its value comes from.")
@options.as_json
def command(*, with_settings: bool, as_json: bool) -> int:
    """Check versions, settings, state, disk, socket, daemon, backend, clock and agents, and say how to fix what is wrong.

    Nothing is changed.
    """
    from clawlog.cli.checks import run  # noqa: PLC0415 - the help need not pay for it
    from clawlog.cli.checks.environment import Environment  # noqa: PLC0415 - as above

    findings, settings, agents = run.run_all(Environment.of(os.environ))
    if as_json:
        listed = [asdict(finding) for finding in findings]
        output.print_json(
            {
                "ok": not _has_errors(findings),
                "findings": listed,
                "settings": [asdict(each) for each in settings],
                "agents": [asdict(each) for each in agents],
            }
        )
    else:
        _draw(findings)
        if with_settings:
            _draw_settings(settings)
    return exits.FAILED if _has_errors(findings) else exits.SUCCESS


def _has_errors(findings: Sequence[Finding]) -> bool:
    return any(finding.verdict is Verdict.FAULT for finding in findings)


def _draw(findings: Sequence[Finding]) -> None:
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    shown = Table.grid(padding=(0, 1))
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for finding in findings:
        what = output.with_advice(finding.found, finding.advice)
        shown.add_row(Text(*MARKS[finding.verdict]), finding.check, what)
    errors = sum(finding.verdict is Verdict.FAULT for finding in findings)
    warnings = sum(finding.verdict is Verdict.WARNING for finding in findings)
    count = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}" if errors or warnings else "nothing is wrong"
    output.draw(shown, Text(f"\n{count}"))


def _draw_settings(settings: Sequence[Setting]) -> None:
    from rich.table import Table  # noqa: PLC0415 - see output.console

    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("SETTING", "VALUE", "FROM"):
        shown.add_column(name, overflow="fold")
    for each in settings:
        shown.add_row(each.key, output.shown(each.value), output.shown(each.origin))
    output.draw("", shown)
