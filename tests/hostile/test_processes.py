"""The whole way with nothing running before: the command line as a process, its embedded service, and nothing left of either."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.hostile import documents, names, pictures
from tests.hostile.case import Case

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

CASES = {
    "png of 60,000 px": pictures.CASES["png of 60,000 px"],
    "10 MB of nested lists": documents.CASES["10 MB of nested lists"],
    "pipes with every name": names.CASES["pipes with every name"],
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_hostile_project_ends_a_process_of_its_own_with_a_sentence(tmp_path: Path, case: Case) -> None:
    root = tmp_path / "project"
    root.mkdir()
    case.make(root)
    before = {str(path) for path in tmp_path.rglob("*")}
    target, state = tmp_path / "out.zip", Path(tempfile.mkdtemp(prefix="lf-"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LABELFERRY_")}
    command = [sys.executable, "-c", "from labelferry.cli import main; main()", "export", str(root), "-o", str(target)]
    said = subprocess.run(
        command, capture_output=True, text=True, env={**clean, "LABELFERRY_STATE": str(state)}, check=False
    )
    assert said.returncode == case.ends, said.stderr
    assert "Traceback" not in said.stdout + said.stderr
    assert re.search(case.says, said.stderr)
    assert target.exists() == (case.ends == 0)
    assert {str(path) for path in tmp_path.rglob("*")} - {str(target)} == before
