"""labelferry's own annotation form, version 1: lossless json that the `json` format writes and the `labelferry` source reads.

One json object, UTF-8, whose keys come in this order when we write it (`labelferry` before any array, so that a reader knows
the form from the first bytes; a reader takes the other keys in any order and ignores keys it does not know):

    {"labelferry": 1,
     "name": "nuclei",                                     the project's name
     "info": {"description": "..."},                       plain values of the source, or absent
     "categories": [{"id": 1, "name": "nucleus", "supercategory": "cell"}],
     "images": [{"id": 3, "name": "plate 1/a.png", "file": "a.png", "width": 320, "height": 256,
                 "subset": "train", "split": "val", "attributes": {"stain": "HE"}}],
     "instances": [{"id": 7, "image_id": 3, "category_id": 1, "crowd": false,
                    "parts": [{"outer": [x, y, x, y, ...], "holes": [[x, y, ...]]}], "attributes": {"score": 0.5}}]}

`name` is the image's name in the project it first came from; `file` says where its bytes lie: below `images/` of the unzipped
bundle (or of the folder that holds the json). A key whose value is the default of its struct here may be left out.
Coordinates are pixel edges in float64, shortest form that reads back to the same bits; a ring's first vertex is not repeated.
"""

from typing import Annotated

from msgspec import Meta, Struct

MARK = "labelferry"
"""The key that a file of this form begins with."""
FORM_VERSION = 1
"""Written as the value of the key `labelferry`. Readers refuse a greater one; fields are added, never changed."""

Plain = str | int | float | bool
Id = Annotated[int, Meta(ge=1, le=2**53)]
FlatRing = list[float]
"""x and y in turn, px; at least 3 vertices."""


class FormCategory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An element of `categories`."""

    id: Id
    name: str
    supercategory: str = ""


class FormImage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An element of `images`; sizes in px; `file` relative to `images/`, with forward slashes, empty when the bundle has no images."""

    id: Id
    name: str
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]
    file: str = ""
    subset: str | None = None
    split: str | None = None
    attributes: dict[str, Plain] = {}


class FormPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One connected piece: inside `outer`, outside every one of `holes`."""

    outer: FlatRing
    holes: list[FlatRing] = []


class FormInstance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An element of `instances`."""

    id: Id
    image_id: Id
    category_id: Id
    parts: list[FormPart]
    crowd: bool = False
    attributes: dict[str, Plain] = {}
