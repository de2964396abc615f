"""Finds the files that are shipped beside the code: in the checkout's root, or packed into the installed package."""

from __future__ import annotations

import os
from collections.abc import Iterator

from clawlog import exits
from clawlog.cli.errors import CommandError

_HERE = os.path.dirname(os.path.abspath(__file__))
_CHECKOUT = os.path.abspath(os.path.join(_HERE, *[os.pardir] * 5))
_PACKED = os.path.join(_HERE, "files")
_LANDMARK = "SKILL.md"


def read(path: str) -> bytes:
    """Returns a shipped file by its path in the checkout.

    Raises:
        CommandError: This installation lacks it.
    """
    with open(os.path.join(_root(), path), "rb") as file:
        return file.read()


def listed(folder: str) -> Iterator[str]:
    """Returns the paths of all files below a shipped folder, in order."""
    yield from _below(_root(), folder)


def library() -> Iterator[tuple[str, bytes]]:
    """Returns the client library's files without this command, which the scripts need, by their path in the checkout."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))
    for path in _below(os.path.dirname(package), os.path.basename(package)):
        if not path.startswith(os.path.join("clawlog", "cli") + os.sep):
            with open(os.path.join(os.path.dirname(package), path), "rb") as file:
                yield os.path.join("client", path), file.read()


def _root() -> str:
    for root in (_CHECKOUT, _PACKED):
        if os.path.isfile(os.path.join(root, _LANDMARK)):
            return root
    raise CommandError(
        "this installation lacks the files to install from; use a checkout or the published wheel", exits.UNAVAILABLE
    )


def _below(root: str, folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(os.path.join(root, folder)):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            yield os.path.relpath(os.path.join(where, name), root)
