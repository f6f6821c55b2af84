"""What pypim takes from the process environment; nothing else of the program reads it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """The variables of this process, at this moment."""
    return os.environ


def wants_color(variables: Mapping[str, str]) -> bool | None:
    """False when NO_COLOR is set to anything, else None: the terminal decides (the NO_COLOR convention)."""
    return False if variables.get("NO_COLOR") else None


def is_plain_terminal(variables: Mapping[str, str]) -> bool:
    """Whether the terminal cannot redraw lines (TERM=dumb, as in editors and some CI systems)."""
    return variables.get("TERM", "") in {"dumb", "unknown"}


def user_config_folder(variables: Mapping[str, str]) -> Path:
    """Where this user's own configuration is: as each platform does it, XDG first."""
    if folder := variables.get("XDG_CONFIG_HOME"):
        return Path(folder) / "pypim"
    if sys.platform == "win32":
        return Path(variables.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "pypim"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "pypim"
    return _home(variables) / ".config" / "pypim"


def netrc_path(variables: Mapping[str, str]) -> Path | None:
    """The netrc file: $NETRC, else `~/.netrc` or `~/_netrc`; None when there is none, or the folder is not ours to see.

    A service often has the HOME of another user.
    """
    home = _home(variables)
    candidates = [Path(variables["NETRC"])] if variables.get("NETRC") else [home / ".netrc", home / "_netrc"]
    return next((path for path in candidates if _is_file(path)), None)


def _home(variables: Mapping[str, str]) -> Path:
    """The user's folder; a container may run as a user of whom nobody has heard, who has none."""
    try:
        return Path(variables.get("HOME") or Path.home())
    except RuntimeError:
        return Path("/")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return False
