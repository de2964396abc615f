"""What leaves the backend of a delivery: a signature that the specification's own library takes, and nothing of an address."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from clawlog_backend.notify.outcomes import masked
from clawlog_backend.notify.webhooks import _retry_after_s, sign

OLD, NEW = b"o" * 32, b"n" * 24


def test_a_message_is_signed_by_each_key_and_by_no_other() -> None:
    now = int(time.time())
    headers = {
        "webhook-id": "n-1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign((OLD, NEW), "n-1", now, "部".encode()),
    }
    for key in (OLD, NEW):
        Webhook(key).verify("部".encode(), headers, json_parse=False)
        for changed in ({"webhook-id": "n-2"}, {"webhook-timestamp": str(now + 1)}):
            with pytest.raises(WebhookVerificationError):
                Webhook(key).verify("部".encode(), headers | changed, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(b"x" * 32).decode()).verify("部".encode(), headers, json_parse=False)


def test_no_piece_of_an_address_is_told() -> None:
    address = "slack://T0KEN-A/B-part%20two/?key=s3cret&to=%23ops"
    said = "cannot post T0KEN-A to B-part two or B-part%20two with s3cret\n in #ops"
    assert masked(said, address) == "cannot post … to … … or … with … in #…"
    assert len(masked("x" * 5_000, address)) == 300


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("999999", 3_600),
        ("-5", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("٣", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(text: str | None, seconds: float | None) -> None:
    assert _retry_after_s(text) == seconds
