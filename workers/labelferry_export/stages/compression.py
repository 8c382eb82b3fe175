"""The stage `compression`: what closes the bundle and reads it again. Everything else went into the zip as it was made; now come the README, the manifest,
the checksums and the zip's directory.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain

from labelferry_export import costs, formats, tables
from labelferry_export.bundle.contents import Contents
from labelferry_export.bundle.manifest import manifest
from labelferry_export.bundle.readme import readme
from labelferry_export.bundle.verify import verify
from labelferry_export.costs import Totals
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding, Loss
from labelferry_export.job import Job
from labelferry_export.plan import Step
from labelferry_export.recount import Claim
from labelferry_export.recounting import FAULTS, Recounting
from labelferry_export.stage import StageWork
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Stage

VERB, CHECKING = "Compressing bundle", "Checking bundle"
FILE_BYTES = 230
"""About what the manifest, the checksums and the directory hold of a file, besides three times its name."""
LISTED_BYTES = 60
PACKED = 3
"""The closing files become about so many times smaller in the zip."""
README_BYTES = 2000
LINES_PER_BLOCK = 500
SKIPPED = (Finding.IMAGE_MISSING, Finding.IMAGE_BROKEN)


def cost(options: ExportOptions, totals: Totals) -> float:
    """Return what closing the bundle costs, ms."""
    megabytes = costs.bundle_megabytes(options, totals)
    return _closing_cost(options, totals) + costs.checking(megabytes) + sum(_recount_costs(options, totals))


def _recount_costs(options: ExportOptions, totals: Totals) -> Iterator[float]:
    """Yield what it costs to read each format again, then each table."""
    format_costs = [formats.cost(name, options.format_options) for name in dict.fromkeys(options.formats)]
    table_costs = [tables.find(name).cost for name in dict.fromkeys(options.metrics)]
    for share, each_cost in ((costs.RECOUNT_FORMATS, format_costs), (costs.RECOUNT_TABLES, table_costs)):
        yield from (share * each.of(totals.images, totals.objects) for each in each_cost)


def _closing_cost(options: ExportOptions, totals: Totals) -> float:
    files_per_image = options.images + options.visualizations + ("yolo" in options.formats)
    return costs.finishing(files_per_image * totals.images)


def total(job: Job) -> int:
    """Return about how many bytes are to be written, and then read again, from what is in the bundle now."""
    closing = _closing_bytes(job)
    return job.archive.offset + closing + closing // PACKED


def _closing_bytes(job: Job) -> int:
    files = job.archive.count
    names = max(job.archive.listing_bytes - files * LISTED_BYTES, 0)
    return README_BYTES + FILE_BYTES * files + 3 * names + job.findings_bytes


def run(job: Job) -> Generator[Step, None, None]:
    """Write the last files, close the zip, and read it all again: a bundle that does not pass is never published."""
    share = _closing_cost(job.options, job.totals) / max(_closing_bytes(job), 1)
    counted = yield from count(job)
    job.contents = counted
    job.skipped = skipped(job)
    yield from _write(job, "README.md", [readme(job, counted).encode()], share)
    yield from _write(job, "manifest.json", manifest(job, counted, job.skipped), share)
    yield from _write(job, "SHA256SUMS", checksums(job), share)
    for size in job.archive.finish():
        yield Step(size * share, VERB, "", size)
    yield from _check(job)


def _check(job: Job) -> Generator[Step, None, None]:
    claims = tuple((name, _claim(job, name)) for name in job.finished.formats)
    total = job.contents.total
    claim = Claim(job.facts, {}, total.images, total.objects)
    task = Recounting(str(job.archive.path), claims, tuple((name, claim) for name in job.finished.metrics))
    recounts = job.spread_spans(task, task.spans)
    try:
        # Lanes begin to count when the first is asked for; meanwhile the digests are taken here.
        first = next(recounts, None)
        job.sha256 = yield from _steps(verify(job.archive.path, job.archive.crc))
        spent = _recount_costs(job.options, job.totals)
        for _, pieces in chain([] if first is None else [first], recounts):
            for piece in pieces:
                if piece is not None and piece.data:
                    raise ValueError(piece.data.decode())
                yield Step(0.0, CHECKING, "", 0)
            yield Step(next(spent, 0.0), CHECKING, "", 0)
    except FAULTS as error:
        message = (
            f"the bundle failed its self-check and is not published: {error}: export again, and tell us if it stays"
        )
        raise ExportError(Code.INTERNAL, message) from error


def _steps(checking: Generator[int, None, str]) -> Generator[Step, None, str]:
    with closing(checking):
        while True:
            try:
                size = next(checking)
            except StopIteration as end:
                digest: str = end.value
                return digest
            yield Step(costs.checking(size / 1e6), CHECKING, "", size)


def _claim(job: Job, name: str) -> Claim:
    tallies = [tally for (_, format_name), tally in job.findings.tallies.items() if format_name == name]
    total = job.contents.total
    return Claim(
        facts=job.facts,
        options=formats.resolve(formats.find(name), job.options.format_options.get(name, {})),
        images=total.images,
        objects=total.objects,
        losses={str(kind): sum(tally.losses[kind] for tally in tallies) for kind in Loss},
    )


def skipped(job: Job) -> int:
    """Return how many images were left out because they could not be exported, while reading or since."""
    return len(job.left_out) + sum(job.snapshot.log.counts.get(code, 0) for code in SKIPPED)


def count(job: Job) -> Generator[Step, None, Contents]:
    """Count what the bundle holds: from the snapshot's own counts, or image by image where some were left out."""
    contents = Contents.of([each.id for each in job.facts.categories], job.splits)
    if not job.left_out and job.limit is None:
        for tally in job.snapshot.tallies:
            contents.add_tally(tally)
        return contents
    for image in job.images():
        contents.add_image(image.split, [each.category_id for each in job.instances(image)])
        yield Step(0.0, VERB, image.bundle_name, 0)
    return contents


def checksums(job: Job) -> Iterator[bytes]:
    """Yield SHA256SUMS in blocks, as `sha256sum -c` reads it: every file that is in the archive by now."""
    pending = []
    for entry in job.archive.entries():
        pending.append(f"{entry.sha256.hex()}  {entry.name}\n".encode())
        if len(pending) >= LINES_PER_BLOCK:
            yield b"".join(pending)
            pending.clear()
    yield b"".join(pending)


def _write(job: Job, name: str, blocks: Iterable[bytes], share: float) -> Generator[Step, None, None]:
    with job.open(name) as file:
        for block in blocks:
            file.write(block)
            yield Step(len(block) * share, VERB, name, len(block))


STAGE = StageWork("compression", Stage.COMPRESSION, cost, total, run, spread=0.5)
