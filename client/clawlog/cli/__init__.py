"""The ``clawlog`` command: for people at a terminal, and for programs that want to know how things stand.

``main`` finds the command, each of which is a module of its own name in ``commands``; what takes more than one module to do has
a folder of its own beside them (``demo``, ``run``, ``top``, ``doctor``, ``install``). This package may import click and rich;
the daemon and the embedded backend it starts as programs, and never imports: it must work with any version that speaks the
protocol.
"""
