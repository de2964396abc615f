"""Whether the library of the export of traces is installed, which is an extra of this distribution."""

from __future__ import annotations

import sys
from importlib import metadata

from clawlog_backend.settings import SettingsError

_REQUIRED = "opentelemetry-proto"


def check() -> None:
    """Check that it is there, without importing it.

    Raises:
        SettingsError: It is not; the text says how to get it.
    """
    try:
        metadata.version(_REQUIRED)
    except metadata.PackageNotFoundError:
        raise SettingsError(
            f"--otel needs the library {_REQUIRED}, which is not installed; install it: `pipx install --force '.[otel]'` in a "
            f"clone of the repository, or `{sys.executable} -m pip install '{_REQUIRED}>=1.30'`"
        ) from None
