"""The contract of Findings, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.core.records import Finding
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryFindings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Findings


@pytest.fixture(params=["catalog", "memory"])
def findings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Findings]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.findings
    else:
        yield MemoryFindings()


def finding(digest: str) -> Finding:
    return Finding(digest=digest, consulted=(parse_name("app"), parse_name("lib")), total_files=3, total_bytes=1 << 40)


def test_nothing_is_known_before_a_sync_was_complete(findings: Findings) -> None:
    assert findings.finding("main") is None


def test_the_newest_finding_of_each_index_counts(findings: Findings) -> None:
    findings.keep_finding("main", finding("a"))
    findings.keep_finding("main", finding("b"))
    findings.keep_finding("other", finding("c"))
    assert findings.finding("main") == finding("b")
    assert findings.finding("other") == finding("c")


def test_a_forgotten_finding_is_gone_and_forgetting_again_is_no_error(findings: Findings) -> None:
    findings.keep_finding("main", finding("a"))
    findings.keep_finding("main", None)
    findings.keep_finding("main", None)
    assert findings.finding("main") is None
