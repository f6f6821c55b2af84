"""How long an answer of an upstream may be believed without asking again, and whether a command or a proxy believes it.

Source: RFC 9111 (HTTP Caching), 4.2 Freshness and 5.2.2 Response Directives; without a word of the upstream, nothing is
guessed from the age of a document.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FRESH_SECONDS = 86_400
"""However long the upstream says: a mirror that looks a day later must see what has come."""

_MAX_AGE = re.compile(r'\s*max-age\s*=\s*"?(\d{1,9})\d*"?\s*', re.IGNORECASE | re.ASCII)
_NEVER = frozenset(("no-store", "no-cache"))
_AGE = re.compile(r"\s*(\d{1,9})\s*", re.ASCII)


class Trust(Enum):
    """What a command believes of what was kept."""

    NOTHING = "nothing"
    """Whatever was kept, the upstream is asked whether it is still so."""
    FRESH = "fresh"
    """What the upstream itself said to be good for so long is not asked for again until then."""
    KEPT = "kept"
    """Nobody is asked at all: what was kept counts, however old it is."""


def fresh_seconds(headers: Mapping[str, str]) -> int:
    """For how long from now on an answer with these headers (names in lower case) is fresh; 0 where it never is."""
    directives = headers.get("cache-control", "").split(",")
    if headers.get("vary", "").strip() == "*" or _NEVER.intersection(_word(one) for one in directives):
        return 0
    # Where it is said twice, the shorter one counts (RFC 9111, 4.2.1).
    ages = [int(found[1]) for one in directives if (found := _MAX_AGE.fullmatch(one))]
    if not ages:
        return 0
    spent = _AGE.fullmatch(headers.get("age", ""))
    return max(0, min(*ages, MOST_FRESH_SECONDS) - (int(spent[1]) if spent else 0))


def is_fresh(fetched_at: float, fresh_until: float | None, now: float) -> bool:
    """Whether an answer may still be believed; a clock that was set back makes nothing fresh. Seconds since 1970."""
    return fresh_until is not None and fetched_at <= now < fresh_until


def _word(directive: str) -> str:
    return directive.partition("=")[0].strip().lower()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """For how long a proxy answers from what it kept; seconds. Source: RFC 5861 for what is answered when stale."""

    max_age: float = 600.0
    """So long a page is answered without asking."""
    stale_while_revalidate: float = 300.0
    """So much longer it is answered at once, and asked for meanwhile."""
    stale_if_error: float = 86_400.0
    """So much longer than fresh it is answered where the upstream fails."""
    negative_max_age: float = 60.0
    """So long it is believed that there is no such project."""


class Standing(Enum):
    """What may be done with what was kept."""

    FRESH = "fresh"
    """Answer with it."""
    REVALIDATE = "revalidate"
    """Answer with it, and ask whether it is still so."""
    STALE = "stale"
    """Ask; answer with it where the upstream fails."""
    OVER = "over"
    """Ask; it must not be used any more."""


def standing(fetched_at: float, now: float, limits: Limits, *, is_absence: bool) -> Standing:
    """How a page, or the word that there is none, stands at a time; seconds since 1970.

    That there is none is never answered from what is stale. After the clock was set back, everything is asked for.
    """
    age = now - fetched_at
    if 0 <= age < (limits.negative_max_age if is_absence else limits.max_age):
        return Standing.FRESH
    if is_absence:
        return Standing.OVER
    if 0 <= age < limits.max_age + limits.stale_while_revalidate:
        return Standing.REVALIDATE
    return Standing.STALE if age < limits.max_age + limits.stale_if_error else Standing.OVER
