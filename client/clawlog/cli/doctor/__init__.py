"""``clawlog doctor``: looks at everything that has to be right, names what is not, and says what to do about it.

``place`` says where to look; ``program``, ``state``, ``sockets``, ``daemons`` and ``backends`` look, each at its own, and bring
back ``findings``. Nothing is changed, and no daemon is started.
"""
