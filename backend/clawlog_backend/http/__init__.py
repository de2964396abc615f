"""HTTP: the application, its routes, and everything between a socket and an event."""
