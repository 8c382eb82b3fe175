"""COCO instances: a folder of images with instances json, or the json file itself. Polygons, both forms of RLE, crowds, boxes.

What stands where (the first that is there): `instances.json` or `instances_SUBSET.json` at the top, or in `annotations/`;
`annotations/coco/` of a bundle; `SUBSET/_annotations.coco.json`; else the one other json that is COCO. Images lie beside it:
in `images/`, in `SUBSET/`, in `images/SUBSET/`, or at the top.

The rings of a `segmentation` are a union: COCO has no holes in polygons (pycocotools fills them). A mask is traced along the
edges of its pixels, holes and all. Of an annotation that has only a box, the box is the outline.
"""

from collections.abc import Iterator
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.paths import inside
from labelferry_export.reading.json_stream import JsonStream
from labelferry_export.selection import listed
from labelferry_export.source import FoundProject, Key, Reads, Sink
from labelferry_export.sources.coco_files import lay_out, results_in
from labelferry_export.sources.coco_reading import CocoFileReading
from labelferry_protocol.errors import Code


class CocoSource:
    """See the module."""

    name = "coco"
    title = "COCO"
    looks_for = "instances.json or annotations/instances_*.json beside the images, or a json file with images, annotations and categories"
    reads = Reads(
        holes="in run lengths",
        parts="rings of a segmentation",
        crowds="iscrowd",
        attributes="yes, score too",
        subsets="by file or folder",
        ids="kept",
    )

    def recognises(self, path: Path) -> bool:
        """As `Source.recognises`. A json file that is broken counts: reading it says where."""
        try:
            return bool(lay_out(path).files)
        except OSError:
            return False

    def why_not(self, path: Path) -> str | None:
        """As `sources.why_not`: results of detectors are in COCO's form too, and no project."""
        return results_in(path)

    def read(self, path: Path, sink: Sink) -> Iterator[float]:
        """As `Source.read`."""
        layout = lay_out(path)
        files = layout.files
        if len(files) > 1 and any(file.subset is None for file in files):
            names = listed([file.path.name for file in files])
            raise ExportError(
                Code.USAGE, f"{path.name} holds several COCO files, {names}: name one of them as the source", path.name
            )
        classes: dict[str, Key] = {}
        for turn, file in enumerate(files):
            annotations = inside(layout.root, str(file.path.relative_to(layout.root)))
            with JsonStream(annotations, file.path.name) as stream:
                reading = CocoFileReading(layout, file, stream, sink, classes)
                if turn == 0:
                    yield from reading.index()
                    name = path.stem if path.is_file() else path.name
                    sink.begin(FoundProject(name, layout.root, reading.info()))
                else:
                    yield from ((turn + part) / len(files) for part in reading.index())
                yield from ((turn + part) / len(files) for part in reading.tell())


SOURCE = CocoSource()
