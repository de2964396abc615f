"""What ``create_task.py`` and ``update_status.py`` have in common: a command line becomes requests, and these are sent.

Each script says which requests its flags make and how the outcome is printed; the rest is here, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawlog import exits
from clawlog.errors import BadAddress
from clawlog.scripting import parser, plan, report
from clawlog.scripting.delivery import Delivery, deliver, spooled
from clawlog.scripting.plan import PlannedRequest

Values = Mapping[str, Any]
"""The values of the flags that were given, by name."""


@dataclass(frozen=True, slots=True)
class Script:
    """One of the two scripts.

    Attributes:
        name: Its name, without ``.py``.
        plan: Makes the requests that the flags and the environment ask for. Raises ``UsageError``.
        conclude: Prints what became of the requests; returns the exit status.
    """

    name: str
    plan: Callable[[Values, Mapping[str, str]], list[PlannedRequest]]
    conclude: Callable[[Delivery, Values], int]

    def main(self, arguments: Sequence[str]) -> int:
        """Runs the script; returns its exit status. Ends the process where the command line is wrong."""
        reader = parser.make(self.name)
        values = parser.parse(reader, arguments)
        try:
            requests = self.plan(values, os.environ)
        except plan.UsageError as error:
            reader.error(str(error))
        return self.perform(requests, values)

    def perform(self, requests: Sequence[PlannedRequest], values: Values, *, answered: bool = True) -> int:
        """Sends the requests of a command line that was already read; returns the exit status.

        Args:
            requests: The requests.
            values: The flags' values.
            answered: Whether the daemon may be asked: it did not let a time-out pass already.
        """
        try:
            delivery = deliver(requests, os.environ) if answered else spooled(requests, os.environ)
        except (BadAddress, plan.UsageError) as error:
            report.warn(self.name, str(error))
            return exits.USAGE
        return report.forgiven(self.conclude(delivery, values), values, os.environ)
