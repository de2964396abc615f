"""The installed version, found without loading what knows all about distributions."""

from __future__ import annotations

import os
import sys

_DIST_INFO = "clawlog_status_sync-"


def installed() -> str:
    """The distribution's version, from the name of its ``.dist-info`` folder: reading its metadata would double the start."""
    for folder in sys.path:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in names:
            if name.startswith(_DIST_INFO) and name.endswith(".dist-info"):
                return name.removeprefix(_DIST_INFO).removesuffix(".dist-info")
    from importlib.metadata import version  # noqa: PLC0415 - it knows of other ways to be installed, and is slow

    return version("clawlog-status-sync")
