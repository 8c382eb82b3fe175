"""How a VOC project lies in its folder: where its xml files and images are, its class names and its subsets. What is in the files: voc.py, voc_form.py."""

import itertools
from collections.abc import Mapping
from pathlib import Path

from labelferry_export.sources.class_list import read_class_list
from labelferry_export.sources.folder_files import files_below
from labelferry_export.sources.label_pixels import MASK_SUFFIXES
from labelferry_export.sources.voc_form import STANDARD_CLASSES
from labelferry_export.sources.xml_elements import outermost

BASES = ("", "annotations/voc/")
"""Where the folders of VOC are in a project; the second in a bundle."""
XML = frozenset([".xml"])
ROOT = "annotation"
SUBSETS = ("train", "val", "test")
IMAGE_FOLDERS = ("JPEGImages/", "images/")
MOST_SNIFFED = 8


def class_names(root: Path, base: str) -> Mapping[int, str]:
    """Return the classes by their index in masks: those of labelmap.txt, whose first line is the background, else VOC's own."""
    lines = [line for line in read_class_list(root, (f"{base}labelmap.txt",)) if not line.startswith("#")]
    if not lines:
        return STANDARD_CLASSES
    names = [line.split(":")[0] for line in lines]
    return {index: name for index, name in enumerate(names) if index}


def subsets_of(root: Path, base: str) -> dict[str, str | None]:
    """Return the subset of each stem that is in exactly one."""
    found: dict[str, str | None] = {}
    folder = next((each for each in ("Main", "Segmentation") if (root / base / "ImageSets" / each).is_dir()), "Main")
    for subset in SUBSETS:
        for stem in read_class_list(root, (f"{base}ImageSets/{folder}/{subset}.txt",)):
            found[stem] = subset if found.get(stem, subset) == subset else None
    return found


def image_folders(root: Path, base: str) -> list[str]:
    """Return the folders that images may be in, the likeliest first."""
    wanted = dict.fromkeys([*(f"{base}{each}" for each in IMAGE_FOLDERS), *IMAGE_FOLDERS])
    return [each for each in wanted if (root / each).is_dir()]


def shown_name(file: str) -> str:
    """Return an image's name as people know it: without the folder of all images."""
    for folder in ("JPEGImages/", "images/"):
        if f"/{folder}" in f"/{file}":
            return f"/{file}".partition(f"/{folder}")[2]
    return file


def lay_out(path: Path) -> tuple[str, str] | None:
    """Return the base of the VOC folders, and the folder of the xml files; None when it is no such project."""
    for base in BASES:
        folder = f"{base}Annotations/"
        if _some(path, folder, 1):
            return base, folder
        if next(files_below(path, f"{base}SegmentationObject/", MASK_SUFFIXES), None):
            return base, folder
    for folder in ("annotations/", ""):
        if _some(path, folder, 1):
            return "", folder
    return None


def _some(path: Path, folder: str, deepest: int) -> bool:
    some = itertools.islice(files_below(path, folder, XML, deepest), MOST_SNIFFED)
    return any(outermost(path, each) == ROOT for each in some)
