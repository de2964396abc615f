"""The scripts' exit statuses; those from 64 up are sysexits.h's."""

ACCEPTED = 0
STOP_REQUESTED = 20
USAGE = 2
REFUSED = 65
UNAVAILABLE = 69
UNKNOWN_FOR_NOW = 75
INTERRUPTED = 130

FORGIVEN = (REFUSED, UNAVAILABLE, UNKNOWN_FOR_NOW)
"""What ``--best-effort`` turns into 0."""
