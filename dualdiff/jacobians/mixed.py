"""Both modes in one Jacobian: where a program narrows, rows up to the waist times columns from it.

With ``w`` numbers between two parts of a program the Jacobian is :math:`J = J_2 J_1`. The first part, ``w`` rows long,
is pulled; the second, ``w`` columns wide, is pushed. With several cuts the order of the products is that of a matrix chain
whose factors may also be computed whole; dynamic programming finds the cheapest tree.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 10.2 (Jacobian chain products),
doi:10.1137/1.9780898717761.
Naumann, "Optimal Jacobian accumulation is NP-complete", Mathematical Programming 112 (2008),
doi:10.1007/s10107-006-0042-z.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from dualdiff.passes import pull, push
from dualdiff.passes.costs import multiplying, stage
from dualdiff.passes.cuts import Cut, cuts, segment, whole
from dualdiff.reach import Reach, Reached
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape


def best_tree(tape: Tape, n: int, m: int) -> tuple[tuple[Cut, ...], Any] | None:
    """Return the cuts of a tape and the cheapest tree of products over them; None where it does not narrow.

    Parameters
    ----------
    tape : Tape
        The recorded run.
    n, m : int
        Inputs and outputs, counted as scalars.
    """
    if any(a.dtype.kind == "c" for a in tape.inputs) or any(dtype_of(e[4]).kind == "c" for e in tape.equations):
        return None  # a part between complex numbers may be linear over the reals only
    narrow = cuts(tape, min(n, m))
    if not narrow:
        return None
    first, last = whole(tape)
    places = (first, *narrow, last)
    k = len(places)
    best: dict[tuple[int, int], tuple[float, Any]] = {}
    for length in range(1, k):
        for i in range(k - length):
            j = i + length
            options = [(stage(tape, places[i], places[j], name), (name, i, j)) for name in ("forward", "reverse")]
            for c in range(i + 1, j):
                a, b = best[i, c], best[c, j]
                price = a[0] + b[0] + multiplying(places[j].width, places[c].width, places[i].width)
                options.append((price, ("product", b[1], a[1])))
            best[i, j] = min(options, key=lambda o: o[0])
    tree = best[0, k - 1][1]
    if tree[0] != "product":  # the best with a product, for comparison
        tree = min(
            (
                (best[0, c][0] + best[c, k - 1][0], ("product", best[c, k - 1][1], best[0, c][1]))
                for c in range(1, k - 1)
            ),
            key=lambda o: o[0],
        )[1]
    return places, tree


def product(tape: Tape, places: Sequence[Cut], tree: Any) -> Any:
    """Return the Jacobian of a tree of parts, of shape (entries of the last cut, entries of the first).

    Its dtype is that of the outputs, however precise what lies between is.
    """
    found = _product(tape, places, tree)
    dtype = np.result_type(*[dtype_of(form_of(tape, s)) for s in places[-1].slots]) if places[-1].slots else None
    return found if dtype is None or dtype_of(found) == dtype else found.astype(dtype)


def _product(tape: Tape, places: Sequence[Cut], tree: Any) -> Any:
    if tree[0] == "product":
        return _times(_product(tape, places, tree[1]), _product(tape, places, tree[2]))
    name, i, j = tree
    part = segment(tape, places[i], places[j])
    return _columns(part) if name == "forward" else _rows(part)


def _times(second: Any, first: Any) -> Any:
    """Multiply two Jacobians; those of a careful pass know which entries are reached, as in a sweep of either mode."""
    if type(second) is Reached and type(first) is Reached:
        reach = Reach()
        second, first = [reach.again(t) for t in (second, first)]
    return second @ first


def _split(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def _outputs(part: Tape) -> list[Any]:
    return [form_of(part, s) for s in part.outputs]


def form_of(tape: Tape, slot: int) -> Any:
    """Return what a slot holds, or its shape and dtype."""
    n = len(tape.inputs)
    return tape.inputs[slot] if slot < n else tape.cells[6 * (slot - n) + 4]


def _identity(forms: Sequence[Any]) -> list[Any]:
    """Return the rows of one identity, cut into the shapes of several values."""
    sizes = [size_of(shape_of(a)) for a in forms]
    k = sum(sizes)
    if len(forms) == 1:
        return [np.eye(k, dtype=dtype_of(forms[0])).reshape((k, *shape_of(forms[0])))]
    seeds = []
    for a, at in zip(forms, _split(sizes), strict=True):
        seed = np.zeros((k, at.stop - at.start), dtype_of(a))
        seed[at] = np.eye(at.stop - at.start, dtype=dtype_of(a))
        seeds.append(seed.reshape((k, *shape_of(a))))
    return seeds


def _columns(part: Tape) -> Any:
    k = sum(size_of(a.shape) for a in part.inputs)
    found = push(part, _identity(part.inputs), part.outputs, (k,))
    return _joined(found, _outputs(part), k).T


def _rows(part: Tape) -> Any:
    forms = _outputs(part)
    m = sum(size_of(shape_of(a)) for a in forms)
    found = pull(part, list(zip(part.outputs, _identity(forms), strict=True)), (m,))
    return _joined(found, part.inputs, m)


def _joined(found: Sequence[Any], forms: Sequence[Any], k: int) -> Any:
    """Return tangents or cotangents side by side as one array (k, entries)."""
    flat = [
        np.zeros((k, size_of(shape_of(a))), dtype_of(a)) if t is None else np.reshape(t, (k, size_of(shape_of(a))))
        for t, a in zip(found, forms, strict=True)
    ]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)
