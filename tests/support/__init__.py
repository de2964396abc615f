"""What several kinds of tests share: callers, daemons, servers, clocks, and programs as processes."""
