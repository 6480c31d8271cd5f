"""The prices of this machine, from the times of small programs: ``python -m dualdiff calibrate``.

The model of :mod:`dualdiff.passes.costs` is linear: quantities times prices. So the prices follow from measured times of
programs whose quantities differ. What is made least is the squared logarithm of predicted over measured, the same for a
microsecond as for a second, and for half as for twice; a price about which the programs say little stays where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

import dualdiff as dd
from dualdiff.jacobians.choice import Candidates, choose
from dualdiff.jacobians.decisions import candidates_of
from dualdiff.jacobians.ways import record
from dualdiff.operators.calls import Call
from dualdiff.passes.costs import Machine, Quantities, Way, quantities

__all__ = ["PRICES", "Sample", "beside", "candidates", "fitted", "predictions", "quantities_by", "spread"]

PRICES = tuple(f.name for f in fields(Machine))
"""The names of the prices."""
WITHIN = 20.0
"""No price moves further from the shipped one than by this factor."""
TRUST = 0.15
"""How much a price's factor away from the shipped one counts, against a sample that is wrong by the same factor."""
OUTLIER = 0.5
"""From about this logarithm of predicted over measured on, a sample counts with the size of its error, not its square."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One way to the Jacobian of one program: how much of everything it takes, and its measured time.

    Attributes
    ----------
    program : str
    way : str
    quantities : dict of str to float
        How much of everything that has a price.
    seconds : float
        The time beside one evaluation of the function.
    """

    program: str
    way: str
    quantities: Quantities
    seconds: float


def beside(whole: float, evaluation: float) -> float:
    """Return the part of a measured time that the model predicts: what is beside one evaluation of the function."""
    # Where the function takes nearly all of it, the difference is noise.
    return max(whole - evaluation, 0.02 * whole)


def candidates(f: Callable[..., Any], arguments: Sequence[Any], **options: Any) -> Candidates:
    """Record a function and return the ways to its Jacobian; ``options`` are those of :func:`dualdiff.jacobian`."""
    operator = dd.jacobian(f, 0 if len(arguments) == 1 else tuple(range(len(arguments))), **options)
    problem = Call(f, operator.argnums, tuple(arguments), {}, False).problem(operator.chunk)
    return candidates_of(problem, operator.options, record(problem, replayable=True))


def quantities_by(f: Callable[..., Any], arguments: Sequence[Any], **options: Any) -> tuple[Way, Quantities]:
    """Return the way that :func:`dualdiff.jacobian` takes with these options, and how much of everything it takes."""
    found = candidates(f, arguments, **options)
    way, _ = choose(found)
    return way, quantities(found.tape, way)


def predictions(samples: Sequence[Sample], prices: Machine) -> NDArray[np.float64]:
    """Return the seconds that a machine with these prices would take for each sample."""
    return _table(samples) @ _vector(prices)


def spread(samples: Sequence[Sample], prices: Machine) -> tuple[float, float, float]:
    """Return the 5th percentile, the median and the 95th of predicted over measured time."""
    ratios = predictions(samples, prices) / [s.seconds for s in samples]
    low, middle, high = np.percentile(ratios, (5, 50, 95))
    return float(low), float(middle), float(high)


def fitted(samples: Sequence[Sample], shipped: Machine | None = None, *, trust: float = TRUST) -> Machine:
    r"""Return the prices that explain measured times.

    With :math:`Q` the quantities, :math:`t` the times and :math:`p^0` the shipped prices, they minimise

    .. math:: \sum_i \rho\big(\log (Q p)_i - \log t_i\big) + \lambda^2 \sum_j \big(\log p_j - \log p^0_j\big)^2

    where :math:`\rho` is the square of small errors and grows with the size of large ones.

    Parameters
    ----------
    samples : sequence of Sample
        What was measured.
    shipped : Machine, optional
        The prices to start from, and to stay at where the samples say nothing.
    trust : float
        λ: how much is thought of them.

    Returns
    -------
    Machine
        All prices positive, each within a factor of 20 of the one before.

    Examples
    --------
    >>> from dualdiff.lab.calibration import Sample, fitted
    >>> from dualdiff.passes.costs import Machine
    >>> samples = [Sample("f", "reverse", {"frame": 1.0, "record": n}, 2e-5 + n * 3e-6) for n in (1.0, 10.0, 100.0)]
    >>> found = fitted(samples, trust=1e-3)
    >>> print(f"{found.frame:.2g} {found.record:.2g} {found.far == Machine().far}")
    2e-05 3e-06 True
    """
    start = Machine() if shipped is None else shipped
    shares = _table(samples) * _vector(start) / np.array([[s.seconds] for s in samples]).reshape(-1, 1)
    told = shares.any(axis=0)
    shares = shares[:, told]

    def residual(x: NDArray[np.float64]) -> NDArray[np.float64]:
        # Soft l1 by hand: least_squares would soften the prices' own residuals as well.
        r = np.log(shares @ np.exp(x))
        return np.concatenate([np.sign(r) * np.sqrt(_soft(r)), trust * x])

    def slopes(x: NDArray[np.float64]) -> NDArray[np.float64]:
        each = shares * np.exp(x)
        whole = each.sum(axis=1)
        r = np.log(whole)
        root = np.sqrt(_soft(r))
        bend = np.where(root > 1e-9, np.abs(r) / np.maximum(root, 1e-300) / np.hypot(1.0, r / OUTLIER), 1.0)
        return np.concatenate([(bend / whole)[:, np.newaxis] * each, trust * np.eye(len(x))])

    found = np.zeros(int(told.sum()))
    if len(found):
        most = math.log(WITHIN)
        found = least_squares(residual, found, jac=slopes, bounds=(-most, most)).x
    factors = np.ones(len(PRICES))
    factors[told] = np.exp(found)
    return Machine(**{name: getattr(start, name) * float(c) for name, c in zip(PRICES, factors, strict=True)})


def _soft(r: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 * OUTLIER**2 * (np.hypot(1.0, r / OUTLIER) - 1)


def _table(samples: Sequence[Sample]) -> NDArray[np.float64]:
    return np.array([[s.quantities.get(name, 0.0) for name in PRICES] for s in samples]).reshape(-1, len(PRICES))


def _vector(prices: Machine) -> NDArray[np.float64]:
    return np.array([getattr(prices, name) for name in PRICES])
