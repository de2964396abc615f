"""``clawlog demo``: a task from its creation to its soft stop, on a real backend, a real daemon and the real scripts.

``stage`` sets everything up in a temporary folder; ``agent`` works and reports through the scripts (``scripts``, ``work``);
``onlooker`` is the person at the backend; ``timeline`` shows what happens; ``verdict`` holds it against what should have.
Nothing is simulated: if a part fails, so does the demo.
"""
