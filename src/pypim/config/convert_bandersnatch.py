"""A bandersnatch.conf as a draft of a pypim.toml: everything it mirrors, less what its active plugins filter out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement

from pypim.config.locate import simple_api_of
from pypim.config.template import Draft
from pypim.core.errors import InvalidRequirement as SizeFault
from pypim.core.measures import parse_size

if TYPE_CHECKING:
    import configparser
    from collections.abc import Callable, Iterable

_EVERY_FORMAT = ["wheel", "sdist", "egg", "wininst", "msi", "rpm", "dumb", "dmg", "deb"]
_PLATFORM_TAGS = {
    "windows": ["win*"],
    "macos": ["macosx*"],
    "freebsd": ["freebsd*"],
    "linux": ["linux*", "manylinux*", "musllinux*"],
}
_CARRIED = {
    "allowlist_project",
    "allowlist_release",
    "blocklist_project",
    "blocklist_release",
    "regex_project",
    "prerelease_release",
    "latest_release",
    "exclude_platform",
    "project_requirements",
    "project_requirements_pinned",
    "size_project_metadata",
}
_MIRROR_LOST = {
    "storage-backend": "files are kept in a file system",
    "download-mirror": "files are fetched from where the index says they are",
    "download-mirror-no-fallback": "files are fetched from where the index says they are",
    "root_uri": "links in pages are relative",
    "release-files": "files are always kept",
    "hash-index": "pages stand where pip looks for them",
    "digest_name": "pages always name sha256",
    "keep-index-versions": "pypim keeps no dated copies of pages",
    "global-timeout": "there is a time limit for connecting and for reading, not for a whole run",
    "diff-file": "see what changes with `pypim plan --json`",
    "diff-append-epoch": "see what changes with `pypim plan --json`",
    "log-config": "pypim logs to standard error",
}
_MIRROR_NEEDLESS = {
    "directory",
    "master",
    "proxy",
    "timeout",
    "workers",
    "json",
    "core-metadata",
    "simple-format",
    "compare-method",
    "verifiers",
    "cleanup",
    "stop-on-error",
    "allow-non-https",
    "storage-filesystem-manage-permissions",
}
"""Carried over, or about things that pypim always does."""


def from_bandersnatch(parser: configparser.ConfigParser, moved: Callable[[str], str]) -> tuple[Draft, list[str]]:
    """Its plugins only keep things from being downloaded, so nothing is removed and no dependency followed.

    `moved` makes a path of the old file one of the new.
    """
    mirror = dict(parser["mirror"])
    active = _active_plugins(parser)
    lost = [f"[mirror] {key}: {_MIRROR_LOST[key]}" for key in mirror if key in _MIRROR_LOST]
    lost += [
        f"[mirror] {key}: pypim has no such setting"
        for key in mirror
        if key not in _MIRROR_LOST and key not in _MIRROR_NEEDLESS
    ]
    lost += [f"plugin {name}: pypim has no such filter" for name in sorted(active - _CARRIED - {"all"})]
    directory = moved((mirror.get("directory") or "mirror").rstrip("/"))
    draft = Draft(
        store={"path": f"{directory}/.pypim", "files": f"{directory}/web"},
        upstream=_upstream(mirror),
        index={"publish": f"{directory}/web", "on-removal": "keep"},
        dependencies={"follow": False},
        filters={"formats": _EVERY_FORMAT, "prereleases": True},
    )
    if workers := _number(mirror.get("workers")):
        draft.index["jobs"] = workers
    _carry_projects(parser, active, draft, lost)
    if files := draft.index.get("requirements"):
        draft.index["requirements"] = [moved(file) for file in files]
    _carry_releases(parser, active, draft, lost)
    return draft, lost


def _upstream(mirror: dict[str, str]) -> dict[str, Any]:
    upstream: dict[str, Any] = {"url": simple_api_of(mirror.get("master") or "pypi")}
    if proxy := mirror.get("proxy"):
        upstream["proxy"] = proxy
    if timeout := _number(mirror.get("timeout")):
        upstream["read-timeout"] = float(timeout)
    return upstream


def _active_plugins(parser: configparser.ConfigParser) -> set[str]:
    """Nothing is active unless `[plugins] enabled` lists it; "all" is everything that has a table of its own."""
    enabled = set(_lines(parser, "plugins", "enabled"))
    return enabled | _CARRIED if "all" in enabled else enabled


def _carry_projects(parser: configparser.ConfigParser, active: set[str], draft: Draft, lost: list[str]) -> None:
    """Which projects: the allow-list, or all; less those on the blocklist or matched by a regular expression."""
    blocked = _lines(parser, "filter_regex", "packages") if "regex_project" in active else []
    allowed = _lines(parser, "allowlist", "packages") if "allowlist_project" in active else []
    files = _lines(parser, "allowlist", "requirements")
    if allowed:
        requirements = [found for text in allowed if (found := _requirement(text, lost)) is not None]
        draft.packages = _packages(requirements, blocked, has_versions="allowlist_release" in active)
    elif files and {"project_requirements", "project_requirements_pinned"} & active:
        folder = _value(parser, "allowlist", "requirements_path").rstrip("/")
        draft.index["requirements"] = [f"{folder}/{name}" if folder else name for name in files]
        lost.append("[allowlist] requirements: of each line pypim takes the newest release that matches, not every one")
    else:
        # The expressions are matched at the beginning of the name there, and so are these.
        draft.patterns = {"".join(f"(?!{text})" for text in blocked) + ".*": ["*"]}
    if {"blocklist_project", "blocklist_release"} & active:
        draft.filters["exclude"] = _lines(parser, "blocklist", "packages")


def _requirement(text: str, lost: list[str]) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        lost.append(f"[allowlist] packages: {text!r} cannot be read")
        return None


def _packages(
    requirements: Iterable[Requirement], blocked: Iterable[str], *, has_versions: bool
) -> dict[str, list[str]]:
    packages: dict[str, list[str]] = {}
    for requirement in requirements:
        if not any(re.match(expression, requirement.name) for expression in blocked):
            rule = str(requirement.specifier) if has_versions and requirement.specifier else "*"
            packages.setdefault(requirement.name, []).append(rule)
    return packages


def _carry_releases(parser: configparser.ConfigParser, active: set[str], draft: Draft, lost: list[str]) -> None:
    """Which releases and files of them."""
    if "prerelease_release" in active:
        draft.filters["prereleases"] = False
        if _lines(parser, "filter_prerelease", "packages"):
            lost.append("[filter_prerelease] packages: pypim keeps pre-releases of every project out, or of none")
    if "latest_release" in active and (keep := _number(_value(parser, "latest_release", "keep"))):
        draft.filters["keep-latest"] = keep
        if _value(parser, "latest_release", "sort_by") == "time":
            lost.append("[latest_release] sort_by: the newest releases are those with the highest version")
    if "exclude_platform" in active:
        tags = [
            tag for line in _lines(parser, "blocklist", "platforms") for text in line.split() for tag in _tags(text)
        ]
        draft.filters["exclude-tags"] = list(dict.fromkeys(tags))
    if "size_project_metadata" in active and (size := _value(parser, "size_project_metadata", "max_package_size")):
        _carry_size(size, draft, lost)
    if _lines(parser, "filter_regex", "releases"):
        lost.append("[filter_regex] releases: pypim filters releases by specifier, in filters.exclude")


def _carry_size(text: str, draft: Draft, lost: list[str]) -> None:
    try:
        draft.filters["max-project-size"] = parse_size(text)
    except SizeFault:
        lost.append(f"[size_project_metadata] max_package_size: {text!r} is not a size")


def _tags(text: str) -> list[str]:
    """A platform's name, a Python ("py3.9") or a raw tag as globs on tags."""
    if text in _PLATFORM_TAGS:
        return _PLATFORM_TAGS[text]
    if match := re.fullmatch(r"py(\d)\.(\d+)", text):
        return [f"cp{match[1]}{match[2]}", f"py{match[1]}{match[2]}", f"pp{match[1]}{match[2]}"]
    return [f"*{text.strip('-')}*"]


def _lines(parser: configparser.ConfigParser, section: str, key: str) -> list[str]:
    """The lines of a value, without comments and blank ones."""
    lines = (line.partition(" #")[0].strip() for line in _value(parser, section, key).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _value(parser: configparser.ConfigParser, section: str, key: str) -> str:
    return parser.get(section, key, fallback="") or ""


def _number(text: str | None) -> int:
    """A whole number above zero, else 0."""
    return int(text) if text and text.strip().isdigit() else 0
