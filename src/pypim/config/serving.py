"""What the server is told: where it listens, what it grants its clients, and who may do what."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pypim.config.document import PublisherTable
from pypim.config.model import Access, FileUse, GroupIndex, HostedIndex, Publisher, Read, Server
from pypim.config.reading import is_path_of_url, texts_of
from pypim.core.access import ANYONE, AUTHENTICATED, EVERY, Action, Right, Rules, Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pypim.config.document import AccessTable, RightTable, ServerTable
    from pypim.config.model import Index
    from pypim.config.reading import Reading
    from pypim.core.positions import KeyPath


# --- [server] -------------------------------------------------------------------------------------------------------
def server(reading: Reading, table: ServerTable, indexes: Mapping[str, Index]) -> Server:
    """The table with its paths absolute, its sizes in bytes, and the default index found."""
    path: KeyPath = ("server",)
    if table.tls_key and not table.tls_certificate:
        reading.faults.add((*path, "tls-key"), "a key needs a tls-certificate")
    if table.tls_certificate and not table.tls_key:
        remedy = "Name its file with tls-key; it may be the same file."
        reading.faults.add((*path, "tls-certificate"), "a certificate needs its key", remedy)
    return Server(
        host=table.host,
        port=table.port,
        unix_socket=reading.path(table.unix_socket),
        workers=table.workers,
        backlog=table.backlog,
        default_index=_default_index(reading, table.default_index, indexes),
        root_path=_location(reading, (*path, "root-path"), table.root_path),
        trusted_proxies=_networks(reading, (*path, "trusted-proxies"), table.trusted_proxies),
        tls_certificate=reading.named_if_any(FileUse.SERVER, (*path, "tls-certificate"), table.tls_certificate),
        tls_key=reading.named_if_any(FileUse.SERVER, (*path, "tls-key"), table.tls_key),
        accelerated=_location(reading, (*path, "accelerated"), table.accelerated or ""),
        max_upload_size_bytes=reading.size_bytes((*path, "max-upload-size"), table.max_upload_size) or 0,
        request_timeout=table.request_timeout,
        header_timeout=table.header_timeout,
        audit_log=reading.path(table.audit_log),
    )


def _default_index(reading: Reading, name: str | None, indexes: Mapping[str, Index]) -> str | None:
    if name is not None:
        return next(iter(reading.known(("server", "default-index"), name, indexes, "index")), None)
    groups = [index.name for index in indexes.values() if isinstance(index, GroupIndex)]
    for candidates in (list(indexes), groups):
        if len(candidates) == 1:
            return candidates[0]
    return None


def _location(reading: Reading, path: KeyPath, text: str) -> str:
    """A path of URLs without the slash at its end; the empty one is "/", too."""
    location = text.rstrip("/")
    if location and not is_path_of_url(location):
        reading.faults.add(path, f"{text!r} is no path of a URL", 'Write it like "/pypi".')
    return location


def _networks(reading: Reading, path: KeyPath, texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    found = []
    for number, text in enumerate(texts):
        try:
            found.append(ip_network(text))
        except ValueError as error:
            remedy = 'Write it like "10.0.0.7", "10.0.0.0/8" or "fd00::/8".'
            reading.faults.add((*path, number), f"this is no address and no network: {error}", remedy)
    return tuple(found)


# --- [access] -------------------------------------------------------------------------------------------------------
def access(reading: Reading, table: AccessTable, indexes: Mapping[str, Index]) -> Access:
    """The table with its patterns checked and its names found."""
    _check_groups(reading, table.groups)
    rights = [_right(reading, number, right, indexes) for number, right in enumerate(table.rights)]
    return Access(
        rules=Rules(
            open_indexes=frozenset(name for name, index in indexes.items() if index.read is Read.ANYONE),
            rights=tuple(rights),
            groups=table.groups,
            members={index.name: index.members for index in indexes.values() if isinstance(index, GroupIndex)},
            failures_per_minute=table.failures_per_minute,
            is_open_on_loopback=table.open_on_loopback,
        ),
        publishers={name: _publisher(reading, name, one, indexes) for name, one in table.publishers.items()},
    )


def _check_groups(reading: Reading, groups: Mapping[str, tuple[str, ...]]) -> None:
    for name, users in groups.items():
        path: KeyPath = ("access", "groups", name)
        reading.people(path, name)
        reading.people(path, users)
        for number, user in enumerate(users):
            if user in groups:
                reading.faults.add((*path, number), f"{user!r} is a group, and groups hold users only")


def _right(reading: Reading, number: int, table: RightTable, indexes: Mapping[str, Index]) -> Right:
    path: KeyPath = ("access", "rights", number)
    who = reading.people((*path, "who"), table.who, (ANYONE, AUTHENTICATED))
    if not who:
        reading.faults.add_missing((*path, "who"), "this right is for nobody", "Name users and groups.")
    if not table.may:
        reading.faults.add_missing((*path, "may"), "this right allows nothing", f"Name some of {', '.join(Action)}.")
    if ANYONE in who and set(table.may) - {Action.READ}:
        sentence = f'"{ANYONE}" may only read'
        reading.faults.add((*path, "may"), sentence, f'Writes need a name: "{AUTHENTICATED}" is every user.')
    return Right(who, _scope(reading, path, table, [*indexes, EVERY], "index"))


def _publisher(reading: Reading, name: str, table: PublisherTable, indexes: Mapping[str, Index]) -> Publisher:
    path: KeyPath = ("access", "publishers", name)
    _check_issuer(reading, (*path, "issuer"), table.issuer)
    if not table.claims:
        sentence = "without claims every build that the issuer knows could upload"
        reading.faults.add_missing((*path, "claims"), sentence, 'Write some: claims = { repository = "acme/widgets" }.')
    claims = {claim: frozenset(texts_of(value)) for claim, value in table.claims.items()}
    for claim, values in claims.items():
        if not values:
            reading.faults.add((*path, "claims", claim), "an empty list allows nothing")
    hosted = [index.name for index in indexes.values() if isinstance(index, HostedIndex)]
    if not texts_of(table.index):
        reading.faults.add(
            (*path, "index"), "it is not said where it uploads to", f"Name some of: {', '.join(hosted) or 'none'}."
        )
    if not texts_of(table.projects):
        reading.faults.add_missing(
            (*path, "projects"), "it is not said what it uploads", 'Name projects; "*" is every one.'
        )
    return Publisher(
        name=name,
        issuer=table.issuer,
        audience=table.audience,
        claims=claims,
        scope=_scope(reading, path, table, hosted, "hosted index"),
    )


def _scope(
    reading: Reading, path: KeyPath, table: RightTable | PublisherTable, names: Collection[str], noun: str
) -> Scope:
    """What a right or a publisher is about; `names` are those that its `index` may have."""
    actions = (Action.UPLOAD,) if isinstance(table, PublisherTable) else table.may
    return Scope(
        indexes=tuple(reading.known((*path, "index"), table.index, names, noun)),
        projects=tuple(one.text for one in reading.projects((*path, "projects"), table.projects).patterns),
        actions=frozenset(Action(word) for word in actions),
    )


def _check_issuer(reading: Reading, path: KeyPath, text: str) -> None:
    """Its keys decide who may upload, so they come by TLS, or from this very machine."""
    address = urlsplit(text)
    if not text:
        reading.faults.add_missing(path, "a publisher needs an issuer")
    elif address.scheme not in {"http", "https"} or not address.hostname:
        reading.faults.add(path, f"{text!r} is no URL of an issuer", "It begins with https://.")
    elif address.scheme == "http" and not _is_loopback(address.hostname):
        reading.faults.add(path, f"{text!r}: its keys would not come by TLS", "Write https://.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
