"""Search: the text that is looked through, how it follows the tasks, and how each engine finds in it."""
