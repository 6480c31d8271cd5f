"""Foreign operands: data in pandas' objects, masked arrays, matrices, and NumPy's random shuffles."""

from __future__ import annotations

import operator
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dualdiff as dd
from dualdiff.errors import DerivativeError, InputError, TracedAssignmentError, UnsupportedFunctionError

X = np.array([0.5, 1.5, 2.0])
COLUMN = np.array([1.0, 2.0, 3.0])
TABLE = np.array([[1.0, 4.0, 1.0], [2.0, 5.0, 1.0], [3.0, 6.0, 2.0]])
DATA: dict[str, tuple[Any, Any]] = {
    "series": (pd.Series(COLUMN, index=[5, 6, 7]), COLUMN),
    "series of integers": (pd.Series([1, 2, 3]), np.array([1, 2, 3])),
    "series of objects": (pd.Series([1, 2.0, 3], dtype=object), COLUMN),
    "nullable series": (pd.Series(COLUMN, dtype="Float64"), COLUMN),
    "index": (pd.Index(COLUMN), COLUMN),
    "extension array": (pd.array(COLUMN), COLUMN),
    "frame": (pd.DataFrame(TABLE, columns=["a", "b", "c"]), TABLE),
}
OPERATORS = ("add", "sub", "mul", "truediv", "pow", "mod", "matmul")


def _subtracted(x: Any, s: Any) -> Any:
    y = x * np.ones_like(x, shape=np.shape(s))
    y -= s
    return y * x


def _stored(x: Any, s: Any) -> Any:
    y = np.zeros_like(x, shape=np.shape(s))
    y[...] = s
    y[0] *= x[0]
    return y


def _either(f: Callable[[Any, Any], Any]) -> dict[str, Callable[[Any, Any], Any]]:
    return {"": lambda x, s: f(x, s), "reflected ": lambda x, s: f(s, x)}


USES: dict[str, Callable[[Any, Any], Any]] = {
    **{side + n: g for n in OPERATORS for side, g in _either(getattr(operator, n)).items()},
    **{side + f"np.{u.__name__}": g for u in (np.multiply, np.hypot, np.maximum) for side, g in _either(u).items()},
    **{side + "divmod": (lambda x, s, g=g: g(x, s)[1]) for side, g in _either(divmod).items()},
    "of a number": lambda x, s: np.exp(-x[0] * s) + (s - x[1]) ** 2,
    "power of a number": lambda x, s: x[0] ** s + s ** x[1],
    "residual": lambda x, s: x[0] * np.exp(-x[1] * s) - s,
    "compared": lambda x, s: np.where(s > 1.5, x, s) + (x < s) * x,
    "clip": lambda x, s: np.clip(x, s, 10.0),
    "dot": lambda x, s: np.dot(s, x) + x.dot(s).sum(),
    "outer": lambda x, s: np.multiply.outer(x, s),
    "list": lambda x, s: np.concatenate([np.ravel(s), x]),
    "nested list": lambda x, s: x * [s, s],
    "list beside it": lambda x, s: np.stack([x * s, s]),
    "keyword": lambda x, s: np.sum(x * np.ones_like(x, shape=np.shape(s)), where=np.isfinite(s)),
    "average": lambda x, s: np.average(x * np.ones_like(x, shape=np.shape(s)), weights=s),
    "out": lambda x, s: np.add(x, s, out=np.zeros_like(x, shape=np.shape(s))),
    "in place": _subtracted,
    "stored": _stored,
    "new like it": lambda x, s: np.zeros_like(s) + np.ones_like(x) * s,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", DATA)
def test_pandas_objects_are_data(kind: str, use: str) -> None:
    if kind == "series of objects" and use in ("list", "keyword", "new like it"):
        pytest.skip("NumPy's own function makes an array of objects of it")
    given, plain = DATA[kind]
    f = USES[use]
    wanted = dd.jacfwd(lambda x: f(x, plain))(X)
    for operator_ in (dd.jacfwd, dd.jacrev, dd.jacobian):
        found = operator_(lambda x: f(x, given))(X)
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    value, _ = dd.vjp(lambda x: f(x, given), X)
    assert type(value) in (np.ndarray, np.float64)
    np.testing.assert_allclose(value, f(X, plain), rtol=1e-13)

    x = dd.tensor(X, requires_grad=True)
    (f(x, given) * x[0]).sum().backward()
    gradient = dd.grad(lambda x: (f(x, plain) * x[0]).sum())(X)
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=1e-12)


