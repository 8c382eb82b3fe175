"""The stage `visualizations`: an overlay for every image, drawn and encoded in strips, so that a large image has many units."""

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

import msgspec

from labelferry_export import costs
from labelferry_export.bundle.archive import EntryWriter
from labelferry_export.bundle.packed import pack
from labelferry_export.costs import Totals
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Warn
from labelferry_export.job import Job
from labelferry_export.lanes import Piece
from labelferry_export.model import Image, Instance
from labelferry_export.overlays import render
from labelferry_export.overlays.draw import BAND_PIXELS
from labelferry_export.overlays.png import STRIP_PIXELS, WHOLE_BYTES
from labelferry_export.picture import Picture, opening
from labelferry_export.plan import Step
from labelferry_export.stage import StageWork
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions, OverlayStyle
from labelferry_protocol.words import Stage

VERB = "Drawing overlays"
MOMENT_PIXELS = BAND_PIXELS // 2
"""About so many pixels are drawn between two chances to stop: two a band."""
ENCODE_SHARE = 0.25
"""Of a large overlay's cost: what comes after its first block, when it is decoded and drawn."""


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what drawing costs, ms."""
    if not options.visualizations:
        return 0.0
    drawing = costs.drawing(totals.images, totals.objects, totals.megapixels)
    return drawing + costs.decoding(totals.full_megapixels - totals.megapixels)


def overlay_name(image: Image) -> str:
    """Return where an image's overlay lies in the bundle."""
    return f"visualizations/{PurePosixPath(image.bundle_name).with_suffix('')}.png"


def is_streamed(image: Image) -> bool:
    """Whether an image's overlay comes in pieces as it is packed, not whole."""
    return 3 * image.width * image.height > WHOLE_BYTES


class Overlay(msgspec.Struct, frozen=True):
    """The task of drawing an image's overlay: a file, or of a large image its PNG in pieces, what was noticed of its pixels with the first."""

    style: OverlayStyle

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:
        """Yield the PNG. Raises `ExportError` for pixels that are broken."""
        steps = opening(image)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                picture: Picture = end.value
                break
            yield Piece()
        blocks = render(picture.rgb, instances, self.style, in_place=True)
        if is_streamed(image):
            yield Piece(objects=len(instances), findings=picture.findings)
            yield from map(Piece, blocks)
            return
        made = []
        for block in blocks:
            made.append(block)
            yield Piece()
        file = pack(overlay_name(image), b"".join(made))
        yield Piece(objects=len(instances), findings=picture.findings, file=file)


def run(job: Job) -> Generator[Step, None, None]:
    """Draw every overlay. Where an image's pixels are broken, the job ends, or the original stays and its overlay is left out."""
    for image, pieces in job.spread(Overlay(job.options.style)):
        try:
            left = yield from _write(job, image, pieces)
            job.finished.overlays += 1
        except ExportError as error:
            if not job.skips or error.code is Code.INTERNAL:
                raise
            message = f"{error.message}: it has no overlay; its file is in the bundle as it is"
            job.report(Warn(code=Finding.IMAGE_BROKEN, message=message, image=image.name))
            left = _image_cost(image)
        job.check_off()
        yield Step(left, VERB, image.bundle_name)


def _write(job: Job, image: Image, pieces: Iterable[Piece | None]) -> Generator[Step, None, float]:
    """Write one overlay, a yield wherever a piece lets wait for itself; return what is left of its cost."""
    if is_streamed(image):
        with job.open(overlay_name(image)) as file:
            return (yield from _stream(job, image, pieces, file))
    objects = 0
    for piece in pieces:
        if piece is None or piece.file is None:
            yield Step(0.0, VERB, image.bundle_name, 0)
            continue
        _report(job, piece)
        objects += piece.objects
        job.add(piece.file)
    return _image_cost(image) + costs.drawing(0, objects, 0.0)


def _stream(job: Job, image: Image, pieces: Iterable[Piece | None], file: EntryWriter) -> Generator[Step, None, float]:
    """Write the overlay of a large image, a yield after every piece; return what is left of its cost."""
    pixels = image.width * image.height
    left = whole = _image_cost(image)
    strip = whole * ENCODE_SHARE / (pixels / STRIP_PIXELS)
    ahead = whole - whole * ENCODE_SHARE
    moment = ahead / (pixels / MOMENT_PIXELS)
    for piece in pieces:
        if piece is None:
            yield Step(0.0, VERB, image.bundle_name, 0)
            continue
        _report(job, piece)
        left += costs.drawing(0, piece.objects, 0.0)
        drawn = ahead if piece.data else min(moment, ahead)
        ahead -= drawn
        file.write(piece.data)
        done = min(left, drawn + (strip if piece.data else 0.0))
        left -= done
        yield Step(done, VERB, image.bundle_name, 0)
    return left


def _report(job: Job, piece: Piece) -> None:
    for warn in piece.findings:
        job.report(warn)


def _image_cost(image: Image) -> float:
    """Return what an overlay costs without its objects, ms."""
    full, pixels = math.prod(image.full) / 1e6, image.width * image.height / 1e6
    return costs.drawing(1, 0, pixels) + costs.decoding(full - pixels)


STAGE = StageWork("visualizations", Stage.VISUALIZATIONS, cost, lambda job: job.image_count, run, spread=0.95)
