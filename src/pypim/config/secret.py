"""A secret as the configuration writes it: the text itself, "env:NAME" or "file:PATH", read only when it is used.

So `pypim list` works without the password of an upstream, and nothing that prints a configuration can print it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidConfig
from pypim.core.faults import ConfigFault

if TYPE_CHECKING:
    from collections.abc import Mapping

MASK = "********"


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """Where a secret is. Its text form never shows a secret that is written out in the file."""

    written: str
    """As in the file."""
    folder: Path
    """What a relative PATH is relative to: the folder of the configuration."""
    source: str
    """The configuration's path, for messages."""
    line: int | None
    key: str
    """As in `upstreams.internal.password`."""

    def __repr__(self) -> str:
        return f"Secret({self.shown()!r})"

    def shown(self) -> str:
        """What may be printed: a reference as it is, a secret masked."""
        return self.written if self.written.startswith(("env:", "file:")) else MASK

    def reveal(self, variables: Mapping[str, str]) -> str:
        """The secret itself. Raises InvalidConfig where the variable is not set or the file cannot be read."""
        kind, _, name = self.written.partition(":")
        if kind == "env":
            if not variables.get(name):
                raise self._fault(f"the environment variable {name} is not set", f"Set {name} and try again.")
            return variables[name]
        if kind != "file":
            return self.written
        path = self.folder / Path(name).expanduser()
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise self._fault(f"{path}: {reason}", "Put the secret there, or correct the path.") from None

    def _fault(self, message: str, remedy: str) -> InvalidConfig:
        fault = ConfigFault(file=self.source, line=self.line, key=self.key, message=message, remedy=remedy)
        return InvalidConfig(self.source, [fault])
