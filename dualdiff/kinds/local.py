"""Terms through any primitive whose results depend on few operand entries each, as its labels or links say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.kinds.base import ALL, Asked, Primitive, Sweep, is_column
from dualdiff.labels import OWN, Labels, written
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
    kind_of,
    map_of,
    settled,
    spread,
)
from dualdiff.values import is_array, is_recorded


def local_terms(run: Any, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Push through any primitive whose results depend on few operand entries each, as its labels say.

    The local Jacobian is pushed with one direction per place in a group; its entries multiply the operands' terms.
    """
    shape = shape_of(out)
    if not shape or not is_array(out) or run.careful or not any(type(t) is Terms for t in tangents):
        return INSTEAD  # columns come here if most directions have one: an array is not much more
    if any(dtype_of(v).kind == "c" for v in (out, *values)):
        return INSTEAD  # it may be linear over the reals only
    found = Terms()
    for i, terms in enumerate(tangents):
        if not terms:
            continue
        x = values[i]
        if not is_array(x) or x.ndim == 0:
            return INSTEAD
        labels = row.labels(i, values, params, out)
        width = _group(labels, x.size)
        if _is_wide(width, len(terms), run.lead[0], size_of(shape), row):
            return INSTEAD
        members, groups = _members(*labels, size_of(shape), x.size)
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
            _joined_by(found, terms, members[:, j], local[j], x.shape)
    return kind_of(found)


def linked(run: Any, row: Primitive, tangents: Sequence[Any], values: Sequence[Any], params: Any, out: Any) -> Any:
    """Push terms through a product with a constant that has zeros, link by link; None where it has none, or all is wide."""
    shape = shape_of(out)
    if tangents[0] is not None and tangents[1] is not None:
        return None
    k = 0 if tangents[1] is None else 1
    x, terms = values[k], settled(tangents[k])
    if not shape or not is_array(out) or not is_array(x) or not x.ndim or dtype_of(out).kind != "f":
        return None
    # An array of columns is made anyway where most rows have many links: they need not be written out to see that.
    most = None if type(terms) is Columns else LOCAL * size_of(shape)
    links = row.links_seen(k, values, params, out, most)
    if links is None:
        return None
    counts = np.diff(links.indptr)
    width = int(counts.max(initial=0))
    if _is_wide(width, len(terms), run.lead[0], size_of(shape), row):
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
        weight = weights[j]
        if is_recorded(values[1 - k]):  # they are numbers of its entries
            weight = np.reshape(values[1 - k], -1)[np.maximum(weight.astype(np.intp) - 1, 0)]
        _joined_by(found, terms, members[:, j], np.reshape(weight, shape), x.shape)
    return kind_of(found)


def _is_wide(width: int, terms: int, directions: int, size: int, row: Primitive) -> bool:
    """Whether an array serves better than so many terms, each times the so many entries that one of the result has."""
    count = width * terms
    return width > LOCAL or count > MOST_TERMS or is_worth_an_array(count, directions, size, row.is_product)


def _joined_by(found: Terms, terms: Any, at: Any, local: Any, operand: tuple[int, ...]) -> None:
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


def _members(result: Any, operand: Any, size: int, total: int) -> tuple[Any, Any]:
    """Return for every entry of a result the entries of the operand it depends on, as (members, number of them)."""
    b = written(operand, total)
    present = np.flatnonzero(b >= 0)
    order = present[np.argsort(b[present], kind="stable")]
    counts = np.bincount(b[order])
    most = int(counts.max())
    starts = np.concatenate([[0], np.cumsum(counts)])
    members = np.full((len(counts), most), -1)
    lane = b[order]
    members[lane, np.arange(order.size) - starts[lane]] = order
    a = written(result, size)
    inside = (a >= 0) & (a < len(counts))
    return np.where(inside[:, None], members[np.where(inside, a, 0)], -1), members


def grouped_forecast(row: Primitive, asked: Asked) -> Any:
    """Say what becomes of terms that go through group by group."""
    if asked.is_columns or not asked.shape:
        return ALL
    if any(dtype_of(v).kind == "c" for v in (asked.out, *asked.args)):
        return ALL
    made = 0
    columns: set[Any] = set()
    for i, terms in enumerate(asked.sets):
        if not terms:
            continue
        shape = shape_of(asked.args[i])
        labels = row.labels(i, asked.args, asked.params, asked.out)
        width = _group(labels, size_of(shape))
        if not shape or _is_wide(width, len(terms), asked.k, asked.size, row):
            return ALL
        own = [t for t in terms if is_column(t)]
        made += width * (len(terms) - len(own))
        if own:  # it stays one where every entry of the result has the same number of entries to depend on
            for there in (_members(*labels, asked.size, size_of(shape))[0] >= 0).T:
                columns.update(own if there.all() else [(t, there.tobytes()) for t in own])
    return asked.new(made, columns)


def linked_forecast(row: Primitive, ins: Any, asked: Asked) -> Any:
    """Say what a product makes of terms link by link; None where it goes as any other product."""
    live = [(i, s) for i, s in enumerate(asked.sets) if s is not None]
    if not row.constants(ins, asked.args) or len(live) != 1 or not asked.shape or dtype_of(asked.out).kind != "f":
        return None
    ((i, terms),) = live
    if not shape_of(asked.args[i]):
        return None
    links = row.links_seen(i, asked.args, asked.params, asked.out, LOCAL * asked.size if not asked.is_columns else None)
    if links is None:
        return None
    counts = np.diff(links.indptr)
    width = int(counts.max(initial=0))
    if _is_wide(width, len(terms), asked.k, asked.size, row):
        return ALL if asked.is_columns and not counts.all() else None
    # A direction of all entries stays one in the places that every row has.
    own = [t for t in terms if is_column(t)]
    parts = len(np.unique(counts)) - 1  # a place that not every row has makes a map of its rows
    return asked.new(width * (len(terms) - len(own)) + parts * len(own), own if counts.all() else ())


def _group(labels: Labels, size: int) -> int:
    """Return on how many entries of an operand, of so many, one entry of the result depends at most; none are too many."""
    operand = labels[1]
    if operand is OWN:
        return 1 if size else LOCAL + 1
    if type(operand) is int:
        return size if size and operand >= 0 else LOCAL + 1
    inside = operand[operand >= 0]
    return int(np.bincount(inside).max()) if inside.size else LOCAL + 1
