"""One request to the receiver of traces, and what its answer means. Knows no queue and no database."""

from __future__ import annotations

import gzip
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Self

import aiohttp

from clawlog_backend import __version__
from clawlog_backend.otel.encoding import rejected
from clawlog_backend.settings import SettingsError, TraceReceiver

_ANSWER_BYTES = 64 * 1024
_LONGEST_WAIT_S = 300.0
_ABOUT_THE_BODY = frozenset({400, 406, 411, 413, 414, 415, 422, 431})
"""The answers that say that this request can never be taken. Others say it of the address, the token or the moment."""


class Verdict(StrEnum):
    """What became of a request."""

    TAKEN = "taken"
    AGAIN = "again"
    """Not taken for now: send it again later."""
    REFUSED = "refused"
    """Never to be taken as it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        verdict: That, in a word.
        why: Why it was not taken, or which part was not.
        status: The HTTP status; 0 without an answer.
        rejected_spans: How many spans were not taken although the request was.
        wait_s: For how long the receiver does not want to be asked again.
    """

    verdict: Verdict
    why: str = ""
    status: int = 0
    rejected_spans: int = 0
    wait_s: float = 0.0


class Sender:
    """Sends requests over one connection that is kept.

    Args:
        receiver: To whom.

    Raises:
        SettingsError: A certificate cannot be used.
    """

    def __init__(self, receiver: TraceReceiver) -> None:
        self._receiver = receiver
        self._tls = _tls(receiver)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Get ready; nothing is connected yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=1),
            timeout=aiohttp.ClientTimeout(total=self._receiver.timeout_s),
            headers={"User-Agent": f"clawlog-backend/{__version__}"},
        )
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Disconnect."""
        if self._session is not None:
            await self._session.close()

    async def send(self, body: bytes) -> Answer:
        """Send one request, once."""
        if self._session is None:
            raise RuntimeError("the sender is to be entered first")
        headers = {**self._receiver.headers, "Content-Type": "application/x-protobuf"}
        if self._receiver.gzip:
            headers["Content-Encoding"], body = "gzip", gzip.compress(body, compresslevel=1)
        try:
            # No redirect is followed: the headers may hold a token, which is for the named receiver.
            async with self._session.post(self._receiver.url, data=body, headers=headers, allow_redirects=False) as response:
                answer = await response.content.read(_ANSWER_BYTES)
                return _judge(response.status, answer, response.headers.get("Retry-After"))
        except TimeoutError:
            return Answer(Verdict.AGAIN, f"no answer within {self._receiver.timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(Verdict.AGAIN, str(error) or type(error).__name__)


def _judge(status: int, body: bytes, retry_after: str | None) -> Answer:
    if 200 <= status < 300:
        number, why = rejected(body)
        return Answer(Verdict.TAKEN, why, status, number)
    verdict = Verdict.REFUSED if status in _ABOUT_THE_BODY else Verdict.AGAIN
    return Answer(verdict, f"HTTP status {status}", status, wait_s=_wait_s(retry_after))


def _wait_s(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S) if wait_s == wait_s else 0.0  # noqa: PLR0124 - NaN alone differs from itself


def _tls(receiver: TraceReceiver) -> ssl.SSLContext | bool:
    if receiver.certificate is None and receiver.client_certificate is None:
        return True
    try:
        context = ssl.create_default_context(cafile=receiver.certificate)
        if receiver.client_certificate is not None:
            context.load_cert_chain(receiver.client_certificate, receiver.client_key)
    except OSError as error:
        raise SettingsError(f"the certificates that OTEL_EXPORTER_OTLP_* name cannot be used: {error}") from error
    return context
