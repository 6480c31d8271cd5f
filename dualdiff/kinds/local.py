"""Terms through any primitive whose results depend on few operand entries each, as its labels or links say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds.base import ALL, Asked, Primitive, Sweep
from dualdiff.labels import OWN, written
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tangents import (
    INSTEAD,
    LOCAL,
    MOST_TERMS,
    ONE,
    Columns,
    Map,
    Terms,
    is_worth_an_array,
    map_of,
    settled,
    spread,
)
from dualdiff.values import TRACED, ndarray


def local_terms(run: Any, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Push through any primitive whose results depend on few operand entries each, as its labels say.

    The local Jacobian is pushed with one direction per place in a group; its entries multiply the operands' terms.
    """
    shape = shape_of(out)
    if not shape or type(out) is not ndarray or run.careful:
        return INSTEAD
    if any(dtype_of(v).kind == "c" for v in (out, *values)):
        return INSTEAD  # it may be linear over the reals only
    found = Terms()
    for i, terms in enumerate(tangents):
        if not terms:
            continue
        x = values[i]
        if type(x) is not ndarray or not TRACED.isdisjoint(map(type, terms.values())) or x.ndim == 0:
            return INSTEAD
        labels = row.labels(i, values, params, out)
        if labels[1] is not OWN and type(labels[1]) is int and x.size > LOCAL:
            return INSTEAD
        grouped = _members(*labels, size_of(shape), x.size)
        if grouped is None:
            return INSTEAD
        members, groups = grouped
        width = members.shape[1]
        count = width * len(terms)
        if count > MOST_TERMS or is_worth_an_array(count, run.lead[0], size_of(shape), row.is_product):
            return INSTEAD
        unit = np.zeros((width, x.size), x.dtype)
        for j in range(width):
            at = groups[:, j]
            unit[j, at[at >= 0]] = 1
        local = row.push(
            Sweep((width,)),
            [unit.reshape((width, *x.shape)) if n == i else None for n in range(len(values))],
            values,
            params,
            out,
        )
        if local is None:
            continue
        for j in range(width):
            _joined_by(run, found, terms, members[:, j], local[j], x.shape)
    return found


def linked(run: Any, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Push terms through a product with a constant that has zeros, link by link; None where it has none, or all is wide."""
    shape = shape_of(out)
    if tangents[0] is not None and tangents[1] is not None:
        return None
    k = 0 if tangents[1] is None else 1
    x, terms = values[k], settled(tangents[k])
    if not shape or type(out) is not ndarray or type(x) is not ndarray or not x.ndim or dtype_of(out).kind != "f":
        return None
    # An array of columns is made anyway where most rows have many links: they need not be written out to see that.
    most = None if type(terms) is Columns else LOCAL * size_of(shape)
    links = row.links(k, values, params, out, most)
    if links is None or not TRACED.isdisjoint(map(type, terms.values())):
        return None
    counts = np.diff(links.indptr)
    width = int(counts.max(initial=0))
    count = width * len(terms)
    if width > LOCAL or count > MOST_TERMS or is_worth_an_array(count, run.lead[0], size_of(shape), row.is_product):
        # Directions of all entries would stand in rows that nothing reaches; an array shows what it holds.
        return INSTEAD if type(terms) is Columns and not counts.all() else None
    members = np.full((len(counts), width), -1)
    weights = np.zeros((width, len(counts)), out.dtype)
    at = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(at)) - np.repeat(links.indptr[:-1], counts)
    members[at, place] = links.indices
    weights[place, at] = links.data
    found = Terms()
    for j in range(width):
        _joined_by(run, found, terms, members[:, j], weights[j].reshape(shape), x.shape)
    return found


def _joined_by(run: Any, found: Terms, terms: Any, at: Any, local: Any, operand: tuple[int, ...]) -> None:
    """Add terms times a partial of each result entry by one operand entry, that at ``at`` (-1 for none)."""
    shape = shape_of(local)
    here = at >= 0
    for key, c in terms.items():
        p = map_of(key, operand).reshape(-1)[at]
        if not here.all():
            p = np.where(here, p, 0)
        q = local
        if c is not ONE:
            if shape_of(c):
                c = np.reshape(spread(c, operand), -1)[at].reshape(shape)
            with np.errstate(invalid="ignore"):
                q = c * q
        new: Any = Map(p.reshape(shape)) if type(key) is Map or not here.all() else key
        found[new] = found[new] + q if new in found else q


def _members(result: Any, operand: Any, size: int, total: int) -> tuple[Any, Any] | None:
    """Return for every entry of a result the entries of the operand it depends on, as (members, number of them)."""
    b = written(operand, total)
    present = np.flatnonzero(b >= 0)
    order = present[np.argsort(b[present], kind="stable")]
    if not order.size:
        return None
    counts = np.bincount(b[order])
    most = int(counts.max())
    if most > LOCAL:
        return None
    starts = np.concatenate([[0], np.cumsum(counts)])
    members = np.full((len(counts), most), -1)
    lane = b[order]
    members[lane, np.arange(order.size) - starts[lane]] = order
    a = written(result, size)
    inside = (a >= 0) & (a < len(counts))
    return np.where(inside[:, None], members[np.where(inside, a, 0)], -1), members


def grouped_forecast(row: Primitive, asked: Asked) -> Any:
    """Say what becomes of terms that go through group by group."""
    if asked.is_columns:
        whole = asked.together
        return whole if 2 * len(whole) <= asked.k else ALL
    if not asked.shape:
        return ALL
    width = 0
    for i, s in enumerate(asked.sets):
        if s is not None:
            group = _group(row, i, asked)
            width += group * len(s)
            if group > LOCAL or is_worth_an_array(width, asked.k, asked.size, row.is_product):
                return ALL
    return asked.new(width)


def _group(row: Primitive, i: int, asked: Asked) -> int:
    """Return on how many entries of an operand one entry of the result depends."""
    _result, operand = row.labels(i, asked.args, asked.params, asked.out)
    size = size_of(shape_of(asked.args[i]))
    if operand is None:
        return 1
    if type(operand) is int:
        return size
    inside = operand[operand >= 0]
    return int(np.bincount(inside).max()) if inside.size else 1
