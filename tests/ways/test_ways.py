"""Every way to a Jacobian is the same Jacobian: on random programs, on the zoo, and where a wrong one would be silent."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import dualdiff as dd
from dualdiff import tangents
from dualdiff.errors import DerivativeError, InputError
from dualdiff.lab.problems import zoo
from dualdiff.shapes import shape_of, size_of
from dualdiff.testing import Subject, judge
from dualdiff.testing.laws import same
from dualdiff.testing.strategies import Program, programs
from dualdiff.ways import WAYS, Both, Columns, Elimination, Rows, RowSparse
from dualdiff.ways.problem import record
from dualdiff.ways.program import pattern_of
from dualdiff.ways.row_sparse import layout
from tests.test_laws import steps_may_leave_the_domain
from tests.thresholds import ALWAYS_TERMS, thresholds

Ways = dict[str, Callable[..., Any]]


def _asked(kind: str) -> dict[str, dict[str, Any]]:
    """Return the options that ask for every way of the register, and those that can be cut into chunks in chunks too."""
    found: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        if kind not in way.asked or way.plain or way is Elimination:  # those two have tests of their own
            continue
        found[f"{kind}, {way.name}"] = way.options(kind)
        if way.divisible:
            found |= {f"{kind}, {way.name}, {k} at a time": way.options(kind) | {"chunk": k} for k in (1, 2)}
    return found


DENSE = {"auto": {}, **_asked("dense")}
SPARSE = {"sparse": {}, **_asked("sparse")}
X = np.array([0.5, 1.25, -0.75, 0.3, 1.5, -1.1, 0.8, 0.2])
"""A generic point."""


def ways_of(f: Any, argnums: Any = 0) -> Ways:
    """Return an operator for every way that may be asked for."""
    dense = {k: dd.jacobian(f, argnums, flat=True, **options) for k, options in DENSE.items()}
    sparse = {k: dd.jacobian(f, argnums, **{"sparse": True} | options) for k, options in SPARSE.items()}
    return dense | sparse


def answer(way: Any, *args: Any) -> Any:
    """Return a Jacobian, or None where the way says why it does not apply."""
    try:
        return way(*args)
    except InputError as e:
        if "this program has none" in str(e) or "is too small" in str(e):
            return None
        raise


def agree(ways: Ways, args: Any, expected: Any) -> None:
    """Hold the Jacobian by every way against the one expected: shape, dtype, values, and the form of sparse ones."""
    expected = np.asarray(expected)
    for name, way in ways.items():
        found = answer(way, *args)
        if found is None:
            assert name == "dense, mixed", name
            continue
        if name in SPARSE:
            assert type(found) is csr_array, name
            canonical = csr_array((found.data, found.indices, found.indptr), shape=found.shape)
            assert canonical.has_canonical_format, name
            assert found.has_canonical_format, name
            found = found.toarray()
        assert type(found) is np.ndarray, name
        assert found.dtype == expected.dtype, name
        # The ways add up the same terms in another order.
        same(name, found, expected, scale=10 * max(1.0, float(np.max(np.abs(expected), initial=0.0))))


def check(f: Any, *args: Any, argnums: Any = 0, again: Any = ()) -> Ways:
    """Hold every way against reverse mode, and that against differences; once more with what was decided kept."""
    ways = ways_of(f, argnums)
    for point in (args, args, *again):
        expected = dd.jacrev(f, argnums, flat=True)(*point)
        agree(ways, point, expected)
        if expected.dtype == np.float64 and expected.size:
            try:
                found = dd.jacobian(f, argnums, mode="finite-differences", flat=True)(*point)
            except (IndexError, ValueError):  # a step into another shape
                continue
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    return ways


def pattern(f: Any, argnums: Any, *args: Any) -> Any:
    """Return the pattern read off the tape."""
    s = Subject(lambda *xs: f(*args[: argnums[0]], *xs), [args[a] for a in argnums])
    tape, values = record(s.problem, replayable=True)
    return pattern_of(tape, values, s.problem.n).toarray()


# --------------------------------------------------------------------------------------------------
# random programs

many = settings(max_examples=max(80, settings().max_examples))
some = settings(max_examples=max(40, settings().max_examples))


@many
@given(programs())
def test_every_way_is_the_same_on_random_programs(program: Program) -> None:
    argnums = tuple(range(len(program.point)))
    expected = dd.jacrev(program, argnums, flat=True)(*program.point)
    ways = ways_of(program, argnums)
    agree(ways, program.point, expected)
    assert not (~pattern(program, argnums, *program.point) & (expected != 0)).any()
    # The decisions that were made hold at another point, or are made again: branches and masks may go the other way.
    for factor in (-1.0, 1.1, 1.0):
        point = tuple(factor * x for x in program.point)
        agree(ways, point, dd.jacrev(program, argnums, flat=True)(*point))


@many
@given(programs(), st.sampled_from([1, 4, 1000]), st.sampled_from([0, 3, 1000]), st.booleans(), st.booleans())
def test_every_form_of_tangents_gives_the_same(
    program: Program, most: int, local: int, merge: bool, always: bool
) -> None:
    """Row-sparse duals change their form at thresholds; whatever these are, the derivative is the same."""
    argnums = tuple(range(len(program.point)))
    expected = dd.jacrev(program, argnums, flat=True)(*program.point)
    with pytest.MonkeyPatch.context() as patch:
        thresholds(
            patch,
            MOST_COLUMNS=most,
            MOST_COLUMNS_OF_SCALARS=most,
            MERGED_FROM=2 if merge else 1000,
            SMALL=0,
            LOCAL=local,
            **(ALWAYS_TERMS if always else {}),
        )
        chosen = {
            k: w
            for k, w in ways_of(program, argnums).items()
            if k in ("dense, forward", "sparse", "sparse, row-sparse")
        }
        agree(chosen, program.point, expected)
        agree(chosen, program.point, expected)


@some
@given(programs(max_ops=7), st.integers(0, 2**16))
def test_every_way_agrees_with_differences_within_their_error(program: Program, seed: int) -> None:
    argnums = tuple(range(len(program.point)))
    s = Subject(program, program.point)
    direction = s.direction(np.random.default_rng(seed))
    with steps_may_leave_the_domain():
        truth = s.truth(direction)
    along = np.concatenate([np.ravel(v) for v in direction])
    sizes = [size_of(shape_of(v)) for v in truth.values]
    for name, way in ways_of(program, argnums).items():
        found = answer(way, *program.point)
        if found is None:
            assert name == "dense, mixed"
            continue
        for i, part in enumerate(np.split(found @ along, np.cumsum(sizes)[:-1])):
            assert judge(part.reshape(shape_of(truth.values[i])), truth, i) != "disagree", name


@some
@given(programs(max_ops=6))
def test_elimination_differences_and_complex_step_agree_or_refuse(program: Program) -> None:
    argnums = tuple(range(len(program.point)))
    expected = dd.jacrev(program, argnums, flat=True)(*program.point)
    for sparse in (False, True):
        for mode in ("elimination", "complex-step"):
            try:
                with steps_may_leave_the_domain():
                    found = dd.jacobian(program, argnums, mode=mode, flat=True, sparse=sparse)(*program.point)  # type: ignore[arg-type]
            except (DerivativeError, TypeError):
                continue
            assert type(found) is (csr_array if sparse else np.ndarray)
            found = found.toarray() if sparse else found
            scale = 1e3 if mode == "complex-step" else 10.0
            same(mode, found, expected, scale=scale * max(1.0, float(np.max(np.abs(expected), initial=0.0))))


@some
@given(programs())
def test_memory_may_be_tight(program: Program) -> None:
    argnums = tuple(range(len(program.point)))
    expected = dd.jacrev(program, argnums, flat=True)(*program.point)
    for mode in ("auto", "forward", "reverse"):
        for sparse in (False, True):
            for limit in (1000, 4000, 16_000):
                way = dd.jacobian(program, argnums, mode=mode, flat=True, sparse=sparse, max_bytes=limit)  # type: ignore[arg-type]
                found = answer(way, *program.point)
                if found is not None:
                    scale = 10 * (1 + np.max(np.abs(expected), initial=0.0))
                    same(mode, found.toarray() if sparse else found, expected, scale=scale)


ENTRYWISE = ("np.sin(x) + 2", "1.5 * x", "np.exp(-x)", "np.hypot(x, x + 3)", "x ** 2 + x")
MOVED = (
    "x[::-1]", "np.roll(x, 2)", "x[[0, -1, -1, 1, 0]]", "np.stack([x, x[::-1]]).T.reshape(-1)", "np.repeat(x, 2)",
    "x[np.arange(len(x)) % 2 == 0]", "np.tile(x, 2)", "np.pad(x, 1)", "np.concatenate([x, x[:2]])",
)  # fmt: skip


@some
@given(st.lists(st.sampled_from((*ENTRYWISE, *MOVED)), min_size=1, max_size=4), st.integers(0, 10))
def test_patterns_of_entrywise_and_moving_programs_are_exact(lines: list[str], at: int) -> None:
    def f(x):
        y = x
        for line in lines:
            y = eval(line, {"np": np}, {"x": y})
        z = y.copy()
        z[at % len(z)] = 1.0
        return z, y[1:] * 3.0 + y[:-1] * 0.7

    point = np.linspace(0.3, 0.7, 16)
    assert ((dd.jacrev(f, flat=True)(point) != 0) == pattern(f, (0,), point)).all()


# --------------------------------------------------------------------------------------------------
# the zoo


@pytest.mark.parametrize("case", zoo("small"), ids=lambda case: case.name)
def test_every_way_is_the_same_on_the_zoo(case: Any) -> None:
    x = np.array(case.point)
    expected = dd.jacrev(case.function, flat=True)(x)
    if case.jacobian is not None:
        by_hand = np.reshape(case.jacobian(x), expected.shape)
        np.testing.assert_allclose(expected, by_hand, rtol=1e-9, atol=1e-9 * np.abs(by_hand).max())
    ways = ways_of(case.function)
    agree(ways, (x,), expected)
    other = x * 1.01
    agree(ways, (other,), dd.jacrev(case.function, flat=True)(other))
    found = pattern(case.function, (0,), x)
    assert not (~found & (expected != 0)).any()
    if case.pattern is not None:
        assert (found | ~case.pattern().toarray()).all()
    differences = dd.jacobian(case.function, mode="finite-differences", flat=True)(x)
    np.testing.assert_allclose(differences, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


# --------------------------------------------------------------------------------------------------
# what is kept from call to call


def test_branches_on_both_sides_with_one_operator() -> None:
    def f(x):
        if x[0] > 0:
            return x[1:] * x[:-1]
        return np.sin(x[1:]) + np.sum(x[2:])

    check(f, X, again=[(-X,), (X,), (-2 * X,), (X,)])


def test_as_many_branches_as_one_likes() -> None:
    def f(x):
        k = int(x[0])
        return np.roll(x, k) * x

    check(f, X, again=[(np.concatenate([[k + 0.5], X[1:]]),) for k in (1, 5, 2, 4, 3, 6, 1)])


def test_results_whose_shape_depends_on_values() -> None:
    check(lambda x: x[x > 0.4] ** 2, X, again=[(-X,), (X[::-1].copy(),), (X,), (X * 0.01,)])
    check(lambda x: np.linspace(0.0, 1.0, int(abs(x[0]) * 10)) * x[1] + x[2], X, again=[(2 * X,), (X,), (0.1 * X,)])


INDEX = np.array([0, 3, 3, 1, 5])
CLOSURES: dict[str, Callable[[Any], Any]] = {
    "an index": lambda x: x[INDEX] ** 2,
    "take": lambda x: np.take(x, INDEX) * 2,
    "take_along_axis": lambda x: np.take_along_axis(x, INDEX, 0) ** 2,
    "repeat": lambda x: np.repeat(x[:5], INDEX),
    "a mask": lambda x: x[:5][INDEX > 2] ** 2,
    "where": lambda x: np.where(INDEX > 2, x[:5], x[3:] ** 2),
    "roll": lambda x: np.roll(x, INDEX[1]) ** 2,
    "a constant with zeros": lambda x: x[:5] * INDEX + x[3:] * (INDEX > 2),
    "a matrix": lambda x: np.diag(INDEX * 1.0) @ x[:5],
    "a matrix and a scaled operand": lambda x: np.diag(INDEX * 1.0) @ (x[:5] * INDEX),
    "choose": lambda x: np.choose(INDEX % 2, [x[:5], x[3:] ** 2]),
    "a slice": lambda x: x[INDEX[0] : INDEX[4]] ** 2,
    "a write": lambda x: written_at(x, INDEX),
    "a write under a mask": lambda x: written_at(x[:5], INDEX > 2),
    "a constant's shape": lambda x: x[0] * np.ones(INDEX[4]) + x[1],
    "a constant result before": lambda x: (np.ones(INDEX[0]), x[1:] * x[:-1]),
    "a constant result between": lambda x: (x[0] * x[1], np.ones((2, INDEX[1])), x[1:] * x[:-1]),
    "constant": lambda x: np.ones(INDEX[3]),
}


def written_at(x: Any, at: Any) -> Any:
    y = x * 2.0
    y[at] = x[-1] * x[0]
    y[0] += x[1]
    return y


@pytest.mark.parametrize("name", CLOSURES)
def test_what_a_function_closes_over_may_change(name: str) -> None:
    f, ways = CLOSURES[name], ways_of(CLOSURES[name])
    before = INDEX.copy()
    try:
        for index in ([0, 3, 3, 1, 5], [1, 4, 4, 2, 6], [2, 2, 2, 2, 7], [0, 3, 3, 1, 5], [5, 0, 1, 0, 2]):
            INDEX[:] = index
            agree(ways, (X,), dd.jacrev(f, flat=True)(X))
    finally:
        INDEX[:] = before


def test_a_program_that_is_no_longer_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = [False]

    def f(x):
        return np.sum(np.sin(x)) * np.sum(x) * np.ones(900) if dense[0] else x[1:] * x[:-1]

    x = np.linspace(0.5, 1.5, 60)
    alone = RowSparse.options("sparse")  # until it meets a tangent that is too large
    monkeypatch.setattr("dualdiff.ways.options.CROWDED", 1000)
    for options in ({}, {"mode": "forward"}, {"max_bytes": 1 << 22}, alone):
        dense[0] = False
        way = dd.jacobian(f, **{"sparse": True} | options)  # type: ignore[arg-type]
        way(x)
        dense[0] = True
        np.testing.assert_allclose(way(x).toarray(), dd.jacrev(f)(x))


def test_results_are_the_callers_own() -> None:
    def f(x):
        y = x * 2.0
        y[1:] += x[:-1] * x[1:]
        return y

    for name, way in ways_of(f).items():
        expected = dd.jacrev(f)(X)
        for _ in range(3):
            found = answer(way, X)
            if found is None:
                assert name == "dense, mixed"
                break
            if name in SPARSE:
                np.testing.assert_allclose(found.toarray(), expected)
                for part in (found.data, found.indices, found.indptr):
                    part[:] = 0
            else:
                np.testing.assert_allclose(found, expected)
                found[:] = np.nan


def test_blocks_are_apart() -> None:
    def f(x, p):
        return {"a": x * p, "b": (p + x, x.sum() * p)}

    for mode in ("auto", "forward", "reverse"):
        jac = dd.jacobian(f, (0, 1), mode=mode)  # type: ignore[arg-type]
        tree = jac(X, X[::-1].copy())
        leaves = [*tree["a"], *tree["b"][0], *tree["b"][1]]
        assert not any(np.shares_memory(a, b) for i, a in enumerate(leaves) for b in leaves[:i])


def module_level(x):
    return x[1:] * np.sin(x[:-1])


@pytest.mark.parametrize(
    "options", [{}, {"sparse": True}, {"sparse": True, "coloring": "columns"}, {"mode": "reverse"}]
)
def test_operators_pickle_after_they_decided(options: dict[str, Any]) -> None:
    way = dd.jacobian(module_level, flat=True, **options)
    expected = way(X)
    found = pickle.loads(pickle.dumps(way))(X)
    assert type(found) is type(expected)
    assert abs(found - expected).max() == 0


def test_threads_share_one_operator() -> None:
    def f(x):
        y = np.zeros_like(x)
        for i in range(len(x)):
            y[i] = x[i] * x[i - 1]
        return y * x if x[0] > 0 else y + x[::-1]

    points = [s * X[:n] for n in (4, 6, 8) for s in (1.0, -1.0, 0.5)]
    expected = [dd.jacrev(f)(x) for x in points]
    ways = [
        dd.jacobian(f, sparse=True),
        dd.jacobian(f, sparse=True, coloring="columns"),
        dd.jacobian(f, sparse=True, coloring="rows"),
        dd.jacobian(f),
    ]
    wrong: list[Any] = []

    def work(shift: int) -> None:
        try:
            for k in range(3 * len(points)):
                i = (k * shift) % len(points)
                for way in ways:
                    found = way(points[i])
                    np.testing.assert_allclose(found.toarray() if type(found) is csr_array else found, expected[i])
        except BaseException as e:
            wrong.append(e)

    threads = [threading.Thread(target=work, args=(shift,)) for shift in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


# --------------------------------------------------------------------------------------------------
# structures, shapes and dtypes


def test_nested_arguments_and_results() -> None:
    def f(p, x, q):
        return {
            "constant": np.ones(2),
            "product": p["a"] * x[:3],
            "number": (p["b"] * x[0], 3.0),
            "first": p["a"],
            "matrix": np.outer(p["a"], x[1:3]) + q,
        }

    p = {"a": np.array([1.0, 2.0, 3.0]), "b": 0.5, "unused": np.ones(2)}
    check(f, p, X, np.ones((3, 2)), argnums=(0, 1))
    check(f, p, X, np.ones((3, 2)), argnums=0)
    check(f, p, X, np.ones((3, 2)), argnums=2)


def test_scalars_and_empty_arrays() -> None:
    check(np.sin, np.array(2.0))
    check(lambda x: x * x, 2.0)
    check(lambda x, y: np.stack([x, y.sum(), x * y[0], x * x]), np.array(2.0), X, argnums=(0, 1))
    check(lambda x, y: x * y + x, np.float64(2.0), X, argnums=(0, 1))
    check(lambda x: x * 2, np.zeros(0))
    check(lambda x: x[:0] * 2, X)
    check(lambda x: (x[:0], x[1:] * x[0], x.reshape(2, 0, 4) if not x.size else x), X)
    check(lambda x: np.zeros(0), X)


def test_hessians_of_nothing_and_without_entries() -> None:
    for n in (0, 1, 4):
        for f, entry in ((np.sum, 0.0), (lambda x: np.sum(x**2), 2.0), (lambda x: 3.0 + 0 * np.sum(x), 0.0)):
            assert not np.any(dd.hessian(f)(np.ones(n)) != entry * np.eye(n))
            for options in _asked("symmetric").values():
                H = dd.hessian(f, **{k: v for k, v in options.items() if k != "symmetric"})(np.ones(n))
                assert H.shape == (n, n), options
                assert not np.any(H.toarray() != entry * np.eye(n)), options


def test_precisions() -> None:
    x32 = X.astype(np.float32)
    for f in (
        lambda x: np.sin(x) * x[::-1],
        lambda x: x[1:] * np.arange(7.0),
        lambda x: (x * 2, np.ones(2)),
        lambda x: (x.astype(np.float32) * 2, x[0]),
        lambda x: (x.astype(np.float32), x[1:] * x[:-1]),
        lambda x: np.ones(3, np.float32),
    ):
        for x in (x32, X):
            agree({k: w for k, w in ways_of(f).items() if k != "dense, mixed"}, (x,), dd.jacrev(f, flat=True)(x))
    check(lambda x: x * x[::-1], np.arange(1, 9))
    check(lambda x: x[1:] * np.arange(7, dtype=np.int8), np.arange(8, dtype=np.int8))


# --------------------------------------------------------------------------------------------------
# the code that people write


def fill(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = x[i] * x[-1 - i]
        y[i] += 0.5 * y[0]
    return y


def rows(x):
    y = np.zeros_like(x).reshape(2, 4)
    y[1] = x[0] * x[1]
    y[:, 2] += x[3]
    y[0, 1] = x[5]
    return y


def boxes(x):
    y = np.zeros_like(x).reshape(2, 2, 2)
    y[1] = x[0] * x[1]
    y[-1, 0] *= x[2]
    y[:, 0] += x[3:5]
    return y


def repeated(x):
    y = x.copy()
    y[[0, 3, 0, -1, 3]] = x[:5] * x[0]
    y[[1, 1]] += x[5:7]
    return y


def views(x):
    y = x * 1.0
    w = y[::-1]
    w[1:3] = x[:2] ** 2
    v = y.reshape(2, 4).T
    v[0] *= x[7]
    y[0] = 3.0
    return w, v, y


def swaps(x):
    y = x * x
    y[:4], y[4:] = y[4:].copy(), y[:4].copy()
    y[0], y[1] = y[1], y[0]
    y[::2] = y[::-2]
    return y


def handed_on(x):
    a = x * 2.0
    b = a
    c = +a
    b[0] = x[1] * x[2]
    c[1] = x[0]
    d = a.copy()
    a += d
    return a, b, c, d


def accumulated(x):
    y = np.zeros_like(x[:4])
    for i in range(len(x)):
        y[i % 4] += x[i] * x[i - 1]
        y[: i % 3] -= 0.1 * x[i]
    return y


def gathered_and_scattered(x):
    y = np.zeros_like(x)
    np.add.at(y, [0, 2, 2, 5], x[:4] * x[4:])
    return y + np.bincount([0, 1, 1, 7], weights=x[:4] ** 2, minlength=8)


def broadcast(x):
    a, b = x.reshape(4, 2), x[:2]
    return a + b, a * x[:4, None], b * a[:, :1], (a[:, None] * b[:, None]).sum(axis=1), a + x[0], x[1] * np.ones((2, 3))


def reduced(x):
    a = x.reshape(2, 4)
    return (
        a.sum(axis=0),
        a.mean(axis=1, keepdims=True),
        np.sum(a**2),
        a.prod(axis=0),
        a.max(axis=1),
        np.cumsum(a, axis=1),
    )


def linear_algebra(x):
    a, b = x.reshape(2, 4), x.reshape(4, 2)
    return (
        a @ b,
        a @ x[:4],
        x[:2] @ a,
        np.linalg.norm(a, axis=1),
        np.einsum("ij,jk->ik", a, b),
        np.sort(x),
        np.dot(x, x),
    )


def joined(x):
    parts = [x[:2] * x[2:4], np.ones(3), x[:1], x[0] + np.zeros(2)]
    return np.concatenate(parts), np.stack([x, np.ones(8), x * x[0]], axis=-1), np.stack([x[0], 2.0, x[1] * x[2]])


def twice(x):
    y = x * x[0]
    return y, y, x, y[1:], x


def alike_in_part(x):
    z = x * 3.0
    z[0] = x[3]
    y = x * x + z  # its terms differ in one entry
    return y[1:], y[:0:-1], np.stack([y[1:4], y[2:5]]), y[1:].reshape(7, 1) * y[:1], y


def unread(x):
    a = np.sin(x).reshape(2, 2, 2)
    z = np.zeros_like(x)
    z[:2] = x[:2] * x[2:4]
    rest = z[4:] * 2.0  # nothing reaches it
    return rest, z, np.trace(a, axis1=1, axis2=2), np.diagonal(a), np.triu(a), a[:, :, :0].sum(axis=2), np.diff(x * x)


def curve(x):
    t = np.linspace(0.5, 2.0, 5)[:, None]
    y = 3.0 * (x[0] * t) + np.ones((5, 3)) - 2.0 * (t * x[1]) * 0.5
    return y, np.exp(-x[2] * t) * y, (y * np.arange(3) + x[3])[::-1]


def whole_numbers(x):
    at = np.arange(12).reshape(4, 3)
    a = x[:4, None] * x[1]
    return x[:4, None] * at, at.astype(np.int8) * a, a * (at > 4), (x > 0) * x, 2 * a - at


def complex_between(x):
    z = np.exp(1j * x) * x[::-1]
    return np.real(z).reshape(2, 4).sum(axis=0), np.abs(z * x), np.imag(z @ z) * x[:2], np.abs(x) * np.real(x)


CODE = (fill, rows, boxes, repeated, views, swaps, handed_on, accumulated, gathered_and_scattered, broadcast, reduced,
        linear_algebra, joined, twice, alike_in_part, unread, curve,
        whole_numbers, complex_between)  # fmt: skip


@pytest.mark.parametrize("f", CODE, ids=lambda f: f.__name__)
def test_every_way_is_the_same_on_code_people_write(f: Any) -> None:
    check(f, X, again=[(-X,), (X,)])


@pytest.mark.parametrize("f", CODE, ids=lambda f: f.__name__)
def test_every_form_of_tangents_is_the_same_on_code_people_write(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for most, group, more in ((1, 0, {}), (1000, 1000, {}), (1000, 1000, ALWAYS_TERMS), (1, 1000, ALWAYS_TERMS)):
        thresholds(monkeypatch, SMALL=0, MOST_COLUMNS=most, MERGED_FROM=2 + most, LOCAL=group, **more)
        chosen = {k: w for k, w in ways_of(f).items() if k in ("dense, forward", "sparse", "sparse, row-sparse")}
        for point in (X, X, -X):
            agree(chosen, (point,), dd.jacrev(f, flat=True)(point))


@pytest.mark.parametrize(
    "f",
    [
        np.sqrt,
        lambda x: np.where(x > 0, np.sqrt(x), 0.0),
        lambda x: np.sqrt(x)[1:] + x[:-1],
        lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), x),
        lambda x: np.concatenate([np.sqrt(x), x]),
        lambda x: np.sqrt(x)[[1, 3]],
        np.abs,
        lambda x: np.max(x.reshape(2, 2), axis=0),
        lambda x: np.maximum(x, x[::-1]),
        lambda x: np.linalg.norm(0 * x.reshape(2, 2), axis=1),
        lambda x: np.maximum(np.sqrt(x), x[::-1] + 1),
        lambda x: np.minimum(x - 1, np.sqrt(x)[[1, 0, 3, 2]]),
    ],
)
@pytest.mark.parametrize("always", [False, True])
def test_strong_zeros_and_ties(f: Any, always: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if always:
        thresholds(monkeypatch, **ALWAYS_TERMS)
    x = np.array([0.0, 0.5, 0.0, 2.0])
    with np.errstate(all="ignore"):
        expected = dd.jacrev(f, flat=True)(x)
        assert not np.isnan(expected).any()
        for name, way in ways_of(f).items():
            if name != "dense, mixed":
                found = way(x)
                np.testing.assert_array_equal(found.toarray() if name in SPARSE else found, expected, err_msg=name)


def test_an_exact_zero_wins_over_infinity_through_a_waist() -> None:
    x = np.array([0.0, 0.5, 0.0, 2.0, 0.3])

    def f(x):
        return np.sqrt(x).sum() * np.array([1.0, 0.0, 2.0, 0.0, 1.0, 3.0])

    with np.errstate(all="ignore"):
        np.testing.assert_allclose(dd.jacobian(f, mode="mixed")(x), dd.jacrev(f)(x))


def test_a_waist_of_another_precision() -> None:
    def f(x):
        return ((np.sin(x) * x[::-1]).sum() * np.arange(8.0)).astype(np.float32)

    agree({"dense, mixed": dd.jacobian(f, mode="mixed", flat=True)}, (X,), dd.jacrev(f)(X))


@pytest.mark.parametrize("n", [8, 65, 300])
def test_arrays_of_any_size_with_numbers(n: int) -> None:
    """Large arrays are recorded without what a pull does not need; the program is the same."""
    x = np.linspace(0.3, 1.7, n)
    for f in (
        lambda x: x + 3,
        lambda x: np.hypot(x, 3 - x),
        lambda x: np.maximum(x, 1) * 2.5 - np.float64(1.0),
        lambda x: fill(x) + 1,
    ):
        ways = {
            k: w
            for k, w in ways_of(f).items()
            if k in ("auto", "sparse", *(f"sparse, {w.name}" for w in (Columns, Rows, Both)))
        }
        for _ in range(2):
            agree(ways, (x,), dd.jacrev(f)(x))


# --------------------------------------------------------------------------------------------------
# who owns what


def place_of(x: Any) -> int:
    return int(x.__array_interface__["data"][0])


def test_a_write_into_terms_nobody_else_holds_copies_nothing() -> None:
    """Filling n entries one by one costs O(n)."""
    slots = [tangents.Terms([(tangents.Map(np.arange(50)), np.ones(50))]), None]
    ((key, c),) = slots[0].items()  # type: ignore[union-attr]
    places = place_of(key.positions), place_of(c)
    del key, c
    ((key, c),) = tangents.store(slots, 3, np.zeros(50), 0.0).items()
    assert (place_of(key.positions), place_of(c)) == places
    assert key.positions[3] == c[3] == 0


@pytest.mark.parametrize("held", ["the terms", "the map", "its positions", "the coefficient", "a view of it"])
def test_a_write_into_terms_somebody_holds_leaves_those_alone(held: str) -> None:
    slots = [tangents.Terms([(tangents.Map(np.arange(1, 51)), np.ones(50))]), None]
    ((key, c),) = slots[0].items()  # type: ignore[union-attr]
    holder = {
        "the terms": slots[0],
        "the map": key,
        "its positions": key.positions,
        "the coefficient": c,
        "a view of it": c[1:],
    }[held]
    del key, c
    found = tangents.store(slots, 3, np.zeros(50), 0.0)
    ((key, c),) = found.items()
    assert key.positions[3] == c[3] == 0
    if held == "the terms":
        ((key, c),) = holder.items()
        assert (key.positions == np.arange(1, 51)).all()
        assert (c == 1).all()
    elif held == "the map":
        assert (holder.positions == np.arange(1, 51)).all()
    elif held == "its positions":
        assert (holder == np.arange(1, 51)).all()
    else:
        assert (holder == 1).all()


CONSTANT = np.arange(1.0, 13.0).reshape(4, 3)
WRITTEN_LATER: list[Callable[[Any, Any], Any]] = [
    lambda x, c: x * c[:, 0],
    lambda x, c: c[:, 0] * x,
    lambda x, c: x[:, None] * c,
    lambda x, c: c * x[:, None],
    lambda x, c: np.multiply(x.reshape(4, 1), c),
    lambda x, c: (x * 2)[[0, 0, 2, 3]][:, None] * c,
    lambda x, c: x[0] * c,
    lambda x, c: c * x[0],
    lambda x, c: c / x[:, None],
    lambda x, c: c.T @ x,
    lambda x, c: np.where(c > 4, x[:, None], c),
]


@pytest.mark.parametrize("f", WRITTEN_LATER)
def test_what_a_product_was_taken_with_may_be_written_later(f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def g(x):
        c = CONSTANT.copy()
        y = f(x, c)
        c[...] = np.nan
        return y

    expected = dd.jacrev(lambda x: f(x, CONSTANT), flat=True)(X[:4])
    assert np.isfinite(expected).all()
    agree(ways_of(g), (X[:4],), expected)
    thresholds(monkeypatch, **ALWAYS_TERMS)
    agree(ways_of(g), (X[:4],), expected)


def test_an_infinite_partial_of_terms_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The derivative itself shows what NumPy would warn of; the numbers beside it are right."""
    thresholds(monkeypatch, **ALWAYS_TERMS)
    x = np.array([0.5, 0.0, 2.0, 1.5])
    for f in (
        lambda x: np.cbrt(x * x),
        lambda x: np.cbrt((x * x)[::-1]),
        lambda x: np.power((x * x)[:, None], np.array([0.5, 0.25])),
        lambda x: np.cbrt((x * x)[:, None] * x),
    ):
        expected = dd.jacrev(f, flat=True)(x)
        for options in ({"mode": "forward"}, RowSparse.options("sparse")):
            found = dd.jacobian(f, flat=True, **options)(x)
            found = found.toarray() if "sparse" in options else found
            np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
            np.testing.assert_allclose(found[np.isfinite(found)], expected[np.isfinite(found)], rtol=1e-14)


