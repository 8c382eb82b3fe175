"""What SOURCE may be on the command line: a folder, a file, a file URL; of anything else a sentence."""

from pathlib import Path

import pytest

from labelferry.cli.export import target_of
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


def test_a_bundle_is_never_written_over_the_zip_that_it_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = tmp_path / "project.zip"
    project.write_bytes(b"PK")
    assert target_of(None, "project", project) == Path("project-export.zip")
    assert target_of(None, "other", project) == Path("other.zip")
    assert target_of("out.zip", "project", project) == Path("out.zip")
    for named in ("project.zip", "./project.zip", str(project)):
        with pytest.raises(Refusal, match="is the project itself") as refused:
            target_of(named, "project", project)
        assert refused.value.code is Code.USAGE
