"""The wire protocol between programs and the daemon, written once and used by both sides.

Nothing here does I/O, and nothing here imports anything but the standard library: bytes in, values out, and back. The rules
are documented in ``docs/wire-protocol.md``. Import the module that you need; this package re-exports nothing, because a
script that pays milliseconds per call must not load what it does not use.
"""
