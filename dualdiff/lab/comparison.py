"""Several methods for one Jacobian, side by side: what each costs and whether they agree."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dualdiff as dd
from dualdiff.lab.timing import interleaved_minima

try:
    # SciPy's solvers compute their finite differences with this function, and offer it nowhere in public.
    from scipy.optimize._numdiff import approx_derivative
except ImportError:
    approx_derivative = None

__all__ = ["TOLERANCE", "Comparison", "Method", "compare", "difference"]

Array = NDArray[np.float64]

#: The largest difference from forward mode that a method may show, relative to the size of the terms. Exact methods
#: differ by rounding alone. Of finite differences at a benign point about half (2-point) or two thirds (3-point) of
#: the 16 digits are left; their bounds leave three more digits for curvature and cancellation.
TOLERANCE = {"forward": 1e-10, "reverse": 1e-10, "auto": 1e-10, "by hand": 1e-10, "2-point": 1e-5, "3-point": 1e-7}


@dataclass(frozen=True, slots=True)
class Method:
    """One method's cost and accuracy.

    Attributes
    ----------
    name : str
    exact : bool
        Whether it differs from the derivative by rounding only, so that a larger difference is an error.
    seconds : float
        The time of one Jacobian.
    evaluations : float
        The same time in evaluations of f.
    difference : float
        The largest difference from forward mode, relative to the size of the terms.
    tolerance : float
        How large the difference may be.
    """

    name: str
    exact: bool
    seconds: float
    evaluations: float
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance; one that is not a number is not."""
        return self.difference <= self.tolerance


@dataclass(frozen=True, slots=True)
class Comparison:
    """The methods for the Jacobian of one function at one point.

    Attributes
    ----------
    seconds : float
        The time of one evaluation of f.
    plan : Explanation
        The ways `dualdiff.jacobian` saw, and which it chose.
    methods : tuple of Method
        One row a method; forward mode, to which the others are compared, first.
    """

    seconds: float
    plan: Any
    methods: tuple[Method, ...]

    @property
    def agree(self) -> bool:
        """Whether all exact methods agree; finite differences have no vote."""
        return all(method.agrees for method in self.methods if method.exact)

    def __getitem__(self, name: str) -> Method:
        """Return the method of that name."""
        for method in self.methods:
            if method.name == name:
                return method
        raise KeyError(name)


def difference(jacobian: Array, reference: Array) -> float:
    r"""Return the largest difference of two Jacobians relative to the size of the terms.

    The terms along the longer side of a Jacobian share their unit: a column of a tall one is one parameter's effect on
    many observations, a row of a wide one is one quantity's gradient. So

    .. math:: \max_{ij} |J_{ij} - R_{ij}| \,/\, \max_{k} |R_{kj}| \quad (m \ge n),

    and with the row's largest entry for m < n. It does not change if a column of a tall one is scaled.

    Parameters
    ----------
    jacobian, reference : ndarray, shape (m, n)

    Returns
    -------
    float
        Infinite if the shapes differ, an entry of either is not finite, or a line that should be zero is not.

    Examples
    --------
    >>> difference(np.array([[1.0, 2e6], [2.0, 4e6]]), np.array([[1.0, 2e6], [2.0, 5e6]]))
    0.2
    >>> difference(np.array([[np.nan]]), np.array([[np.nan]]))
    inf
    """
    if jacobian.shape != reference.shape:
        return float("inf")
    if not (np.isfinite(jacobian).all() and np.isfinite(reference).all()):
        return float("inf")
    rows, columns = reference.shape
    axis = 0 if rows >= columns else 1
    gap = np.abs(jacobian - reference).max(axis=axis, initial=0.0)
    size = np.abs(reference).max(axis=axis, initial=0.0)
    relative = np.divide(gap, size, out=np.where(gap > 0, np.inf, 0.0), where=size > 0)
    return float(relative.max(initial=0.0))


def compare(
    f: Callable[[Array], Array],
    x: Array,
    *,
    by_hand: Callable[[Array], Array] | None = None,
    rounds: int = 9,
) -> Comparison:
    """Compute one Jacobian by every method there is, time them in turns, and compare them with forward mode.

    Parameters
    ----------
    f : callable
        Takes an array of shape (n,) and returns one of shape (m,).
    x : ndarray, shape (n,)
        Where the Jacobian is wanted.
    by_hand : callable, optional
        The Jacobian as someone wrote it down: takes x, returns an array of shape (m, n).
    rounds : int
        How many turns each method gets on the clock.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.lab import compare
    >>> found = compare(lambda x: np.sin(x) * x[0], np.array([1.0, 2.0, 3.0]), rounds=1)
    >>> found.agree
    True
    """
    ways: dict[str, Callable[[], Array]] = {
        "forward": partial(dd.jacobian(f, mode="forward"), x),
        "reverse": partial(dd.jacobian(f, mode="reverse"), x),
        "auto": partial(dd.jacobian(f), x),
    }
    if by_hand is not None:
        ways["by hand"] = partial(by_hand, x)
    if approx_derivative is not None:
        # A solver knows f(x) already and hands it over, which saves one evaluation: so it is done here.
        value = f(x)
        for scheme in ("2-point", "3-point"):
            ways[scheme] = partial(approx_derivative, f, x, method=scheme, f0=value)

    found = {name: np.asarray(way()) for name, way in ways.items()}
    seconds = interleaved_minima({"f": partial(f, x), **ways}, rounds=rounds)
    return Comparison(
        seconds=seconds["f"],
        plan=dd.jacobian(f).explain(x),
        methods=tuple(
            Method(
                name=name,
                exact=not name.endswith("point"),
                seconds=seconds[name],
                evaluations=seconds[name] / seconds["f"],
                difference=difference(found[name], found["forward"]),
                tolerance=TOLERANCE[name],
            )
            for name in ways
        ),
    )
