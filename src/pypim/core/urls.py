"""What two URLs have in common: their origin, apart from any credentials written into them (RFC 3986, RFC 6454)."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

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
