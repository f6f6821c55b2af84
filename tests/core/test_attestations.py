"""Attestations of an upload: those that speak of the file are kept, whatever else is sent is no fault."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.attestations import attestations_about

NAME = "ours-1.0-py2.py3-none-any.whl"
DIGEST = "ab" * 32


def attestation(name: object = NAME, digest: object = DIGEST, subjects: int = 1) -> dict[str, object]:
    statement = {"subject": [{"name": name, "digest": {"sha256": digest}}] * subjects}
    return {"version": 1, "envelope": {"statement": base64.b64encode(json.dumps(statement).encode()).decode()}}


@pytest.mark.parametrize(
    ("one", "is_kept"),
    [
        (attestation(), True),
        (attestation("Ours-1.0-py2.py3-none-any.whl"), True),
        (attestation("ours-1.0-py3.py2-none-any.whl"), True),
        (attestation("ours-1.1-py2.py3-none-any.whl"), False),
        (attestation("garbage.whl"), False),
        (attestation(digest="cd" * 32), False),
        (attestation(subjects=2), False),
        (attestation(subjects=0), False),
        ({**attestation(), "version": 2}, False),
        ({"version": 1, "envelope": {"statement": "###"}}, False),
        ({"version": 1, "envelope": []}, False),
        ([], False),
        (None, False),
    ],
)
def test_the_subject_is_the_file(one: object, *, is_kept: bool) -> None:
    """PEP 740: name (once parsed) and sha256 of the subject are the file's."""
    found = attestations_about(json.dumps([one]), NAME, DIGEST)
    assert (found is not None) == is_kept
    if found is not None:
        assert json.loads(found) == [one]


values = st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | values.map(json.dumps) | st.just("[" * 100_000))
def test_no_text_is_a_fault(text: str) -> None:
    assert attestations_about(text, NAME, DIGEST) is None
