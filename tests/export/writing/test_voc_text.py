"""VOC's xml taken from its text at once, against expat's elements one by one: the same said of every file, right or wrong."""

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats._recounts.voc import VocRecount
from labelferry_export.formats._recounts.voc_text import voc_text
from labelferry_export.model import Category, ProjectFacts
from labelferry_export.recount import Claim

NAME = "annotations/voc/Annotations/a.xml"
BOX = "<bndbox>\n\t\t<xmin>{}</xmin><ymin>{}</ymin>\n<xmax>{}</xmax><ymax>{}</ymax></bndbox>"
EDGE = st.sampled_from(["0", "1", "7", "30", "31", "007"])
BOXES = st.tuples(EDGE, EDGE, EDGE, EDGE).map(lambda edges: BOX.format(*edges)) | st.just(BOX.format(1, 2, 3, 4))
NAMES = st.sampled_from(["<name>cell</name>", "<name>two words</name>", "<name>a&amp;b</name>", "<name>\n\té </name>"])
REST = st.sampled_from(
    [
        *("", "<id>3</id>", "<pose>x</pose>\n\t", "<a><name>n</name></a>", "<b/>", "text"),
        *("<!-- <bndbox> -->", "<![CDATA[<object>]]>", "<width>5</width>", "<?x y?>", "<bndbox/>", "<", "&lt;"),
    ]
)
OBJECTS = st.tuples(REST, NAMES, REST, BOXES, REST).map(lambda parts: f"<object>{''.join(parts)}</object>")
OUTSIDE = REST.filter(lambda rest: "<name>" not in rest)
FILES = st.builds(
    lambda before, size, objects, after: f"<annotation>{before}{size}{''.join(objects)}{after}</annotation>",
    OUTSIDE,
    st.sampled_from(["<size><width>30</width>\n<height>31</height></size>"] * 4 + ["<height>9</height>", ""]),
    st.lists(OBJECTS, max_size=4),
    OUTSIDE,
)
FACTS = ProjectFacts("p", "coco", categories=(Category(1, "cell"), Category(2, "two words")))


def said(text: bytes, cut: int = 0) -> object:
    claim = Claim(FACTS, MappingProxyType({"base": 1}), images=1, objects=1)
    recount = VocRecount("annotations/voc/", claim)
    reader = recount.open(NAME)
    assert reader is not None
    try:
        for part in (text[:cut], text[cut:]):
            reader.take(part)
        reader.close()
    except (ValueError, KeyError):
        return "refused"
    page = recount._page
    sizes = {key: page.numbers.get(key) for key in ("width", "height")}
    return recount.images, recount.objects, page.names, page.boxes, sizes


@given(FILES, st.integers(0, 40))
def test_a_file_says_the_same_as_one_text_and_element_by_element(text: str, cut: int) -> None:
    data = text.encode()
    at_once = said(data, cut)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labelferry_export.formats._recounts.voc.voc_text", lambda _: None)
        assert said(data, cut) == at_once
        patch.setattr("labelferry_export.formats._recounts.voc.MOST_AT_ONCE", 10)
        assert said(data, cut) == at_once


def test_what_is_usual_is_taken_from_the_text() -> None:
    written = f"<annotation><size><width>30</width><height>31</height></size>\n<object><name>cell</name><id>1</id>{BOX.format(1, 2, 30, 31)}</object></annotation>"
    found = voc_text(written.encode())
    assert found is not None
    assert (found.width, found.height, found.names, found.boxes.tolist()) == (30, 31, ["cell"], [[1, 2, 30, 31]])
