"""The stage `images`: the originals, bit for bit, in bounded blocks. They are never decoded to be copied."""

from collections.abc import Generator

from labelferry_export import costs
from labelferry_export.costs import Totals
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Warn
from labelferry_export.job import Job
from labelferry_export.model import Image
from labelferry_export.picture import open_original
from labelferry_export.plan import Step
from labelferry_export.stage import StageWork
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage

BLOCK_BYTES = 1 << 20
VERB = "Copying images"


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what copying costs, ms."""
    return costs.copying(totals.images, totals.megabytes) if options.images else 0.0


def run(job: Job) -> Generator[Step, None, None]:
    """Copy every image; one that is missing or was changed ends the job, or is left out of everything."""
    for image in job.images():
        last = 0
        try:
            last = yield from _copy(job, image)
        except ExportError as error:
            if not job.skips:
                raise
            _leave_out(job, image, error)
        job.finished.images += 1
        job.check_off()
        yield Step(costs.copying(1, last / 1e6), VERB, image.bundle_name)
    if len(job.left_out) == job.finished.images > 0:
        raise ExportError(
            Code.SOURCE,
            f"none of the project's {job.finished.images} images could be copied: look at the files of the project",
        )


def _copy(job: Job, image: Image) -> Generator[Step, None, int]:
    """Copy a file, a yield after every block but the last, whose bytes are returned."""
    with open_original(image) as file, job.open(f"images/{image.bundle_file}") as entry:
        while block := file.read(BLOCK_BYTES):
            entry.write(block)
            if entry.size >= image.size:
                break
            yield Step(costs.copying(0, len(block) / 1e6), VERB, image.bundle_name, count=0)
        if entry.size != image.size or file.read(1):
            raise ExportError(
                Code.ITEM, f"the image {image.name!r} was changed while it was copied: export again", item=image.name
            )
        return len(block)


def _leave_out(job: Job, image: Image, error: ExportError) -> None:
    job.left_out.add(image.id)
    code = Finding.IMAGE_BROKEN if image.path.exists() else Finding.IMAGE_MISSING
    job.report(Warn(code=code, message=f"{error.message}; left out", image=image.name))


STAGE = StageWork("images", Stage.IMAGES, cost, lambda job: job.image_count, run)
