"""The audit log of a server whose disk may be full: what is answered stays true, and nobody is left unaware.

A write that was done is done, and a refusal is a refusal, whatever becomes of its line. So a line that cannot be
written makes no other answer: it stands in the server's own log, /readyz says that the server is not ready, and it is
written once that is possible again.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from pypim.core.audit import audit_line
from pypim.core.errors import StoreFault

if TYPE_CHECKING:
    from pypim.core.audit import AuditEntry
    from pypim.ports import Audit

_MOST_WAITING = 10_000
_log = logging.getLogger("pypim.server")


class LoudAudit:
    """An Audit whose `append` never fails. Used by one thread at a time."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._waiting: deque[AuditEntry] = deque()

    def append(self, entry: AuditEntry) -> None:
        """Write one line behind those that could not be written before, or keep it until it can be."""
        self._waiting.append(entry)
        try:
            self.check()
        except StoreFault as fault:
            line = audit_line(entry).decode().strip()
            _log.error("the audit log cannot be written, and lacks %s: %s", line, fault)
            if len(self._waiting) > _MOST_WAITING:
                self._waiting.popleft()

    def check(self) -> None:
        """Write what is waiting. Raises StoreFault while that cannot be."""
        while self._waiting:
            self._audit.append(self._waiting[0])
            self._waiting.popleft()
