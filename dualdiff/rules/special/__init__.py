"""The rule tables of SciPy's special functions, one file a noun.

They are imported when the first function of ``scipy.special`` meets a differentiated value, which can only be after the
user's program has imported it: ``import dualdiff`` stays as quick as it is for those who never do.
"""

from dualdiff.rules.special import (  # noqa: I001  (later tables use the rows of earlier ones)
    elementary,
    error,
    gamma,
    statistical,
    distributions,
    bessel,
    elliptic,
    integrals,
    orthogonal,
    hypergeometric,
    waves,
    information,
    functions,
)

__all__ = [
    "bessel",
    "distributions",
    "elementary",
    "elliptic",
    "error",
    "functions",
    "gamma",
    "hypergeometric",
    "information",
    "integrals",
    "orthogonal",
    "statistical",
    "waves",
]
