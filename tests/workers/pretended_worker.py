"""A real worker process whose children pretend to export. Run as a script; options as of `labelferry_workers`."""

import sys
from pathlib import Path

from labelferry_workers.service import main
from labelferry_workers.settings import PoolSettings

if __name__ == "__main__":
    child = str(Path(__file__).with_name("pretended_child.py"))
    sys.exit(main(sys.argv[1:], PoolSettings(command=(sys.executable, child), jobs_per_child=20)))
