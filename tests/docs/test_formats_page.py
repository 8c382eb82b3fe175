"""docs/formats.md says what the code does."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_as_the_code_would_draw_it_now() -> None:
    drawn = runpy.run_path(str(DOCS / "make_formats_page.py"))["page"]()
    assert (DOCS / "formats.md").read_text(encoding="utf-8") == drawn, "run: python docs/make_formats_page.py"
