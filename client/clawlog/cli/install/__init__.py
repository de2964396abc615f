"""``clawlog install`` and ``uninstall``: units of systemd, the agent skill, an agent's hook.

``sources`` finds what is shipped; ``systemd``, ``skill`` and ``hooks`` each make a plan of it; ``plan`` shows plans and carries
them out; ``record`` remembers what was written, so that it can be undone without touching anything else.
"""
