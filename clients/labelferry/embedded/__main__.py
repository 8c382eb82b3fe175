"""`python -m labelferry.embedded STATE WORKERS`: the host process (started by `service.py`, not by hand)."""

import sys

from labelferry.embedded.host import main

sys.exit(main(sys.argv[1:]))
