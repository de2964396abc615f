"""A model server that plays scripts, so that a real coding agent runs without a model, an account or a network."""
