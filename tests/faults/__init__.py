"""The fault suite: under each fault, everything that was accepted arrives, once in effect and in order, and nothing else does.

``oracle`` judges, ``backend`` misbehaves as it is told, ``daemon`` runs the real program, ``load`` plays the agents, ``rig``
puts these together, and ``scenarios`` holds one small function for each fault. pytest runs their quick form
(``test_faults.py``), ``make faults`` the long one (``__main__.py``).
"""
