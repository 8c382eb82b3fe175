"""Zips of projects that mean harm: names that lead out, links, bombs, lies about sizes, what is locked, cut off, doubled or none."""

import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.hostile.case import DONE, Case, coco

PLAIN = 0o100644
LINK = 0o120777
CENTRAL = b"PK\x01\x02"


def zipped(*more: tuple[str, bytes], mode: int = PLAIN) -> Callable[[Path], object]:
    """A sound COCO project in a zip, with more entries of a file mode."""
    return lambda root: (root / "p.zip").write_bytes(packed(root, *more, mode=mode))


def packed(root: Path, *more: tuple[str, bytes], mode: int = PLAIN) -> bytes:
    """Return a zip of a sound COCO project, whose files are removed again, and of more entries."""
    coco(root)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(each for each in root.rglob("*") if each.is_file()):
            archive.write(path, path.relative_to(root).as_posix())
            path.unlink()
        (root / "images").rmdir()
        for name, data in more:
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.external_attr, info.create_system = mode << 16, 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()


def changed(change: Callable[[bytes], bytes], *more: tuple[str, bytes]) -> Callable[[Path], object]:
    """The same, with other bytes."""
    return lambda root: (root / "p.zip").write_bytes(change(packed(root, *more)))


def in_directory(offset: int, value: bytes) -> Callable[[bytes], bytes]:
    """Put bytes into the last entry of a zip's directory."""

    def change(data: bytes) -> bytes:
        place = data.rfind(CENTRAL) + offset
        return data[:place] + value + data[place + len(value) :]

    return change


def overlapping(data: bytes) -> bytes:
    """Have every entry of the directory be the bytes of the first: the bomb that is made of one file many times."""
    out, place = bytearray(data), data.find(CENTRAL)
    first = data[place + 42 : place + 46]
    while place >= 0:
        out[place + 42 : place + 46] = first
        place = data.find(CENTRAL, place + 1)
    return bytes(out)


def case(make: Callable[[Path], object], says: str, ends: int = 1) -> Case:
    return Case(make, says, ends, source="p.zip")


CASES = {
    "a sound zip": case(zipped(), "", DONE),
    "a zip with a folder of a desktop's": case(zipped(("__MACOSX/._a", b"x"), (".DS_Store", b"x")), "", DONE),
    "a zip whose entry climbs": case(zipped(("../out.txt", b"x")), "names a file outside of it"),
    "a zip whose entry climbs by backslashes": case(zipped(("a\\..\\..\\out.txt", b"x")), "names a file outside of it"),
    "a zip with an absolute entry": case(zipped(("/tmp/out.txt", b"x")), "names a file outside of it"),
    "a zip with an entry on a drive": case(zipped(("C:\\out.txt", b"x")), "names a file outside of it"),
    "a zip with a NUL in a name": case(
        changed(lambda data: data.replace(b"nul.txt", b"n\0l.txt"), ("nul.txt", b"x")), "a NUL in it"
    ),
    "a zip with a link": case(zipped(("images/b.png", b"/etc/passwd"), mode=LINK), "symbolic link"),
    "a zip with a device": case(zipped(("images/b.png", b""), mode=stat.S_IFCHR), "no plain file"),
    "a zip with a name twice": case(zipped(("images//a.png", b"x")), "two files of one name"),
    "a zip with a file and a folder of one name": case(zipped(("images", b"x")), "a file and a folder of one name"),
    "a zip with a name too long for a file": case(zipped(("n" * 300, b"x")), "longer than any may be"),
    "a zip of folders without end": case(zipped(("f/" * 400 + "x", b"x")), "too deep inside one another"),
    "a zip that is locked": case(changed(in_directory(8, b"\1\0")), "is encrypted: unpack it with its password"),
    "a zip packed in a way unknown": case(changed(in_directory(10, b"\x09\0")), "by a method that is not known"),
    "a zip that says it unpacks to much": case(changed(in_directory(24, b"\0\0\0\xf0")), "times its size"),
    "a zip that unpacks to more than it says": case(
        changed(in_directory(24, b"\x09\0\0\0"), ("z.bin", bytes(50 << 20))), "is damaged at 'z.bin'"
    ),
    "a zip of one file many times": case(changed(overlapping), "is damaged at"),
    "a zip that was cut off": case(changed(lambda data: data[:-60]), "is damaged, or did not arrive whole"),
    "a zip with a byte changed": case(
        changed(lambda data: data[:60] + bytes([data[60] ^ 0xFF]) + data[61:]), "is damaged at"
    ),
    "a zip that is none": case(changed(lambda _: b"no zip"), "is damaged, or did not arrive whole"),
    "an empty file called a zip": case(changed(lambda _: b""), "is damaged, or did not arrive whole"),
    "a zip without entries": case(changed(lambda _: b"PK\5\6" + bytes(18)), "holds no files"),
}
