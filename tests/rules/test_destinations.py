"""Functions that store into an array: the same entries as NumPy, in every mode, at the cost of what is stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.rules.indexing import _named, positions

X = np.array([0.5, -1.5, 2.0, 3.0])
OPERATORS = {"forward": dd.jacfwd, "reverse": dd.jacrev, "auto": dd.jacobian}


STORES: dict[str, tuple[tuple[int, ...], Callable[[Any, Any], None]]] = {
    "flat": ((2, 3), lambda y, v: setattr(y, "flat", v)),
    "flat of fewer": ((3,), lambda y, v: setattr(y, "flat", v)),
    "flat of one": ((2, 3), lambda y, v: setattr(y, "flat", v[1])),
    "flat of none": ((2, 3), lambda y, v: setattr(y, "flat", v[:0])),
    "flat[:]": ((2, 3), lambda y, v: y.flat.__setitem__(slice(None), v[:, None])),
    "flat[a:b]": ((2, 3), lambda y, v: y.flat.__setitem__(slice(1, 3), v)),
    "flat[a:b] of too few": ((2, 3), lambda y, v: y.flat.__setitem__(slice(0, 5), v[:2])),
    "flat[::-2]": ((2, 3), lambda y, v: y.flat.__setitem__(slice(None, None, -2), v)),
    "flat[i]": ((2, 3), lambda y, v: y.flat.__setitem__(4, v[0])),
    "flat[-i]": ((2, 3), lambda y, v: y.flat.__setitem__(-2, v[0])),
    "flat[(i,)]": ((2, 3), lambda y, v: y.flat.__setitem__((1,), v[0])),
    "flat[list]": ((2, 3), lambda y, v: y.flat.__setitem__([0, -1, 0], v)),
    "flat[2-D list]": ((2, 3), lambda y, v: y.flat.__setitem__([[0, 5], [2, 1]], v)),
    "flat[mask]": ((4,), lambda y, v: y.flat.__setitem__(np.array([True, False, True, True]), v[:2])),
    "flat[...]": ((2, 3), lambda y, v: y.flat.__setitem__(Ellipsis, v)),
    "flat of a 0-d array": ((), lambda y, v: y.flat.__setitem__(0, v[1])),
    "flat[:] of a 0-d array": ((), lambda y, v: y.flat.__setitem__(slice(None), v)),
    "put": ((2, 3), lambda y, v: np.put(y, [1, 4, 5], v)),
    "put one": ((2, 3), lambda y, v: np.put(y, -1, v)),
    "put truth values": ((2, 3), lambda y, v: np.put(y, [True, False], v)),
    "put repeated": ((5,), lambda y, v: np.put(y, [1, 1, 3, 1, 3, 0], v)),
    "put wrapped": ((2, 3), lambda y, v: np.put(y, [7, -1], v, mode="wrap")),
    "put clipped": ((2, 3), lambda y, v: np.put(y, [9, -1], v, mode="clip")),
    "put nothing": ((2, 3), lambda y, v: np.put(y, [0, 99], v[:0])),
    "put nowhere": ((2, 3), lambda y, v: np.put(y, [], v)),
    "put into a 0-d array": ((), lambda y, v: np.put(y, [0, 0, -1], v)),
    "place": ((2, 2), lambda y, v: np.place(y, [[True, False], [True, True]], v[:2])),
    "place nowhere": ((2, 2), lambda y, v: np.place(y, np.zeros(4, bool), v[:0])),
    "place into a 0-d array": ((), lambda y, v: np.place(y, True, v[1:])),
    "putmask": ((2, 2), lambda y, v: np.putmask(y, [[True, False], [True, True]], v[:3])),
    "putmask of none": ((2, 2), lambda y, v: np.putmask(y, np.ones(4, bool), v[:0])),
    "fill_diagonal": ((3, 4), lambda y, v: np.fill_diagonal(y, v[:2])),
    "fill_diagonal, tall": ((7, 2), lambda y, v: np.fill_diagonal(y, v)),
    "fill_diagonal, wrapped": ((7, 2), lambda y, v: np.fill_diagonal(y, v[:3], wrap=True)),
    "fill_diagonal, deep": ((2, 2, 2), lambda y, v: np.fill_diagonal(y, v)),
    "fill_diagonal of none": ((3, 3), lambda y, v: np.fill_diagonal(y, v[:0])),
    "put_along_axis": ((2, 3), lambda y, v: np.put_along_axis(y, np.array([[2, 0], [1, -1]]), v.reshape(2, 2), 1)),
    "put_along_axis 0": ((2, 3), lambda y, v: np.put_along_axis(y, np.array([[0, 1, 1]]), v[:3], 0)),
    "put_along_axis, spread": ((2, 3), lambda y, v: np.put_along_axis(y, np.array([[1]]), v[0], -1)),
    "put_along_axis None": ((2, 3), lambda y, v: np.put_along_axis(y, np.array([4, 0]), v[:2], None)),
    "copyto": ((2, 2), lambda y, v: np.copyto(y, v[:2])),
    "copyto, unit axes": ((4,), lambda y, v: np.copyto(y, v[None, None])),
    "copyto, mask and unit axes": ((2, 2), lambda y, v: np.copyto(y, v[None, None, :2], where=[True, False])),
    "add.at": ((3,), lambda y, v: np.add.at(y, [0, 2, 0, -1], v)),
    "subtract.at": ((2, 3), lambda y, v: np.subtract.at(y, (slice(None), [0, 0]), v.reshape(2, 2))),
    "add.at of one": ((2, 3), lambda y, v: np.add.at(y, (1, 2), v[0])),
    "add.at of a slice": ((2, 3), lambda y, v: np.add.at(y, (slice(None), slice(1, 3)), v[:2])),
    "add.at nowhere": ((3,), lambda y, v: np.add.at(y, [], v[:0])),
    "add.at a 0-d array": ((), lambda y, v: np.add.at(y, (), v[1])),
}


def _filled(store: Callable[[Any, Any], None], shape: tuple[int, ...]) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y = np.ones_like(x, shape=shape)
        y *= x[0]
        store(y, x * 2.0)
        return y * 1.0

    return f


@pytest.mark.parametrize("mode", [*OPERATORS, "tensor", "second order"])
@pytest.mark.parametrize("name", STORES)
def test_the_same_entries_as_numpy(name: str, mode: str) -> None:
    shape, store = STORES[name]
    f = _filled(store, shape)
    if mode == "second order":  # of half the square, one derivative is a Jacobian's adjoint and two are J'J
        J = dd.jacfwd(f)(X).reshape(-1, X.size)
        H = dd.hessian(lambda x: 0.5 * (f(x) ** 2).sum())(X)
        np.testing.assert_allclose(H, J.T @ J, atol=1e-12)
        return
    # Every entry is linear in x, so differences are exact.
    wanted = np.stack([f(e) - f(0 * e) for e in np.eye(X.size)], axis=-1)
    if mode == "tensor":
        x = dd.tensor(X, requires_grad=True)
        y = f(x)
        np.testing.assert_array_equal(np.asarray(y.detach().numpy()), f(X))
        (y * 1.0).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), wanted.reshape(-1, X.size).sum(axis=0))
        return
    value, J = dd.value_and_jacobian(f, mode="auto" if mode == "auto" else mode)(X)
    np.testing.assert_array_equal(value, f(X))
    np.testing.assert_allclose(J, wanted)
    np.testing.assert_allclose(OPERATORS[mode](f)(X), wanted)


@pytest.mark.parametrize(
    "store",
    [
        lambda y, v: y.flat.__setitem__(6, v[0]),
        lambda y, v: y.flat.__setitem__(0, v),
        lambda y, v: y.flat.__setitem__((0, 1), v[0]),
        lambda y, v: np.put(y, [6], v),
        lambda y, v: np.put(y, np.array([0.5]), v),
        lambda y, v: np.place(y, [True, False], v),
        lambda y, v: np.place(y, np.ones((2, 3), bool), v[:0]),
        lambda y, v: np.putmask(y, [True, False], v),
        lambda y, v: np.put_along_axis(y, np.array([0]), v[0], 1),
        lambda y, v: np.put_along_axis(y, np.array([[0]]), v[0], None),
        lambda y, v: np.put_along_axis(y, np.array([[3], [0]]), v[0], 1),
        lambda y, v: np.copyto(y, v[:3], where=np.ones((1, 2, 3), bool)),
        lambda y, v: np.copyto(y, v[:, None, None], where=True),
        lambda y, v: np.copyto(y, v[:, None, None], where=np.ones(3, bool)),
        lambda y, v: np.add.at(y, [2], v[0]),
    ],
)
def test_what_numpy_refuses_is_refused(store: Callable[[Any, Any], None]) -> None:
    f = _filled(store, (2, 3))
    with pytest.raises((ValueError, IndexError, TypeError)) as numpys:
        f(X)
    with pytest.raises(numpys.type):
        dd.jacfwd(f)(X)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize(
    "store",
    [
        lambda y: np.multiply.at(y, [0, 0], y[:2]),
        lambda y: np.multiply.at(y, [0, 1, 0, 0], y),
        lambda y: np.add.at(y, [0, 0, 1, 0], y),
        lambda y: np.subtract.at(y, [3, 3, 3, 3], y[::-1]),
        lambda y: np.divide.at(y, [1, 1], y[1:3]),
        lambda y: np.put(y, [0, 1, 2, 3], y[::-1]),
        lambda y: y.flat.__setitem__(slice(None), y[::-1]),
        lambda y: np.negative.at(y, [2, 2, 2, 1]),
    ],
)
def test_what_is_stored_is_read_before_the_first_write(store: Callable[[Any], None], operator: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        store(y)
        return y

    value, J = dd.value_and_jacobian(f)(X)
    np.testing.assert_allclose(value, f(X), rtol=1e-14)
    wanted = np.stack([np.imag(f(X + 1e-30j * e)) / 1e-30 for e in np.eye(X.size)], axis=-1)
    np.testing.assert_allclose(J, wanted, rtol=1e-13)
    np.testing.assert_allclose(operator(f)(X), wanted, rtol=1e-13)


def test_positions_of_an_index_without_numbering_the_array() -> None:
    shape = (4, 3, 5)
    items: list[Any] = [
        1,
        -1,
        slice(None),
        slice(None, None, -2),
        slice(0, 0),
        None,
        Ellipsis,
        np.array([0, 2, -1]),
        np.array([[1], [0]], np.uint8),
        np.array(2),
        np.array([], np.intp),
        np.array([True, False, True, True]),
    ]
    count = 0
    for index in [(), *[(a,) for a in items], *[(a, b, c) for a in items for b in items for c in items]]:
        try:
            wanted = positions(shape)[index]
        except IndexError:
            with pytest.raises(IndexError):
                _named(index, shape)
            continue
        found = _named(index, shape)
        assert np.shape(found) == np.shape(wanted)
        np.testing.assert_array_equal(found, wanted)
        count += 1
    assert count > 500


@pytest.mark.parametrize("n", [50, 200_000])
def test_repeated_entries_of_small_and_large_arrays(n: int) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x, shape=(n,))
        np.put(y, [5, 7, 5], x)
        y[np.array([9, 9, 8])] = x[1:]
        np.add.at(y, [9, 9, 5, 1], x)
        np.multiply.at(y, [9, 9, 1], x[:3])
        z = y[np.array([5, 9, 9, 1])]
        return np.concatenate([y[:10], z])

    wanted = np.stack([np.imag(f(X + 1e-30j * e)) / 1e-30 for e in np.eye(X.size)], axis=-1)
    for operator in OPERATORS.values():
        np.testing.assert_allclose(operator(f)(X), wanted, rtol=1e-13)
    np.testing.assert_allclose(dd.jacobian(f, sparse=True)(X).toarray(), wanted, rtol=1e-13)


ONE_BY_ONE = {
    "add.at": lambda y, k, v: np.add.at(y, [k], v),
    "multiply.at": lambda y, k, v: np.multiply.at(y, [k, k], v),
    "put": lambda y, k, v: np.put(y, k, v),
    "put two": lambda y, k, v: np.put(y, [k, k + 1, k], v),
    "flat": lambda y, k, v: y.flat.__setitem__(k, v),
    "flat list": lambda y, k, v: y.flat.__setitem__([k, k + 1], v),
    "put_along_axis": lambda y, k, v: np.put_along_axis(y, np.array([k]), v, 0),
    "read and write": lambda y, k, v: y.__setitem__([k], y[[k]] + v),
}


def _pushed(f: Any) -> None:
    dd.jvp(f, (X,), (X,))


def _pulled(f: Any) -> None:
    dd.grad(f)(X)


def _linearized(f: Any) -> None:
    dd.linearize(f, X)[1](X)


def _backward(f: Any) -> None:
    f(dd.tensor(X, requires_grad=True)).backward()


@pytest.mark.parametrize("run", [_pushed, _pulled, _linearized, _backward])
@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_an_entry_stored_costs_an_entry(name: str, run: Callable[[Any], None]) -> None:
    def seconds(n: int, count: int) -> float:
        def f(x: Any) -> Any:
            y = np.ones_like(x, shape=(n,))
            for k in range(count):
                ONE_BY_ONE[name](y, k, x[0] * 1.0)
            return y[:100].sum()

        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            run(f)
            best = min(best, time.perf_counter() - start)
        return float(best)

    # One store pays for making the array and its tangents; the others only for themselves.
    assert seconds(2_000_000, 100) < 6 * seconds(2_000, 100) + 10 * seconds(2_000_000, 1)
