"""The real agents, installed from npm and run against a model of the tests' own: see ``make agents``."""