def some_terms(rng: Any, shape: tuple[int, ...], directions: int) -> Any:
    """Return terms as runs make them: shifts with gaps, gathers, single directions, repeated maps, scalars."""
    size = size_of(shape)
    found = tangents.Terms()
    for _ in range(int(rng.integers(0, 6))):
        kind = rng.integers(5)
        if kind == 0:
            key: Any = int(rng.integers(directions))
        else:
            at = (int(rng.integers(1, 4)) * np.arange(size) + rng.integers(directions)) % directions + 1
            at = rng.integers(0, directions + 1, size) if kind == 1 else at
            at[: int(rng.integers(size + 1))] *= int(kind != 2)
            at[:: int(rng.integers(1, 5))] *= int(kind != 3)
            key = tangents.Map(at.reshape(shape))
        c: Any = rng.standard_normal(shape if rng.random() < 0.7 else (1,) * len(shape))
        found[key] = tangents.ONE if rng.random() < 0.3 else c
    return found


@many
@given(st.integers(0, 2**32), st.sampled_from([(1,), (7,), (40,), (3, 4), (2, 1, 5), ()]), st.integers(1, 60))
def test_terms_mean_the_same_however_they_are_read(seed: int, shape: tuple[int, ...], directions: int) -> None:
    rng = np.random.default_rng(seed)
    t = some_terms(rng, shape, directions)
    expected = np.zeros((size_of(shape), directions))
    for key, c in t.items():
        for entry, d in enumerate(np.ravel(tangents.map_of(key, shape))):
            if d:
                expected[entry, d - 1] += np.ravel(np.broadcast_to(c, shape))[entry]

    def dense(found: Any) -> Any:
        return tangents.scattered(found, shape, directions, np.float64)

    np.testing.assert_allclose(dense(t), expected, atol=1e-12)
    np.testing.assert_allclose(dense(tangents.merged(t, shape, np.float64)) if t else dense(t), expected, atol=1e-12)
    laid = layout(t, shape)
    assert laid.fits(t, shape)
    for _ in range(2):
        found = csr_array(
            (laid.data(t, shape, np.float64), laid.columns, laid.starts), shape=(size_of(shape), directions)
        )
        np.testing.assert_allclose(found.toarray(), expected, atol=1e-12)
        assert found.has_canonical_format
        t = tangents.Terms((k if type(k) is int else tangents.Map(k.positions.copy()), c) for k, c in t.items())
        assert laid.fits(t, shape)
    others = [tangents.Terms((k if type(k) is int else tangents.Map(k.positions + 1), c) for k, c in t.items())]
    others += [tangents.Terms(list(t.items())[1:]), tangents.Terms((*t.items(), (directions + 1, 1.0)))]
    for other in others:
        assert laid.fits(other, shape) == (list(other) == list(t))
    assert not laid.fits(t, (*shape, 1))


