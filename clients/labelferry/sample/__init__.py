"""A real sample project, made at that moment: images that scikit-image ships in its wheel, segmented, cut into tiles, written as COCO."""
