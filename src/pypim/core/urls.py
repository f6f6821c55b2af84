"""What two URLs have in common: their origin, apart from any credentials written into them (RFC 3986, RFC 6454)."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_USER_INFO = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")
_QUERY = re.compile(r"(://[^\s?'\"<>]*\?)[^\s'\"<>)]*[^\s'\"<>):]")  # the colon behind an address is the sentence's
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Scheme, host and port in one string, the port always written; "" for what has no host or cannot be read."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else ""


def split_user_info(url: str) -> tuple[str, tuple[str, str] | None]:
    """Take `user:password@` out of a URL: the URL that may be shown and kept, and what was taken out, decoded."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    info, at, host = authority.rpartition("@")
    if not separator or not at:
        return url, None
    user, _, password = info.partition(":")
    return f"{scheme}://{host}{slash}{path}", (unquote(user), unquote(password))


def root_url(url: str) -> str:
    """The URL of a Simple API as we know it by: without credentials, with one slash at its end."""
    return split_user_info(url)[0].rstrip("/") + "/"


def without_secrets(text: str) -> str:
    """A text for people as anyone may see it: its URLs without user information, and with no query that may be signed.

    Source: RFC 3986, 3.2.1 (which forbids to show what follows the first colon) and 3.4.
    """
    return _QUERY.sub(r"\1...", _USER_INFO.sub("", text)) if "://" in text else text
