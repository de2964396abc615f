"""Notifications: what happens to tasks is told to people, by the services that Apprise knows and by signed webhooks."""
