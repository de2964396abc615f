"""What a search looks through, and what it looks for there. Pure: each engine only has to find one string within another.

A search finds a text that holds its words as they stand, whatever their case and width. Of one or two characters that would
find nearly everything, and no engine has an index for it: those find a word that begins with them, and, in a script that is
written without spaces, any place that holds them (``部署``, ``部``).

For these, a document ends with the first two characters of each place where such a search may begin, each after two spaces,
which its other text never has. So a short search, after two spaces, is a plain substring too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_SHORT = 2
_MARK = "  "

# Scripts without spaces between words: Thai to Myanmar, Khmer, kana, Han, and Hangul, whose words take endings.
_DENSE = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u312f\u31f0-\u31ff"
    "\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_BEGINNINGS = re.compile(
    rf"(?:(?<![^\W_])|(?=[\W_])|(?=[{_DENSE}])|(?<=[{_DENSE}])|(?=.[{_DENSE}]))"  # a word, a sign, or a dense script begins
    r"(?=(\S\S?))"
)


def folded(text: str) -> str:
    """The text as it is compared: without differences of case, of width or of kinds of space."""
    if text.isascii():
        return " ".join(text.lower().split())
    # Folding the case can bring forth what another form of it is, and the other way round: twice is enough (Unicode, D145).
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.split())


def document(parts: Iterable[str]) -> str:
    """The texts of one task as one, to be looked through for a :func:`needle`."""
    text = "\n".join(map(folded, parts))
    return text + "\n" + "".join(_MARK + pair for pair in sorted(set(_BEGINNINGS.findall(text))))


def needle(query: str) -> str | None:
    """What a document that a search is to find holds; ``None`` where nothing is looked for."""
    wanted = folded(query)
    if not wanted:
        return None
    return wanted if len(wanted) > _SHORT else _MARK + wanted


def trigrams(wanted: str) -> list[str]:
    """What an index of three characters each has to hold of a needle, which is at least that long."""
    return list(dict.fromkeys(wanted[start : start + 3] for start in range(len(wanted) - 2)))
