"""Lock files by their names: which format each has, and how it is read."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pypim.core.lock_formats import read_pdm, read_pipfile, read_poetry, read_pylock, read_uv
from pypim.core.shaped import read_json, read_toml

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.core.locked import Lock
    from pypim.core.shaped import Table

_FORMATS: tuple[tuple[str, Callable[[Table], Lock], str], ...] = (
    (r"uv\.lock", read_uv, "`uv lock`"),
    (r"pylock(?:\.[^.]+)?\.toml", read_pylock, "the tool that wrote it"),  # PEP 751, "File Name"
    (r"poetry\.lock", read_poetry, "`poetry lock`"),
    (r"pdm\.lock", read_pdm, "`pdm lock`"),
    (r"Pipfile\.lock", read_pipfile, "`pipenv lock`"),
)


def is_lock(name: str) -> bool:
    """Whether a file of that name is a lock file that can be read."""
    return any(re.fullmatch(pattern, name) for pattern, _, _ in _FORMATS)


@lru_cache(maxsize=8)
def read_lock(path: str, name: str, text: str) -> Lock:
    """Read the lock file at a path; its name tells the format. Raises InvalidConfig with the line of its fault.

    It is remembered, for one run looks at its files several times and some locks have a hundred thousand lines.
    """
    read, tool = next((read, tool) for pattern, read, tool in _FORMATS if re.fullmatch(pattern, name))
    parse = read_json if read is read_pipfile else read_toml
    return parse(path, text, read, f"Write it anew with {tool}.")
