"""What this software calls itself: to peers, in bundles, and to people."""

from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "unknown"
"""The version of a source tree that is run without being installed."""


def software_version() -> str:
    """Return the version of the installed distribution, `UNKNOWN` when there is none."""
    try:
        return version("labelferry")
    except PackageNotFoundError:
        return UNKNOWN


def software() -> str:
    """Return name and version, as `labelferry 0.1.0`."""
    return f"labelferry {software_version()}"
