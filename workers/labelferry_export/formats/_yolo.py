"""What the YOLO formats share: which split is which key, `data.yaml`, and a tree of labels that does not lie beside `images/`.

Ultralytics finds the labels of an image by its path alone: the last `/images/` becomes `/labels/`. So one folder of images
has one tree of labels; the bundle's root gives it to YOLO segment. Another tree needs another path to the same images, which a
zip cannot hold without storing them twice: the user makes a link. The reader follows links in folders it is given before it looks for
labels, but not in the lines of a list; therefore such a tree has lists, whose lines begin with `./`, the list's own folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from labelferry_export.bundle.packed import pack
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import FormatJob, Written, loss
from labelferry_export.formats._yaml import quoted
from labelferry_export.instances import Columns, columns_of
from labelferry_export.lanes.task import Piece, Task
from labelferry_export.model import Image, Instance
from labelferry_export.plan import Step
from labelferry_export.selection.split_names import ROLES, role_of

LEAST_SIDE = 10
"""Ultralytics refuses images with a side under 10 px."""
LINES_PER_STEP = 256
"""After so many lines of a list the caller may stop."""


def split_by_role(splits: Sequence[str]) -> dict[str, str | None]:
    """Return for each of `ROLES` (the keys of data.yaml) the first split that fills it by name, None where there is none."""
    return {role: next((each for each in splits if role_of(each) == role), None) for role in ROLES}


def chosen_splits(splits: Sequence[str]) -> dict[str, str]:
    """Return which split is `train`, `val` and, where there is one, `test`: the first two always are, if need be the same one."""
    by_role = split_by_role(splits)
    free = [each for each in splits if each not in by_role.values()]
    train = by_role["train"] or (free.pop(0) if free else splits[0])
    val = by_role["val"] or (free.pop(0) if free else by_role["test"] or train)
    chosen = {"train": train, "val": val, "test": by_role["test"]}
    return {role: split for role, split in chosen.items() if split}


def yaml_of(places: Mapping[str, str], names: Sequence[str]) -> str:
    """Return data.yaml: where the images of each role are, and the classes. It has no `path`: its own folder is the root."""
    lines = [f"{role}: {quoted(place)}" for role, place in places.items()]
    lines += [f"nc: {len(names)}", "names:"] + [f"  {index}: {quoted(name)}" for index, name in enumerate(names)]
    return "\n".join(lines if names else [*lines[:-1], "names: {}"]) + "\n"


def size_losses(image: Image, format_name: str) -> list[Warn]:
    """Return the finding that an image is too small for the readers, if it is."""
    if min(image.width, image.height) >= LEAST_SIDE:
        return []
    message = f"YOLO readers refuse an image of {image.width} x {image.height} px"
    return [loss(Loss.REFUSED, format_name, message, image)]


def crowd_loss(image: Image, number: int, format_name: str) -> Warn:
    """Return the finding that a crowd, the object `number`, is left out."""
    message = f"object {number} is a crowd, which YOLO cannot say: left out"
    return loss(Loss.DROPPED, format_name, message, image, number)


def double_loss(image: Image, number: int, earlier: int, format_name: str) -> Warn:
    """Return the finding that the object `number` has the class and the box of an `earlier` one."""
    message = f"object {number} has the class and the box of object {earlier}: YOLO readers take them for one"
    return loss(Loss.REFUSED, format_name, message, image, number)


def sayable(image: Image, instances: Sequence[Instance], format_name: str) -> tuple[Columns, list[Warn]]:
    """Return the objects that YOLO can say, and what is lost of the image and the others."""
    columns = columns_of(instances)
    losses = size_losses(image, format_name)
    losses += [crowd_loss(image, number, format_name) for number in columns.ids[columns.crowds].tolist()]
    return columns.without_crowds, losses


def rows_of(image: Image, columns: Columns, numbers: bytes, format_name: str) -> tuple[bytes, list[Warn]]:
    """Return the label file of objects and their numbers as text, of equal length, and a finding for each row that an earlier one equals:

    the reader drops it.
    """
    if not len(columns):
        return b"", []
    texts = np.frombuffer(numbers, f"S{len(numbers) // len(columns)}").tolist()
    rows = [b"%d%b\n" % (category - 1, text) for category, text in zip(columns.categories.tolist(), texts, strict=True)]
    losses = []
    if len(set(rows)) < len(rows):
        first: dict[bytes, int] = {}
        for row, number in zip(rows, columns.ids.tolist(), strict=True):
            earlier = first.setdefault(row, number)
            if earlier != number:
                losses.append(double_loss(image, number, earlier, format_name))
    return b"".join(rows), losses


def packed_labels(folder: str, image: Image, written: Written, objects: int) -> Piece:
    """Return the label file below `folder` of an image with so many objects: all that a task makes of it."""
    file = pack(f"{folder}/{PurePosixPath(image.bundle_file).with_suffix('')}.txt", written.data)
    return Piece(objects=objects, findings=written.losses, last=True, file=file)


def write_tree(job: FormatJob, name: str, labels: Task) -> Iterator[Step]:
    """Write `annotations/<name>/`: data.yaml, a list of images for each role, and with `labels` a label file for every image."""
    root = f"annotations/{name}"
    roles: Mapping[str, str | None] = chosen_splits(job.splits) if job.splits else {"train": None, "val": None}
    with job.open(f"{root}/data.yaml") as file:
        lists = {role: f"{role}.txt" for role in roles}
        file.write(yaml_of(lists, [each.name for each in job.facts.categories]).encode())
    for role, split in roles.items():
        with job.open(f"{root}/{role}.txt") as file:
            for number, image in enumerate(job.images(split), start=1):
                file.write(f"./images/{image.bundle_file}\n".encode())
                if number % LINES_PER_STEP == 0:
                    yield job.step(image, 0, last=False)
    yield from job.files(labels)
