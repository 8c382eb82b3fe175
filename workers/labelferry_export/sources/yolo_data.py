"""What YOLO's data.yaml says: class names, and where the images of each role are, by the rules of Ultralytics. The images and labels themselves: yolo.py."""

import posixpath
from collections.abc import Mapping
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.sources.class_list import read_class_list, read_text
from labelferry_export.sources.yolo_yaml import Value, YamlError, read_yaml
from labelferry_protocol.errors import Code

ROLES = ("train", "val", "test")
CLASS_LISTS = ("classes.txt", "labels/classes.txt", "obj.names")


class YoloData:
    """What data.yaml says: class names by index, and what each role is made of, relative to the project's root."""

    def __init__(self, names: Mapping[int, str], places: Mapping[str | None, list[str]], key_points: bool) -> None:
        self.names = names
        self.places = places
        self.key_points = key_points
        self.remark = ""
        """What does not fit together in data.yaml, in words."""

    @classmethod
    def bare(cls, root: Path) -> "YoloData":
        """Return what a project without data.yaml is."""
        return cls(dict(enumerate(read_class_list(root, CLASS_LISTS))), {None: ["images"]}, key_points=False)

    @classmethod
    def of(cls, root: Path, file: str) -> "YoloData":
        """Return what a data.yaml says; raise `ExportError` when it cannot be read."""
        try:
            said = read_yaml(read_text(root, file))
        except YamlError as error:
            raise ExportError(Code.SOURCE, f"{file} cannot be read: {error}", file) from None
        if not isinstance(said, dict):
            raise ExportError(Code.SOURCE, f"{file} is no data file of YOLO: its top level is no map", file)
        places = {role: _listed_places(said, role) for role in ROLES}
        places["val"] = places["val"] or _listed_places(said, "valid") or _listed_places(said, "validation")
        below = _below(said.get("path"))
        found: dict[str | None, list[str]] = {
            role: [_place(root, below, each, file) for each in some] for role, some in places.items() if some
        }
        if not found:
            raise ExportError(Code.SOURCE, f"{file} names no images: it has no 'train', 'val' or 'test'", file)
        names = _names(said, file)
        data = cls(names, found, key_points=said.get("kpt_shape") is not None)
        count = said.get("nc")
        if isinstance(count, int) and count != len(names):
            data.remark = f"{file} says nc: {count}, but names {len(names)} classes: its names count"
        return data


def _names(said: Mapping[str, Value], file: str) -> dict[int, str]:
    names = said.get("names")
    if isinstance(names, list):
        return {index: str(name) for index, name in enumerate(names)}
    if isinstance(names, dict):
        if not all(key.isascii() and key.isdigit() and len(key) < 9 for key in names):
            raise ExportError(Code.SOURCE, f"{file}: the keys of 'names' must be 0, 1, 2, ...", file)
        return {int(key): str(names[key]) for key in sorted(names, key=int)}
    count = said.get("nc")
    if isinstance(count, int) and 0 <= count <= 1_000_000:
        return {index: f"class_{index}" for index in range(count)}
    raise ExportError(Code.SOURCE, f"{file} names no classes: it has no 'names'", file)


def _listed_places(said: Mapping[str, Value], role: str) -> list[str]:
    value = said.get(role)
    several = value if isinstance(value, list) else [value]
    return [each for each in several if isinstance(each, str) and each.strip()]


def _below(path: Value) -> str:
    """Return `path`, where it is relative; an absolute one is another machine's, and the folder of data.yaml stands for it."""
    text = path.replace("\\", "/") if isinstance(path, str) else ""
    return "" if text.startswith("/") or text[1:2] == ":" else text


def _place(root: Path, below: str, place: str, file: str) -> str:
    """Return a place relative to the root, by the rules of Ultralytics: below `path`; and `../` is tried without, as Roboflow means it."""
    place = place.replace("\\", "/")
    for candidate in (posixpath.join(below, place), place, place.removeprefix("../"), f"images/{place}"):
        name = posixpath.normpath(candidate)
        if name.startswith(("/", "../")) or name == ".." or name[1:2] == ":":
            continue
        if is_inside(root, name):
            return name
    raise ExportError(
        Code.SOURCE,
        f"{file}: {place!r} is not there, or lies outside of the folder of {file}: name the images relative to it",
        file,
    )


def is_inside(root: Path, name: str) -> bool:
    """Whether there is such a file or folder below a resolved root, and no link leads out of it."""
    try:
        path = (root / name).resolve()
        return path.is_relative_to(root) and path.exists()
    except (OSError, ValueError, RuntimeError):
        return False
