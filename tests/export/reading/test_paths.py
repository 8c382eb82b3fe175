"""Names of files from hostile input: nothing outside of the project is ever opened."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from labelferry_export.errors import ExportError
from labelferry_export.paths import Finder, check_access, find, inside, open_plain
from labelferry_protocol.errors import Code


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(b"a")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return folder


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../secret.png", "leads out of the project's folder"),
        ("images/../../secret.png", "leads out of the project's folder"),
        ("..\\secret.png", "leads out of the project's folder"),
        ("/etc/passwd", "is an absolute path"),
        ("\\\\server\\share\\a.png", "is an absolute path"),
        ("C:\\a.png", "is an absolute path"),
        ("c:/a.png", "is an absolute path"),
        ("a\0.png", "is no file name"),
        ("", "is no file name"),
        ("x" * 5000, "cannot be looked up: File name too long"),
        ("\ud800", "cannot be looked up"),
    ],
)
def test_a_name_that_leaves_the_project_is_refused(root: Path, name: str, sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence) as caught:
        find(root, name, ("images/", ""))
    assert caught.value.code is Code.SOURCE
    assert len(str(caught.value)) < 300


def test_a_link_inside_is_followed_and_one_that_leads_out_is_not(root: Path) -> None:
    (root / "in.png").symlink_to("images/a.png")
    (root / "out.png").symlink_to("../secret.png")
    (root / "folder").symlink_to("..")
    assert inside(root, "in.png") == root / "images" / "a.png"
    for name in ("out.png", "folder/secret.png"):
        with pytest.raises(ExportError, match="symbolic link that leads out"):
            inside(root, name)


def test_links_in_a_circle_pipes_and_folders_are_no_files(root: Path) -> None:
    (root / "round.png").symlink_to("about.png")
    (root / "about.png").symlink_to("round.png")
    os.mkfifo(root / "pipe.png")
    with pytest.raises(ExportError, match="cannot be looked up"):
        inside(root, "round.png")
    for name in ("pipe.png", "images"):
        with pytest.raises(ExportError, match="is not a plain file"):
            inside(root, name)


def test_backslashes_separate_folders_only_where_a_file_exists_so(root: Path) -> None:
    (root / "odd\\name.png").write_bytes(b"b")
    assert inside(root, "images\\a.png") == root / "images" / "a.png"
    assert inside(root, "odd\\name.png") == root / "odd\\name.png"
    assert find(root, "images\\none.png") is None


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a.png",
            "b.png",
            "sub/c.png",
            "sub/../a.png",
            "./a.png",
            "sub//c.png",
            "none.png",
            "none/a.png",
            "sub",
            "pipe.png",
        ),
        *("in.png", "out.png", "dangling.png", "inner/a.png", "outer/secret.png", "gone/a.png", "round.png"),
        *(
            "sub\\c.png",
            "odd\\name.png",
            "/etc/passwd",
            "../secret.png",
            "c:a.png",
            "a:b.png",
            "",
            "a\0",
            "x" * 300,
            "\ud800",
            ".",
        ),
    ],
)
@pytest.mark.parametrize("folders", [("images/", ""), ("", "images/"), ("outer/", "images/"), ("none/", "images/")])
def test_many_files_are_found_as_one_is(root: Path, name: str, folders: tuple[str, ...]) -> None:
    images = root / "images"
    (images / "sub").mkdir()
    for place in ("b.png", "sub/c.png", "odd\\name.png", "a:b.png"):
        (images / place).write_bytes(b"x")
    for link, target in (
        ("in.png", "a.png"),
        ("out.png", "../../secret.png"),
        ("dangling.png", "nowhere"),
        ("inner", "."),
        ("round.png", "round.png"),
    ):
        (images / link).symlink_to(target)
    (root / "outer").symlink_to("..")
    (root / "gone").symlink_to("../nowhere")
    os.mkfifo(images / "pipe.png")

    def told(look: Callable[[], Path | None]) -> str:
        try:
            return repr(look())
        except ExportError as error:
            return str(error)

    finder = Finder(root)
    alone = told(lambda: find(root, name, folders))
    assert [told(lambda: finder.find(name, folders)) for _ in range(2)] == [alone, alone]


def test_more_folders_than_are_remembered_are_no_harm(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelferry_export.paths.FOLDERS_KEPT", 2)
    finder = Finder(root)
    for number in (*range(5), 0):
        folder = root / f"f{number}"
        folder.mkdir(exist_ok=True)
        (folder / "a.png").write_bytes(b"a")
        assert finder.find(f"f{number}/a.png") == folder / "a.png"


def test_a_file_that_became_a_link_or_a_pipe_is_not_opened(root: Path) -> None:
    path = inside(root, "images/a.png")
    path.unlink()
    path.symlink_to(root.parent / "secret.png")
    with pytest.raises(OSError, match="symbolic links"):
        open_plain(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match=r"a.png is not a plain file"):
        open_plain(path)


def test_a_project_is_read_only_below_one_of_the_roots(root: Path, tmp_path: Path) -> None:
    assert check_access(root, [tmp_path]) == root
    assert check_access(root, [tmp_path / "other", root]) == root
    for roots in ([], [tmp_path / "other"], [root / "images"]):
        with pytest.raises(ExportError, match="outside the folders that this worker may read") as caught:
            check_access(root, roots)
        assert caught.value.code is Code.ACCESS


def test_a_link_to_a_project_outside_of_the_roots_is_refused_before_it_is_looked_at(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(ExportError) as caught:
        check_access(root / "link" / "none", [root])
    assert caught.value.code is Code.ACCESS


def test_a_project_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="none does not exist") as caught:
        check_access(tmp_path / "none", [tmp_path])
    assert caught.value.code is Code.SOURCE
