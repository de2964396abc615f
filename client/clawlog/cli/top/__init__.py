"""``clawlog top``: the tasks, live, in a terminal.

``model`` is what is known and what a key changes, without any I/O; ``screen`` draws it; ``keyboard`` reads keys; ``loop`` looks
at the daemon from time to time and brings them together.
"""
