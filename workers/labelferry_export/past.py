"""What an export takes up of work done before it, and leaves for the exports after it: the snapshot of its job, results in stores."""

import os
from collections.abc import Generator, Sequence
from pathlib import Path

from labelferry_export import costs
from labelferry_export.costs import Totals
from labelferry_export.keeping.index import NAME as INDEX
from labelferry_export.keeping.mark import mark
from labelferry_export.keeping.settings import NOTHING_KEPT, MakerSettings, Reuse, StoreSettings
from labelferry_export.keeping.snapshots import Changed, KeptSnapshots, request_of
from labelferry_export.lanes import Maker
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.options import ExportOptions

RESULTS = "results"


class Past:
    """The past of one export of `source`; everything is empty where nothing may be reused."""

    def __init__(self, reuse: Reuse, source: Path, options: ExportOptions, roots: Sequence[Path]) -> None:
        self._reuse = reuse
        self._options = options
        self._snapshots: KeptSnapshots | None = None
        self._begun = False
        """Whether an attempt before this one has left something."""
        if reuse.checkpoints is not None and reuse.checkpoint_bytes:
            self._begun = reuse.checkpoints.is_dir()
            self._snapshots = KeptSnapshots(reuse.checkpoints, request_of(source, options, roots))

    @property
    def reached(self) -> float:
        """What people were told of progress."""
        return self._reuse.reached

    @property
    def is_hopeful(self) -> bool:
        """Whether exports before this one have kept results that it may find."""
        cache = self._reuse.cache
        return cache is not None and self._reuse.cache_bytes > 0 and (cache / INDEX).exists()

    def snapshot(self, path: Path) -> Generator[None, None, Snapshot | Changed | None]:
        """Put the snapshot that an earlier attempt worked from to `path` and return it; None where there is none."""
        return None if self._snapshots is None else (yield from self._snapshots.restore(path))

    def leave(self, snapshot: Snapshot, cost: float) -> Generator[None, None, None]:
        """Keep a new snapshot for later attempts of a job that costs so much (ms)."""
        large = snapshot.path.stat().st_size > self._reuse.checkpoint_bytes // 2
        if self._snapshots is not None and cost >= self._reuse.least_job and not large:
            yield from self._snapshots.keep(snapshot)

    def maker(self, cost: float, totals: Totals) -> Maker:
        """Return who does the tasks of a job that costs so much (ms)."""
        reuse = self._reuse
        bundle = costs.bundle_megabytes(self._options, totals) * 1e6
        spare = reuse.spare + 2 * int(bundle)
        stores = []
        if self._snapshots is not None and reuse.checkpoints is not None and (self._begun or cost >= reuse.least_job):
            folder = os.fsencode(reuse.checkpoints / RESULTS)
            stores.append(StoreSettings(folder, reuse.checkpoint_bytes, evicts=False, spare=spare))
        if reuse.cache is not None and reuse.cache_bytes:
            stores.append(StoreSettings(os.fsencode(reuse.cache), reuse.cache_bytes, evicts=True, spare=spare))
        return Maker(MakerSettings(tuple(stores), mark(), reuse.least_result) if stores else NOTHING_KEPT)
