"""The API under the attack of Schemathesis, which reads its description and tries whatever that allows and forbids."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.web.api_site import ApiSite
from tools.clients import is_installed, python_of

CONFIG = """
[headers]
Authorization = "{authorization}"
[parameters]
"path.index" = "{index}"
"path.project" = "{project}"
"path.version" = "1.0"
"""


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("schemathesis"), reason="Schemathesis is not there: python -m tools.clients")
@pytest.mark.parametrize(
    ("index", "project"), [("private", "ours"), ("main", "lib"), ("all", "app"), ("closed", "absent")]
)
def test_nothing_it_tries_is_a_fault_of_ours_or_undocumented(tmp_path: Path, index: str, project: str) -> None:
    """No 5xx; every status, media type and shape that comes is in the description, and what that forbids is refused."""
    with ApiSite(tmp_path) as site:
        config = tmp_path / "schemathesis.toml"
        config.write_text(CONFIG.format(authorization=site.root, index=index, project=project))
        program = python_of("schemathesis").with_name("schemathesis")
        command = [str(program), "--config-file", str(config), "run", f"{site.url}/api/v1/openapi.json"]
        command += ["--url", f"{site.url}/api/v1", "--max-examples", "50", "--continue-on-failure", "--seed", "1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
