"""The durable outbox: what was accepted is on disk before it is confirmed, and stays there until a backend has it."""
