"""What real agents handed to their hooks (``recordings/AGENT/EVENT-NN.json``), and what each call of a hook is to report of it.

``reports/AGENT.json`` holds that for each recording. Run this file to write them anew, and read the difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clawlog.agents.catalogue import AGENTS

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings"
REPORTS = HERE / "reports"


@dataclass(frozen=True, slots=True)
class Recording:
    """One call of one hook.

    Attributes:
        name: Its file's name, without the ending.
        agent: The agent.
        event: The event for which the recorder was registered.
        payload: What the hook got.
        environment: Those of its variables that name session, project and process.
    """

    name: str
    agent: str
    event: str
    payload: Mapping[str, Any]
    environment: Mapping[str, str]


def recordings(agent: str) -> Iterator[Recording]:
    """All of one agent, by name."""
    for path in sorted((RECORDINGS / agent).glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        given = kept.get("stdin")
        if "input" in kept:  # a function of a plugin
            given = {"input": kept["input"], "output": kept.get("output")}
        event = kept["event"].removeprefix("pascal-")  # Copilot's events, registered by other names
        yield Recording(path.stem, agent, event, given if isinstance(given, dict) else {}, kept.get("environment", {}))


def reported(recording: Recording) -> list[dict[str, Any]]:
    """What a recording is reported as, without what it does not say."""
    said = AGENTS[recording.agent].read(recording.event, recording.payload, recording.environment)
    return [_without_nothing(asdict(report)) for report in said]


def expected(agent: str) -> dict[str, list[dict[str, Any]]]:
    """What all recordings of an agent are to be reported as, by name."""
    content: dict[str, list[dict[str, Any]]] = json.loads((REPORTS / f"{agent}.json").read_text(encoding="utf-8"))
    return content


def _without_nothing(value: dict[str, Any]) -> dict[str, Any]:
    said = {name: each for name, each in value.items() if each is not None}
    return json.loads(json.dumps(said))  # type: ignore[no-any-return]


def main() -> None:
    for agent in sorted(path.name for path in RECORDINGS.iterdir()):
        content = {recording.name: reported(recording) for recording in recordings(agent)}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (REPORTS / f"{agent}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
