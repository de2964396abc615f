"""Storage: the tables, how events are applied to them, and what is read of them."""
