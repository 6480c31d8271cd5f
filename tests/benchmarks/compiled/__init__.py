"""Compiled programs beside compiled peers: one module a family of workloads, and what is common to them."""
