"""Coding agents that report by themselves: what the reports of their hooks do to the task that a session is."""
