"""One module per command, under its name. Each is imported when its command is called, and not before."""
