"""The stage `conversion`, told as `images`, in whose place it runs: files that are as the options want them are copied, the others made anew."""

import math
from collections.abc import Generator, Iterable, Iterator, Sequence

import msgspec

from labelferry_export import costs
from labelferry_export.bundle.packed import pack
from labelferry_export.bundle.records import Method
from labelferry_export.conversion import Original, convert
from labelferry_export.costs import Totals
from labelferry_export.errors import ExportError
from labelferry_export.job import Job
from labelferry_export.lanes import Piece
from labelferry_export.model import Image, Instance
from labelferry_export.plan import Step
from labelferry_export.stage import StageWork
from labelferry_export.stages.images import check_any, copy, finished, leave_out
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage

VERB = "Converting images"


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what copying and converting cost, ms."""
    if not (options.images and costs.converts(options)):
        return 0.0
    share = totals.converted
    anew = (share * totals.images, share * totals.full_megapixels, share * totals.megapixels)
    rest = costs.copying(totals.images, (1 - share) * totals.megabytes)
    return rest + costs.converting(*anew, options.image_format)


class Convert(msgspec.Struct, frozen=True):
    """The task of making an image's file anew."""

    def __call__(self, image: Image, instances: Sequence[Instance]) -> Iterator[Piece]:  # noqa: ARG002 - as every task
        """Yield the file, empty pieces before it. Raises `ExportError` for pixels that are broken."""
        original, blocks = Original(b""), []
        for block in convert(image):
            if isinstance(block, Original):
                original = block
            else:
                blocks.append(block)
            yield Piece()
        file = pack(f"images/{image.bundle_file}", b"".join(blocks), Method.STORED)
        yield Piece(findings=original.findings, file=msgspec.structs.replace(file, original=original.sha256))


def run(job: Job) -> Generator[Step, None, None]:
    """Write every image; one that cannot be ends the job, or is left out of everything."""
    anew = job.spread(Convert(), wanted=lambda image: bool(image.written))
    for image in job.images():
        cost = 0.0
        try:
            if image.written:
                _, pieces = next(anew)
                yield from _write(job, image, pieces)
                full, pixels = math.prod(image.full) / 1e6, image.width * image.height / 1e6
                cost = costs.converting(1, full, pixels, image.written)
            else:
                cost = costs.copying(1, (yield from copy(job, image)) / 1e6)
        except ExportError as error:
            leave_out(job, image, error)
        yield finished(job, image, cost, VERB)
    # There is no other one: this lets the lanes go.
    next(anew, None)
    check_any(job)


def _write(job: Job, image: Image, pieces: Iterable[Piece | None]) -> Generator[Step, None, None]:
    """Write one file, a yield wherever it lets wait for itself."""
    for piece in pieces:
        if piece is None or piece.file is None:
            yield Step(0.0, VERB, image.bundle_name, 0)
            continue
        for warn in piece.findings:
            job.report(warn)
        job.add(piece.file)


STAGE = StageWork("conversion", Stage.IMAGES, cost, lambda job: job.image_count, run, spread=0.9)
