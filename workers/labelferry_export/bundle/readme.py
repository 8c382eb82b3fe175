"""README.md of a bundle: for the person who unzips it. What is inside, the classes, how to load each format, every kind of warning in words."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from labelferry_export import formats, tables
from labelferry_export.bundle.contents import Contents
from labelferry_export.costs import converts
from labelferry_export.findings import Finding, FindingLog, Loss
from labelferry_export.job import Job
from labelferry_export.model import Counted

SHOWN, SHOWN_OF_FORMAT = 20, 5
"""So many findings of one kind (and about one format) are spelled out; the manifest has them all."""

MEANINGS: dict[Finding, str] = {
    Finding.IMAGE_MISSING: "Images that are not there: left out",
    Finding.IMAGE_BROKEN: "Images that cannot be read",
    Finding.IMAGE_SIZE: "Images whose size is not the one the project says",
    Finding.IMAGE_RENAMED: "Images renamed, so that names are safe and unique",
    Finding.IMAGE_TURNED: "Images that are stored turned: sizes and outlines are those of the upright image, as viewers and most loaders show it",
    Finding.IMAGE_PAGES: "Files with several pages",
    Finding.IMAGE_DEPTH: "Images of which not all bits can be read; the originals are as they were",
    Finding.OBJECT_DROPPED: "Objects left out",
    Finding.OBJECT_REPAIRED: "Objects whose outline was repaired",
    Finding.OBJECT_CLIPPED: "Objects cut off at the border of their image",
    Finding.OBJECT_RENUMBERED: "Objects that got another number",
    Finding.OBJECT_NO_PIXEL: "Objects that cover no pixel centre: kept, with an empty mask",
    Finding.REFERENCE_BROKEN: "Ids that point nowhere",
    Finding.FORMAT_LOSS: "What a format cannot say",
    Finding.CONTRAST_WINDOW: "Images shown in a contrast window on their overlay; the originals are as they were",
    Finding.SELECTION_UNMATCHED: "What was asked for and is not in the project",
    Finding.CLASS_RENAMED: "Classes with another name than in the project",
    Finding.CLASS_MERGED: "Classes that were several in the project",
    Finding.CLASS_DROPPED: "Classes left out with their objects",
    Finding.SPLIT_RENAMED: "Splits with another name than in the project",
    Finding.SPLIT_UNASSIGNED: "Images without a split or a group of their own",
    Finding.SPLIT_GAP: "Splits that lack images, or a class that another split has",
    Finding.OTHER: "Other remarks",
}
"""What the kinds of findings are called for people."""

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")


def readme(job: Job, contents: Contents) -> str:
    """Return README.md."""
    sections = [
        _title(job, contents),
        "\n".join(_inside(job, contents)),
        "\n".join(_classes(job, contents)),
        "\n".join(_splits(job, contents)),
        "\n".join(_loading(job)),
        "\n".join(_warnings(job)),
        "Check that every file is whole: `sha256sum -c SHA256SUMS`. All of the above for programs: `manifest.json`.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def plain(text: str) -> str:
    """Return `text` so that markdown shows it as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _title(job: Job, contents: Contents) -> str:
    total = contents.total
    text = f"# {plain(job.facts.name)}\n\n{_counted(total.images, 'image')} with {_counted(total.objects, 'object')} of {_counted(len(contents.classes), 'class')}."
    chosen = job.facts.chosen
    if chosen.images.left_out or chosen.objects.left_out:
        text += (
            f"\n\nA selection of the project: {_part(chosen.images, 'image')} and {_part(chosen.objects, 'object')}."
        )
    if job.partial:
        text += f"\n\n**This bundle is partial**: the export was cancelled. It holds the {total.images} images finished by then, of {job.totals.images}."
    return text


