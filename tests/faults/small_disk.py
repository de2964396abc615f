"""A file system of its own that is small enough to be filled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mounts one at a new folder, until the end of the block; only root may."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Writes a file that takes all that is left of its disk."""
    with path.open("wb", buffering=0) as file:
        try:
            for size in (65536, 4096, 512, 1):
                while file.write(b"x" * size) == size:
                    pass
        except OSError:
            return
