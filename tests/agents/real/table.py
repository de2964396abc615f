"""What was seen, as the table of ``docs/agents-and-skills.md``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.real.cache import packages
from agents.real.scenarios import Result

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "agents-and-skills.md"
BEGIN = "<!-- made by: make agents (--write) -->"
END = "<!-- end of what make agents wrote -->"

HEAD = (
    "| agent | version | seen | stopped by | tools run after | receipts: seen, held back, acknowledged | lost after SIGKILL "
    "| a tool call: without, with an empty, with our hook |\n| --- | --- | --- | --- | ---: | --- | ---: | --- |"
)
TITLES = {
    "claude-code": "Claude Code",
    "codex": "Codex CLI",
    "gemini-cli": "Gemini CLI",
    "qwen-code": "Qwen Code",
    "copilot-cli": "Copilot CLI",
    "opencode": "OpenCode",
    "openclaw": "OpenClaw",
}
_SEEN = (
    "title", "plan", "turns", "tools", "failing tool", "parallel tools", "subagent", "waits", "end", "resume",
    "two tasks",
)  # fmt: skip

Results = Mapping[str, Result]
"""The results of one agent by scenario."""


def row(agent: str, results: Results, skipped: str | None = None) -> str:
    """The line of one agent."""
    head = f"| {TITLES[agent]} | {packages()[agent].version} |"
    if skipped:
        return f"{head} not run: {skipped} | | | | | |"
    cells = (_seen(results), _stopped_by(results), _number(results, "stop", "tools run after"), _receipts(results))
    return f"{head} {' | '.join(cells)} | {_seconds(results, 'killed', 'lost after, s')} | {_cost(results)} |"


def _figure(results: Results, scenario: str, name: str) -> float | None:
    return results[scenario].figures.get(name) if scenario in results else None


def _number(results: Results, scenario: str, name: str) -> str:
    value = _figure(results, scenario, name)
    return "–" if value is None else f"{value:.0f}"


def _seconds(results: Results, scenario: str, name: str) -> str:
    value = _figure(results, scenario, name)
    return "–" if value is None else f"{max(value, 0):.1f} s"


def _seen(results: Results) -> str:
    shown = {name for result in results.values() for name in result.shown}
    failed = sorted({name for result in results.values() for name in result.failed})
    text = ", ".join(name for name in _SEEN if name in shown)
    return f"{text}; **not: {', '.join(failed)}**" if failed else text


def _stopped_by(results: Results) -> str:
    if "stop" not in results:
        return "–"
    if "loop ended" in results["stop"].shown:
        return "the hook ends the turn"
    return "each tool is refused until the turn ends" if "each refused" in results["stop"].shown else "–"


def _receipts(results: Results) -> str:
    return ", ".join(_seconds(results, "stop", f"{name}, s") for name in ("seen", "delivered", "acknowledged"))


def _cost(results: Results) -> str:
    found = [_figure(results, "cost", f"{name}, ms") for name in ("without", "empty", "with")]
    return "–" if None in found else ", ".join(f"{value:.0f}" for value in found) + " ms"


def tree(agent: str, results: Results, skipped: str | None = None) -> dict[str, Any]:
    """One agent for ``--json``."""
    return {
        "agent": agent,
        "version": packages()[agent].version,
        "skipped": skipped,
        "scenarios": {
            name: {"shown": result.shown, "failed": result.failed, "figures": result.figures}
            for name, result in results.items()
        },
    }


def write(rows: list[str]) -> None:
    """Puts the table into the document; the lines of other agents stay there.

    Raises:
        ValueError: The document has no place for it.
    """
    text = DOCUMENT.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT} has no place for the table: it wants the lines\n{BEGIN}\n{END}")
    there = text.removeprefix(before).partition(END)[0].splitlines()
    by_title = {line.split("|")[1].strip(): line for line in (*there, *rows) if line.startswith("| ")}
    table = "\n".join([HEAD, *(by_title[title] for title in TITLES.values() if title in by_title)])
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")
