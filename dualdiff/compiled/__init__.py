"""Recorded programs made fast."""
