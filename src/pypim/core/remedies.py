"""What to change so that a file is let in: for all that stands in its way, not only for what comes first.

Each remedy is an instruction without capital and full stop; all of those for a file together let it in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from pypim.core.allowed import may_have
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.patterns import TagPatterns
from pypim.core.policy import Filters, Policy
from pypim.core.target import Environment, python_allows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag
    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser
    from pypim.core.filenames import ParsedFilename
    from pypim.core.model import DistFile

NEW_TARGET = "add a target"
"""So the remedy begins for what no target can use."""

_ONE_PYTHON = re.compile(r"(?:cp|pp)(?P<major>\d)(?P<minor>\d{1,3})", re.ASCII)
_EVERY_FORMAT = tuple(kind.value for kind in FileKind if kind is not FileKind.UNKNOWN)
_DEFAULT_FORMATS = frozenset((FileKind.WHEEL, FileKind.SDIST))


def project_remedies(policy: Policy, project: NormalizedName, *, is_dependency: bool) -> list[str]:
    """What lets anything of a project be chosen; the allow-list speaks of what is asked for by name only."""
    found = [_taken_out(one.text, "exclude") for one in policy.exclude.about(project) if one.specifier is None]
    if policy.allow and not is_dependency and not policy.allow.about(project):
        found.append(f'add "{project}" to filters.allow')
    return found


def file_remedies(
    project: NormalizedName, file: DistFile, chooser: Chooser, hashes: frozenset[str], learned: str | None
) -> list[str] | None:
    """All that lets a file in for some environment; None where nothing that a mirror can do would.

    `learned` is the Requires-Python of its core metadata, if known. What rules pass over is not kept out.
    """
    parsed = parse_filename(file.filename, project)
    if parsed.kind is FileKind.UNKNOWN:
        return None
    found = []
    if hashes and not may_have(file, hashes):
        if file.sha256 is None:
            return None
        found.append(f"add --hash=sha256:{file.sha256} to the requirement")
    found += _release_remedies(chooser.policy, project, parsed)
    found += _filter_remedies(chooser, project, file, parsed)
    targets = _target_remedies(chooser, file, parsed, learned)
    return None if targets is None else found + targets


def _release_remedies(policy: Policy, project: NormalizedName, parsed: ParsedFilename) -> Iterator[str]:
    for pattern in policy.exclude.about(project):
        if pattern.accepts(parsed.version):
            yield _taken_out(pattern.text, "exclude")
    allowing = policy.allow.about(project)
    if allowing and not any(pattern.accepts(parsed.version) for pattern in allowing):
        version = f"=={parsed.version}" if parsed.version is not None else ""
        yield f'add "{project}{version}" to filters.allow'


def _filter_remedies(
    chooser: Chooser, project: NormalizedName, file: DistFile, parsed: ParsedFilename
) -> Iterator[str]:
    """Each filter is asked as if it were the only one."""
    policy = chooser.policy
    nothing = Policy.compile(Filters(formats=_EVERY_FORMAT), "filters")
    alone = {
        "formats": msgspec.structs.replace(nothing, formats=policy.formats),
        "extensions": msgspec.structs.replace(nothing, extensions=policy.extensions),
        "python-tags": msgspec.structs.replace(nothing, python_tags=policy.python_tags),
        "max-file-size": msgspec.structs.replace(nothing, max_file_size_bytes=policy.max_file_size_bytes),
        "min-age": msgspec.structs.replace(nothing, min_age=policy.min_age),
    }
    for key, single in alone.items():
        judge = msgspec.structs.replace(single, has_file_filters=True)
        if not judge.file_verdict(project, file, parsed, chooser.now).is_allowed:
            yield _remedy(key, policy, file, parsed)
    globs = policy.exclude_tags.globs
    while (text := TagPatterns(globs).excludes(parsed)) is not None:
        yield _taken_out(text, "exclude-tags")
        globs = tuple(glob for glob in globs if glob[0] != text)


def _remedy(key: str, policy: Policy, file: DistFile, parsed: ParsedFilename) -> str:
    """What lets a file pass one filter."""
    kinds = (_DEFAULT_FORMATS if policy.formats is None else policy.formats) | {parsed.kind}
    formats = ", ".join(f'"{kind.value}"' for kind in sorted(kinds))
    size = f" to {file.size:,} bytes or more" if file.size is not None else ""
    return {
        "formats": f"set filters.formats to [{formats}]",
        "extensions": f'add "{parsed.extension}" to filters.extensions',
        "python-tags": f'add "{".".join(parsed.python_tags)}" to filters.python-tags',
        "max-file-size": f"raise filters.max-file-size{size}",
        "min-age": "lower filters.min-age" if file.upload_time else "leave out filters.min-age",
    }[key]


def _target_remedies(chooser: Chooser, file: DistFile, parsed: ParsedFilename, learned: str | None) -> list[str] | None:
    if parsed.kind not in _DEFAULT_FORMATS:
        return []  # legacy kinds are only carried
    bounds = [bound for bound in dict.fromkeys((file.requires_python, learned)) if bound]
    mask = tagged = chooser.tag_mask(parsed)
    for bound in bounds:
        mask &= chooser.python_mask(bound)
    if mask:
        return []
    if parsed.tags is not None and not any(_exists(tag, bounds) for tag in parsed.tags):
        return None
    wanted = [f"accepts the wheel tags {parsed.tag_text}"] if tagged != chooser.everything else []
    wanted += [f"has a Python that {bound!r} allows" for bound in bounds]
    return [f"{NEW_TARGET} that {' and '.join(wanted)}"]


def _exists(tag: Tag, bounds: list[str]) -> bool:
    """Whether there is a Python for a wheel tag that all bounds allow, as far as the tag names one."""
    named = _ONE_PYTHON.fullmatch(tag.interpreter)
    if named is None or tag.abi in {"abi3", "none"}:
        return True
    python = Environment(name=str(tag), target="", python=(int(named["major"]), int(named["minor"])))
    return all(python_allows(python, bound) for bound in bounds)


def _taken_out(text: str, key: str) -> str:
    return f'take "{text}" out of filters.{key}'
