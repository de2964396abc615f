"""What reporting a step costs by other ways: measured beside ours, one in turn with the other, on this machine alone."""