# --------------------------------------------------------------------------------------------------
# inside other operators


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("f", CODE, ids=lambda f: f.__name__)
def test_jacobians_of_code_people_write_nest(f: Any, always: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = dd.jacfwd(dd.jacrev(f, flat=True), flat=True)(X)
    if always:
        thresholds(monkeypatch, **ALWAYS_TERMS)
    for outer in ("forward", "reverse"):
        found = dd.jacobian(dd.jacobian(f, mode="forward", flat=True), mode=outer, flat=True)(X)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=outer)


def test_jacobians_nest() -> None:
    def f(x):
        return np.sum(x[1:] ** 2 * x[:-1]) + np.sum(x**4)

    expected = dd.hessian(f)(X)
    for inner in ({}, {"mode": "forward"}, {"mode": "forward", "chunk": 2}, {"mode": "reverse"}):
        for outer in (
            {},
            {"mode": "forward"},
            {"mode": "reverse"},
            {"sparse": True},
            {"sparse": True, "mode": "reverse"},
        ):
            found = dd.jacobian(dd.jacobian(f, **inner), **outer)(X)  # type: ignore[arg-type]
            np.testing.assert_allclose(
                found.toarray() if "sparse" in outer else found, expected, rtol=1e-12, atol=1e-12
            )
    with pytest.raises(InputError, match=r"returned a sparse matrix.*J.toarray\(\)"):
        dd.jacobian(lambda x: dd.jacobian(np.sin, sparse=True)(x))(X)


