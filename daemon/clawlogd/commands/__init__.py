"""What the daemon does for its callers: one module per subject, one function per verb, one dispatcher for every listener."""
