"""Linear algebra: solve, inverse, determinant, norms, and the factorisations.

Every rule works on the last two axes. A function of several results (``eigh``, ``svd``, ``qr``) is one primitive whose
result holds them side by side, so that its rule is written in that result alone and nests to any order.
"""

from dualdiff.rules.linalg import (
    determinants,
    eigenvalues,
    factors,
    least_squares,
    norms,
    singular_values,
    solving,
)

__all__ = ["determinants", "eigenvalues", "factors", "least_squares", "norms", "singular_values", "solving"]
