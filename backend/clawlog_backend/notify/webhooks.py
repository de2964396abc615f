"""Webhooks, signed and read as the Standard Webhooks specification says (https://www.standardwebhooks.com).

Blocking: to be called in a thread of its own. Redirects are not followed, since a signed message is for its receiver alone.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from email.message import Message as Headers
from email.utils import parsedate_to_datetime
from typing import Any

from clawlog_backend import __version__
from clawlog_backend.notify.messages import Message
from clawlog_backend.notify.outcomes import Outcome, Scope, masked
from clawlog_backend.notify.rules import Target

_TIMEOUT_S = 10.0  # of each step: connect, send, read
_LONGEST_RETRY_AFTER_S = 3_600.0
_GONE = 410
# A 4xx that is about this message and no other. What says "who are you" or "not here" is about the target.
_OF_THE_TARGET = frozenset({401, 403, 404, 405, 407, 408, 421, 423, 425, 426, 429, 451})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None is made."""


def post(target: Target, message: Message) -> Outcome:
    """Deliver a message, once."""
    sent_s = int(time.time())  # of this attempt: a receiver refuses what is old, so that nobody sends it again
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"clawlog-backend/{__version__}",
        "webhook-id": message.notification_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": sign(target.keys, message.notification_id, sent_s, message.body),
    }
    request = urllib.request.Request(target.address, data=message.body, headers=headers, method="POST")  # noqa: S310 - http or https
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=_TIMEOUT_S) as answer:
            return Outcome(None, f"answered {answer.status}")
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error.code, error.headers)
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return Outcome(Scope.TARGET, masked(str(reason) or type(reason).__name__, target.address))


def sign(keys: Sequence[bytes], message_id: str, sent_s: int, body: bytes) -> str:
    """The signatures of a message, one by each key."""
    signed = b"%s.%d.%s" % (message_id.encode(), sent_s, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)


def _refused(status: int, headers: Headers) -> Outcome:
    if status == _GONE:
        return Outcome(Scope.GONE, "answered 410: it is no more")
    is_of_the_message = 400 <= status < 500 and status not in _OF_THE_TARGET
    scope = Scope.MESSAGE if is_of_the_message else Scope.TARGET
    return Outcome(scope, f"answered {status}", _retry_after_s(headers.get("Retry-After")))


def _retry_after_s(text: str | None) -> float | None:
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdecimal() and len(text) < 12:
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)
