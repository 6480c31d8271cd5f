"""Calls of the functions that stand in SciPy's rooms: one module a room, beside what it is for."""
