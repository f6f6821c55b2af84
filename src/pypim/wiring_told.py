"""What the server tells beside pages and files: the state of each index, and why a mirror keeps what it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.config.model import GroupIndex, HostedIndex, MirrorIndex, ProxyIndex
from pypim.config.owners import credentials_of, owner_of
from pypim.core.errors import ProjectNotFound
from pypim.core.index_state import IndexState
from pypim.core.measures import describe_time
from pypim.core.records import Owner
from pypim.core.urls import root_url
from pypim.sync.why import chosen_for, kept_of

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.config.model import Config, Index, Upstream
    from pypim.core.chains import IndexKept
    from pypim.store.catalog import Catalog
    from pypim.store.catalog_counts import Counts


class StoreTelling:
    """Answers from the catalog of one process; each call may take long in a large store."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        """The catalog is that of whoever calls: on the event loop or in the background."""
        self._config = config
        self._catalog = catalog

    def state(self, name: str) -> IndexState:
        """The state of a configured index."""
        index = self._config.indexes[name]
        match index:
            case MirrorIndex():
                return self._mirror(index)
            case ProxyIndex():
                counts = self._catalog.counts.proxy(name)
                return IndexState(
                    name=name,
                    kind=index.kind,
                    state=_state(counts),
                    upstream=index.upstream.name,
                    last_serial=self._serial(index.upstream),
                    **counts._asdict(),
                )
            case HostedIndex():
                counts = self._catalog.counts.hosted(name)
                return IndexState(
                    name=name,
                    kind=index.kind,
                    state=_state(counts),
                    last_serial=self._catalog.hosted.last_serial(name) or None,
                    **counts._asdict(),
                )
            case GroupIndex():
                return IndexState(name=name, kind=index.kind, state="ready", members=index.members)

    def _mirror(self, index: MirrorIndex) -> IndexState:
        catalog, name = self._catalog, index.name
        current = catalog.generations.current(name)
        state = "empty" if current is None else "published"
        run = catalog.runs.last_run(name)
        counts = catalog.counts.mirror(current.number if current is not None else 0)
        return IndexState(
            name=name,
            kind=index.kind,
            state="interrupted" if catalog.generations.is_interrupted(name) else state,
            upstream=index.upstream.name,
            last_sync=describe_time(run.finished_at) if run and run.finished_at else None,
            last_outcome=run.outcome if run else None,
            last_serial=self._serial(index.upstream),
            **counts._asdict(),
        )

    def projects(self, name: str, after: str, most: int) -> tuple[list[NormalizedName], str | None]:
        """The projects of which an index holds something: those whose names come after one, so many at most.

        With it the name after which there are more; None at the end.
        """
        leaves = self._leaves(self._config.indexes[name])
        holders: dict[NormalizedName, list[Index]] = {}
        for leaf in leaves:
            for project in self._held(leaf, after, most + 1):
                holders.setdefault(project, []).append(leaf)
        names = sorted(holders)
        chosen = [project for project in names[:most] if _is_asked(leaves, holders[project], project)]
        return chosen, names[most - 1] if len(names) > most else None

    def _leaves(self, index: Index) -> list[Index]:
        """The index, or what a group leads to."""
        if not isinstance(index, GroupIndex):
            return [index]
        return [leaf for member in index.members for leaf in self._leaves(self._config.indexes[member])]

    def _held(self, index: Index, after: str, most: int) -> list[NormalizedName]:
        counts = self._catalog.counts
        match index:
            case MirrorIndex():
                current = self._catalog.generations.current(index.name)
                return counts.names_of_mirror(current.number, after, most) if current is not None else []
            case ProxyIndex():
                return counts.names_of_proxy(index.name, after, most)
            case HostedIndex():
                return counts.names_of_hosted(index.name, after, most)
            case GroupIndex():
                return []

    def _serial(self, upstream: Upstream) -> int | None:
        """The highest that its list, its changelog or any of its pages has told."""
        url = root_url(upstream.url)
        own = self._catalog.of(Owner(index="", upstream=url, credentials=credentials_of(upstream)))
        state = own.following.state(url)
        told = (own.pages.last_serial(url), state.serial if state is not None else None)
        return max((serial for serial in told if serial is not None), default=None)

    def why(self, name: str, project: NormalizedName, version: str | None) -> list[IndexKept]:
        """What keeps a project in a mirror. Raises ProjectNotFound where it is not kept, or the index is none."""
        index: Index = self._config.indexes[name]
        selection = chosen_for(index, self._catalog.generations, project) if isinstance(index, MirrorIndex) else None
        if isinstance(index, MirrorIndex) and selection is not None:
            own = self._catalog.of(owner_of(self._config, index))
            kept = kept_of(index, selection, own.metadata, project, version)
            if kept:
                return kept
        raise ProjectNotFound(project, name)


def _state(counts: Counts) -> str:
    return "ready" if counts.projects else "empty"


def _is_asked(leaves: list[Index], holders: list[Index], project: NormalizedName) -> bool:
    """Whether any holder is ever asked for it: not where only others keep the name for themselves."""
    reserving = [one for one in leaves if isinstance(one, HostedIndex) and one.reserved.about(project)]
    return not reserving or any(holder in reserving for holder in holders)
