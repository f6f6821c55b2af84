"""Whether the variables that name a proxy can be understood: the HTTP client passes over those that it cannot read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pypim.core.faults import ConfigFault

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = "environment"
_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?|socks4a?|socks5h?)://)?"
    r"(?:[^\s/@]*@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]?#]+)"
    r"(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/\S*)?",
    re.IGNORECASE,
)
_HIGHEST_PORT = 65535
_REMEDY = "Write it as in http://proxy.example:3128, or unset it; an upstream's `proxy` counts before it."


def proxy_faults(variables: Mapping[str, str]) -> list[ConfigFault]:
    """A fault for each of the variables that count, where it is not the address of a proxy."""
    counting = dict.fromkeys(name for scheme in ("HTTP", "HTTPS") if (name := _counting(scheme, variables)))
    return [
        ConfigFault(
            file=SOURCE, key=name, message=f"{_shown(variables[name])!r} is not the address of a proxy", remedy=_REMEDY
        )
        for name in counting
        if not _is_address(variables[name])
    ]


def _counting(scheme: str, variables: Mapping[str, str]) -> str | None:
    """The variable that is asked for URLs of a scheme: its own, else the one for all, as the HTTP client does it."""
    names = (f"{scheme}_PROXY", f"{scheme.lower()}_proxy", "ALL_PROXY", "all_proxy")
    return next((name for name in names if variables.get(name, "").strip()), None)


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    if found is None or (found["path"] and not found["scheme"]):
        return False
    return not found["port"] or 0 < int(found["port"]) <= _HIGHEST_PORT


def _shown(text: str) -> str:
    """Without a user name and password."""
    return text.rpartition("@")[2]
