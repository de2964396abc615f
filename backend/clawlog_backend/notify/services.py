"""The services that Apprise knows: mail, chat, push. An extra, which this module alone imports, where a target needs it.

Apprise has no errors, only a log, and that may hold what is secret: nothing of it is passed on but its warnings about one
delivery, without any piece of the address.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clawlog_backend.notify.messages import Message
from clawlog_backend.notify.outcomes import Outcome, Scope, masked
from clawlog_backend.notify.rules import Target

if TYPE_CHECKING:
    from types import ModuleType

ID_HEADER = "X-ClawLog-Notification"
"""The header of a mail, or of a request of Apprise's own webhooks, that bears the notification's id."""

# Those whose URL may say headers. Of a mail, Apprise makes the Message-ID itself, a new one at each attempt.
_WITH_HEADERS = frozenset({"mailto", "mailtos", "json", "jsons", "xml", "xmls", "form", "forms"})


class ServiceError(Exception):
    """A target that cannot be used; the text says why and what to do, without its address."""


def check(address: str) -> None:
    """See that an address is one that Apprise knows.

    Raises:
        ServiceError: It is not, or Apprise is not installed.
    """
    apprise = _library()
    with _Remarks():
        found = apprise.Apprise.instantiate(address)
    if found is None:
        raise ServiceError(
            "Apprise does not know such an address: see https://github.com/caronc/apprise/wiki for each service's"
        )


def notify(target: Target, message: Message) -> Outcome:
    """Deliver a message, once. Blocking: to be called in a thread of its own."""
    apprise = _library()
    with _Remarks() as remarks:
        service = apprise.Apprise.instantiate(_with_id(target.address, message.notification_id))
        # Whatever a service of a hundred does wrong is a failure of its own.
        try:
            taken = service is not None and service.notify(
                title=message.title, body=message.text, notify_type=message.severity.value, body_format="text"
            )
        except Exception as error:  # noqa: BLE001 - see above
            return Outcome(Scope.TARGET, masked(f"{type(error).__name__}: {error}", target.address))
    if taken:
        return Outcome(None, "taken")
    return Outcome(Scope.TARGET, masked("; ".join(remarks.texts) or "not taken, without a reason", target.address))


def _with_id(address: str, notification_id: str) -> str:
    if address.partition("://")[0].lower() not in _WITH_HEADERS:
        return address
    return f"{address}{'&' if '?' in address else '?'}+{ID_HEADER}={notification_id}"


def _library() -> ModuleType:
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    try:
        import apprise  # noqa: PLC0415 - see the module's text
    except ImportError:
        raise ServiceError(
            "needs the library Apprise, which is not installed beside clawlog: python -m pip install 'apprise>=1.9'"
        ) from None
    return apprise  # type: ignore[no-any-return, unused-ignore]


class _Remarks(logging.Handler):
    """What Apprise says in this thread meanwhile."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, if it is of this thread."""
        if record.thread == self._thread and len(self.texts) < 5:
            self.texts.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> Any:
        logging.getLogger("apprise").removeHandler(self)
