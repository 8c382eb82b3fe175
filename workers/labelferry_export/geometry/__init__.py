"""The geometry kernel: the one place that knows what a region is, which pixels it covers, and how big it is.

Pure functions on numpy arrays. Coordinates are pixel EDGES: x to the right, y down, the first pixel is [0, 1] x [0, 1], so a
square from 10 to 20 covers ten pixels and has width 10. Every format, mask, area, metric and overlay derives from here.
"""
