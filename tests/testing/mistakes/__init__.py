"""A corpus of hand-written derivatives: wrong ones with one seeded mistake each, and right ones of functions that are nasty.

``python -m tests.testing.mistakes`` prints what the checks make of them, and what other libraries' checkers do.
"""
