"""The three scripts, as a library: ``scripts/*.py`` only find this package and call it.

Every call goes through ``fast``, which handles known flags with plain values within a fraction of Python's own start-up time,
and leaves everything else (help, mistakes, rarer options, no daemon) to the script's own module here. ``options`` and ``plan``
are what both share: which flags there are, and which requests they make.
"""
