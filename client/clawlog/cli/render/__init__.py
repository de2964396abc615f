"""What people see: views of the daemon's answers, tables, times, output."""
