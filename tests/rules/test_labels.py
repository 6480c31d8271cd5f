"""What the rows say about sparsity: exactly the pattern expected, and the same at every point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.kinds import Primitive, add_runs, scatter_add
from dualdiff.labels import (
    ALIGNED,
    DENSE,
    OWN,
    SAME,
    broadcast,
    common_letters,
    grouped,
    lanes,
    only,
    written,
)
from dualdiff.rules.linalg.determinants import cofactors
from dualdiff.rules.order import arranged
from dualdiff.rules.sums import spread
from dualdiff.shapes import aval, dtype_of, shape_of, size_of
from dualdiff.tape import record
from dualdiff.testing.laws import local_jacobian, pattern_law

Shape = tuple[int, ...]
Index = tuple[int, ...]


def matrix_of(labels: Any, result: Shape, operand: Shape) -> Any:
    """Write the pattern that two labellings mean as a boolean matrix."""
    a, b = written(labels[0], size_of(result)), written(labels[1], size_of(operand))
    assert a.shape == (size_of(result),)
    assert b.shape == (size_of(operand),)
    return (a[:, None] == b) & (a[:, None] >= 0)


def steps(f: Callable[..., Any], *xs: Any) -> Iterator[tuple[Primitive, int, Any, Any]]:
    """Yield every operand of every step of a run that carries derivatives, with its pattern and its local Jacobian."""
    tape, _ = record(f, *xs, replayable=True)
    for row, ins, args, params, out, _ in tape.equations:
        if row.differentiable and dtype_of(out).kind in "fc":
            for k, i in enumerate(ins):
                if i is not None and i >= 0:
                    labels = row.labels(k, [aval(a) for a in args], params, aval(out))
                    found = matrix_of(labels, shape_of(out), shape_of(args[k]))
                    yield row, k, found, local_jacobian(row, k, args, params, out)


def pattern(f: Callable[..., Any], *xs: Any, of: int = 0) -> Any:
    """Compose the patterns of all steps: which entries of the result depend on which of input ``of``."""
    tape, y = record(f, *xs, replayable=True)
    n = size_of(shape_of(xs[of]))
    known: list[Any] = [np.zeros((size_of(shape_of(x)), n), bool) for x in xs]
    known[of] = np.eye(n, dtype=bool)
    for row, ins, args, params, out, _ in tape.equations:
        total = np.zeros((size_of(shape_of(out)), n), bool)
        for k, i in enumerate(ins):
            if i is not None and i >= 0 and row.differentiable:
                labels = row.labels(k, [aval(a) for a in args], params, aval(out))
                total |= matrix_of(labels, shape_of(out), shape_of(args[k])) @ known[i]
        known.append(total)
    return known[y.mark]


def where(result: Shape, operand: Shape, depends: Callable[[Any, Any], Any]) -> Any:
    """Write a rule about indices as a boolean matrix, entry by entry."""
    rows, columns = list(np.ndindex(*result)), list(np.ndindex(*operand))
    return np.array([[bool(depends(i, j)) for j in columns] for i in rows]).reshape(len(rows), len(columns))


def values(shape: Shape, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


def matrices(shape: Shape, seed: int = 0) -> Any:
    """Symmetric positive definite matrices."""
    a = values(shape, seed)
    return a + np.swapaxes(a, -1, -2) + 6 * np.eye(shape[-1])


class Case(NamedTuple):
    """A function, the shapes of its operands, which of them moves, and when entry i depends on its entry j."""

    name: str
    f: Callable[..., Any]
    shapes: tuple[Shape, ...]
    depends: Callable[[Index, Index], Any]
    of: int = 0
    make: Callable[..., Any] = values


def indices(a: Any, b: Any) -> bool:
    return tuple(a) == tuple(b)


def stored(x: Any, v: Any, index: Any) -> Any:
    y = x * 1.0
    y[index] = v
    return y


HEADS = lambda i, j: i[0] == j[0]  # noqa: E731  (a whole lane or matrix for every first index)
CASES = [
    # entry by entry
    Case("elementwise", np.sin, ((2, 3),), indices),
    Case("scalar", np.sin, ((),), indices),
    Case("broadcast row", lambda x, y: x * y, ((3,), (2, 3)), lambda i, j: i[1:] == j),
    Case("broadcast column", lambda x, y: x * y, ((2, 1), (2, 3)), lambda i, j: i[0] == j[0]),
    Case("broadcast scalar", lambda x, y: x * y, ((), (2, 3)), lambda i, j: True),
    Case("where", lambda x, y: np.where(x > y, x, y), ((3,), (2, 3)), lambda i, j: i[1:] == j),
    Case("clip", lambda x: np.clip(x, 0.75, 1.5), ((4,),), indices),
    # movements
    Case("reshape", lambda x: x.reshape(3, 2), ((2, 3),), lambda i, j: 2 * i[0] + i[1] == 3 * j[0] + j[1]),
    Case("transpose", lambda x: x.T, ((2, 3),), lambda i, j: i == j[::-1]),
    Case("moveaxis", lambda x: np.moveaxis(x, 0, -1), ((2, 3, 2),), lambda i, j: (i[2], i[0], i[1]) == j),
    Case("broadcast_to", lambda x: np.broadcast_to(x, (2, 2, 3)), ((2, 1),), lambda i, j: i[1] == j[0]),
    Case("diagonal", lambda x: np.diagonal(x, 1), ((3, 4),), lambda i, j: (i[0], i[0] + 1) == j),
    Case("diag", np.diag, ((3,),), lambda i, j: i[0] == i[1] == j[0]),
    Case(
        "windows",
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 3),
        ((5,),),
        lambda i, j: i[0] + i[1] == j[0],
    ),
    Case("einsum diagonal", lambda x: np.einsum("ii->i", x), ((3, 3),), lambda i, j: j == (i[0], i[0])),
    Case("getitem", lambda x: x[1:, ::2], ((3, 4),), lambda i, j: (i[0] + 1, 2 * i[1]) == j),
    Case("gather", lambda x: x[np.array([2, 0, 2])], ((3, 2),), lambda i, j: ((2, 0, 2)[i[0]], i[1]) == j),
    Case("astype", lambda x: x.astype(np.float32), ((2, 3),), indices),
    Case("copy", lambda x: x.copy(), ((2, 3),), indices),
    Case("roll", lambda x: np.roll(x, 1), ((4,),), lambda i, j: (i[0] - 1) % 4 == j[0]),
    Case("pad", lambda x: np.pad(x, 1), ((3,),), lambda i, j: i[0] - 1 == j[0]),
    Case("pad, wrap", lambda x: np.pad(x, 1, "wrap"), ((3,),), lambda i, j: (i[0] - 1) % 3 == j[0]),
    Case("tril", np.tril, ((2, 3, 3),), lambda i, j: i == j and i[1] >= i[2]),
    Case("triu", lambda x: np.triu(x, 1), ((3, 4),), lambda i, j: i == j and i[1] > i[0]),
    Case("stack, first", lambda x, y: np.stack([x, y]), ((3,), (3,)), lambda i, j: i[0] == 0 and i[1:] == j),
    Case("stack, last axis", lambda x, y: np.stack([x, y], -1), ((3,), (3,)), lambda i, j: i == (*j, 1), 1),
    Case("stack of scalars", lambda x, y: np.stack([x, y, y]), ((), ()), lambda i, j: i[0] > 0, 1),
    Case("concatenate, first", lambda x, y: np.concatenate([x, y]), ((2,), (3,)), indices),
    Case("concatenate, second", lambda x, y: np.concatenate([x, y]), ((2,), (3,)), lambda i, j: i[0] - 2 == j[0], 1),
    Case(
        "concatenate, axis",
        lambda x, y: np.concatenate([x, y, x], 1),
        ((2, 2), (2, 1)),
        lambda i, j: i[0] == j[0] and i[1] in (j[1], j[1] + 3),
    ),
    Case(
        "setitem, before", lambda x, v: stored(x, v, slice(1, 3)), ((4,), (2,)), lambda i, j: i == j and i[0] in (0, 3)
    ),
    Case("setitem, value", lambda x, v: stored(x, v, slice(1, 3)), ((4,), (2,)), lambda i, j: i[0] - 1 == j[0], 1),
    Case("setitem, broadcast", lambda x, v: stored(x, v, 1), ((3, 2), ()), lambda i, j: i[0] == 1, 1),
    Case("setitem, row", lambda x, v: stored(x, v, ...), ((3, 2), (1, 2)), lambda i, j: i[1] == j[1], 1),
    # along axes
    Case("sum", np.sum, ((2, 3),), lambda i, j: True),
    Case("sum over an axis", lambda x: np.sum(x, 0), ((2, 3),), lambda i, j: i[0] == j[1]),
    Case("sum, kept", lambda x: np.sum(x, 1, keepdims=True), ((2, 3),), lambda i, j: i[0] == j[0]),
    Case("sum, inner axis", lambda x: np.sum(x, 1), ((2, 3, 2),), lambda i, j: i == (j[0], j[2])),
    Case("sum over two axes", lambda x: np.sum(x, (0, 2)), ((2, 3, 2),), lambda i, j: i[0] == j[1]),
    Case("sum over nothing", lambda x: np.sum(x, ()), ((2, 3),), indices),
    Case("sum over an axis of one", lambda x: np.sum(x, 1, keepdims=True), ((3, 1),), indices),
    Case("mean", lambda x: np.mean(x, -1), ((2, 3),), HEADS),
    Case("prod", lambda x: np.prod(x, -1), ((2, 3),), HEADS),
    Case("max", lambda x: np.max(x, -1), ((2, 3),), HEADS),
    Case("min", lambda x: np.min(x, 0), ((2, 3),), lambda i, j: i[0] == j[1]),
    Case("var", lambda x: np.var(x, -1), ((2, 3),), HEADS),
    Case("std", lambda x: np.std(x, -1, keepdims=True), ((2, 3),), HEADS),
    Case("norm", lambda x: np.linalg.norm(x, axis=1), ((2, 3),), HEADS),
    Case("3-norm", lambda x: np.linalg.norm(x, 3, axis=0), ((2, 3),), lambda i, j: i[0] == j[1]),
    Case("cumsum", lambda x: np.cumsum(x, 0), ((2, 3),), lambda i, j: i[1] == j[1]),
    Case("cumprod", lambda x: np.cumprod(x, 1), ((2, 3),), HEADS),
    Case("sort", lambda x: np.sort(x, 0), ((2, 3),), lambda i, j: i[1] == j[1]),
    Case("median", lambda x: np.median(x, 1), ((2, 3),), HEADS),
    Case("quantile", lambda x: np.quantile(x, 0.3, 1), ((2, 4),), HEADS),
    Case("trace", lambda x: np.trace(x, 0, 1, 2), ((2, 3, 3),), lambda i, j: i[0] == j[0] and j[1] == j[2]),
    Case(
        "reduceat",
        lambda x: np.add.reduceat(x, [0, 2], axis=1),
        ((2, 5),),
        lambda i, j: i[0] == j[0] and (j[1] >= 2) == i[1],
    ),
    Case("reduceat, overlapping", lambda x: np.add.reduceat(x, [0, 3, 1], axis=1), ((2, 5),), HEADS),
    Case(
        "bincount",
        lambda x: np.bincount(np.array([0, 2, 0]), x),
        ((3,),),
        lambda i, j: i[0] == (0, 2, 0)[j[0]],
    ),
    # contractions
    Case("matmul, left", lambda a, b: a @ b, ((2, 3), (3, 4)), HEADS),
    Case("matmul, right", lambda a, b: a @ b, ((2, 3), (3, 4)), lambda i, j: i[1] == j[1], 1),
    Case("matrix times vector", lambda a, b: a @ b, ((2, 3), (3,)), HEADS),
    Case("dot", np.dot, ((3,), (3,)), lambda i, j: True),
    Case("stack times matrix", lambda a, b: a @ b, ((2, 3, 2), (2, 2)), lambda i, j: i[2] == j[1], 1),
    Case("stack, broadcast", lambda a, b: a @ b, ((1, 2, 2), (3, 2, 2)), lambda i, j: i[1] == j[1]),
    Case("outer", np.outer, ((2,), (3,)), lambda i, j: i[1] == j[0], 1),
    Case(
        "einsum",
        lambda a, b: np.einsum("bij,bjk->ikb", a, b),
        ((2, 3, 2), (2, 2, 2)),
        lambda i, j: (i[2], i[0]) == j[:2],
    ),
    Case("cross", np.cross, ((2, 3), (3,)), HEADS),
    # stacks of matrices
    Case("inv", np.linalg.inv, ((2, 2, 2),), HEADS, make=matrices),
    Case("det", np.linalg.det, ((2, 2, 2),), HEADS, make=matrices),
    Case("slogdet", lambda a: np.linalg.slogdet(a)[1], ((2, 2, 2),), HEADS, make=matrices),
    Case("solve, matrix", np.linalg.solve, ((2, 2, 2), (2, 2, 2)), HEADS, make=matrices),
    Case(
        "solve, right-hand side",
        np.linalg.solve,
        ((2, 2, 2), (2, 2)),
        lambda i, j: i[2] == j[1],
        1,
        make=matrices,
    ),
    Case("pinv", np.linalg.pinv, ((2, 2, 3),), HEADS),
    Case("svdvals", lambda a: np.linalg.svd(a, compute_uv=False), ((2, 2, 3),), HEADS),
    Case("eigvalsh", np.linalg.eigvalsh, ((2, 2, 2),), lambda i, j: i[0] == j[0] and j[1] >= j[2], make=matrices),
    Case(
        "cholesky",
        np.linalg.cholesky,
        ((2, 2, 2),),
        lambda i, j: i[0] == j[0] and i[1] >= i[2] and j[1] >= j[2],
        make=matrices,
    ),
    Case(
        "qr, r", lambda a: np.linalg.qr(a)[1], ((2, 2, 2),), lambda i, j: i[0] == j[0] and i[1] <= i[2], make=matrices
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_exactly_the_pattern_expected(case: Case) -> None:
    xs = [case.make(s, n) for n, s in enumerate(case.shapes)]
    expected = where(np.shape(case.f(*xs)), case.shapes[case.of], case.depends)
    np.testing.assert_array_equal(pattern(case.f, *xs, of=case.of), expected)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_pattern_does_not_depend_on_values(case: Case) -> None:
    first, second = [[case.make(s, n + seed) for n, s in enumerate(case.shapes)] for seed in (0, 40)]
    one, other = [[found for *_, found, _ in steps(case.f, *xs)] for xs in (first, second)]
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_pattern_of_a_derivative_holds_its_nonzeros(case: Case) -> None:
    # The steps of a gradient are other rows: spreads, scatters, arrangements, cofactors.
    xs = [case.make(s, n) for n, s in enumerate(case.shapes)]
    w = np.cos(np.arange(np.size(case.f(*xs)))).reshape(np.shape(case.f(*xs)))

    def gradient(*ys: Any) -> Any:
        return dd.vjp(case.f, *ys)[1](w.astype(dtype_of(case.f(*xs))))

    pattern_law(gradient, *xs)
    pattern_law(lambda *ys: dd.jvp(case.f, ys, tuple(xs))[1], *xs)


# --------------------------------------------------------------------------------------------------
# rows that only derivatives use


def check(row: Primitive, x: Any, params: dict[str, Any], depends: Callable[[Index, Index], Any]) -> None:
    ((_, _, found, jacobian),) = steps(lambda v: row(v, **params), x)
    y = row(x, **params)
    expected = where(y.shape, x.shape, depends)
    np.testing.assert_array_equal(found, expected)
    assert not (jacobian != 0)[~expected].any()


def test_runs() -> None:
    starts = np.array([0, 2, 3])
    check(
        add_runs,
        values((2, 6)),
        {"starts": starts},
        lambda i, j: i[0] == j[0] and i[1] == np.searchsorted(starts, j[1], "right") - 1,
    )


def test_scatter() -> None:
    at = np.array([4, 0, 4])
    check(scatter_add, values((2, 3)), {"position": at, "size": 5}, lambda i, j: i[0] == j[0] and i[1] == at[j[1]])
    check(scatter_add, values((3,)), {"position": at, "size": 5}, lambda i, j: i[0] == at[j[0]])


def test_spread() -> None:
    check(spread, values((3,)), {"axis": (-2,), "keepdims": False, "shape": (2, 3)}, lambda i, j: i[1] == j[0])
    check(spread, values((2, 1)), {"axis": (-1,), "keepdims": True, "shape": (2, 3)}, lambda i, j: i[0] == j[0])
    check(spread, values((2, 3)), {"axis": (), "keepdims": False, "shape": (2, 3)}, indices)


def test_arrangement() -> None:
    order = np.array([[1, 0, 2], [2, 1, 0]])
    inverse = np.argsort(order, -1)
    check(arranged, values((2, 3)), {"order": order, "inverse": inverse, "axis": -1}, HEADS)


def test_cofactors() -> None:
    check(cofactors, matrices((2, 2, 2)), {}, HEADS)


# --------------------------------------------------------------------------------------------------
# the labels themselves


def test_broadcast() -> None:
    assert broadcast((2, 3), (2, 3)) is ALIGNED
    assert broadcast((), (2, 3)) is DENSE
    np.testing.assert_array_equal(broadcast((3,), (2, 3))[0], [0, 1, 2, 0, 1, 2])


def test_lanes_of_what_shapes_do_not_tell_are_dense() -> None:
    assert lanes((2, 3), (5,), (-1,)) is DENSE
    assert lanes((3, 2), (2, 5), (-2,)) is DENSE
    assert lanes((3,), (), (-1,)) is DENSE


def test_lanes_of_any_length() -> None:
    np.testing.assert_array_equal(
        matrix_of(lanes((3, 2), (5, 2), (-2,)), (5, 2), (3, 2)),
        where((5, 2), (3, 2), lambda i, j: i[1] == j[1]),
    )
    np.testing.assert_array_equal(  # several numbers where each matrix was
        matrix_of(lanes((3, 2, 2), (3, 5), (-2, -1)), (3, 5), (3, 2, 2)),
        where((3, 5), (3, 2, 2), lambda i, j: i[0] == j[0]),
    )
    np.testing.assert_array_equal(  # a stack repeated by that of another operand
        matrix_of(lanes((3, 1, 2), (4, 3, 5, 2), (-1,)), (4, 3, 5, 2), (3, 1, 2)),
        where((4, 3, 5, 2), (3, 1, 2), lambda i, j: i[1] == j[0]),
    )


def test_lanes_of_empty_arrays() -> None:
    for operand, result, mixed in (((0, 3), (0,), (-1,)), ((3, 0), (3,), (-1,)), ((3, 0), (3, 0), (-1,))):
        labels = lanes(operand, result, mixed)
        assert written(labels[0], size_of(result)).shape == (size_of(result),)
        assert written(labels[1], size_of(operand)).shape == (size_of(operand),)


def test_letters() -> None:
    for left, result in product([(0, 1), (1, 0), (0, 2)], [(0, 1), (1, 0), (3, 0), (3,)]):
        sizes = (2, 3, 4, 2)
        shape, out = tuple(sizes[c] for c in left), tuple(sizes[c] for c in result)
        expected = where(
            out,
            shape,
            lambda i, j, left=left, result=result: all(
                i[result.index(c)] == j[left.index(c)] for c in left if c in result
            ),
        )
        np.testing.assert_array_equal(matrix_of(common_letters(left, shape, result, out), out, shape), expected)


def test_masks_and_groups() -> None:
    np.testing.assert_array_equal(only(OWN, np.array([True, False]), (2, 2)), [0, -1, 2, -1])
    np.testing.assert_array_equal(only(SAME, np.array([[True], [False]]), (2, 2)), [0, 0, -1, -1])
    result, operand = grouped(np.array([1, -1, 0]), 2, (2, 3))
    assert result is OWN
    np.testing.assert_array_equal(operand, [1, -1, 0, 3, -1, 2])


def test_cached_labels_cannot_be_written_to() -> None:
    for labels in (broadcast((3,), (2, 3)), lanes((2, 3), (2, 3), (-1,)), common_letters((0, 1), (2, 3), (1,), (3,))):
        for part in labels:
            assert part is OWN or part is SAME or not part.flags.writeable
