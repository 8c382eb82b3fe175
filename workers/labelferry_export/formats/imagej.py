"""ImageJ: a RoiSet zip an image, as the ROI Manager saves and opens it. The binary form of a ROI is written here.

After ImageJ's `ij/io/RoiEncoder.java` and `RoiDecoder.java`: big-endian; a header of 64 bytes, the coordinates, a second header of 64
bytes, name and properties in UTF-16. One ring is a polygon with sub-pixel coordinates; parts and holes are one composite, whose
path ImageJ fills by the even-odd rule. Its coordinates are pixel edges for areas, as ours.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np

from labelferry_export.bundle.packed import STRETCH_LEVEL
from labelferry_export.bundle.records import Bounds, Entry, Method, directory_end, directory_record, local_header
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Cost, Format, FormatJob, Option, Properties, batches, loss
from labelferry_export.formats._points import file_beside
from labelferry_export.formats._recounts.packed import RoiRecount
from labelferry_export.formats._regions import valid_parts
from labelferry_export.geometry.shape import Part, Ring
from labelferry_export.lossiness import Aspect, Lossiness
from labelferry_export.model import Attribute, Image, Instance
from labelferry_export.names import safe_name
from labelferry_export.overlays.palette import COLOURS
from labelferry_export.plan import Step

FOLDER = "annotations/imagej"
VERSION = 228
POLYGON, COMPOSITE = 0, 1
"""Types: a composite says it is a rectangle, and has a path."""
SUB_PIXEL = 128
"""Option: float coordinates follow the whole ones."""
MOVE_TO, LINE_TO, CLOSE = 0.0, 1.0, 4.0
"""Segments of a path."""
HEADER_BYTES = 64
MOST_GROUPS = 255
SHOWN_CHARACTERS = 60
"""Of a class's name, in the name of a ROI."""
WINDOW_BITS, MEMORY_LEVEL = 12, 5
"""Of zlib: a ROI is small, and to prepare more than this takes longer than to compress it."""

_BOUNDS = Bounds()
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]+")
_TO_ESCAPE = re.compile(r"[\\:=#! ]")
_SPELLED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}


def roi_of(instance: Instance, class_name: str, group: int) -> tuple[bytes, bool]:
    """Return an object as the bytes of a `.roi` file, and whether parts that overlap were joined in it."""
    parts = valid_parts(instance.shape)
    single = len(parts) == 1 and not parts[0].holes
    body, count = _polygon(parts[0].outer) if single else (_path(parts), 0)
    low = np.floor(np.min([part.outer.min(axis=0) for part in parts], axis=0)).astype(int).tolist()
    high = np.ceil(np.max([part.outer.max(axis=0) for part in parts], axis=0)).astype(int).tolist()
    path_size = 0 if single else len(body) // 4
    colour = b"\xff" + bytes(COLOURS[(instance.category_id - 1) % len(COLOURS)])
    header = struct.pack(
        ">4shBxHHHHHi12xhi4s4xhh2xhii",
        b"Iout",
        VERSION,
        POLYGON if single else COMPOSITE,
        *(value & 0xFFFF for value in (low[1], low[0], high[1], high[0])),
        count if count <= 0xFFFF else 0,
        count if count > 0xFFFF else 0,
        0,
        path_size,
        colour,
        0,
        SUB_PIXEL if single else 0,
        0,
        0,
        HEADER_BYTES + len(body),
    )
    return header + body + _tail(
        HEADER_BYTES + len(body), instance, class_name, group
    ), parts is not instance.shape.parts


def _polygon(ring: Ring) -> tuple[bytes, int]:
    """Return whole coordinates from the corner of the bounds, then exact ones from the image's: all x, then all y."""
    whole = (np.floor(ring + 0.5) - np.floor(ring.min(axis=0))).astype(np.int64) & 0xFFFF
    return whole.T.astype(">u2").tobytes() + ring.T.astype(">f4").tobytes(), len(ring)


def _path(parts: tuple[Part, ...]) -> bytes:
    pieces = []
    for part in parts:
        for ring in (part.outer, *part.holes):
            table = np.full((len(ring), 3), LINE_TO)
            table[0, 0] = MOVE_TO
            table[:, 1:] = ring
            pieces += [table.reshape(-1), np.array([CLOSE])]
    return np.concatenate(pieces).astype(">f4").tobytes()


