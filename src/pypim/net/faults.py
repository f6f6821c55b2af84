"""What the HTTP client and the upstream's status say, put in the words of our own errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyreqwest.exceptions import (
    ConnectError,
    DecodeError,
    DetailedPyreqwestError,
    RequestTimeoutError,
    TransportError,
)

from pypim.core.errors import (
    NotAuthenticated,
    NotAuthorised,
    PypimError,
    UpstreamFault,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from pyreqwest.exceptions import PyreqwestError

_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504, *range(520, 528)})
_FIRST_SERVER_FAULT = 500
_NETWORK_HINT = (
    "Check the address of the upstream, this machine's network, and the proxy settings"
    " (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)."
)
_CERTIFICATE_HINT = (
    "If the upstream's certificate is signed by an authority of your own, name its PEM file as this upstream's `ca`."
)


def status_fault(status: int, url: str, retry_after: float | None) -> PypimError | None:
    """The fault that a status stands for, or None where the caller is to judge it (below 500, less four)."""
    if status == 401:  # noqa: PLR2004 - a status is its own best name
        return NotAuthenticated(url)
    if status == 403:  # noqa: PLR2004 - a status is its own best name
        return NotAuthorised(url)
    if status == 407:  # noqa: PLR2004 - a status is its own best name
        return UpstreamUnavailable(url, "the proxy wants credentials (407)", hint=_NETWORK_HINT)
    if status in _TRANSIENT_STATUSES:
        reason = "too many requests (429)" if status == 429 else f"the upstream answered {status}"  # noqa: PLR2004 - as above
        return UpstreamUnavailable(
            url, reason, is_transient=True, retry_after_seconds=retry_after, hint="Try again later."
        )
    if status >= _FIRST_SERVER_FAULT:
        return UpstreamUnavailable(url, f"the upstream answered {status}")
    return None


def transport_fault(error: PyreqwestError | ValueError, url: str) -> UpstreamFault:
    """The fault that an exception of the HTTP client stands for; transient where the same request may succeed."""
    causes = _causes(error)
    last = causes[-1] if causes else str(error)
    if isinstance(error, RequestTimeoutError):
        return UpstreamTimeout(url, "no answer in time", is_transient=True, hint=_NETWORK_HINT)
    if isinstance(error, DecodeError):
        return UpstreamMalformed(url, f"the answer is not HTTP: {last}")
    if isinstance(error, ConnectError):
        return _connect_fault(url, causes, last)
    if isinstance(error, TransportError):
        return UpstreamUnavailable(url, f"the connection broke: {last}", is_transient=True)
    if any("reading a body" in cause for cause in causes):
        return UpstreamUnavailable(url, f"the answer stops short: {last}", is_transient=True)
    if isinstance(error, ValueError):
        return UpstreamMalformed(url, f"not a usable URL or header: {last}")
    return UpstreamUnavailable(url, f"the request failed: {last}", is_transient=True)


def _connect_fault(url: str, causes: list[str], last: str) -> UpstreamFault:
    if any("dns error" in cause for cause in causes):
        # Only "temporary failure" may pass by itself; a name that nobody knows is a typo or a missing network.
        is_passing = "temporary" in last.lower()
        reason = f"cannot connect: the host name cannot be resolved ({last})"
        return UpstreamUnavailable(url, reason, is_transient=is_passing, hint=_NETWORK_HINT)
    if any("certificate" in cause for cause in causes):
        return UpstreamUnavailable(url, f"cannot connect: {last}", hint=_CERTIFICATE_HINT)
    if any("Connect" in cause for cause in causes):
        return UpstreamUnavailable(url, f"cannot connect: {last}", is_transient=True, hint=_NETWORK_HINT)
    return UpstreamUnavailable(url, f"the connection broke: {last}", is_transient=True)


def _causes(error: Exception) -> list[str]:
    if isinstance(error, DetailedPyreqwestError):
        return [cause["message"] for cause in error.details.get("causes") or []]
    return []
