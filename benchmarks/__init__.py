"""Measured figures: `python -m benchmarks` (see README.md here). Never run as tests; compared in one run, by ratios and medians."""
