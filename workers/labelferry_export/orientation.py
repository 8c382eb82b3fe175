"""EXIF orientation: what an image file says of it, and its pixels turned upright. Why upright: docs/decisions/0014."""

from PIL import Image as Pillow

TAG = 0x0112
TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
"""What shows an image of each EXIF orientation upright."""


def orientation_of(picture: Pillow.Image) -> int:
    """Return the EXIF orientation of a picture that is open and not decoded yet, 1 to 8; 1 where it says none."""
    # Asking a PNG for EXIF that it does not have in its header makes Pillow decode all of it.
    if picture.format != "TIFF" and "exif" not in picture.info:
        return 1
    value = picture.getexif().get(TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright_size(picture: Pillow.Image, orientation: int) -> tuple[int, int]:
    """Return width and height, px, of a picture that is not decoded yet, as it is when upright."""
    width, height = picture.size
    # Of a TIFF, Pillow says the upright size, and turns it upright as it decodes it.
    return (height, width) if orientation >= 5 and picture.format != "TIFF" else (width, height)


def upright(picture: Pillow.Image, orientation: int) -> Pillow.Image:
    """Return the decoded `picture` upright."""
    if orientation == 1 or picture.format == "TIFF":
        return picture
    return picture.transpose(TURNS[orientation])
