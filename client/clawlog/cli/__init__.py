"""The ``clawlog`` command: for people at a terminal, and for programs that read its JSON.

``main`` finds the command, each of which is a module of its own name in ``commands``, or a folder where it takes several
(``demo``, ``run``, ``top``, ``install``). Commands do not import each other: what they share is drawn in ``render``, read in
``sources`` and checked in ``checks``. This package may import click and rich; the daemon and the embedded backend it starts
as programs, and never imports: it must work with any version that speaks the protocol.
"""
