"""Coding agents: where their settings are, what their hooks report, and how each is stopped. One module an agent."""
