"""``clawlog backend``: becomes the embedded backend.

That program replaces this process, so its flags and its help are its own, and signals reach it.
"""

from __future__ import annotations

import os
import sys

import click


@click.command(
    short_help="Run the embedded backend alone.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Runs the embedded backend alone: [--host H] [--port N] [--database URL]."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clawlog_backend", *arguments])  # noqa: S606 - no shell is wanted
