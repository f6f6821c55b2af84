"""The contract of Audit, on every implementation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pypim.core.audit import AuditEntry
from pypim.store.audit import FileAudit
from pypim.store.memory_hosted import MemoryAudit

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.ports import Audit


def entry(reason: str) -> AuditEntry:
    return AuditEntry(
        time="2026-11-21T07:00:00Z", visitor="alice", action="yank", index="private", outcome="done", reason=reason
    )


@pytest.fixture(params=["file", "memory"])
def audit(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Audit, Callable[[], list[str]]]:
    if request.param == "memory":
        memory = MemoryAudit()
        return memory, lambda: [one.reason for one in memory.entries]
    path = tmp_path / "audit.jsonl"
    return FileAudit(path), lambda: [json.loads(line)["reason"] for line in path.read_text().splitlines()]


def test_every_entry_is_one_line_behind_the_others(audit: tuple[Audit, Callable[[], list[str]]]) -> None:
    reasons = ["a secret in it", 'with "quotes"\nand a\rsecond line \x00', "snow \u2603 \u2028 \x9b \udcff"]
    for reason in reasons:
        audit[0].append(entry(reason))
    assert audit[1]() == reasons


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """Also where an older pypim, or whoever rotates it, made it for others as well."""
    path = tmp_path / "audit.jsonl"
    FileAudit(path).try_to_open()
    assert path.read_bytes() == b""
    FileAudit(path).append(entry("one"))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    FileAudit(path).append(entry("two"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_plain_file_keeps_its_mode() -> None:
    device = Path("/dev/null")
    mode = device.stat().st_mode
    FileAudit(device).append(entry("one"))
    assert device.stat().st_mode == mode


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    FileAudit(path).append(entry("one"))
    audit = FileAudit(path)
    audit.append(entry("two"))
    path.rename(tmp_path / "audit.1")
    audit.append(entry("three"))
    assert len(path.read_text().splitlines()) == 1
