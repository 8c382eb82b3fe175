"""The command line: `labelferry`. What a signal means is settled before the commands and all that they need are read."""

import sys

from labelferry.cli.signals import ignore_signals, leave_on_signals


def main() -> None:
    """Run the command line and exit with its code."""
    leave_on_signals()
    from labelferry.cli.commands import labelferry
    from labelferry.cli.guard import guarded

    code = guarded(labelferry)
    ignore_signals()
    sys.exit(code)
