"""Tasks: the registry of those that are known, and what an update does to one (create, status, step, acknowledgement)."""
