"""Interrupts: what is known of people's requests to interrupt a task, and how a backend is polled for them."""
