"""Pypisync's JSON5 and microrepo's (or minirepo's) JSON as a draft of a pypim.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pypim.config.locate import simple_api_of
from pypim.config.template import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FORMATS = {
    "bdist_wheel": "wheel",
    "sdist": "sdist",
    "bdist_egg": "egg",
    "bdist_wininst": "wininst",
    "bdist_msi": "msi",
    "bdist_rpm": "rpm",
    "bdist_dumb": "dumb",
    "bdist_dmg": "dmg",
}


def from_pypisync(data: Mapping[str, Any], moved: Callable[[str], str]) -> tuple[Draft, list[str]]:
    """Rules have the same grammar; `environment` is marker variables by hand, null meaning any value.

    `moved` makes a path of the old file one of the new.
    """
    known = {"endpoint", "destination_folder", "arch_exclude", "environment", "packages", "packages_re"}
    lost = [f"{key}: pypim has no such setting" for key in data if key not in known]
    environment = data.get("environment") or {}
    markers = {name: _texts(values) for name, values in environment.items() if values is not None}
    folder = data.get("destination_folder")
    draft = Draft(
        upstream={"url": simple_api_of(str(data.get("endpoint") or "pypi"))},
        targets={"pypisync": {"markers": markers}} if markers else {},
        index={"publish": moved(str(folder)) if folder else "public"},
        packages={name: _texts(rules) or ["latest"] for name, rules in (data.get("packages") or {}).items()},
        patterns={name: _texts(rules) or ["latest"] for name, rules in (data.get("packages_re") or {}).items()},
        filters={"exclude-tags": [f"*{text.strip('*')}*" for text in _texts(data.get("arch_exclude") or [])]},
    )
    return draft, lost


def from_microrepo(data: Mapping[str, Any], moved: Callable[[str], str]) -> tuple[Draft, list[str]]:
    """The newest release of every project, of some kinds of file, in one flat folder.

    `moved` makes a path of the old file one of the new.
    """
    known = {"repository", "processes", "package_types", "extensions", "python_versions"}
    lost = [
        f"{key}: name the machines under [targets.*] instead" for key in ("platforms", "architectures") if key in data
    ]
    lost += [f"{key}: pypim has no such setting" for key in data if key not in {*known, "platforms", "architectures"}]
    if "repository" in data:
        lost.append("repository: files are published as simple/ and packages/, not in one flat folder")
    filters: dict[str, Any] = {}
    kinds = _texts(data.get("package_types") or [])
    if formats := [_FORMATS[kind] for kind in kinds if kind in _FORMATS]:
        filters["formats"] = formats
    lost += [f"package_types {kind!r}: there is no such kind of file" for kind in kinds if kind not in _FORMATS]
    if extensions := _texts(data.get("extensions") or []):
        filters["extensions"] = extensions
    if tags := [tag for text in _texts(data.get("python_versions") or []) for tag in _python_tags(text)]:
        filters["python-tags"] = list(dict.fromkeys(tags))
    folder = data.get("repository")
    index: dict[str, Any] = {"publish": moved(str(folder)) if folder else "public", "on-removal": "prune"}
    if isinstance(data.get("processes"), int) and data["processes"] > 0:
        index["jobs"] = data["processes"]
    draft = Draft(index=index, patterns={".*": ["latest"]}, dependencies={"follow": False}, filters=filters)
    return draft, lost


def _python_tags(text: str) -> list[str]:
    """The `python_version` of a listed file as tags; "source" and "any" are no tags and keep nothing out."""
    if text in {"source", "any", ""}:
        return []
    if text[0].isdigit():
        digits = text.replace(".", "")
        return [f"py{digits}", f"cp{digits}", f"py{digits[0]}"]
    return text.split(".")


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - another tool's JSON may hold anything
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