def _tail(start: int, instance: Instance, class_name: str, group: int) -> bytes:
    """Return the second header, the name and the properties."""
    name = f"{instance.id} {class_name}".encode("utf-16-be", errors="replace")
    words: dict[str, Attribute] = {**instance.attributes, "object_id": instance.id, "class": class_name}
    props = properties_text({**words, "crowd": True} if instance.crowd else words).encode("utf-16-be")
    name_at = start + HEADER_BYTES
    fields = (0, 0, 0, name_at, len(name) // 2, 0, 0, group, 0, 0, 0.0, name_at + len(name), len(props) // 2, 0)
    return struct.pack(">4xiiiiiihBBifiii12x", *fields) + name + props


def properties_text(words: Mapping[str, Attribute]) -> str:
    """Return `words` as ImageJ keeps a ROI's properties: lines that `java.util.Properties` loads."""
    return "".join(f"{_spelled(name, key=True)}: {_spelled(_text(value))}\n" for name, value in words.items())


def _text(value: Attribute) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spelled(text: str, key: bool = False) -> str:
    """Return `text` in ASCII; a key's every separator is escaped, of a value the space it begins with."""
    if _PLAIN.fullmatch(text):
        return text
    out = []
    for place, character in enumerate(text):
        if character in _SPELLED:
            out.append(_SPELLED[character])
        elif (key or place == 0) and _TO_ESCAPE.match(character):
            out.append(f"\\{character}")
        elif " " <= character <= "~":
            out.append(character)
        else:
            units = character.encode("utf-16-be", errors="surrogatepass").hex()
            out += [f"\\u{units[index : index + 4]}" for index in range(0, len(units), 4)]
    return "".join(out)


def entry_name(instance: Instance, class_name: str) -> str:
    """Return the name of an object's file in the zip: its id, so that names are unique and in order, and its class."""
    return f"{instance.id:06}{_ending(class_name)}"


@cache
def _ending(class_name: str) -> str:
    return safe_name(f"-{class_name[:SHOWN_CHARACTERS]}", ".roi")


def write(job: FormatJob) -> Iterator[Step]:
    """Write a RoiSet for every image that has an object: ImageJ refuses an empty one."""
    for image in job.images():
        instances = job.instances(image)
        if instances:
            yield from _write_set(job, image, instances)
        else:
            yield job.step(image, 0)


def _write_set(job: FormatJob, image: Image, instances: Sequence[Instance]) -> Iterator[Step]:
    names = [each.name for each in job.facts.categories]
    grouped = bool(job.options["groups"])
    with job.open(file_beside(image, FOLDER, "_RoiSet.zip")) as file:
        entries: list[Entry] = []
        end = 0
        for batch, last in batches(instances):
            for each in batch:
                class_name = names[each.category_id - 1]
                group = each.category_id if grouped and each.category_id <= MOST_GROUPS else 0
                data, joined = roi_of(each, class_name, group)
                entry, block = _packed(entry_name(each, class_name), data, end)
                for warn in _losses(image, each, joined, grouped and not group):
                    job.report(warn)
                file.write(block)
                entries.append(entry)
                end += len(block)
            yield job.step(image, len(batch), last)
        directory = b"".join(directory_record(entry, _BOUNDS) for entry in entries)
        file.write(directory + directory_end(len(entries), end, len(directory), _BOUNDS))


def _losses(image: Image, instance: Instance, joined: bool, without_group: bool) -> Iterator[Warn]:
    if joined:
        message = f"object {instance.id}: its parts overlap, which ImageJ would take for a hole: joined"
        yield loss(Loss.JOINED, "imagej", message, image, instance.id)
    if without_group:
        message = f"object {instance.id}: class {instance.category_id} is over ImageJ's {MOST_GROUPS} groups: written without one"
        yield loss(Loss.REDUCED, "imagej", message, image, instance.id)


def _packed(name: str, data: bytes, offset: int) -> tuple[Entry, bytes]:
    """Return an entry of the zip that begins at `offset`, and its bytes with the header before them."""
    squeeze = zlib.compressobj(STRETCH_LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)
    packed = squeeze.compress(data) + squeeze.flush()
    entry = Entry(name, Method.DEFLATED, offset, len(data), len(packed), zlib.crc32(data), b"")
    return entry, local_header(entry, _BOUNDS) + packed


FORMAT = Format(
    name="imagej",
    title="ImageJ RoiSets",
    usage=(
        "Open an image in ImageJ or Fiji, then drop `annotations/imagej/<image>_RoiSet.zip` on it (with splits "
        "`annotations/imagej/<split>/...`); in Python `roifile.roiread(...)`. A ROI is called by its object's id and class, "
        "and has both, and the attributes, as properties. Images without objects have no file: ImageJ opens no empty set."
    ),
    properties=Properties(
        holes="exact (composite)",
        parts="exact (composite); overlapping parts are joined, reported",
        crowds="property",
        attributes="as text",
        splits="folders",
        coordinates="pixel edges, 32-bit floats",
    ),
    cost=Cost(image=0.2, object=0.09),
    write=write,
    options={
        "groups": Option(True, "put each class into the ROI group of its id, 1 to 255"),
    },
    recount=lambda _: RoiRecount(f"{FOLDER}/"),
    lossiness=Lossiness(
        single=(Loss.JOINED, Loss.REDUCED),
        alike={Loss.ROUNDED: "coordinates are numbers of 32 bits"},
        unsaid=(Aspect.IMAGE_ATTRIBUTES, Aspect.SUPERCATEGORIES),
    ),
)
