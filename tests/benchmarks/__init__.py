"""Timings, as ratios within one run: ``python -m tests.benchmarks`` (or ``make bench``). Never part of the test run."""
