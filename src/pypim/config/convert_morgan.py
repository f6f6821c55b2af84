"""A morgan.ini as a draft of a pypim.toml: environments become targets, requirements become rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pypim.config.template import Draft
from pypim.core.platforms import parse_platform
from pypim.core.target import MARKER_VARIABLES

if TYPE_CHECKING:
    import configparser

_DEFAULT_INDEX_FOLDER = "index"


def from_morgan(parser: configparser.ConfigParser) -> tuple[Draft, list[str]]:
    """Of each requirement morgan takes the newest release that matches, with what it requires, also to be built."""
    lost: list[str] = []
    targets: dict[str, dict[str, Any]] = {}
    packages: dict[str, list[str]] = {}
    for section in parser.sections():
        if section.startswith("env."):
            targets[section.removeprefix("env.")] = _target(section, dict(parser[section]), lost)
        elif section == "requirements":
            packages = {name: _rules(value or "") for name, value in parser[section].items()}
        else:
            lost.append(f"[{section}]: pypim has no such table")
    draft = Draft(targets=targets, index={"publish": _DEFAULT_INDEX_FOLDER}, packages=packages)
    return draft, lost


def _target(section: str, values: dict[str, str], lost: list[str]) -> dict[str, Any]:
    target: dict[str, Any] = {}
    version = values.pop("python_full_version", None) or values.get("python_version")
    values.pop("python_version", None)
    if version:
        target["python"] = [version.strip("'\"")]
    if (tag := values.pop("platform_tag", None)) is not None:
        if parse_platform(tag) is not None:
            target["platforms"] = [tag]
        else:
            lost.append(f"[{section}] platform_tag: pypim takes a tag such as manylinux_2_28_x86_64, not {tag!r}")
    markers = {name: [value.strip("'\"")] for name, value in values.items() if name in MARKER_VARIABLES and value}
    if implementation := markers.pop("implementation_name", None):
        target["implementations"] = implementation
    if markers:
        target["markers"] = markers
    lost += [f"[{section}] {name}: this is not a marker variable" for name in values if name not in MARKER_VARIABLES]
    return target


def _rules(value: str) -> list[str]:
    """One rule a line; a specifier alone means the newest release that matches."""
    specifiers = [line.strip() for line in value.splitlines() if line.strip()]
    return ["latest" if specifier == "*" else f"latest{specifier}" for specifier in specifiers] or ["latest"]
