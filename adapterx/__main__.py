"""`python -m adapterx`."""

import sys

from adapterx.cli import main

sys.exit(main())
