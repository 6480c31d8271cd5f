"""How accurate finite differences are, step by step: the curve shaped like a V, beside what exact methods reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab import tables
from dualdiff.lab.agreement import agreement
from dualdiff.lab.catalogue import methods as methods_of
from dualdiff.lab.conditions import Conditions, conditions
from dualdiff.lab.oracle import Oracle
from dualdiff.lab.oracle import oracle as oracle_of
from dualdiff.lab.subject import Subject
from dualdiff.lab.tables import Table
from dualdiff.operators.calls import Argnums

__all__ = ["Accuracy", "Curve", "accuracy"]

MOST = 16
"""Columns that are differenced at most."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The error of one scheme over the step.

    Attributes
    ----------
    scheme : str
    errors : tuple of float
        The largest error of an entry, relative to the size of the terms, at every step.
    rule : float or None
        The step that the usual rule of thumb takes, √ε or ε^⅓.
    """

    scheme: str
    errors: tuple[float, ...]
    rule: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Accuracy(tables.Tabular):
    """The errors of differences over their step, and of exact methods. Prints as a table.

    Attributes
    ----------
    function : str
    steps : tuple of float
        Relative to the size of each variable, or to 1 for small ones.
    curves : tuple of Curve
        One a scheme.
    exact : mapping of str to float
        The error of each exact method.
    oracle : Oracle
        What they were all held against.
    conditions : Conditions
    """

    function: str
    steps: tuple[float, ...]
    curves: tuple[Curve, ...]
    exact: Mapping[str, float]
    oracle: Oracle
    conditions: Conditions

    def __getitem__(self, scheme: str) -> Curve:
        """Return the curve of a scheme."""
        for curve in self.curves:
            if curve.scheme == scheme:
                return curve
        raise KeyError(scheme)

    def best(self, scheme: str) -> tuple[float, float]:
        """Return the step at which a scheme is the most accurate, and its error there: known only after the fact."""
        errors = np.array(self[scheme].errors)
        i = int(np.argmin(np.where(np.isnan(errors), np.inf, errors)))
        return self.steps[i], float(errors[i])

    @property
    def tables(self) -> tuple[Table, ...]:
        """The errors step by step."""
        rows = [(f"{h:.0e}", *[f"{curve.errors[i]:.1e}" for curve in self.curves]) for i, h in enumerate(self.steps)]
        notes = []
        for curve in self.curves:
            step, error = self.best(curve.scheme)
            digits = -np.log10(max(error, 1e-17))
            rule = "" if curve.rule is None else f" (by the rule of thumb {curve.rule:.0e})"
            notes.append(f"{curve.scheme}: best at {step:.0e}{rule}, {max(digits, 0):.1f} digits")
        notes += [f"{name}, which has no step: {error:.1e}" for name, error in self.exact.items()]
        notes += [f"oracle: {self.oracle}", str(self.conditions)]
        columns = ("step", *[curve.scheme for curve in self.curves])
        return (Table(f"{self.function}: the largest error, relative", columns, tuple(rows), tuple(notes)),)

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping a step, and one for each exact method."""
        stepped = [
            {"step": h, "scheme": curve.scheme, "error": error}
            for curve in self.curves
            for h, error in zip(self.steps, curve.errors, strict=True)
        ]
        return [*stepped, *[{"step": None, "scheme": name, "error": error} for name, error in self.exact.items()]]

    def document(self) -> dict[str, Any]:
        """Return everything as plain mappings, lists, numbers and strings."""
        return {
            "function": self.function,
            "steps": list(self.steps),
            "curves": {curve.scheme: list(curve.errors) for curve in self.curves},
            "best": {curve.scheme: list(self.best(curve.scheme)) for curve in self.curves},
            "exact": dict(self.exact),
            "oracle": str(self.oracle),
            "conditions": {**asdict(self.conditions), "versions": dict(self.conditions.versions)},
        }

    def plot(self, path: Any = None) -> Any:
        """Draw the errors over the step; write the figure to a file if a path is given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        from dualdiff.lab.plots import plot_accuracy

        return plot_accuracy(self, path)


def accuracy(
    f: Callable[..., Any],
    *args: Any,
    steps: Iterable[float] | None = None,
    methods: Any = ("forward", "reverse"),
    oracle: Any = None,
    argnums: Argnums | None = None,
    seed: int = 0,
) -> Accuracy:
    r"""Measure the error of finite differences step by step, beside that of methods that have no step.

    The truncation error of a one-sided difference falls with the step h, that of a central one with h², and the rounding of
    f, divided by the step, grows as ε/h: so the least error is about √ε at h ≈ √ε, or ε^⅔ at h ≈ ε^⅓, and where exactly
    depends on f and on the point. The complex step subtracts nothing and has no such bound.

    Parameters
    ----------
    f : callable
        A function of NumPy code.
    *args
        The point.
    steps : iterable of float, optional
        Relative to max(1, \|x_j\|) of each variable; by default 1e-1 to 1e-16.
    methods : optional
        The methods that have no step, as for `compare`.
    oracle, argnums, seed
        As for `compare`.

    Returns
    -------
    Accuracy
        It prints as a table; `plot` draws it.

    Raises
    ------
    InputError
        If a step is not positive.

    References
    ----------
    Squire & Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998),
    doi:10.1137/S003614459631241X.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff import lab
    >>> found = lab.accuracy(np.exp, np.array([1.0, 2.0]))
    >>> found.best("one-sided")[1] > 1e-10 > found.best("central")[1] > 1e-13 > found.exact["forward"]
    True
    >>> found.best("complex step")[1] < 1e-15
    True
    """
    given = tuple([10.0**-k for k in range(1, 17)] if steps is None else [float(h) for h in steps])
    if not given or any(not h > 0 for h in given):
        raise InputError(f"steps={steps!r} must be positive numbers")
    subject = Subject(f, args, argnums)
    rng = np.random.default_rng(seed)
    truth = oracle_of(subject, oracle, most=max(MOST, 20 * MOST), rng=rng)
    if len(truth.columns) > MOST:
        truth = truth.some(np.sort(rng.choice(len(truth.columns), MOST, replace=False)))
    with np.errstate(all="ignore"):
        curves = [
            Curve(scheme, tuple([_error(subject, truth, difference, h) for h in given]), rule)
            for scheme, (difference, rule) in _SCHEMES.items()
            if scheme != _COMPLEX or _takes_complex(subject)
        ]
        exact = {}
        for m in methods_of(methods, subject):
            J = subject.matrix(m.prepared(subject)())
            exact[m.name] = agreement(J, truth, J, m.tolerance).largest
    return Accuracy(subject.name, given, tuple(curves), exact, truth, conditions(seed))


def _error(subject: Subject, truth: Oracle, difference: Callable[[Subject, int, float], Any], h: float) -> float:
    """Return the largest error of the oracle's columns, differenced with a step."""
    J = np.zeros((subject.m, subject.n))
    for j in truth.columns:
        J[:, j] = difference(subject, int(j), h * max(1.0, abs(float(subject.point[j]))))
    return agreement(J, truth, J, np.inf).largest


