"""A task as a Python context: ``clawlog.task`` and ``clawlog.async_task``.

``lifecycle`` decides which calls are made and when a stop is raised, without I/O; ``failures`` what happens when the daemon
cannot be reached; ``blocking`` and ``asynchronous`` are the two forms, on ``base``.
"""
