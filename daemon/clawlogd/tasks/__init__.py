"""Tasks: all that the daemon knows, and what an update does to a task."""