def _part(counted: Counted, noun: str) -> str:
    reasons = ", ".join(f"{count} by `{reason}`" for reason, count in counted.left_out.items())
    return f"{counted.selected} of {_counted(counted.found, noun)}" + (f" (left out: {reasons})" if reasons else "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def _inside(job: Job, contents: Contents) -> Iterator[str]:
    scale = job.options.scale
    yield "## Inside\n"
    if job.options.images:
        yield f"- `images/`: {_images(job, contents)}"
    if job.finished.overlays:
        yield f"- `visualizations/`: {job.finished.overlays} overlays; the number at an object is its id in every format and table"
    for name in job.finished.formats:
        yield f"- {formats.find(name).title}"
    if job.finished.metrics:
        of = " of the originals" if job.options.max_side else ""
        unit = f"micrometres, at {scale!r} micrometres per pixel{of}" if scale else "pixels"
        yield f"- `metrics/`: measures of objects, images and classes ({', '.join(job.finished.metrics)}), lengths in {unit}"


def _images(job: Job, contents: Contents) -> str:
    options, count = job.options, contents.total.images
    if not converts(options):
        return f"{count} originals, bit for bit"
    form = "" if options.image_format == "original" else f" as {options.image_format}"
    size = "" if options.max_side is None else f", at most {options.max_side} px a side, outlines scaled along"
    anew = sum(1 for image in job.images() if image.written)
    return f"{count} images{form}{size}; {anew} made anew (`conversions` in `manifest.json`), the others bit for bit"


def _classes(job: Job, contents: Contents) -> Iterator[str]:
    yield "## Classes\n\n| id | name | images | objects |\n|---|---|---|---|"
    for each in job.facts.categories:
        count = contents.classes[each.id]
        yield f"| {each.id} | {plain(each.name)} | {count.images} | {count.objects} |"


def _splits(job: Job, contents: Contents) -> Iterator[str]:
    if not contents.splits:
        return
    yield "## Splits\n\n| split | images | objects |\n|---|---|---|"
    for name, count in contents.splits.items():
        yield f"| {plain(name)} | {count.images} | {count.objects} |"
    yield f"\nObjects by class and split:\n\n| class | {' | '.join(map(plain, contents.splits))} |"
    yield f"|---|{'---|' * len(contents.splits)}"
    for each in job.facts.categories:
        counts = [str(contents.split_classes[split][each.id].objects) for split in contents.splits]
        yield f"| {plain(each.name)} | {' | '.join(counts)} |"


def _loading(job: Job) -> Iterator[str]:
    made = [formats.find(name) for name in job.finished.formats] + [tables.find(name) for name in job.finished.metrics]
    if made:
        yield "## Loading it"
    for each in made:
        yield f"\n**{each.title}**: {each.usage}"


def _warnings(job: Job) -> Iterator[str]:
    logs = (job.snapshot.log, job.findings)
    kinds = dict.fromkeys(kind for log in logs for kind in log.tallies)
    if kinds:
        yield "## Warnings"
    for code in dict.fromkeys(code for code, _ in kinds):
        yield f"\n{MEANINGS[code]} ({sum(log.counts.get(code, 0) for log in logs)}):\n"
        for format_name in (name for each, name in kinds if each is code):
            yield from _told(logs, code, format_name)


def _told(logs: tuple[FindingLog, ...], code: Finding, format_name: str | None) -> Iterator[str]:
    """Yield the list of the findings of one kind, about one format or none."""
    tallies = [log.tallies[code, format_name] for log in logs if (code, format_name) in log.tallies]
    total, shown, indent = sum(tally.count for tally in tallies), SHOWN, ""
    if format_name is not None:
        losses = sum((tally.losses for tally in tallies), Counter[Loss]())
        words = ", ".join(f"{count} {loss}" for loss, count in sorted(losses.items())) or str(total)
        yield f"- {plain(format_name)}: {words}"
        shown, indent = SHOWN_OF_FORMAT, "  "
    for sentence in islice(_sentences(logs, code, format_name), shown):
        yield f"{indent}- {plain(sentence)}"
    if total > shown:
        yield f"{indent}- and {total - shown} more: see `findings` in `manifest.json`"


def _sentences(logs: tuple[FindingLog, ...], code: Finding, format_name: str | None) -> Iterator[str]:
    for log in logs:
        for warn in log if (code, format_name) in log.tallies else ():
            if warn.code is code and warn.format == format_name:
                where = f"{warn.image}: " if warn.image and warn.image not in warn.message else ""
                yield f"{where}{warn.message}"
