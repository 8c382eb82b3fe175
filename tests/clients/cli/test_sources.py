"""What SOURCE may be on the command line: a folder, a file, a file URL; of anything else a sentence."""

from pathlib import Path

import pytest

from labelferry.cli.session import check_source
from labelferry_protocol.errors import Code, Refusal


@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_file_url_is_the_path_it_spells(tmp_path: Path, host: str) -> None:
    folder = tmp_path / "my cells 100%"
    folder.mkdir()
    assert check_source(folder.as_uri().replace("file://", f"file://{host}"), here=True) == str(folder)


def test_a_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a%20b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert check_source("a%20b", here=True) == str(tmp_path / "a%20b")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/project", "s3://bucket/project"])
def test_what_has_to_be_fetched_first_is_said(url: str) -> None:
    with pytest.raises(Refusal, match="fetch it first") as refused:
        check_source(url, here=True)
    assert refused.value.code is Code.USAGE
