"""The commands and what the help says of all of them: so that neither the help nor a completion need import them."""

from __future__ import annotations

from clawlog import exits
from clawlog.cli.epilogs import MEANINGS, epilog

SUMMARY = "See what long-running agent tasks do, know that they are alive, and stop them softly."

COMMANDS = {
    "up": "Run the embedded backend and the daemon together.",
    "demo": "Watch a complete run on temporary state; it ends by itself.",
    "run": "Run a command as a task.",
    "status": "Show the daemon's health and queue.",
    "tasks": "List the tasks, what needs attention first.",
    "show": "Show one task with its timeline.",
    "top": "Show all tasks live in the terminal.",
    "watch": "Follow one task until it ends.",
    "open": "Open the dashboard, or a task's page.",
    "stop": "Ask tasks to stop at their next safe boundary.",
    "close": "End tasks whose agents are gone.",
    "acknowledge": "Say that you have seen a failed or lost task.",
    "flush": "Wait until the backends have received everything.",
    "dead-letter": "List, retry or drop the events that a backend refused.",
    "contract": "Show or try how a backend is spoken to.",
    "doctor": "Check the installation and say what to fix.",
    "install": "Install systemd units, the skill, hooks or MCP settings.",
    "uninstall": "Undo clawlog install.",
    "hooks": "Try the hook of an agent.",
    "mcp": "Report tasks for agents, by the Model Context Protocol.",
    "backend": "Run the embedded backend alone.",
    "completion": "Print shell completion for bash, zsh or fish.",
}
"""Every command, in the order of the help, with its short help."""

OPTIONS = {"--version": "Show the version and exit.", "-h, --help": "Show this message and exit."}
"""The options before a command; the second is click's own, and its words are."""

EPILOG = epilog(
    ("clawlog demo", "see it work"),
    ("clawlog up --open", "backend, daemon and dashboard"),
    ("clawlog run -- make all", "a command as a task"),
    s1="failed (clawlog status: degraded)",
    s3="clawlog status: no daemon is running",
    s65=MEANINGS[exits.REFUSED],
    s69=MEANINGS[exits.UNAVAILABLE],
    s74=MEANINGS[exits.OUTPUT_FAILED],
    s75=MEANINGS[exits.UNKNOWN_FOR_NOW],
    s130=MEANINGS[exits.INTERRUPTED],
)
