"""Mutation testing: does some test notice when one token of the engine changes? ``python -m tests.mutation`` or ``make mutants``.

Never part of the test run. Mutants that change nothing, or speed alone, stand in ``equivalent.txt`` with the reason.
"""
