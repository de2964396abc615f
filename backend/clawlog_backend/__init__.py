"""The embedded ClawLog backend: an HTTP service over one SQL database, with a dashboard.

It stores what agents report about their tasks, passes people's stop requests on to them, and shows both. It knows nothing of
the sidecar beyond the HTTP contract, so that either can be replaced.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("clawlog-status-sync")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
