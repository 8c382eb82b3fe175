"""Packages of other people, as an installer would have left them: metadata on the path, and nothing else."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labelferry_export import formats, sources, stages, tables

EntryPoints = Mapping[str, Mapping[str, str]]
"""By group, the entry points of a package: name and value."""


def install(
    site: Path, package: str, version: str, points: EntryPoints, modules: Mapping[str, str] | None = None
) -> None:
    """Put a package's metadata, and modules by name, into a folder that is on the path."""
    folder = site / f"{package.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in points.items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(groups))
    for name, text in (modules or {}).items():
        (site / f"{name}.py").write_text(text)


@contextmanager
def looked_up_anew() -> Iterator[None]:
    """Have the registries forget what other packages brought, before and after."""
    for registry in (formats, sources, stages, tables):
        registry.others.cache_clear()
    try:
        yield
    finally:
        for registry in (formats, sources, stages, tables):
            registry.others.cache_clear()
