"""Patterns: which projects, and which tags of file names, a text of the configuration means."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pypim.core.errors import InvalidRequirement
from pypim.core.filenames import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.filenames import ParsedFilename

_PROJECT = re.compile(
    r"(?P<name>[A-Za-z0-9*?](?:[A-Za-z0-9._*?-]*[A-Za-z0-9*?])?)\s*(?P<specifier>[<>=!~(].*)?", re.DOTALL
)
_PROJECT_HINT = 'Write a name, a glob with * and ?, or a requirement: "torch", "tensorflow*", "torch>=3".'


class ProjectPattern(msgspec.Struct, frozen=True):
    """A name or glob, with or without a specifier. Names match normalised (PEP 503)."""

    text: str
    """As it was written."""
    name: re.Pattern[str]
    specifier: SpecifierSet | None
    """None: every release, also one whose version is none of PEP 440."""

    def accepts(self, version: Version | None) -> bool:
        """Whether it means this version of a project it is about; pre-releases are versions like any other here."""
        if self.specifier is None:
            return True
        return version is not None and self.specifier.contains(version, prereleases=True)


class ProjectPatterns(msgspec.Struct, frozen=True):
    """A list of patterns, and one expression that tells quickly whether any of them is about a project."""

    patterns: tuple[ProjectPattern, ...]
    any_name: re.Pattern[str]

    @classmethod
    def compile(cls, texts: Iterable[str], where: str) -> ProjectPatterns:
        """Read the entries of `exclude` or `allow`. Raises InvalidRequirement for the first that cannot be read."""
        patterns = tuple(parse_project_pattern(text, where) for text in texts)
        return cls(patterns, re.compile("|".join(f"(?:{pattern.name.pattern})" for pattern in patterns)))

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def about(self, name: NormalizedName) -> list[ProjectPattern]:
        """Those whose name or glob matches."""
        if self.any_name.fullmatch(name) is None:
            return []
        return [pattern for pattern in self.patterns if pattern.name.fullmatch(name)]


def parse_project_pattern(text: str, where: str) -> ProjectPattern:
    """Read one entry of `exclude` or `allow`. Raises InvalidRequirement."""
    found = _PROJECT.fullmatch(text.strip())
    if not found:
        raise InvalidRequirement(where, text, "this is no name, glob or requirement", hint=_PROJECT_HINT)
    specifier = None
    if found["specifier"]:
        try:
            specifier = SpecifierSet(found["specifier"].strip("()"))
        except InvalidSpecifier:
            reason = f"{found['specifier']!r} is not a specifier"
            raise InvalidRequirement(where, text, reason, hint=_PROJECT_HINT) from None
    return ProjectPattern(text, _glob(re.sub(r"[-_.]+", "-", found["name"]).lower()), specifier)


def compile_pattern(text: str, where: str) -> re.Pattern[str]:
    """Read a regular expression of `patterns`; use its `fullmatch` on normalised names. Raises InvalidRequirement.

    Case does not count, for normalised names have none.
    """
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as fault:
        hint = (
            'Write it as Python\'s re module wants it, for example "zope-.*"; it must match the whole normalised name.'
        )
        raise InvalidRequirement(where, text, f"this is not a regular expression: {fault}", hint=hint) from None


class TagPatterns(msgspec.Struct, frozen=True):
    """Globs on the tags of file names, in lower case."""

    globs: tuple[tuple[str, re.Pattern[str]], ...] = ()
    """Each as it was written, and compiled."""

    @classmethod
    def compile(cls, texts: Iterable[str]) -> TagPatterns:
        """Any text is a glob, with * and ? standing for what is unknown."""
        return cls(tuple((text, _glob(text.strip().lower())) for text in texts))

    def __bool__(self) -> bool:
        return bool(self.globs)

    def first_match(self, candidates: Iterable[str]) -> str | None:
        """The first glob, as written, that matches one of the candidates as a whole."""
        lowered = [candidate.lower() for candidate in candidates]
        return next((text for text, glob in self.globs if any(glob.fullmatch(one) for one in lowered)), None)

    def excludes(self, parsed: ParsedFilename) -> str | None:
        """The glob that leaves a file no use, or None.

        A wheel stands for every combination of its Python, ABI and platform tags. It is excluded when each of them
        contains a tag that matches, which is so exactly when all the tags of one of the three parts do: with
        "musllinux_*", a wheel for manylinux and musllinux stays, for machines with manylinux still can use it.
        A glob may also match the whole text, and for the older formats any run of the pieces between hyphens, in which
        `win-amd64` and `macosx-10.9-x86_64` may be written with underscores, like the tags of wheels.
        """
        if whole := self.first_match((parsed.tag_text,)):
            return whole
        pieces = parsed.tag_text.split("-")
        if parsed.kind is not FileKind.WHEEL:
            return self.first_match(_runs(pieces)) if parsed.tag_text else None
        for part in pieces[-3:]:
            matches = [self.first_match((tag,)) for tag in part.split(".")]
            if all(matches):
                return matches[0]
        return None


def _runs(pieces: list[str]) -> list[str]:
    runs = ["-".join(pieces[i:j]) for i in range(len(pieces)) for j in range(i + 1, len(pieces) + 1)]
    return [*runs, *(run.replace("-", "_").replace(".", "_") for run in runs)]


@lru_cache(maxsize=4096)
def _glob(text: str) -> re.Pattern[str]:
    """Only * and ? are special: names and tags have no brackets."""
    wildcards = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wildcards.get(character) or re.escape(character) for character in re.sub(r"\*+", "*", text)), re.DOTALL
    )
