"""What happens beside requests: streams of changes, held polls, maintenance."""
