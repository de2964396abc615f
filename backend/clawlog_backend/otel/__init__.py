"""Tasks that ended, as OpenTelemetry's traces. Imported only where they are asked for: its library is an extra."""
