"""The command that an agent's settings name, and its entry in the settings of agents that have Claude Code's shape of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clawlog.agents.installation import JSON, JsonEntry

TIMEOUT_S = 2
"""How long an agent waits for the hook at most; it takes milliseconds."""


def command(hooks: str, agent: str, event: str) -> str:
    """Returns the command. It never changes between versions: Codex asks a person anew for each other one.

    Args:
        hooks: The folder of the hook.
        agent: The agent's name.
        event: The event, as the agent calls it.
    """
    return f"{program(hooks)} {agent} {event}"


def program(hooks: str) -> str:
    """Returns the hook's path, quoted for a shell."""
    path = f"{hooks}/hook".replace("'", "'\\''")
    return f"'{path}'"


def entries(
    path: str, hooks: str, agent: str, events: Sequence[str], *, timeout: int = TIMEOUT_S,
    around: Mapping[str, JSON] | None = None, within: Mapping[str, JSON] | None = None,
) -> list[JsonEntry]:  # fmt: skip
    """Returns an entry for each event: ``{"hooks": [{"type": "command", "command": …, "timeout": …}]}``.

    Args:
        path: The file.
        hooks: The folder of the hook.
        agent: The agent's name.
        events: The events, as the agent calls them.
        timeout: How long the agent waits for it, in the agent's unit.
        around: What the entry has besides.
        within: What the hook in it has besides.
    """
    return [
        JsonEntry(
            path,
            ("hooks", event),
            {
                **(around or {}),
                "hooks": [
                    {"type": "command", **(within or {}), "command": command(hooks, agent, event), "timeout": timeout}
                ],
            },
        )
        for event in events
    ]  # fmt: skip
