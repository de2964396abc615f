"""What is fast, shown as ratios against a limit that is measured in the same run. ``make bench`` prints the table."""
