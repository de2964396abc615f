"""What ``clawlog`` answers without a library, at the price of a script's call: where all is as usual.

Each ``run`` prints its answer and returns the exit status; or it returns None and has printed nothing, and the command itself
answers. So a mistake, a fault and an unusual wish are dealt with in one place alone, and an answer is the same, byte for byte.

Nothing here may import click, rich, dataclasses, socket, typing or urllib, nor anything that does.
"""
