"""The protocol's closed sets of words and its bounds: written here, and taken from here by everything else.

Plain tuples and numbers on purpose: a script loads this module at every call, so it imports nothing. ``types`` has the sets
that a type checker must know; the backend, which may not import this package, has its own, and tests compare both with these.
"""

PROTOCOL_VERSION = 1
"""Raised when an old client could misread a new daemon; part of ``daemon.status``."""

FEATURES = ("plan", "waiting", "link", "annotate", "progress", "parent", "contract", "agent")
"""What a daemon of this version has and an older one may lack; part of ``daemon.status``."""

MAX_LINE_BYTES = 64 * 1024
"""The longest line or message, without its line end."""

MAX_ID_CHARS = 64
ID_PATTERN = r"\A(?!\.\.?\Z)[A-Za-z0-9._:-]{1,64}\Z"
"""The form of a task's or a step's id: it must fit into a URL and a file name."""
ID_HINT = f"expected 1 to {MAX_ID_CHARS} letters, digits, dots, colons, hyphens or underscores"

MAX_TITLE_CHARS = 200
MAX_STEPS = 200
MAX_METADATA_PAIRS = 20
MAX_METADATA_KEY_CHARS = 64
MAX_METADATA_CHARS = 1000
MAX_LINKS = 50
MAX_LINK_NAME_CHARS = 100
MAX_URL_CHARS = 2000
MAX_UNIT_CHARS = 20
"""The longest unit of a progress, such as ``files``."""
MAX_AMOUNT = 1e308
"""The largest number in a progress."""
MAX_PATH_CHARS = 4096
"""The longest working folder."""

SUMMARY_CHARS = 120
"""Where a summary is cut, unless the setting ``summary.max_chars`` says otherwise."""

MIN_SUMMARY_CHARS = 40
MAX_SUMMARY_CHARS = 1000

LATER_PARAMS = {
    "task.create": ("cwd", "parent_task_id", "parent_implied"),
    "step.update": ("progress",),
    "task.heartbeat": ("progress",),
}
"""Optional parameters that the first daemons do not know, by verb: they never cost the call."""

DEFAULT_LEASE_S = 120.0
MIN_LEASE_S = 5.0
MAX_LEASE_S = 3600.0

DEFAULT_MAX_AGE_S = 5.0
"""How old the known stop state may be before ``interrupt.check`` asks the backend anew."""

MAX_WAIT_S = 300.0
"""The longest ``wait_s`` of ``interrupt.check``."""

PENDING = "pending"

WAITING = "waiting"

REPORTED_TASK_STATUSES = ("running", WAITING, "done", "failed", "interrupted")
"""The statuses that an agent may report for its task; ``waiting``: for a person."""

TASK_STATUSES = (PENDING, *REPORTED_TASK_STATUSES)
ENDED_TASK_STATUSES = ("done", "failed", "interrupted")

STEP_STATUSES = (PENDING, "running", "done", "failed", "skipped")
ENDED_STEP_STATUSES = ("done", "failed", "skipped")

INTERRUPT_STATES = ("none", "requested", "acknowledged", "unknown")
"""The values of ``state`` in the reply to ``interrupt.check``."""

LIVENESS_STATES = ("alive", "waiting", "quiet", "stalled", "lost", "ended")
"""The states of an agent's liveness; ``waiting``: for a person, so that no sign of it is expected."""

EVIDENCE = ("process", "command")
"""Why the daemon takes an agent for alive: its process runs, or it called within its lease."""
