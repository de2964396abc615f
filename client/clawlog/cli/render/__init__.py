"""What people see: views of the daemon's and the backend's answers, tables, marks, times and output."""
