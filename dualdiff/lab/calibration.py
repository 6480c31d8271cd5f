"""The prices of this machine, from the times of small programs: ``python -m dualdiff calibrate``.

The model of :mod:`dualdiff.passes.costs` is linear: quantities times prices. So the prices follow from measured times of
programs whose quantities differ. What is made least is the squared logarithm of predicted over measured, the same for a
microsecond as for a second, and for half as for twice; a price about which the programs say little stays where it was.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

import dualdiff as dd
from dualdiff.lab.problems import chains, equations, fitting, learning, mechanics, stencils
from dualdiff.lab.tables import Table
from dualdiff.lab.timing import interleaved_minima
from dualdiff.operators.calls import Call
from dualdiff.operators.jacobian import Jacobian
from dualdiff.passes import costs
from dualdiff.passes.costs import Machine, Quantities
from dualdiff.ways import WAYS, Program, choose
from dualdiff.ways.decisions import recorded

__all__ = [
    "PRICES",
    "Case",
    "Sample",
    "beside",
    "document",
    "fitted",
    "forget",
    "keep",
    "measured",
    "predictions",
    "prices_table",
    "program_of",
    "programs",
    "spread",
    "spread_table",
]

PRICES = tuple(f.name for f in fields(Machine))
"""The names of the prices."""
BULK = ("element", "far", "flop", "scatter")
"""The prices that go with sizes; the others go with steps."""
WITHIN = 20.0
"""No price moves further from the shipped one than by this factor."""
LITTLE = 0.02
"""How much a common factor counts: next to nothing."""
TRUST = 1.0
"""How much a factor between a price and its shipped one counts, against a sample that is wrong by the same factor."""
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


def _version() -> str:
    """Return the library's version; a source tree that was never installed has none."""
    try:
        return version("dualdiff")
    except PackageNotFoundError:
        return "not installed"


def beside(whole: float, evaluation: float) -> float:
    """Return the part of a measured time that the model predicts: what is beside one evaluation of the function."""
    # Where the function takes nearly all of it, the difference is noise.
    return max(whole - evaluation, 0.02 * whole)


def program_of(operator: Jacobian, arguments: Sequence[Any]) -> Program:
    """Record the function of a Jacobian's operator."""
    return recorded(Call(operator.f, operator.argnums, tuple(arguments), {}, False).problem(), operator.options)


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

    With :math:`Q` the quantities, :math:`t` the times and :math:`p^0` the shipped prices, the prices
    :math:`p_j = p^0_j \exp(c_{g(j)} + d_j)` minimise

    .. math:: \sum_i \rho\big(\log (Q p)_i - \log t_i\big) + \lambda^2 \sum_j d_j^2

    where :math:`\rho` is the square of small errors and grows with the size of large ones. The common factors
    :math:`c` of all steps and of all elements are free: a slower machine is slower in what was not measured, too.

    Parameters
    ----------
    samples : sequence of Sample
        What was measured.
    shipped : Machine, optional
        The prices to start from, and to stay at where the samples say nothing.
    trust : float
        λ: how much is thought of their ratios.

    Returns
    -------
    Machine
        Each price within a factor of 20 of the one before.

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
    if not samples:
        return start
    shares = _table(samples) * _vector(start) / np.array([[s.seconds] for s in samples])
    # Unknowns: a common factor to each group of prices, then one to each price.
    common = np.array([[name in BULK, name not in BULK] for name in PRICES], dtype=float)
    unknowns = np.concatenate([common, np.eye(len(PRICES))], axis=1)
    told = (shares @ unknowns).any(axis=0)
    unknowns = unknowns[:, told]
    prior = np.diag(np.where(np.arange(2 + len(PRICES)) < 2, LITTLE, trust)[told])

    def residual(x: NDArray[np.float64]) -> NDArray[np.float64]:
        r = np.log(shares @ np.exp(unknowns @ x))
        # Large errors are softened by hand: least_squares would soften the prior as well.
        return np.concatenate([r / np.sqrt(_softer(r)), prior @ x])

    def slopes(x: NDArray[np.float64]) -> NDArray[np.float64]:
        each = shares * np.exp(unknowns @ x)
        whole = each.sum(axis=1)
        h = _softer(np.log(whole))
        return np.concatenate([(np.sqrt(h) / (2 * h - 1) / whole)[:, np.newaxis] * (each @ unknowns), prior])

    most = math.log(WITHIN)
    found = least_squares(residual, np.zeros(unknowns.shape[1]), jac=slopes, bounds=(-most, most))
    factors = np.clip(np.exp(unknowns @ found.x), 1 / WITHIN, WITHIN)
    return Machine(**{name: getattr(start, name) * float(c) for name, c in zip(PRICES, factors, strict=True)})


