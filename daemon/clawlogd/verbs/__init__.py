"""Verbs: one module per subject; each verb with its parameters, its result and its handler. ``catalogue`` lists them."""
