"""The domain: events, tasks and what one does to the other. Pure: no SQL, no HTTP, no clock."""
