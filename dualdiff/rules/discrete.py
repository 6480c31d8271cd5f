"""Functions whose results are integers, booleans or piecewise constant: recorded, but without derivative."""

from __future__ import annotations

import numpy as np

from dualdiff.primitive import discrete

discrete(np.sign, np.floor, np.floor_divide, np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
discrete(np.logical_and, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert)
