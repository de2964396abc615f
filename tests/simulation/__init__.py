"""Deterministic simulation of the daemon: its own parts on simulated time, network, disk, callers and processes.

A seed gives a plan (what agents and people do, and what goes wrong); the plan gives a run; the same plan gives the same run,
byte for byte. ``python -m simulation`` (in ``tests/``) runs many seeds; docs/reliability.md says what that is.
"""
