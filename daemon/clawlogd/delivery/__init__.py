"""Delivery: one lane per backend takes events out of the outbox and brings them there, until it has them."""
