"""``clawlog run``: a command as a task.

``child`` is the command's process and ``terminal`` who has the terminal; ``tee`` lets its output through and reads along;
``reporter`` tells the daemon and hears of stops; ``conductor`` brings them together. Whatever becomes of the reporting, the
command runs, and its exit status is passed on.
"""
