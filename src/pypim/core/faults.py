"""A fault of a configuration as data: where it is, what is wrong, and what to do about it."""

from __future__ import annotations

import msgspec


class ConfigFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a configuration, or with a file that it names."""

    file: str
    line: int | None = None
    """From 1; None where the file as a whole is meant."""
    key: str = ""
    """As in `indexes.main.targets[2]`; empty for what is no key."""
    message: str
    remedy: str = ""
    """What to do; empty where the message says it."""

    @property
    def sentence(self) -> str:
        """All of it but the place."""
        text = f"{self.key}: {self.message}" if self.key else self.message
        return f"{text}. {self.remedy}" if self.remedy else text

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}" if self.line else f"{self.file}: {self.sentence}"
