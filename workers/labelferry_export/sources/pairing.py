"""Annotation files that belong to an image because they have its stem."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from labelferry_export.findings import Finding
from labelferry_export.selection import listed
from labelferry_export.source import FoundImage, Sink
from labelferry_export.sources.folder_files import ImageFiles


def find_image(
    sink: Sink, images: ImageFiles, file: str, folders: Sequence[str], endings: Sequence[str] = ("",)
) -> FoundImage | None:
    """Return the image that `file` annotates, its key the file's name; complain when there is none, or more than one.

    `folders` are those that annotation files lie in, the longest that fits is taken off; `endings` are what a stem may end
    with besides the image's own (`_masks`), the first that finds an image counts.
    """
    folder = max((each for each in folders if file.startswith(each)), key=len, default="")
    stem = str(PurePosixPath(file.removeprefix(folder)).with_suffix(""))
    found: list[str] = []
    for ending in endings:
        if stem.endswith(ending) and (found := images.find(stem.removesuffix(ending))):
            break
    if len(found) == 1:
        return FoundImage(key=file, name=images.shown(found[0]), file=found[0])
    if found:
        message = f"{file} fits several images, {listed(found, 4)}: give them different stems"
    else:
        message = f"{file} has no image: none of the project's images has the stem {PurePosixPath(stem).name!r}"
    sink.complain(Finding.IMAGE_MISSING, message, file)
    return None
