"""The host: what the daemon does for the machine and the service manager it runs under."""
