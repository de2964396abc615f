"""Every bound of the wire protocol, with its unit in its name."""

PROTOCOL_VERSION = 1
"""Raised when an old client could misread a new daemon; told by ``daemon.status``."""

MAX_LINE_BYTES = 64 * 1024
"""The longest line or message, without its line end."""

MAX_ID_CHARS = 64
ID_PATTERN = r"\A(?!\.\.?\Z)[A-Za-z0-9._:-]{1,64}\Z"
"""What the id of a task or a step looks like: it may stand in an address and in a file's name."""
ID_HINT = f"expected 1 to {MAX_ID_CHARS} letters, digits, dots, colons, hyphens or underscores"

MAX_TITLE_CHARS = 200
MAX_STEPS = 200
MAX_METADATA_PAIRS = 20
MAX_METADATA_CHARS = 1000

SUMMARY_CHARS = 120
"""Where a summary is cut, unless the setting ``summary.max_chars`` says otherwise."""

MIN_SUMMARY_CHARS = 40
MAX_SUMMARY_CHARS = 1000

DEFAULT_LEASE_S = 120.0
MIN_LEASE_S = 5.0
MAX_LEASE_S = 3600.0

DEFAULT_MAX_AGE_S = 5.0
"""How old the known stop state may be before ``interrupt.check`` asks the backend anew."""

MAX_WAIT_S = 300.0
"""The longest ``wait_s`` of ``interrupt.check``."""
