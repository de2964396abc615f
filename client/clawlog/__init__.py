"""clawlog: tell a ClawLog backend what a long-running task is doing, and learn when a person wants it to stop."""