def _softer(r: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Return by how much the squares of errors are divided: :math:`(1 + \sqrt{1 + r^2/s^2}) / 2`, 1 for small ones."""
    return (1 + np.hypot(1.0, r / OUTLIER)) / 2


def _table(samples: Sequence[Sample]) -> NDArray[np.float64]:
    return np.array([[s.quantities.get(name, 0.0) for name in PRICES] for s in samples]).reshape(-1, len(PRICES))


def _vector(prices: Machine) -> NDArray[np.float64]:
    return np.array([getattr(prices, name) for name in PRICES])


# --------------------------------------------------------------------------------------------------
# the programs

Array = NDArray[np.float64]


BY_NAME = {w.name: w for w in WAYS}
DENSE = ("forward", "reverse")
SPARSE = ("row-sparse", "columns", "rows")


@dataclass(frozen=True, slots=True)
class Case:
    """A function whose Jacobian is timed by several ways.

    Attributes
    ----------
    name : str
    function : callable
        Plain NumPy.
    point : ndarray
    ways : tuple of str
        Names of ways.
    """

    name: str
    function: Callable[[Any], Any]
    point: Array
    ways: tuple[str, ...] = DENSE

    def operator(self, way: str) -> Jacobian:
        """Return the operator that goes one of the ways."""
        return Jacobian(self.function, **BY_NAME[way].options())


def _elementwise(x: Any, *, steps: int = 6) -> Any:
    for _ in range(steps):
        x = np.tanh(x) * 1.1 + 0.3 * x
    return x


def _few_to_many(x: Any, *, data: Array) -> Any:
    return x[0] * np.exp(x[1] * data) + np.sin(data + x[2])


def _many_to_one(x: Any) -> Any:
    return np.sum(np.sin(x) * x + np.sqrt(x))


def _moving(x: Any) -> Any:
    y = np.flip(np.reshape(x, (2, -1)).T, 0)
    y = np.concatenate([y[::2], y[1::2]])
    return np.roll(np.transpose(y), 1).ravel()


def _reducing(x: Any) -> Any:
    y = np.reshape(x, (-1, 5))
    y = y - np.mean(y, axis=0)
    return np.sum(y * y, axis=1) / np.sum(y + 1.0, axis=0).sum() + np.mean(y, axis=1)


def _accumulating(x: Any) -> Any:
    return np.cumsum(np.cumsum(x)[::-1])


def _layers(x: Any, *, weights: Sequence[Array]) -> Any:
    for w in weights:
        x = np.tanh(w @ x)
    return x


def _products(x: Any) -> Any:
    side = math.isqrt(x.size)
    y = np.reshape(x, (side, side))
    return y @ y.T @ y


def _scalar_loop(x: Any) -> Any:
    y = x[0]
    for i in range(1, len(x)):
        y = y * x[i] + 0.5
    return y


def _filling(x: Any) -> Any:
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = x[i] * x[i - 1]
    return y


def _few_operations(x: Any) -> Any:
    a, b, c = x
    for _ in range(5):
        a, b, c = a * b, b + 0.1 * c, np.sin(a) - c
    return np.stack([a, b, c])


def _systems(x: Any) -> Any:
    side = math.isqrt(x.size)
    a = np.reshape(x, (side, side)) + side * np.eye(side)
    return np.linalg.solve(a, x[:side]) + np.linalg.det(a) * np.linalg.inv(a)[0]


def _slices(x: Any) -> Any:
    return (x[2:] - 2 * x[1:-1] + x[:-2]) * x[1:-1] - x[2:] * x[:-2]


def _rolls(x: Any) -> Any:
    return (np.roll(x, 1) - x) * np.roll(x, -1) + np.exp(x)


def _waist(x: Any, *, gather: Array, spread: Array) -> Any:
    return np.sin(spread @ np.tanh(gather @ np.sin(x))) + 1.0


def _blocks(x: Any) -> Any:
    y = np.reshape(x, (-1, 4))
    return (np.sum(y, axis=1, keepdims=True) * y).ravel()


def _mixing(x: Any, *, weight: Array) -> Any:
    return np.tanh(np.reshape(x, (-1, 4)) @ weight).ravel()


def _arrow(x: Any) -> Any:
    return np.concatenate([x[1:] * x[0] + x[1:] ** 2, np.sum(x**2, keepdims=True)])


def _chain_energy(x: Any) -> Any:
    return np.sum((x[1:] - x[:-1]) ** 4) + np.sum(np.cos(x))


def programs() -> tuple[Case, ...]:
    """Return the programs of the calibration: one or more to every price, and some of the zoo's."""
    rng = np.random.default_rng(20)

    def some(*shape: int) -> Array:
        return rng.uniform(0.5, 1.5, shape)

    def matrix(m: int, n: int) -> Array:
        return rng.normal(size=(m, n)) / math.sqrt(n)

    def layers(*widths: int) -> Callable[[Any], Any]:
        return partial(_layers, weights=[matrix(m, n) for n, m in pairwise(widths)])

    def waist(n: int, w: int, m: int) -> Callable[[Any], Any]:
        return partial(_waist, gather=matrix(w, n), spread=matrix(m, w))

    made = [
        *[Case(f"elementwise-{n}", _elementwise, some(n)) for n in (1, 5, 30, 300)],
        Case("elementwise-1000", partial(_elementwise, steps=1), some(1000)),
        *[Case(f"few-to-many-{m}", partial(_few_to_many, data=some(m)), some(3)) for m in (30, 1000)],
        Case("few-to-many-100000", partial(_few_to_many, data=some(100_000)), some(3), ("forward",)),
        *[Case(f"many-to-one-{n}", _many_to_one, some(n)) for n in (30, 1000)],
        Case("many-to-one-100000", _many_to_one, some(100_000), ("reverse",)),
        *[Case(f"moving-{n}", _moving, some(n)) for n in (12, 300)],
        *[Case(f"reducing-{n}", _reducing, some(n)) for n in (20, 300)],
        Case("accumulating-100", _accumulating, some(100)),
        *[Case(f"layers-{n}-{m}", layers(n, m, n), some(n)) for n, m in ((5, 8), (60, 40), (250, 200))],
        *[Case(f"products-{n}", _products, some(n)) for n in (9, 100)],
        *[Case(f"scalar-loop-{n}", _scalar_loop, some(n), (*DENSE, "elimination")) for n in (8, 60)],
        *[Case(f"filling-{n}", _filling, some(n), (*DENSE, "row-sparse", "rows")) for n in (8, 60)],
        Case("few-operations", _few_operations, some(3), (*DENSE, "elimination")),
        *[Case(f"systems-{n}", _systems, some(n)) for n in (9, 36)],
        Case("slices-100", _slices, some(100)),
        Case("rolls-100", _rolls, some(100)),
        *[Case(f"slices-{n}", _slices, some(n), SPARSE) for n in (50, 3000, 100_000)],
        *[Case(f"rolls-{n}", _rolls, some(n), SPARSE) for n in (50, 3000)],
        *[Case(f"blocks-{n}", _blocks, some(n), SPARSE) for n in (40, 2000)],
        *[Case(f"mixing-{n}", partial(_mixing, weight=matrix(4, 3)), some(n), SPARSE) for n in (200, 4000)],
        Case("arrow-1000", _arrow, some(1000), ("row-sparse",)),
        *[Case(f"chain-energy-{n}", dd.grad(_chain_energy), some(n), ("acyclic",)) for n in (50, 1000)],
        *[
            Case(f"waist-{n}-{w}-{m}", waist(n, w, m), some(n), (*DENSE, "mixed"))
            for n, w, m in ((30, 2, 30), (200, 3, 150), (300, 40, 250))
        ],
    ]
    for case, ways in (
        (equations.rosenbrock_loop(200), DENSE),
        (equations.broyden_tridiagonal(1000), SPARSE),
        (equations.discrete_integral(500), DENSE),
        (stencils.brusselator(20), SPARSE),
        (chains.hourglass(1000, 3, 1000), ("mixed",)),
        (chains.small_operations(30, 10), DENSE),
        (fitting.exponential_decay(1000), DENSE),
        (learning.lstm_cell(32, 64), DENSE),
        (mechanics.lorenz_rk4(50), DENSE),
        (mechanics.planar_links(100), ("row-sparse", "columns")),
        (mechanics.robertson(), DENSE),
        (mechanics.oscillator_chain(400), SPARSE),
    ):
        made.append(Case(case.name, case.function, np.array(case.point), ways))
    return tuple(made)


# --------------------------------------------------------------------------------------------------
# measuring

ROUNDS = 13
"""Turns of each call, of two milliseconds: ten seconds for all of them."""
Timer = Callable[[Mapping[str, Callable[[], object]]], Mapping[str, float]]
"""Seconds of each call."""


def measured(chosen: Sequence[Case], timer: Timer | None = None) -> list[Sample]:
    """Time programs by all their ways, all in turns, and say how much of everything each takes.

    Parameters
    ----------
    chosen : sequence of Case
    timer : callable, optional
        From named calls to the seconds of each; :func:`~dualdiff.lab.timing.interleaved_minima` if not given.

    Returns
    -------
    list of Sample
    """
    calls: dict[str, Callable[[], object]] = {}
    taken: dict[str, tuple[str, str, Quantities]] = {}
    for p in chosen:
        calls[p.name] = partial(p.function, p.point)
        for name in p.ways:
            operator = p.operator(name)
            found = program_of(operator, (p.point,))
            way, _ = choose(found, operator.options)
            key = f"{p.name} by {name}"
            calls[key] = partial(operator, p.point)
            taken[key] = (p.name, way.name, way.quantities(found))
    times = (timer or partial(interleaved_minima, rounds=ROUNDS))(calls)
    return [Sample(p, way, q, beside(times[key], times[p])) for key, (p, way, q) in taken.items()]


# --------------------------------------------------------------------------------------------------
# keeping


def keep(prices: Machine, path: Path) -> None:
    """Write prices where every later process of this user finds them, whole or not at all; this process takes them too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": _version(), "numpy": np.__version__, "constants": asdict(prices)}, indent=1)
    # In the same directory, because only there is a renaming one step.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    costs.machine.cache_clear()


def forget(path: Path) -> bool:
    """Delete what was kept; return whether there was anything."""
    was = path.is_file()
    path.unlink(missing_ok=True)
    costs.machine.cache_clear()
    return was


# --------------------------------------------------------------------------------------------------
# saying


def prices_table(shipped: Machine, found: Machine, samples: Sequence[Sample]) -> Table:
    """Return prices, shipped and measured, and how many of the samples have something to say about each."""
    rows = []
    for name in PRICES:
        before, after = getattr(shipped, name), getattr(found, name)
        count = sum(1 for s in samples if s.quantities.get(name))
        rows.append((name, _time(before), _time(after), f"{after / before:.2f}", str(count)))
    return Table("Prices of this machine", ("price", "shipped", "measured", "ratio", "samples"), tuple(rows))


def spread_table(shipped: Machine, found: Machine, samples: Sequence[Sample]) -> Table:
    """Return how predicted times compare with measured ones, by the shipped prices and by the measured."""
    rows = []
    for which, prices in (("shipped", shipped), ("measured", found)):
        low, middle, high = spread(samples, prices)
        rows.append((which, f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}"))
    return Table(
        f"Predicted over measured time, {len(samples)} samples", ("prices", "5 %", "median", "95 %"), tuple(rows)
    )


def document(shipped: Machine, found: Machine, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return both tables for programs."""
    spreads = {}
    for which, prices in (("shipped", shipped), ("measured", found)):
        spreads[which] = dict(zip(("5 %", "median", "95 %"), spread(samples, prices), strict=True))
    return {
        "prices": {
            k: {"shipped": getattr(shipped, k), "measured": getattr(found, k)} | _ratio(shipped, found, k)
            for k in PRICES
        },
        "samples": len(samples),
        "predicted/measured": spreads,
    }


def _ratio(shipped: Machine, found: Machine, name: str) -> dict[str, float]:
    return {"ratio": getattr(found, name) / getattr(shipped, name)}


def _time(seconds: float) -> str:
    """Return a price with three digits and its unit.

    >>> [_time(t) for t in (0.0123, 1.5e-6, 4.5e-10, 5e-12)]
    ['12.3 ms', '1.5 µs', '450 ps', '5 ps']
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-12:.3g} ps"
