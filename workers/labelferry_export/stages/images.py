"""The stage `images`: the originals, bit for bit, in bounded blocks. They are never decoded to be copied; conversion is another stage."""

from collections.abc import Generator

from labelferry_export import costs
from labelferry_export.costs import Totals
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Warn
from labelferry_export.job import Job
from labelferry_export.model import Image
from labelferry_export.picture import original_blocks
from labelferry_export.plan import Step
from labelferry_export.stage import StageWork
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage

BLOCK_BYTES = 1 << 20
VERB = "Copying images"


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what copying costs, ms."""
    wanted = options.images and not costs.converts(options)
    return costs.copying(totals.images, totals.megabytes) if wanted else 0.0


def run(job: Job) -> Generator[Step, None, None]:
    """Copy every image; one that is missing or was changed ends the job, or is left out of everything."""
    for image in job.images():
        last = 0
        try:
            last = yield from copy(job, image)
        except ExportError as error:
            leave_out(job, image, error)
        yield finished(job, image, costs.copying(1, last / 1e6), VERB)
    check_any(job)


def copy(job: Job, image: Image) -> Generator[Step, None, int]:
    """Copy a file, a yield after every block but the last, whose bytes are returned."""
    with job.open(f"images/{image.bundle_file}") as entry:
        block = b""
        for block in original_blocks(image, BLOCK_BYTES):
            entry.write(block)
            if entry.size < image.size:
                yield Step(costs.copying(0, len(block) / 1e6), VERB, image.bundle_name, count=0)
        return len(block)


def finished(job: Job, image: Image, cost: float, verb: str) -> Step:
    """Say that an image is in the bundle, or left out, and return the step that it was."""
    job.finished.images += 1
    job.check_off()
    return Step(cost, verb, image.bundle_name)


def leave_out(job: Job, image: Image, error: ExportError) -> None:
    """Leave an image out of everything; raise `error` when the options want the job to end by it, or it is nobody's image's fault."""
    if not job.skips or error.code is Code.INTERNAL:
        raise error
    job.left_out.add(image.id)
    code = Finding.IMAGE_BROKEN if image.path.exists() else Finding.IMAGE_MISSING
    job.report(Warn(code=code, message=f"{error.message}; left out", image=image.name))


def check_any(job: Job) -> None:
    """Raise `ExportError` when no image at all is left."""
    if len(job.left_out) == job.finished.images > 0:
        raise ExportError(
            Code.SOURCE,
            f"none of the project's {job.finished.images} images could be copied: look at the files of the project",
        )


STAGE = StageWork("images", Stage.IMAGES, cost, lambda job: job.image_count, run)
