"""Log-ins and log-outs, with what replicas must know of each other's: failed tries count together, a log-out holds at all."""

from __future__ import annotations

from clawlog_backend.access import LOGIN_WINDOW_MS, Access, LoginSession
from clawlog_backend.domain.errors import WrongToken
from clawlog_backend.domain.times import Clock
from clawlog_backend.storage import shared
from clawlog_backend.storage.engines.engine import Database


class Logins:
    """Logs people in and out.

    Args:
        database: Where replicas meet.
        access: Decides.
        clock: What time it is.
    """

    def __init__(self, *, database: Database, access: Access, clock: Clock) -> None:
        self._database = database
        self._access = access
        self._clock = clock

    async def log_in(self, token: str, *, client: str) -> LoginSession:
        """Open a session.

        Args:
            token: The token that the client presents.
            client: The client's address.

        Raises:
            WrongToken: It is not the backend's token.
            Busy: Too many logins from this address failed within the last minute, at this replica or another.
            DatabaseError: It is not known how many did.
        """
        if not self._database.shared:
            return self._access.log_in(token, client=client)
        since = self._clock() - LOGIN_WINDOW_MS
        failed = await self._database.read(lambda connection: shared.failed_login_times(connection, client, since_ms=since))
        self._access.note_failures(client, failed)
        try:
            return self._access.log_in(token, client=client)
        except WrongToken:
            now = self._clock()
            await self._database.write(
                lambda connection: shared.add_failed_login(
                    connection, client, at_ms=now, forget_before_ms=now - LOGIN_WINDOW_MS
                )
            )
            raise

    async def log_out(self, session: LoginSession) -> None:
        """End a session before its time: here at once, at other replicas within a second or two.

        Raises:
            DatabaseError: Only this replica knows that it ended.
        """
        ended = self._access.log_out(session)
        if self._database.shared:
            await self._database.write(lambda connection: shared.end_session(connection, ended.digest, until_s=ended.until_s))
