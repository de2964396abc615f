"""A task as a Python context: ``clawlog.task`` and ``clawlog.async_task``.

``story`` decides what is said to the daemon and when a stop is raised, without I/O; ``failures`` what happens when the daemon
cannot be told; ``blocking`` and ``asynchronous`` are the two faces.
"""
