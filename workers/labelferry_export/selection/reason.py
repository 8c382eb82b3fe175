"""Why an image or an object is not exported though nothing is wrong with it; the value is the option that says so, and never changes."""

from enum import StrEnum


class Reason(StrEnum):
    """Reasons, in the order they are asked."""

    IMAGES_FROM = "images_from"
    SELECT = "select"
    EXCLUDE = "exclude"
    WHERE = "where"
    ANNOTATED_ONLY = "annotated_only"
    IMAGE = "image"
    """Of an object: its image is not selected."""
    CLASS_MAP = "class_map"
    CLASSES = "classes"
    OBJECTS_FROM = "objects_from"
    AREA = "area"
    BORDER = "border"
