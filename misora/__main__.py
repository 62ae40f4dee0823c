"""``python -m misora`` is ``misora``; it knows nothing else."""

import sys

from misora.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
