"""A task in a Python program: ``clawlog.task`` and what belongs to it.

``lifecycle`` and ``steps`` say what a task and a step report, as conversations without I/O (``conversation``); ``failures``
what happens when the daemon cannot be reached. ``blocking`` and ``asynchronous`` are the two forms, on ``base``. On top of both
are loops (``tracking``), log lines (``logs``) and the task that the code is in (``current``).
"""
