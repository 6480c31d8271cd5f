"""Timings, as ratios within one run: ``python -m tests.benchmarks`` (or ``make bench``). Never part of the test run."""

import os

# Read by BLAS when NumPy is first imported. On a machine that others use a second thread waits for its turn longer than
# a small product takes: products of 100 by 100 were measured at 12 ms instead of 0.1.
for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
