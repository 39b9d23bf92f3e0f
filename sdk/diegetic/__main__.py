"""`python -m diegetic` is the command line."""

import sys

from diegetic.cli import main

if __name__ == "__main__":
    sys.exit(main())
