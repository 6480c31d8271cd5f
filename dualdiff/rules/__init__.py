"""The rule tables, one file per area of NumPy: what each function is, and its derivative."""

from dualdiff.rules import elementwise, indexing, movement, ufuncs

__all__ = ["elementwise", "indexing", "movement", "ufuncs"]
