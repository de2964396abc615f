"""Database engines: one module each."""
