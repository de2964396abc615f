"""Liveness: on what evidence an agent counts as alive, and when its heartbeats are due."""
