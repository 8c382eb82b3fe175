"""Images made anew where that was asked for: another file format, fewer pixels. What is to be made is planned before a pixel is read; then it is made.

The rules for people: docs/images.md.
"""

from labelferry_export.conversion.blocks import Original, blocks_of, convert
from labelferry_export.conversion.plan import Conversion, conversion_of, renamed

__all__ = ["Conversion", "Original", "blocks_of", "conversion_of", "convert", "renamed"]