def test_a_fit_to_a_series() -> None:
    frame = pd.DataFrame({"t": [0.0, 1.0, 2.0], "y": [2.0, 1.0, 0.7]})

    def loss(p: Any, t: Any, y: Any) -> Any:
        return ((p[0] * np.exp(-p[1] * t) - y) ** 2).sum()

    p = np.array([2.0, 0.5])
    t, y = frame["t"].to_numpy(), frame["y"].to_numpy()
    np.testing.assert_allclose(dd.grad(loss)(p, frame["t"], frame["y"]), dd.grad(loss)(p, t, y), rtol=1e-14)
    np.testing.assert_allclose(dd.hessian(loss)(p, frame.t, frame.y), dd.hessian(loss)(p, t, y), rtol=1e-14)
    rows = dd.jacobian(lambda p: p[0] * frame.values @ p, sparse=True)(p)
    np.testing.assert_allclose(rows.toarray(), dd.jacfwd(lambda p: p[0] * np.stack([t, y], 1) @ p)(p))


def test_pandas_objects_that_hold_differentiated_values_keep_them() -> None:
    frame = pd.DataFrame(TABLE)
    np.testing.assert_allclose(dd.jacobian(lambda x: frame @ x)(X), TABLE)
    np.testing.assert_allclose(dd.jacobian(lambda x: np.exp(pd.Series(x)) * x)(X), np.diag((1 + X) * np.exp(X)))
    np.testing.assert_allclose(dd.jacobian(lambda x: pd.Series(COLUMN).map(lambda v: v * x[0]))(X)[:, 0], COLUMN)


def test_a_tangent_or_cotangent_may_be_a_series() -> None:
    np.testing.assert_allclose(dd.jvp(lambda x: x * x, (X,), (pd.Series(COLUMN),))[1], 2 * X * COLUMN)
    np.testing.assert_allclose(dd.vjp(lambda x: x * x, X)[1](pd.Series(COLUMN))[0], 2 * X * COLUMN)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, s: s.__setitem__(5, x[0]),
        lambda x, s: operator.isub(s, x),
        lambda x, s: operator.iadd(s, x[0]),
        lambda x, s: np.add(s, x, out=s),
        lambda x, s: np.add.at(s.to_numpy(), [0], x[0]),
    ],
)
def test_what_is_stored_in_a_series_raises(f: Any) -> None:
    with pytest.raises((TracedAssignmentError, ValueError), match=r"test_foreign.py, line \d+|read-only"):
        dd.jacobian(lambda x: f(x, pd.Series(COLUMN, index=[5, 6, 7])))(X)


@pytest.mark.parametrize(
    "x", [pd.Series(COLUMN), pd.DataFrame(TABLE), pd.Index(COLUMN)], ids=lambda x: type(x).__name__
)
def test_pandas_objects_as_arguments_are_the_arrays_of_their_values(x: Any) -> None:
    for operator_ in (dd.grad, dd.jacobian, dd.jacrev):
        np.testing.assert_array_equal(operator_(lambda x: (x * x).sum())(x), 2 * x.to_numpy())
    np.testing.assert_array_equal(dd.jacobian(lambda p: p[0] * p[1])([1.0, x])[0], x.to_numpy())
    assert dd.tensor(x).shape == x.shape


def test_text_and_missing_values_are_refused_by_name() -> None:
    for data in (
        pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": list("abc")}),
        pd.Series([1, None, 3], dtype=object).astype("string"),
    ):
        with pytest.raises(InputError, match="no numbers"):
            dd.jacobian(lambda x, data=data: data.to_numpy().shape[0] * x[0] + (x[:1] + data.astype(object)))(X)


