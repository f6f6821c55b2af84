"""A document becomes a Config: references are followed, rules parsed, paths made absolute, every fault collected."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from packaging.requirements import InvalidRequirement as UnreadableRequirement
from packaging.requirements import Requirement

from pypim.config import kinds, serving
from pypim.config.decode import unknown
from pypim.config.document import GroupTable, HostedTable, MirrorTable, ProxyTable, UpstreamTable
from pypim.config.following import follow_rules
from pypim.config.locate import PRESET, absolute, upstream_at
from pypim.config.model import Config, FileUse, Layout, MirrorIndex, PatternRule, Read, Store, Upstream
from pypim.config.owners import at_odds
from pypim.config.reading import Reading
from pypim.core.closure import FollowOptions, Root
from pypim.core.inputs import parse_input
from pypim.core.names import normalize_extra, parse_name
from pypim.core.policy import compile_pattern, filter_faults
from pypim.core.retention import OnRemoval, parse_on_removal
from pypim.core.rules import parse_rules
from pypim.core.target import TargetSpec, environments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.config.decode import Faults
    from pypim.config.document import DependenciesTable, Document
    from pypim.config.model import Index
    from pypim.core.inputs import InputFile
    from pypim.core.policy import Filters
    from pypim.core.positions import KeyPath
    from pypim.core.rules import Rule

_DEFAULT_ON_REMOVAL = "prune-after 30 days"


class Builder:
    """Builds one Config; what is wrong goes to `faults`, and the result counts only when there are none."""

    def __init__(self, document: Document, faults: Faults, source: str, folder: Path) -> None:
        self._document = document
        self._faults = faults
        self._folder = folder
        self._reading = Reading(faults, source, folder)

    def config(self, virtual_files: Mapping[Path, str]) -> Config:
        """The whole of it."""
        store_path = absolute(self._folder, self._document.store.path)
        files = self._document.store.files
        upstreams = {name: self._upstream(name, table) for name, table in self._document.upstreams.items()}
        if not upstreams:
            upstreams = {PRESET: self._upstream(PRESET, UpstreamTable(url=PRESET))}
        for name, other in at_odds(upstreams.values()):
            sentence = f"it has the URL of {other}, and other credentials"
            remedy = f'Write upstream = "{other}" in the indexes of {name}: what an upstream gives one it gives all.'
            self._faults.add(("upstreams", name, "url"), sentence, remedy)
        for name, spec in self._document.targets.items():
            self._check_target(name, spec)
        indexes = self._indexes(upstreams)
        self._check_published(indexes)
        server = serving.server(self._reading, self._document.server, indexes)
        kinds.check_sizes(self._reading, indexes, server.max_upload_size_bytes)
        return Config(
            source=self._reading.source,
            document=self._document,
            store=Store(path=store_path, files=store_path if files is None else absolute(self._folder, files)),
            upstreams=upstreams,
            targets=self._document.targets,
            indexes=indexes,
            server=server,
            access=serving.access(self._reading, self._document.access, indexes),
            named_files=tuple(self._reading.named_files),
            virtual_files=dict(virtual_files),
        )

    # --- upstreams --------------------------------------------------------------------------------------------------
    def _upstream(self, name: str, table: UpstreamTable) -> Upstream:
        path: KeyPath = ("upstreams", name)
        read = self._reading
        upstream = Upstream(name=name, url="", page_url="")
        try:
            upstream = upstream_at(name, table.url, self._folder, Layout(table.layout))
        except ValueError as error:
            self._faults.add((*path, "url"), str(error) if table.url else "an upstream needs a url")
        if table.client_key and not table.client_certificate:
            self._faults.add((*path, "client-key"), "a key needs a client-certificate")
        return msgspec.structs.replace(
            upstream,
            username=read.secret((*path, "username"), table.username),
            password=read.secret((*path, "password"), table.password),
            token=read.secret((*path, "token"), table.token),
            ca_file=read.named_if_any(FileUse.CERTIFICATE, (*path, "ca"), table.ca),
            client_certificate=read.named_if_any(
                FileUse.CERTIFICATE, (*path, "client-certificate"), table.client_certificate
            ),
            client_key=read.named_if_any(FileUse.CERTIFICATE, (*path, "client-key"), table.client_key),
            proxy=read.secret((*path, "proxy"), table.proxy),
            headers={
                header: secret
                for header, text in table.headers.items()
                if (secret := read.secret((*path, "headers", header), text))
            },
            contact=table.contact,
            connect_timeout=table.connect_timeout,
            read_timeout=table.read_timeout,
            retries=table.retries,
            max_connections=table.max_connections,
            requests_per_second=table.requests_per_second,
            max_rate_bytes=read.rate((*path, "max-rate"), table.max_rate),
            file_hosts=read.file_hosts((*path, "file-hosts"), table.file_hosts),
            follow=follow_rules(read, path, table),
        )

    def _inputs(self, path: KeyPath, texts: Iterable[str]) -> Iterator[InputFile]:
        for number, text in enumerate(texts):
            where = (*path, number)
            file = self._reading.parsed(where, partial(parse_input, text, ""), None)
            if file is not None:
                named = self._reading.named(FileUse.REQUIREMENTS, where, file.path)
                yield msgspec.structs.replace(file, path=str(named))

    # --- targets ----------------------------------------------------------------------------------------------------
    def _check_target(self, name: str, spec: TargetSpec) -> None:
        """The whole first; only a target with a fault is taken apart, to find all that is wrong with it."""
        path: KeyPath = ("targets", name)
        if self._reading.parses(path, partial(environments, {name: spec}), is_silent=True):
            return
        parts: list[tuple[KeyPath, TargetSpec]] = []
        parts += [(("python", i), TargetSpec(python=(text,))) for i, text in enumerate(spec.python)]
        parts += [(("platforms", i), TargetSpec(platforms=(text,))) for i, text in enumerate(spec.platforms)]
        parts += [
            (("implementations", i), TargetSpec(python=("3.12",), implementations=(text,)))
            for i, text in enumerate(spec.implementations)
        ]
        parts += [(("markers", name), TargetSpec(markers={name: value})) for name, value in spec.markers.items()]
        good = [self._reading.parses((*path, *where), partial(environments, {name: part})) for where, part in parts]
        if all(good):
            self._reading.parses(path, partial(environments, {name: spec}))

    # --- indexes ----------------------------------------------------------------------------------------------------
    def _indexes(self, upstreams: Mapping[str, Upstream]) -> dict[str, Index]:
        """In the order of the file; groups are built last, for they are made of the others."""
        tables = self._document.indexes
        read = Read(self._document.access.read)
        for name in tables:
            kinds.check_name(self._reading, ("indexes", name), name)
        found = {
            name: self._index(name, table, upstreams, read)
            for name, table in tables.items()
            if not isinstance(table, GroupTable)
        }
        groups = {name: table for name, table in tables.items() if isinstance(table, GroupTable)}
        found |= {group.name: group for group in kinds.groups(self._reading, groups, found, read)}
        return {name: found[name] for name in tables}

    def _index(
        self, name: str, table: MirrorTable | ProxyTable | HostedTable, upstreams: Mapping[str, Upstream], read: Read
    ) -> Index:
        path: KeyPath = ("indexes", name)
        if isinstance(table, HostedTable):
            return kinds.hosted(self._reading, name, table, read)
        upstream = self._chosen_upstream(path, table.upstream, upstreams)
        filters = self._checked_filters(path, table.filters)
        if isinstance(table, ProxyTable):
            return kinds.proxy(self._reading, name, table, upstream, filters, read)
        return MirrorIndex(
            name=name,
            read=Read(table.read or read),
            upstream=upstream,
            targets=self._chosen_targets(path, table.targets),
            roots=tuple(self._roots(path, table)),
            patterns=tuple(self._patterns(path, table)),
            requirement_files=tuple(self._inputs((*path, "requirements"), table.requirements)),
            publish=self._reading.path(table.publish),
            on_removal=self._on_removal(path, table.on_removal),
            follow=_follow_options(table.dependencies),
            filters=filters,
            jobs=table.jobs,
            max_seconds=None if table.max_time is None else self._reading.seconds((*path, "max-time"), table.max_time),
            max_bytes=self._reading.size_bytes((*path, "max-bytes"), table.max_bytes),
        )

    def _chosen_upstream(self, path: KeyPath, name: str | None, upstreams: Mapping[str, Upstream]) -> Upstream:
        first = next(iter(upstreams.values()))
        if name is None:
            if len(upstreams) > 1:
                self._faults.add(path, f"upstream is missing: name one of {', '.join(sorted(upstreams))}")
            return first
        if name == PRESET and name not in upstreams:
            return self._upstream(PRESET, UpstreamTable(url=PRESET))
        if name not in upstreams:
            self._faults.add((*path, "upstream"), unknown(name, upstreams, "upstream"))
        return upstreams.get(name, first)

    def _chosen_targets(self, path: KeyPath, names: tuple[str, ...]) -> dict[str, TargetSpec]:
        targets = self._document.targets
        for number, name in enumerate(names):
            if name not in targets:
                self._faults.add((*path, "targets", number), unknown(name, targets, "target"))
        return {name: targets[name] for name in names if name in targets}

    def _roots(self, path: KeyPath, table: MirrorTable) -> list[Root]:
        roots = []
        for key, value in table.packages.items():
            where: KeyPath = (*path, "packages", key)
            try:
                named = Requirement(key)
            except UnreadableRequirement:
                self._faults.add(where, "this is not the name of a project, with extras in brackets if need be")
                continue
            if named.specifier or named.url:
                self._faults.add(where, f'versions are the value, as in "{named.name}" = "{named.specifier or "*"}"')
                continue
            roots += [
                Root(
                    project=parse_name(named.name),
                    rule=rule,
                    extras=frozenset(normalize_extra(extra) for extra in named.extras),
                    marker=named.marker,
                    origin=f"packages.{key}",
                    text=rule.text,
                )
                for rule in self._rules(where, value)
            ]
        return roots

    def _patterns(self, path: KeyPath, table: MirrorTable) -> list[PatternRule]:
        patterns = []
        for key, value in table.patterns.items():
            where: KeyPath = (*path, "patterns", key)
            expression = self._reading.parsed(where, partial(compile_pattern, key, ""), None)
            rules = self._rules(where, value)
            if expression is not None:
                patterns += [PatternRule(expression=expression, rule=rule, origin=f"patterns.{key}") for rule in rules]
        return patterns

    def _rules(self, path: KeyPath, value: str | tuple[str, ...]) -> tuple[Rule, ...]:
        """The rules of one key; those that cannot be read are faults, each at its own line."""
        if isinstance(value, str) or not value:
            return self._reading.parsed(path, partial(parse_rules, value, ""), ())
        return tuple(
            rule
            for number, text in enumerate(value)
            for rule in self._reading.parsed((*path, number), partial(parse_rules, text, ""), ())
        )

    def _on_removal(self, path: KeyPath, text: str) -> OnRemoval:
        default = parse_on_removal(_DEFAULT_ON_REMOVAL, "")
        return self._reading.parsed((*path, "on-removal"), partial(parse_on_removal, text, ""), default)

    def _checked_filters(self, path: KeyPath, filters: Filters) -> Filters:
        """The filters as they are; a fault of one element of a list is reported at that element."""
        for key, sentence in filter_faults(filters, ""):
            where: KeyPath = (*path, "filters", key)
            value = getattr(filters, key.replace("-", "_"))
            texts = value if isinstance(value, tuple) else ()
            number = next((i for i, text in enumerate(texts) if f"{text!r}:" in sentence), None)
            self._faults.add(where if number is None else (*where, number), sentence.removeprefix(f"{key}: "))
        return filters

    def _check_published(self, indexes: Mapping[str, Index]) -> None:
        taken: dict[Path, str] = {}
        for name, index in indexes.items():
            if not isinstance(index, MirrorIndex) or index.publish is None:
                continue
            if taken.setdefault(index.publish, name) != name:
                sentence = f"{index.publish} is already the folder of indexes.{taken[index.publish]}"
                self._faults.add(("indexes", name, "publish"), sentence)


def _follow_options(table: DependenciesTable) -> FollowOptions:
    extras: frozenset[NormalizedName] | None = None
    if table.extras != "all":
        named = () if isinstance(table.extras, str) else table.extras
        extras = frozenset(normalize_extra(extra) for extra in named)
    return FollowOptions(
        is_followed=table.follow,
        is_every_match=table.versions == "all",
        is_resolved=table.versions == "resolve",
        root_extras=extras,
        max_depth=table.max_depth,
        is_build_followed=table.build,
    )
