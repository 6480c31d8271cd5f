"""``python -m dualdiff``: the command line, which lives in `dualdiff.lab`."""

from dualdiff.lab.cli import main

raise SystemExit(main())
