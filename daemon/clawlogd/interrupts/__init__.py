"""Interrupts: what is known of requests to stop, and how a backend is polled for them."""
