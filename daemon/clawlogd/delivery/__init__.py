"""Delivery: one lane per backend sends events from the outbox until the backend has them."""