@pytest.mark.parametrize("options", [{}, {"mode": "forward"}, {"mode": "forward", "chunk": 2}, {"mode": "reverse"},
                                     {"mode": "mixed"}, {"max_bytes": 4000}], ids=str)  # fmt: skip
def test_a_function_that_closes_over_values_of_an_outer_operator(options: dict[str, Any]) -> None:
    def outer(a):
        jac = dd.jacobian(lambda y: np.sin(np.sum(y * y * a)) * np.arange(1.0, 6.0) * a, **options)
        return np.sum(jac(X[:5]) ** 2)

    h = 1e-6
    expected = (outer(1.3 + h) - outer(1.3 - h)) / (2 * h)
    for found in (dd.grad(outer)(1.3), dd.jvp(outer, (1.3,), (1.0,))[1]):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"mode": "reverse"}, {"coloring": "columns"}])
def test_a_sparse_jacobian_of_a_function_that_closes_over_values_of_an_outer_operator(options: dict[str, Any]) -> None:
    inner: list[Any] = [None]
    way = dd.jacobian(lambda y: np.sin(y * inner[0]) * y[::-1], sparse=True, **options)

    def outer(a):
        inner[0] = a
        return np.sum(way(X).toarray() ** 2)

    expected = (outer(1.3 + 1e-6) - outer(1.3 - 1e-6)) / 2e-6
    for _ in range(2):  # afresh, and with a decision kept
        np.testing.assert_allclose(dd.grad(outer)(1.3), expected, rtol=1e-6)
        outer(1.3)
    zero = dd.jacobian(lambda y: y * inner[0], sparse=True, **options)

    def at_zero(a):
        inner[0] = a
        return zero(X).data.sum()

    assert dd.grad(at_zero)(0.0) == len(X)  # entries that are zero here, and not there
