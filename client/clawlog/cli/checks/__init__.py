"""The checks behind ``clawlog doctor``: each looks at one thing that has to be right and says what to do about it.

``environment`` says where to look; ``program``, ``state``, ``sockets``, ``daemons`` and ``backends`` check, each its own, and
return ``findings``; ``run`` says which checks are made. Nothing is changed, and no daemon is started.
"""
