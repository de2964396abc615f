"""Upstream: requests to a backend and the meaning of its answers; the only code that sends HTTP requests to a backend."""
