"""`python -m labelferry_workers`: one worker process."""

import sys

from labelferry_workers.service import main

sys.exit(main(sys.argv[1:]))
