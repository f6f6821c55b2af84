"""What a pyproject.toml asks for: its dependencies, with some extras of the project or of one dependency group alone.

Sources: PyPA specifications "pyproject.toml" (PEP 621), "Dependency Groups" (PEP 735), names of extras (PEP 685).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement as Unreadable
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pypim.core.errors import InvalidConfig, InvalidRequirement
from pypim.core.faults import ConfigFault
from pypim.core.positions import positions
from pypim.core.requirements import RequirementLine, RequirementsFile, parse_requirement_argument
from pypim.core.shaped import Misshapen, read_toml, shaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.positions import KeyPath
    from pypim.core.shaped import Table

_REMEDY = "Correct the file."
_DYNAMIC = "Name a lock file or a requirements.txt of the project instead."


def read_pyproject(
    path: str, text: str, *, extras: frozenset[NormalizedName] | None, group: NormalizedName | None
) -> RequirementsFile:
    """The dependencies with those extras (None: all there are), or those of a group alone. Raises InvalidConfig.

    What refers to the project itself stands for its own dependencies. What comes from no index is passed over.
    """
    lines = read_toml(path, text, lambda table: _Reading(table).asked(extras, group), _REMEDY)
    places = positions(text)
    found: list[RequirementLine] = []
    faults: list[ConfigFault] = []
    passed_over: dict[str, None] = {}
    for where, written, source in lines:
        if source:
            passed_over[f"{written} ({source})"] = None
            continue
        line = places.line(where)
        try:
            found.append(parse_requirement_argument(written, f"{path}:{line}"))
        except InvalidRequirement as error:
            message = f"{error.text!r}: {error.reason}"
            faults.append(ConfigFault(file=path, line=line, message=message, remedy=error.hint))
    if faults:
        raise InvalidConfig(path, faults)
    notes = (f"{path}: passed over, for it comes from no index: {', '.join(passed_over)}",) if passed_over else ()
    return RequirementsFile(tuple(found), (), notes)


_Line = tuple["KeyPath", str, str]
"""Where a requirement stands, as it is written, and its source where that is no index."""


class _Reading:
    """One pyproject.toml; what it includes is followed once."""

    def __init__(self, table: Table) -> None:
        self._project: Table | None = None
        if "project" in table:
            self._project = shaped(table["project"], dict[str, Any], ("project",))
        name = (self._project or {}).get("name")
        self._name = canonicalize_name(name) if isinstance(name, str) else None
        self._groups = _by_name(table.get("dependency-groups", {}), ("dependency-groups",))
        tools = table.get("tool", {})
        self._sources = _uv_sources(tools)
        self._is_poetry = isinstance(tools, dict) and "poetry" in tools
        self._done: set[NormalizedName | None] = set()
        """The extras whose dependencies were taken, and None for those of the project without any."""
        self._done_groups: set[NormalizedName] = set()

    def asked(self, extras: frozenset[NormalizedName] | None, group: NormalizedName | None) -> list[_Line]:
        """The lines that are meant. Raises Misshapen."""
        return list(self._own(extras) if group is None else self._group(group, (), ("dependency-groups",)))

    def _own(self, extras: Iterable[NormalizedName] | None) -> Iterator[_Line]:
        """The project's dependencies, and with them those of some extras."""
        if self._project is None:
            remedy = "Name poetry.lock instead." if self._is_poetry else "Name a group of it: pyproject.toml:NAME."
            raise Misshapen((), "there is no [project] table", remedy)
        self._refuse_dynamic("dependencies")
        path: KeyPath = ("project", "dependencies")
        if None not in self._done:
            self._done.add(None)
            yield from self._lines(shaped(self._project.get("dependencies", []), list[str], path), path)
        if extras is None or extras:
            self._refuse_dynamic("optional-dependencies")
        path = ("project", "optional-dependencies")
        optional = _by_name(self._project.get("optional-dependencies", {}), path)
        for extra in sorted(optional if extras is None else extras):
            if extra not in optional:
                known = ", ".join(sorted(optional)) or "none"
                raise Misshapen(path, f"there is no extra {extra!r}", f"Extras of this project: {known}.")
            if extra not in self._done:
                self._done.add(extra)
                where = (*path, optional[extra][0])
                yield from self._lines(shaped(optional[extra][1], list[str], where), where)

    def _refuse_dynamic(self, key: str) -> None:
        dynamic = shaped((self._project or {}).get("dynamic", []), list[str], ("project", "dynamic"))
        if key in dynamic:
            sentence = f"the {key} are dynamic: they are only known when the project is built"
            raise Misshapen(("project", "dynamic"), sentence, _DYNAMIC)

    def _group(self, name: NormalizedName, within: tuple[NormalizedName, ...], path: KeyPath) -> Iterator[_Line]:
        """A group and those that it includes (PEP 735: a cycle is an error)."""
        if name not in self._groups:
            known = ", ".join(sorted(self._groups)) or "none"
            raise Misshapen(path, f"there is no dependency group {name!r}", f"Groups of this file: {known}.")
        if name in within:
            circle = " > ".join((*within[within.index(name) :], name))
            raise Misshapen(path, f"dependency groups include each other in a circle: {circle}", "Take one out.")
        if name in self._done_groups:
            return
        where: KeyPath = ("dependency-groups", self._groups[name][0])
        for number, element in enumerate(shaped(self._groups[name][1], list[Any], where)):
            here = (*where, number)
            if isinstance(element, dict):
                if set(element) != {"include-group"}:
                    raise Misshapen(here, 'this is neither a requirement nor { include-group = "NAME" }')
                included = shaped(element["include-group"], str, here)
                yield from self._group(canonicalize_name(included), (*within, name), here)
            else:
                yield from self._line(here, shaped(element, str, here))
        self._done_groups.add(name)

    def _lines(self, texts: Iterable[str], path: KeyPath) -> Iterator[_Line]:
        for number, text in enumerate(texts):
            yield from self._line((*path, number), text)

    def _line(self, path: KeyPath, text: str) -> Iterator[_Line]:
        try:
            requirement = Requirement(text)
        except (Unreadable, RecursionError):
            yield path, text, ""  # whoever reads it says what is wrong
            return
        name = canonicalize_name(requirement.name)
        if name == self._name and self._project is not None:
            yield from self._own(frozenset(map(canonicalize_name, requirement.extras)))
        elif requirement.url is not None:
            yield path, requirement.name, "url"
        elif name in self._sources:
            yield path, requirement.name, self._sources[name]
        else:
            yield path, text, ""


def _by_name(value: object, path: KeyPath) -> dict[NormalizedName, tuple[str, Any]]:
    """A table by the normalised names of its keys, with each key as it is written. Raises Misshapen for a double."""
    found: dict[NormalizedName, tuple[str, Any]] = {}
    for written, element in shaped(value, dict[str, Any], path).items():
        name = canonicalize_name(written)
        if name in found:
            raise Misshapen((*path, written), f"{written!r} and {found[name][0]!r} are the same name")
        found[name] = (written, element)
    return found


def _uv_sources(tools: object) -> dict[NormalizedName, str]:
    """What [tool.uv.sources] takes from somewhere else than an index, wherever it is used."""
    table = tools
    for key in ("uv", "sources"):
        table = table.get(key, {}) if isinstance(table, dict) else {}
    found = {}
    for name, told in table.items() if isinstance(table, dict) else ():
        sources = told if isinstance(told, list) else [told]
        kinds = [next((k for k in ("git", "url", "path", "workspace") if k in one), "") for one in sources if one]
        if kinds and all(kinds):
            found[canonicalize_name(str(name))] = kinds[0]
    return found