def _moved(subject: Subject, j: int, step: float) -> tuple[Any, float]:
    """Return the point with one entry moved, and by how much it was moved: what was asked for may not be representable."""
    x = subject.point.copy()
    x[j] += step
    return subject.flat(x), float(x[j] - subject.point[j])


def _one_sided(subject: Subject, j: int, h: float) -> Any:
    above, moved = _moved(subject, j, h)
    return (above - subject.value) / moved


def _central(subject: Subject, j: int, h: float) -> Any:
    above, up = _moved(subject, j, h)
    below, down = _moved(subject, j, -h)
    return (above - below) / (up - down)


def _complex(subject: Subject, j: int, h: float) -> Any:
    leaves = [np.asarray(x) + 0j for x in subject.leaves]
    at = j
    for x in leaves:
        if at < x.size:
            x.reshape(-1)[at] += 1j * h
            break
        at -= x.size
    found = [np.reshape(v, -1) for v in subject.run([x if x.shape else x[()] for x in leaves])]
    return np.concatenate(found).imag / h


def _takes_complex(subject: Subject) -> bool:
    try:
        found = subject.run([np.asarray(x)[()] + 0j for x in subject.leaves])
    except Exception:  # whatever complex numbers met
        return False
    return all(np.asarray(v).dtype.kind == "c" for v in found)


EPSILON = float(np.finfo(float).eps)
_COMPLEX = "complex step"
_SCHEMES: dict[str, tuple[Callable[[Subject, int, float], Any], float | None]] = {
    "one-sided": (_one_sided, EPSILON ** (1 / 2)),
    "central": (_central, EPSILON ** (1 / 3)),
    _COMPLEX: (_complex, None),
}
