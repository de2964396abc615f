"""Upstream: requests to a backend and what its answers mean; the only code that speaks HTTP to one."""
