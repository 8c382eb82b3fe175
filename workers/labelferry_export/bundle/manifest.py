"""manifest.json: what the bundle is, what is in it, what was noticed. Nothing in it varies between two runs: no times, no machines, no paths.

`schema` is the version of this file's form: keys are added, never changed.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from labelferry_export.bundle.contents import Contents, Count
from labelferry_export.job import Job
from labelferry_export.model import Chosen
from labelferry_protocol.software import software_version

SCHEMA = 1
NOT_CONTENT = ("timeout", "keep_partial", "images_from", "objects_from")
"""Options that say how a job runs, not what a bundle holds; of lists, `selection` has the name and the digest instead of the path."""
LINES_PER_BLOCK = 500

_encode = msgspec.json.Encoder(order="deterministic").encode


def manifest(job: Job, contents: Contents, skipped: int) -> Iterator[bytes]:
    """Yield manifest.json in blocks; it lists every file that is in the archive by now."""
    head = {
        "labelferry": software_version(),
        "schema": SCHEMA,
        "partial": job.partial,
        "finished": _finished(job),
        "project": _project(job),
        "options": _options(job),
        "counts": {**_counts(contents.total), "classes": len(contents.classes), "skipped": skipped},
        "selection": _selection(job.facts.chosen),
        "splits": {name: _split(job, contents, name) for name in contents.splits},
        "classes": _classes(job, contents),
    }
    for key, value in head.items():
        yield (b"{" if key == "labelferry" else b",\n") + _encode(key) + b":" + _encode(value)
    yield from _array("renames", _renames(job))
    yield from _array("conversions", _conversions(job))
    yield from _array("findings", (_encode(warn) for log in (job.snapshot.log, job.findings) for warn in log))
    yield from _array("files", _files(job))
    yield b"}\n"


def _array(key: str, elements: Iterable[bytes]) -> Iterator[bytes]:
    pending, comma = [b",\n" + _encode(key) + b":["], b"\n"
    for element in elements:
        pending.append(comma + element)
        comma = b",\n"
        if len(pending) >= LINES_PER_BLOCK:
            yield b"".join(pending)
            pending.clear()
    yield b"".join([*pending, b"]"])


def _renames(job: Job) -> Iterator[bytes]:
    for image in job.images():
        if image.name != image.bundle_file:
            yield _encode({"id": image.id, "from": image.name, "to": image.bundle_file})


def _conversions(job: Job) -> Iterator[bytes]:
    """Yield what became of each image that is not as its file is: made anew, scaled, or both. Sizes in px and bytes, upright."""
    entries = job.archive.entries() if job.options.images else iter(())
    for image in job.images():
        if not image.written:
            continue
        place = f"images/{image.bundle_file}"
        # The archive holds the images in their own order.
        original = next((each.original.hex() for each in entries if each.name == place), None)
        width, height = image.full
        before = {"size": image.size, "sha256": original, "width": width, "height": height}
        before |= {"orientation": image.orientation, "page": image.page}
        after = {
            "format": image.written,
            "quality": image.quality or None,
            "width": image.width,
            "height": image.height,
        }
        told = {"id": image.id, "from": image.name, "to": image.bundle_file, "factor": image.factor}
        yield _encode({**told, "original": before, "written": after})


def _files(job: Job) -> Iterator[bytes]:
    for entry in job.archive.entries():
        yield _encode({"path": entry.name, "size": entry.size, "sha256": entry.sha256.hex()})


def _project(job: Job) -> dict[str, Any]:
    facts = job.facts
    return {"name": facts.name, "source_format": facts.source_format, "info": facts.info}


def _options(job: Job) -> dict[str, Any]:
    options: dict[str, Any] = msgspec.to_builtins(job.options)
    return {key: value for key, value in options.items() if key not in NOT_CONTENT}


def _selection(chosen: Chosen) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(chosen)
    return found


def _split(job: Job, contents: Contents, name: str) -> dict[str, Any]:
    classes = contents.split_classes[name]
    rows = [{"id": each.id, "name": each.name, **_counts(classes[each.id])} for each in job.facts.categories]
    return {**_counts(contents.splits[name]), "classes": rows}


def _classes(job: Job, contents: Contents) -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "name": each.name,
            "supercategory": each.supercategory,
            **_counts(contents.classes[each.id]),
        }
        for each in job.facts.categories
    ]


def _counts(count: Count) -> dict[str, int]:
    return {"images": count.images, "objects": count.objects}


def _finished(job: Job) -> dict[str, Any]:
    done = job.finished
    return {"images": done.images, "overlays": done.overlays, "formats": done.formats, "metrics": done.metrics}
