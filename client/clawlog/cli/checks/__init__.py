"""The checks behind ``clawlog doctor``: each examines one thing that has to be right, and says how to fix it.

``environment`` says where everything is; ``program``, ``state``, ``sockets``, ``daemons`` and ``backends`` check one part each
and return ``findings``; ``run`` says which checks are made. Nothing is changed, and no daemon is started.
"""
