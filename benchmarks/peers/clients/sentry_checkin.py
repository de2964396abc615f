"""sentry-sdk: a check-in of a cron monitor, the nearest that it has to a step."""

import sentry_sdk
from reporting import MARK, main
from sentry_sdk.crons import capture_checkin


def begin(address):
    """As its documents have it."""
    sentry_sdk.init(dsn=f"{address.replace('://', '://public@')}/1")
    return (
        lambda _: capture_checkin(monitor_slug=MARK, status="in_progress"),
        lambda: sentry_sdk.get_client().close(timeout=2.0),  # what it does by itself when a program ends
    )


main(begin)
