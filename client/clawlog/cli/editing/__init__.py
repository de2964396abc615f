"""Edits settings files that belong to others: JSON and TOML as text, so that what is not ours stays as it is, to the byte.

``scanner`` says where each value of a JSON text stands; ``json_text`` and ``toml_text`` put values in and take them out;
``changes`` does what an agent's settings need, and undoes it; ``places`` reads the files, and says which may be written.
"""
