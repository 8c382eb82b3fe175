"""The stage `visualizations`: an overlay for every image, drawn and encoded in strips, so that a large image has many units."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import PurePosixPath

from labelferry_export import costs
from labelferry_export.costs import Totals
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Warn
from labelferry_export.job import Job
from labelferry_export.model import Image, Instance
from labelferry_export.overlays import render
from labelferry_export.overlays.png import STRIP_PIXELS
from labelferry_export.picture import open_picture
from labelferry_export.plan import Step
from labelferry_export.stage import StageWork
from labelferry_protocol.options import ExportOptions, OverlayStyle
from labelferry_protocol.words import Stage

VERB = "Drawing overlays"
ENCODE_SHARE = 0.5
"""Of an overlay's cost: what comes after its first block, when it is decoded and drawn."""


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what drawing costs, ms."""
    return costs.drawing(totals.images, totals.objects, totals.megapixels) if options.visualizations else 0.0


def overlay_name(image: Image) -> str:
    """Return where an image's overlay lies in the bundle."""
    return f"visualizations/{PurePosixPath(image.bundle_name).with_suffix('')}.png"


def overlay_of(
    image: Image, instances: Sequence[Instance], style: OverlayStyle
) -> tuple[tuple[Warn, ...], Iterator[bytes]]:
    """Return what was noticed of an image's pixels, and its overlay's PNG, some milliseconds of work a block.

    Raises `ExportError` for pixels that are broken.
    """
    picture = open_picture(image)
    return picture.findings, render(picture.rgb, instances, style)


def run(job: Job) -> Generator[Step, None, None]:
    """Draw every overlay. Where an image's pixels are broken, the job ends, or the original stays and its overlay is left out."""
    for image in job.images():
        instances = job.instances(image)
        whole = costs.drawing(1, len(instances), image.width * image.height / 1e6)
        try:
            left = yield from _write(job, image, instances, whole)
            job.finished.overlays += 1
        except ExportError as error:
            if not job.skips:
                raise
            message = f"{error.message}: it has no overlay; its file is in the bundle as it is"
            job.report(Warn(code=Finding.IMAGE_BROKEN, message=message, image=image.name))
            left = whole
        job.check_off()
        yield Step(left, VERB, image.bundle_name)


def _write(job: Job, image: Image, instances: Sequence[Instance], whole: float) -> Generator[Step, None, float]:
    """Write one overlay, of a large image with a yield after every block; return what is left of its cost, `whole`."""
    findings, blocks = overlay_of(image, instances, job.options.style)
    for warn in findings:
        job.report(warn)
    pixels = image.width * image.height
    strip = whole * ENCODE_SHARE / max(pixels / STRIP_PIXELS, 1.0)
    left, large = whole, pixels > STRIP_PIXELS
    with job.open(overlay_name(image)) as file:
        for block in blocks:
            drawn = block and file.size == 0
            file.write(block)
            done = min(left, (whole * (1 - ENCODE_SHARE) if drawn else 0.0) + (strip if block else 0.0))
            if large:
                left -= done
                yield Step(done, VERB, image.bundle_name, 0)
    return left


STAGE = StageWork("visualizations", Stage.VISUALIZATIONS, cost, lambda job: job.image_count, run)
