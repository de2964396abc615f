"""How callers reach the daemon: a Unix socket, and ZeroMQ. Both hand every message to the one dispatcher."""
