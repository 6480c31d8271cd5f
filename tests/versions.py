"""The versions of what the tests run on, where they hold what only some of them do."""

from __future__ import annotations

import numpy as np
import scipy

NUMPY, SCIPY = (tuple(map(int, m.__version__.split(".")[:2])) for m in (np, scipy))
