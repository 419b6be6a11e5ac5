"""`python -m procession`; guarded, for spawned children import it again."""

import sys

from procession.cli import main

if __name__ == "__main__":
    sys.exit(main())
