"""Conversion alone, side by side with other tools: the same images, the same formats, one run. A file a tool; `ways.py` lists them."""
