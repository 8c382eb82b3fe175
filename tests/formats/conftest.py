"""The projects and the export call of `tests/export/writing`, loaded by path: test folders are no packages."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "writing_fixtures", Path(__file__).parents[1] / "export" / "writing" / "conftest.py"
)
assert _spec
assert _spec.loader
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

make_project = _fixtures.make_project
make_exporter = _fixtures.make_exporter
export = _fixtures.export
unzip = _fixtures.unzip