MASKED = np.ma.masked_array(COLUMN, mask=[False, True, False])
with warnings.catch_warnings():
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    MATRIX = np.matrix(np.eye(3))
FOREIGN_USES: dict[str, Callable[[Any, Any], Any]] = {
    "product": lambda x, m: (x * m).mean(),
    "difference": lambda x, m: ((x - m) ** 2).mean(),
    "reflected": lambda x, m: m - x,
    "number": lambda x, m: x[0] * m,
    "ufunc": lambda x, m: np.hypot(m, x),
    "function": lambda x, m: np.where(x > 1, x, m),
    "list": lambda x, m: np.vstack([m, x[None]]),
    "matmul": lambda x, m: m @ x,
    "stored": lambda x, m: x.__setitem__(0, m[0]) or x.__setitem__(slice(None), m),
    "returned": lambda x, m: m,
}


@pytest.mark.parametrize("use", FOREIGN_USES)
@pytest.mark.parametrize(("m", "name"), [(MASKED, "mask"), (MATRIX, "np.matrix")], ids=["masked", "matrix"])
def test_arrays_with_rules_of_their_own_are_refused_by_name(m: Any, name: str, use: str) -> None:
    for operator_ in (dd.jacfwd, dd.jacrev, dd.grad):
        with pytest.raises(InputError, match=name):
            operator_(lambda x: FOREIGN_USES[use](x * 1.0, m))(X)
    if use not in ("returned", "reflected"):  # a masked array takes the reflected operand entry by entry, as objects
        with pytest.raises(DerivativeError, match=name):
            np.asarray(FOREIGN_USES[use](dd.tensor(X, requires_grad=True) * 1.0, m) + dd.tensor(X))


@pytest.mark.parametrize("m", [MASKED, MATRIX], ids=["masked", "matrix"])
def test_arrays_with_rules_of_their_own_are_no_arguments(m: Any) -> None:
    for call in (
        lambda: dd.jacobian(lambda x: x * 2.0)(m),
        lambda: dd.grad(lambda p: p["m"].sum())({"m": m}),
        lambda: dd.tensor(m),
        lambda: dd.jvp(lambda x: x * 2.0, (X,), (m,)),
        lambda: dd.linear_operator(lambda x: x * 2.0, m),
    ):
        with pytest.raises(InputError, match=r"mask|np\.matrix"):
            call()


def test_subclasses_without_rules_of_their_own_flow(tmp_path: Any) -> None:
    data = np.memmap(tmp_path / "data", float, "w+", shape=(3,))
    data[:] = COLUMN
    np.testing.assert_allclose(dd.jacobian(lambda x: data * x)(X), np.diag(COLUMN))


def test_pandas_is_not_imported() -> None:
    code = "import sys, numpy as np, dualdiff as dd; dd.grad(lambda x: np.vstack([x, [1.0]]).sum())(2.0); sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _shuffled(rng: Any, x: Any) -> Any:
    y = x * 1.0
    rng.shuffle(y)
    return y


@pytest.mark.filterwarnings("ignore:you are shuffling:UserWarning")
@pytest.mark.parametrize("make", [lambda s: np.random.default_rng(s)])
def test_random_permutations_move_derivatives_along(make: Any) -> None:
    table = np.arange(6.0).reshape(3, 2)
    for f, x in (
        (lambda x: make(0).permutation(x), X),
        (lambda x: make(0).permutation(x), table),
        (lambda x: make(0).choice(x, 5), X),
        (lambda x: _shuffled(make(0), x), X),
        (lambda x: _shuffled(make(0), x), table),
        (lambda x: x[make(0).permutation(3)], table),
    ):
        wanted = np.stack([f(x + e.reshape(x.shape)) - f(x) for e in np.eye(x.size)], axis=-1)
        for operator_ in (dd.jacfwd, dd.jacrev):
            np.testing.assert_allclose(operator_(f)(x), wanted.reshape(*f(x).shape, *x.shape))
    # Of several axes NumPy exchanges rows through a buffer, which it does for its own arrays only.
    with pytest.raises(UnsupportedFunctionError, match="permutation"):
        _shuffled(make(0), dd.tensor(table))
