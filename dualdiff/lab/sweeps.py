"""Methods over the sizes of a problem: how their times grow, and from which size on another one is the fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.executors import Block, carry_out, check_executor, handed, parcel, pool_of
from dualdiff.lab import tables
from dualdiff.lab.comparison import Comparison, compare
from dualdiff.lab.conditions import Conditions, conditions
from dualdiff.lab.problems import Case
from dualdiff.lab.progress import progress as bar
from dualdiff.lab.tables import Table, said_seconds

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["Crossover", "Growth", "Sweep", "sweep"]

QUANTITIES: dict[str, str] = {
    "seconds": "least",
    "multiplications": "multiplications",
    "additions": "additions",
    "tape": "tape_bytes",
    "predicted": "predicted_bytes",
}
"""What may grow, and under which name a comparison records it."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How a quantity grows: about as the size to a power.

    Attributes
    ----------
    exponent : float
        The power, by least squares on logarithms over the larger half of the sizes, where fixed costs matter less.
    error : float
        Its standard error; not a number where two sizes leave nothing to judge it by.
    """

    exponent: float
    error: float

    def __str__(self) -> str:
        if not np.isfinite(self.exponent):
            return "-"
        return f"n^{self.exponent:.2f}" + (f" ± {self.error:.2f}" if np.isfinite(self.error) else "")


@dataclass(frozen=True, slots=True)
class Crossover:
    """A size at which two methods take equally long, or equally much of something else.

    Attributes
    ----------
    below, above : str
        The method that takes less below the size, and the one that does above.
    size : float
        Where the lines between the points meet, both axes being logarithmic.
    quantity : str
        What they take.
    """

    below: str
    above: str
    size: float
    quantity: str = "seconds"

    def __str__(self) -> str:
        if self.quantity == "seconds":
            return f"{self.below} is faster up to {self.size:.3g}, {self.above} beyond"
        return f"{self.below} takes fewer {self.quantity} up to {self.size:.3g}, {self.above} beyond"


@dataclass(frozen=True, slots=True, repr=False)
class Sweep(tables.Tabular):
    """Methods over the sizes of a problem. Prints as a table of times.

    Attributes
    ----------
    problem : str
        The problem's name.
    sizes : tuple of float
    comparisons : tuple of Comparison
        One a size.
    conditions : Conditions
        Where it was measured.
    """

    problem: str
    sizes: tuple[float, ...]
    comparisons: tuple[Comparison, ...]
    conditions: Conditions

    @property
    def agree(self) -> bool:
        """Whether the exact methods agreed at every size."""
        return all(found.agree for found in self.comparisons)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that have a row at some size."""
        return tuple(dict.fromkeys([row.name for found in self.comparisons for row in found.rows]))

    def values(self, method: str, quantity: str = "seconds") -> Any:
        """Return what a method took at every size; not a number where it was not run, or nothing was counted.

        Parameters
        ----------
        method : str
        quantity : {"seconds", "multiplications", "additions", "tape", "predicted"}

        Returns
        -------
        ndarray
        """
        if method not in self.methods:
            raise InputError(
                f"there is no method {method!r} in this sweep; there are {', '.join(map(repr, self.methods))}"
            )
        if quantity not in QUANTITIES:
            raise InputError(f"quantity={quantity!r} must be one of {', '.join(map(repr, QUANTITIES))}")
        found = []
        for comparison in self.comparisons:
            row = next((r for r in comparison.records() if r["method"] == method), {})
            value = row.get(QUANTITIES[quantity])
            found.append(np.nan if value is None else float(value))
        return np.array(found)

    def growth(self, method: str, quantity: str = "seconds") -> Growth:
        """Return how a quantity grows with the size.

        Parameters
        ----------
        method, quantity
            As for `values`.

        Returns
        -------
        Growth
        """
        values = self.values(method, quantity)
        there = np.flatnonzero(values > 0)
        there = there[-max(3, (len(there) + 1) // 2) :]
        if len(there) < 2:
            return Growth(float("nan"), float("nan"))
        x, y = np.log(np.array(self.sizes)[there]), np.log(values[there])
        x, y = x - x.mean(), y - y.mean()
        exponent = float(x @ y / (x @ x))
        rest = y - exponent * x
        error = float(np.sqrt(rest @ rest / (len(x) - 2) / (x @ x))) if len(x) > 2 else float("nan")
        return Growth(exponent, error)

    def crossovers(self, first: str, second: str, quantity: str = "seconds") -> tuple[Crossover, ...]:
        """Return the sizes at which two methods take equally long, by interpolation on logarithms.

        Parameters
        ----------
        first, second : str
            Methods.
        quantity : str
            As for `values`.

        Returns
        -------
        tuple of Crossover
            In the order of the sizes; empty if one is always the faster one.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = np.log(self.values(first, quantity) / self.values(second, quantity))
        there = np.flatnonzero(np.isfinite(gap))
        found = []
        for i, j in pairwise(there):
            if gap[i] * gap[j] < 0 or (gap[j] == 0 and gap[i] != 0):
                low, high = np.log(self.sizes[i]), np.log(self.sizes[j])
                size = float(np.exp(low + (high - low) * gap[i] / (gap[i] - gap[j])))
                found.append(Crossover(*((first, second) if gap[i] < 0 else (second, first)), size, quantity))
        return tuple(found)

    @property
    def fastest(self) -> tuple[str, ...]:
        """The fastest method at every size; empty where none was run."""
        times = np.array([self.values(name) for name in self.methods])
        known = np.isfinite(times).any(axis=0)
        best = np.where(np.isnan(times), np.inf, times).argmin(axis=0)
        return tuple([self.methods[i] if there else "" for i, there in zip(best, known, strict=True)])

    @property
    def turns(self) -> tuple[Crossover, ...]:
        """The crossovers at which the fastest method changes."""
        found = []
        best = self.fastest
        for i, (a, b) in enumerate(pairwise(best)):
            if a != b and a and b:
                low, high = self.sizes[i], self.sizes[i + 1]
                found += [c for c in self.crossovers(a, b) if low <= c.size <= high and c.below == a]
        return tuple(found)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The least time of every method at every size, and its growth."""
        rows = []
        for name in self.methods:
            times = ["-" if np.isnan(t) else said_seconds(t) for t in self.values(name)]
            rows.append((name, *times, str(self.growth(name)), str(self.growth(name, "multiplications"))))
        rows.append(("fastest", *self.fastest, "", ""))
        head = [f"{size:g}" for size in self.sizes]
        notes = [str(turn) for turn in self.turns]
        wrong = {row.name for found in self.comparisons for row in found.disagreeing}
        notes += [f"not what the oracle says: {', '.join(sorted(wrong))}"] if wrong else []
        columns = ("method", *head, "time grows as", "multiplications as")
        return (Table(self.problem, columns, tuple(rows), (*notes, str(self.conditions))),)

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping for each size and method."""
        return [
            {"size": size, **row}
            for size, found in zip(self.sizes, self.comparisons, strict=True)
            for row in found.records()
        ]

    def document(self) -> dict[str, Any]:
        """Return everything as plain mappings, lists, numbers and strings."""
        return {
            "problem": self.problem,
            "sizes": list(self.sizes),
            "agree": self.agree,
            "growth": {name: asdict(self.growth(name)) for name in self.methods},
            "crossovers": [asdict(turn) for turn in self.turns],
            "fastest": list(self.fastest),
            "rows": self.records(),
            "conditions": self.conditions.document(),
        }

    def plot(self, path: Any = None, quantity: str = "seconds") -> Any:
        """Draw a quantity over the sizes, a line a method; write it to a file if a path is given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        from dualdiff.lab.plots import plot_sweep

        return plot_sweep(self, path, quantity)


def sweep(
    problem: Callable[[Any], Any],
    sizes: Iterable[Any],
    methods: Any = ("ways", "2-point"),
    *,
    seconds: float = 30.0,
    rounds: int = 7,
    oracle: Any = None,
    seed: int = 0,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Sweep:
    """Compare methods over the sizes of a problem: how times grow, and where one method overtakes another.

    Parameters
    ----------
    problem : callable
        ``problem(size)`` returns a case of the zoo, or ``(f, *args)``.
    sizes : iterable of numbers
        In increasing order.
    methods : optional
        As for `compare`; by default the ways of the register that apply, and SciPy's 2-point differences.
    seconds : float
        About how long it may take altogether; every size has an equal part.
    rounds : int
        How many turns each method gets at each size, at most.
    executor : concurrent.futures.Executor, optional
        Whose workers take a size each: threads, processes, or a Dask client's ``client.get_executor()``. Counts and errors are
        the same; times are those of methods that share a machine with what runs beside them, so let each worker have cores of its own.
    oracle, seed, progress
        As for `compare`.

    Returns
    -------
    Sweep
        It prints as a table, with the size at which the fastest method changes.

    Raises
    ------
    InputError
        If there are no sizes, or they do not increase.
    ExecutorError
        If a size did not come back from an executor. What the problem raises there is raised here, with a note that names the size.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff import lab
    >>> def narrowing(n):
    ...     A = np.random.default_rng(0).normal(size=(3, n))
    ...     return lambda x: np.tanh(A @ x), np.ones(n)
    >>> found = lab.sweep(narrowing, [2, 4, 8, 16], ["forward", "reverse"], seconds=4, rounds=1)
    >>> found.values("reverse", "multiplications").tolist()
    [6.0, 12.0, 24.0, 48.0]
    >>> print(found.growth("reverse", "multiplications"))
    n^1.00 ± 0.00
    """
    asked = list(sizes)
    listed = [float(size) for size in asked]
    if not listed or any(b <= a for a, b in pairwise(listed)) or listed[0] <= 0:
        raise InputError(f"sizes={asked!r} must be positive numbers in increasing order")
    settings = {"methods": methods, "oracle": oracle, "seconds": seconds / len(asked), "rounds": rounds, "seed": seed}
    found: dict[int, Comparison] = {}
    with bar(len(asked), "sweep", progress) as step:
        if executor is None:
            for i, size in enumerate(asked):
                step(f"{size}")
                found[i] = _compared(problem, settings, size)
        else:
            check_executor(executor)
            pool = pool_of(executor)

            def take(i: int, one: Comparison) -> None:
                step(f"{asked[i]}")
                found[i] = one

            common = problem, settings
            shared: Any = handed(common) if pool.shares else parcel(common, "the problem, a method or the oracle")
            carry_out(pool, _compared_there, [shared], [Block(f"size {s}", (s,)) for s in asked], take)
    name = getattr(problem, "__name__", "") or found[0].function
    return Sweep(name, tuple(listed), tuple([found[i] for i in range(len(asked))]), conditions(seed))


def _compared(problem: Callable[[Any], Any], settings: dict[str, Any], size: Any) -> Comparison:
    """Compare the methods at one size."""
    made = problem(size)
    if isinstance(made, Case):
        made = made.function, made.point
    if not isinstance(made, tuple) or len(made) < 2 or not callable(made[0]):
        raise InputError("the problem must return a case of the zoo, or a function and its arguments, (f, *args)")
    f, *args = made
    return compare(f, *args, progress=False, **settings)


def _compared_there(parcels: Any, size: Any) -> Comparison:
    """Compare the methods at one size, in a worker."""
    problem, settings = parcels[0].once()
    return _compared(problem, settings, size)
