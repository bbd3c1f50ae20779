"""`python -m consentryd` is `consentry`."""

import sys

from consentryd.gateway.cli import main

sys.exit(main())
