"""The mixed run: everything goes wrong at once, at two real backends, while callers use every way in.

``ways`` are the ways in, ``callers`` use them, ``troubles`` are what goes wrong and for how long, ``world`` puts a daemon, two
backends, their links and a small disk together.
"""
