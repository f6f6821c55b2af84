"""Which credentials go with a request, decided by the origin of its URL alone.

What is configured for an upstream goes to that upstream's origin and nowhere else, also after redirects; what a netrc
file lists for a host goes to that host.
"""

from __future__ import annotations

import netrc
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pypim.core.errors import InvalidConfig
from pypim.core.urls import origin_of, split_user_info

if TYPE_CHECKING:
    from pypim.core.records import FetchOptions


def basic(username: str, password: str) -> str:
    """The value of an Authorization header for a name and a password (RFC 7617, in UTF-8)."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def _configured(upstream_url: str, options: FetchOptions) -> str | None:
    """The upstream's own Authorization: its options first, then what is written into its URL."""
    if options.username is not None:
        return basic(options.username, options.password or options.token or "")
    if options.token is not None:
        return f"Bearer {options.token}"
    _, info = split_user_info(upstream_url)
    return basic(*info) if info else None


def _netrc_hosts(path: str | None) -> dict[str, tuple[str, str]]:
    """Host → (login, password); "default" is a host of that name. Raises InvalidConfig with the line."""
    if path is None:
        return {}
    try:
        hosts = netrc.netrc(path).hosts
    except FileNotFoundError:
        return {}
    except netrc.NetrcParseError as error:
        reason = "it cannot be understood"  # the parser would quote it, and it may be a password
        raise InvalidConfig(path, [(error.lineno, reason)], hint="Correct the netrc file.") from error
    except (OSError, ValueError) as error:
        hint = "Correct the netrc file, or let this user read it."
        raise InvalidConfig(path, [(None, f"cannot be read: {error}")], hint=hint) from error
    return {host: (login, password or "") for host, (login, _, password) in hosts.items()}


class Credentials:
    """The headers that a request to a URL carries because of who we are. Raises InvalidConfig for a bad netrc file."""

    def __init__(self, upstream_url: str, options: FetchOptions) -> None:
        self._own_origin = origin_of(upstream_url)
        self._own_headers = dict(options.headers)
        self._own_authorization = _configured(upstream_url, options)
        self._hosts = _netrc_hosts(options.netrc_file)
        self._known: dict[str, tuple[tuple[str, str], ...]] = {}

    def headers_for(self, url: str) -> tuple[tuple[str, str], ...]:
        """(name, value) pairs for a URL without user information; remembered per origin."""
        prefix = "/".join(url.split("/", 3)[:3])
        known = self._known.get(prefix)
        if known is None:
            known = self._known[prefix] = self._decide(prefix)
        return known

    def _decide(self, prefix: str) -> tuple[tuple[str, str], ...]:
        is_own = origin_of(prefix) == self._own_origin != ""
        headers = dict(self._own_headers) if is_own else {}
        authorization = self._own_authorization if is_own else None
        if authorization is None and "authorization" not in {name.lower() for name in headers}:
            authorization = self._from_netrc(prefix, is_own=is_own)
        if authorization is not None:
            headers["Authorization"] = authorization
        return tuple(headers.items())

    def _from_netrc(self, prefix: str, *, is_own: bool) -> str | None:
        try:
            host = urlsplit(prefix).hostname or ""
        except ValueError:
            return None
        # netrc's "default" would hand a password to every host that a page may name: only the upstream itself gets it.
        found = self._hosts.get(host) or (self._hosts.get("default") if is_own else None)
        return basic(*found) if found else None
