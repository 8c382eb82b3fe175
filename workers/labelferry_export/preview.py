"""What an export would make, told before anything is made: counts, names, sizes, warnings, and what each format cannot say."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from labelferry_export import costs
from labelferry_export.bundle.contents import Contents, Count
from labelferry_export.job import Job
from labelferry_export.model import Chosen
from labelferry_export.result import summaries
from labelferry_protocol.events import WarningSummary

MOST_NAMES = 20
"""So many renamed images are named."""


@dataclass(frozen=True)
class Losses:
    """What one format cannot say: in how many places, the first of them in words, and how often it does what about it."""

    count: int
    example: str
    kinds: Mapping[str, int]


@dataclass(frozen=True)
class Preview:
    """An export that was not made. `sizes` are bytes in the bundle by part: annotations exact, and images that are not converted; the others about."""

    project: str
    source_format: str
    total: Count
    classes: Mapping[str, Count]
    splits: Mapping[str, Count]
    split_classes: Mapping[str, Mapping[str, Count]]
    """By split, then by class."""
    selection: Chosen
    """How many images and objects the project has, and how many of them were left out on purpose, by option."""
    skipped: int
    sizes: Mapping[str, int]
    renamed: int
    names: tuple[tuple[str, str], ...]
    """The first renamed images: the project's name, and the one below `images/`."""
    warnings: tuple[WarningSummary, ...]
    losses: Mapping[str, Losses] = field(default_factory=dict)
    """By format; one that says everything is not here."""


def preview_of(job: Job, contents: Contents, skipped: int, annotation_bytes: int) -> Preview:
    """Return what a job would make whose formats were written on trial."""
    facts, options = job.facts, job.options
    overlays = costs.OVERLAY_MEGABYTES * job.totals.megapixels * 1e6 * options.visualizations
    return Preview(
        project=facts.name,
        source_format=facts.source_format,
        total=contents.total,
        classes={each.name: contents.classes[each.id] for each in facts.categories},
        splits=contents.splits,
        split_classes={
            split: {each.name: counts[each.id] for each in facts.categories}
            for split, counts in contents.split_classes.items()
        },
        selection=facts.chosen,
        skipped=skipped,
        sizes={
            "images": round(costs.image_megabytes(options, job.totals) * 1e6),
            "visualizations": round(overlays),
            "annotations": annotation_bytes,
        },
        renamed=sum(1 for _ in _renamed(job)),
        names=tuple(islice(_renamed(job), MOST_NAMES)),
        warnings=summaries(job),
        losses=_losses(job),
    )


def _renamed(job: Job) -> Iterator[tuple[str, str]]:
    return ((image.name, image.bundle_file) for image in job.images() if image.name != image.bundle_name)


def _losses(job: Job) -> dict[str, Losses]:
    found: dict[str, Losses] = {}
    for (_, name), tally in job.findings.tallies.items():
        if name is not None and tally.losses:
            before = found.get(name, Losses(0, tally.example.message, {}))
            kinds = Counter(before.kinds) + Counter({str(loss): count for loss, count in tally.losses.items()})
            found[name] = Losses(before.count + tally.count, before.example, dict(sorted(kinds.items())))
    return dict(sorted(found.items()))
