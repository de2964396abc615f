"""The work of the demo's task: it maps this Python's own library. Real files, real processor time, no clawlog in here."""

from __future__ import annotations

import hashlib
import os
import sysconfig
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_FILES = 400
MAX_FILE_BYTES = 4 * 1024
"""Longer files are cut: their beginnings show what they are like, and a comparison takes a hundredth of a millisecond."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source file.

    Attributes:
        name: Its path below the library's folder.
        text: Its beginning.
    """

    name: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two files are.

    Attributes:
        one: The first file's name.
        other: The second's.
        distance: The normalized compression distance: 0 for twins, 1 for strangers.
    """

    one: str
    other: str
    distance: float


def read_library() -> list[Source]:
    """This Python's library, or where it is not kept as files, this package's own source; in order of name."""
    for root in (sysconfig.get_path("stdlib"), os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))):
        if sources := list(_sources(root)):
            return sources
    return []


def fingerprint(sources: Sequence[Source]) -> str:
    """One SHA-256 over the files' own."""
    whole = hashlib.sha256()
    for source in sources:
        whole.update(hashlib.sha256(source.text).digest())
    return whole.hexdigest()


def compressed_bytes(sources: Sequence[Source]) -> int:
    """How much is left of the files, compressed as hard as zlib can, each by itself."""
    return sum(_size(source.text) for source in sources)


def nearest(sources: Sequence[Source], index: int) -> Likeness:
    """The file that is most like the one at ``index``: compares it with every other, which takes a while."""
    source = sources[index]
    own = _size(source.text)
    best = Likeness(source.name, source.name, 1.0)
    for other in sources:
        if other is not source and len(other.text) * 4 > len(source.text):
            size = _size(other.text)
            distance = (_size(source.text + other.text) - min(own, size)) / max(own, size)
            if distance < best.distance:
                best = Likeness(source.name, other.name, distance)
    return best


def _size(text: bytes) -> int:
    return len(zlib.compress(text, 9))


def _sources(root: str) -> Iterator[Source]:
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", "site-packages", "dist-packages", "test"))
        for file in sorted(files):
            path = os.path.join(folder, file)
            if file.endswith(".py") and os.path.getsize(path) > 0:
                with open(path, "rb") as stream:
                    yield Source(os.path.relpath(path, root), stream.read(MAX_FILE_BYTES))
                count += 1
                if count == MAX_FILES:
                    return
