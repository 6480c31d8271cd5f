"""What kind of mistake a wrong Jacobian is: a factor, a sign, a transposition, a term that is forgotten."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["kind_of"]

CLOSE = 1e-6
"""How near a Jacobian must be to a distorted one to be taken for it, relative to the largest entry of its row."""
SEVERAL = 2
"""Entries that must share a factor before it is called one."""


def kind_of(given: Any, true: Any, error: Any, wrong: Any) -> str:
    """Say in words what distorts a Jacobian, or an empty string if nothing simple does.

    Parameters
    ----------
    given, true : array of shape (m, n)
        The Jacobian under test, and what it should be.
    error : array of shape (m, n)
        How far ``true`` may be off.
    wrong : array of bool, of shape (m, n)
        Which entries are wrong.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> J = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]])
    >>> zero = np.zeros_like(J)
    >>> kind_of(3 * J, J, zero, J != 0)
    'all of it is off by the factor 3 (3 = n)'
    >>> kind_of(J * [1, 0, 1], J, zero, J * [0, 1, 0] != 0)
    'column 1 is wrong: it is zero, a term is forgotten'
    """
    m, n = given.shape
    if not wrong.any():
        return ""
    known = np.isfinite(true) & np.isfinite(error)
    if not known.all():
        return ""
    near = _Near(true, error)
    if not np.isfinite(given).all():
        bad = ~np.isfinite(given)
        where = "all of it is" if bad.all() else f"{int(bad.sum())} of its {given.size} entries are"
        return f"{where} not finite, though the function is smooth here"
    whole = _whole(given, true, near, wrong)
    if whole:
        return whole
    return _part(given, true, near, wrong, m, n)


class _Near:
    """Whether matrices equal the true one, or one made of it, within error bars."""

    def __init__(self, true: Any, error: Any) -> None:
        self.error = np.max(error, initial=0.0)
        self.size = np.max(np.abs(true), initial=0.0)

    def __call__(self, a: Any, b: Any) -> bool:
        rows = np.max(np.abs(b), axis=-1, keepdims=True, initial=0.0)
        return bool(a.shape == b.shape and np.all(np.abs(a - b) <= CLOSE * rows + self.error))


def _whole(given: Any, true: Any, near: _Near, wrong: Any) -> str:
    """What may be said of all entries together."""
    m, n = given.shape
    meant = np.abs(true) > 10 * near.error
    if not np.any(given) and meant.any():
        return "all of it is zero"
    factor = _factor(given, true, meant) if int(meant.sum()) >= min(SEVERAL, given.size) else None
    if factor is not None and near(given / factor, true):
        if np.iscomplexobj(factor) and abs(np.imag(factor)) > CLOSE:
            return f"all of it is off by the factor {factor:.6g}"
        return _of("all of it", float(np.real(factor)), m, n)
    if np.iscomplexobj(true) and near(np.conj(given), true):
        return "it is the complex conjugate of the Jacobian"
    if m == n and m > 1:
        if near(given.T, true):
            return "it is transposed"
        transposed = _factor(given.T, true, meant)
        if transposed is not None and near(given.T / transposed, true):
            return f"it is transposed, and off by the factor {_number(float(np.real(transposed)))}"
        if near(given, (true + true.T) / 2):
            return "it is made symmetric"
        if near(given, true + true.T - np.diag(np.diag(true))) or near(given, true + true.T):
            return "the transposed Jacobian is added to it"
    elif given.size > 1 and min(m, n) > 1 and near(given.reshape(n, m).T, true):
        return "it is laid out by columns instead of rows"
    for axis, what in ((0, "rows"), (1, "columns")):
        order = _order(given, true, near, axis)
        if order is not None:
            return f"its {what} are out of order: they are {what} {', '.join(map(str, order))} of the right one"
    return ""


def _part(given: Any, true: Any, near: _Near, wrong: Any, m: int, n: int) -> str:
    """What may be said of the entries that are wrong."""
    count = int(wrong.sum())
    rows, columns = np.flatnonzero(wrong.any(axis=1)), np.flatnonzero(wrong.any(axis=0))
    inner = np.eye(m, n, dtype=bool)
    if m > 1 and len(rows) == 1 and n > 1 and count > 1:
        what = f"row {rows[0]} is wrong"
    elif n > 1 and len(columns) == 1 and (m > 1 or count == 1) and (count > 1 or m == 1):
        what = f"column {columns[0]} is wrong"
    elif count == 1 and given.size > 1:
        what = f"one entry of {given.size} is wrong"
    elif m > 1 and n > 1 and not (wrong & ~inner).any():
        what = "only the diagonal is wrong" if count > 1 else "one entry is wrong"
    elif m > 1 and n > 1 and not (wrong & inner).any():
        what = f"only entries off the diagonal are wrong, {count} of {given.size}"
    else:
        what = f"{count} of its {given.size} entries are wrong" if given.size > 1 else ""
    detail = ""
    if not np.any(given[wrong]):
        single = count == 1 or "row" in what or "column" in what
        detail = ("it is zero" if single else "all of these are zero") + ", a term is forgotten"
    elif not np.any(np.abs(true[wrong]) > 10 * near.error):
        detail = "it should be zero" if count == 1 else "all of these should be zero"
    else:
        factor = _factor(given, true, wrong & (np.abs(true) > 10 * near.error)) if count >= SEVERAL else None
        if count == 1 and abs(true[wrong][0]) > 10 * near.error:
            factor = given[wrong][0] / true[wrong][0]
        if factor is not None and abs(np.imag(factor)) <= CLOSE and np.real(factor) != 0:
            detail = _of(
                "it" if count == 1 or "row" in what or "column" in what else "all of these",
                float(np.real(factor)),
                m,
                n,
            )
    return ": ".join(part for part in (what, detail) if part)


def _factor(given: Any, true: Any, where: Any) -> Any:
    """Return the factor by which all the entries differ, or None."""
    if not where.any():
        return None
    ratios = given[where] / true[where]
    weights = np.abs(true[where])
    factor = np.sum(ratios * weights) / np.sum(weights)
    return factor if factor != 0 and np.all(np.abs(ratios - factor) <= CLOSE * 10 * abs(factor)) else None


def _of(what: str, factor: float, m: int, n: int) -> str:
    verb = "have" if what.startswith("all of these") else "has"
    if abs(factor + 1) <= CLOSE * 10:
        return f"{what} {verb} the wrong sign"
    return f"{what} {'are' if verb == 'have' else 'is'} off by the factor {_number(factor)}{_meaning(factor, m, n)}"


def _meaning(factor: float, m: int, n: int) -> str:
    """Say what a factor may be."""
    names = {
        "n": n,
        "m": m,
        "1/n": 1 / n,
        "1/m": 1 / m,
        "π": np.pi,
        "2π": 2 * np.pi,
        "π/180": np.pi / 180,
        "180/π": 180 / np.pi,
    }
    for name, value in names.items():
        trivial = name.strip("1/") in "nm" and value in (1.0, 2.0, 0.5)
        if not trivial and abs(abs(factor) - value) <= 1e-6 * value:
            sign = "-" if factor < 0 else ""
            return f" ({_number(factor)} = {sign}{name})" if name in ("n", "m") else f" ({sign}{name})"
    return ""


def _number(x: float) -> str:
    if abs(x - 1) < 1e-3:
        return f"1 {'+' if x > 1 else '-'} {abs(x - 1):.2g}"
    simple = Fraction(x).limit_denominator(12)
    if abs(float(simple) - x) <= CLOSE * abs(x) and simple.numerator:
        return str(simple)
    return f"{x:.6g}"


def _order(given: Any, true: Any, near: _Near, axis: int) -> list[int] | None:
    """Return which rows (or columns) of the true one stand in the place of each, if all do and not in order."""
    a, b = (given, true) if axis == 0 else (given.T, true.T)
    k = len(a)
    if not 2 <= k <= 200:
        return None
    scale = np.max(np.abs(b), axis=1, initial=0.0)
    if any(near(p, q) for p, q in pairwise(b)) and k == 2:
        return None
    order: list[int] = []
    for row in a:
        fits = [i for i in range(k) if i not in order and np.all(np.abs(row - b[i]) <= CLOSE * scale[i] + near.error)]
        if not fits:
            return None
        order.append(fits[0])
    return order if order != sorted(order) else None
