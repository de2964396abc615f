"""The tables, as the documents have them: made from a run, and put between two marks in each document."""

from __future__ import annotations

import re
from collections.abc import Callable

from benchmarks.peers.catalogue import OURS, PEERS, Peer
from benchmarks.peers.results import Measured, Outage, Run
from benchmarks.programs import ROOT

BEGIN, END = "<!-- from benchmarks/peers/results.json: make bench-peers -->", "<!-- end -->"
_MIB = 1024 * 1024


def write(run: Run) -> None:
    """Writes the tables of every document anew."""
    for name, make in DOCUMENTS.items():
        path = ROOT / name
        path.write_text(with_part(path.read_text(encoding="utf-8"), make(run)), encoding="utf-8")


def with_part(text: str, part: str) -> str:
    """Returns a document's text with what stands between the marks replaced."""
    return re.sub(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", lambda _: f"\n{part}\n\n", text, flags=re.DOTALL)


def tables(run: Run) -> str:
    """Returns all tables."""
    rows = [(peer, found) for peer in (OURS, *PEERS) if (found := run.of(peer.name)) is not None]
    away = [(peer, found) for peer, found in rows if not found.skipped and peer.server]
    parts = [
        f"Taken {run.date} on {run.machine}, Python {run.python}.",
        _table(
            ("one step, as a process of its own", "version", "wall", "processor", "of ours"),
            [(peer.name, found.version, *_step(found)) for peer, found in rows],
        ),
        _table(
            ("updates in a row", "a second", "an update that counts is"),
            [(peer.name, _rate(found), peer.durable) for peer, found in rows if found.rate is not None],
        ),
        _table(
            ("one step while the server", "refuses", "status", "hangs", "status", "arrives when it is back"),
            [(peer.name, *_outage(found.refused, run), *_outage(found.hanging, run), _afterwards(peer, found))
             for peer, found in away],
        ),
        _table(
            ("memory while it reports, and a stop", "its process", "helpers beside it", "a person's stop arrives by"),
            [(peer.name, *_memory(found), peer.stop) for peer, found in rows if not found.skipped],
        ),
    ]  # fmt: skip
    if skipped := [f"- {found.name}: {found.skipped}." for _, found in rows if found.skipped]:
        parts.append("\n".join(["Not measured:", "", *skipped]))
    return "\n\n".join(parts)


def figures(run: Run) -> str:
    """Returns the README's three figures."""
    ours = run.of(OURS.name)
    assert ours is not None
    assert ours.step is not None
    assert ours.rate is not None
    measured = [(peer, found) for peer in PEERS if (found := run.of(peer.name)) is not None]
    costs = [f"{peer.key} {_times(found.step.ratio).removesuffix(' ×')}" for peer, found in measured if found.step is not None]
    away = [f"{peer.key} {_blocked(found.refused, run)}" for peer, found in measured if found.refused is not None]
    rates = [f"{peer.key} {_rate(found)}" for peer, found in measured if found.rate is not None]
    lines = [
        f"**A step reported** by a process of its own takes {_ms(ours.step.wall_s)}; times that: {', '.join(costs)}.",
        f"**With the server down** it takes {_blocked(ours.refused, run)} and the update arrives later; {', '.join(away)}.",
        (
            f"**Updates in a row**, each on disk before the next: {ours.rate.per_s:,.0f} a second. "
            f"The others', each by what it calls taken: {', '.join(rates)}."
        ),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _step(found: Measured) -> tuple[str, str, str]:
    if found.step is None:
        return "–", "–", "–"
    step = found.step
    spread = "1" if found.name == OURS.name else f"{_times(step.ratio)} ({step.low:.1f} – {step.high:.1f})"
    return _ms(step.wall_s), _ms(step.processor_s), spread


def _rate(found: Measured) -> str:
    rate = found.rate
    if rate is None:
        return "–"
    lost = f" ({rate.sent - rate.taken:,} of {rate.sent:,} lost)" if rate.taken < rate.sent else ""
    return f"{rate.per_s:,.0f}{lost}"


def _outage(outage: Outage | None, run: Run) -> tuple[str, str]:
    if outage is None:
        return "–", "–"
    return _blocked(outage, run), "–" if outage.status is None else str(outage.status)


def _afterwards(peer: Peer, found: Measured) -> str:
    outages = [each for each in (found.refused, found.hanging) if each is not None]
    late = [each.arrived_after_s for each in outages if each.arrived_after_s is not None]
    if len(late) < len(outages):
        return f"no ({peer.afterwards})" if not late else f"in {len(late)} of {len(outages)} cases"
    return f"yes, after {' and '.join(f'{each:.1f} s' for each in late)} ({peer.afterwards})"


def _memory(found: Measured) -> tuple[str, str]:
    if found.memory is None:
        return "–", "–"
    helpers = f"{found.memory.helper_bytes / _MIB:.0f} MiB" if found.memory.helper_bytes else "none"
    return f"{found.memory.own_bytes / _MIB:.0f} MiB", helpers


def _blocked(outage: Outage | None, run: Run) -> str:
    if outage is None:
        return "–"
    if outage.status is None:
        return f"over {run.bound_s:.0f} s"
    return _ms(outage.blocked_s) if outage.blocked_s < 1 else f"{outage.blocked_s:.1f} s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _times(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio >= 10 else f"{ratio:.1f} ×"


DOCUMENTS: dict[str, Callable[[Run], str]] = {"README.md": figures, "docs/compared.md": tables}
"""The documents, and what stands in them."""
