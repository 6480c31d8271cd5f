"""What takes the place of SciPy's functions where they meet a value that is being differentiated: one file a module of SciPy."""
