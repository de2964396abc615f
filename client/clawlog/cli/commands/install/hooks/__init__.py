"""``clawlog install hooks``, ``clawlog uninstall hooks``: agents report by themselves, and are held back while a stop is open.

``selection`` says which agents are meant, ``planning`` what is to be done and what has to be left alone; ``edits`` does it to
settings files of others, ``files`` to those that are ours alone; ``former`` takes out what an earlier version had put in;
``showing`` shows it all.
"""
