"""Where commands get what they show: the daemon, a backend, the configuration; and the task a person means."""
