"""The ufunc door, worked by hand: out=, where=, dtype=, reduce, accumulate, outer, reduceat, at."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import scipy.special

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError
from dualdiff.register import REGISTER

INF = math.inf
MODES = [dd.jacfwd, dd.jacrev]
modes = pytest.mark.parametrize("jac", MODES, ids=["forward", "reverse"])


def both(f: Any, x: Any) -> Any:
    """Return the Jacobian, the same in both modes."""
    forward, reverse = dd.jacfwd(f)(x), dd.jacrev(f)(x)
    np.testing.assert_array_equal(forward, reverse)
    return forward


def test_every_float_ufunc_is_in_the_register() -> None:
    missing = []
    for name in dir(np):
        ufunc = getattr(np, name)
        if isinstance(ufunc, np.ufunc) and ufunc.signature is None:
            entry = REGISTER.get(ufunc)
            if entry is None or (entry.handler is None and not entry.reason):
                missing.append(name)
    assert missing == []


# -- options of a call ------------------------------------------------------------------------------


@modes
def test_out_writes_into_a_traced_array(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        assert np.multiply(x, 3, out=y) is y
        np.exp(y, out=y)
        np.add(1.0, 2.0, out=y[:1])  # plain operands, a view as destination
        np.add(x, 1, y, order="F", subok=False)
        np.multiply(y, y, out=(y,))
        return y

    x = np.array([1.0, 2.0])
    assert jac(f)(x).tolist() == [[4, 0], [0, 6]]


@modes
def test_out_broadcasts_as_numpy_does(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = np.empty_like(x, shape=(2, 3))
        return np.negative(x, out=y)

    assert jac(f)(np.ones(3)).sum() == -6

    def too_small(x: Any) -> Any:
        return np.add(x, 1, out=np.empty_like(x, shape=(1, 3)))

    with pytest.raises(ValueError, match="broadcast"):
        jac(too_small)(np.ones((2, 3)))

    def to_integers(x: Any) -> Any:
        return np.add(x, 1, out=np.empty_like(x, dtype=int))

    with pytest.raises(TypeError, match="same_kind"):
        jac(to_integers)(np.ones(3))


@modes
def test_several_destinations(jac: Any) -> None:
    def f(x: Any) -> Any:
        a, b = np.empty_like(x), np.empty_like(x)
        np.modf(x, out=(a, b))
        np.divmod(b, 2.0, out=(b, None))
        return a * b

    assert jac(f)(np.array([2.5, 5.25])).tolist() == [[1, 0], [0, 2]]


@modes
@pytest.mark.parametrize(
    "f",
    [
        lambda x, buffer: np.multiply(x, 2, out=buffer),
        lambda x, buffer: np.multiply(x, 2, buffer),
        lambda x, buffer: np.modf(x, out=(buffer, buffer.copy())),
        lambda x, buffer: np.add.reduce(np.stack([x, x]), axis=0, out=buffer),
        lambda x, buffer: np.add(x, 1, out=buffer, where=[True, False]),
        lambda x, buffer: buffer.__iadd__(x),
    ],
)
def test_plain_destinations_are_refused(jac: Any, f: Any) -> None:
    with pytest.raises(TracedAssignmentError, match=r"test_ufuncs.py, line \d+: .*plain array"):
        jac(lambda x: f(x, np.ones(2)), capture="never")(np.ones(2))
    buffer = np.ones(2)  # made before the call: out of the reach of capture
    with pytest.raises(TracedAssignmentError, match=r"test_ufuncs.py, line \d+: .*plain array"):
        jac(lambda x: f(x, buffer))(np.ones(2))
    slope = jac(lambda x: np.stack([f(x, np.ones(2))][0]))(np.ones(2))
    np.testing.assert_array_equal(slope, jac(lambda x: np.stack([f(x, np.ones_like(x))][0]))(np.ones(2)))


@modes
def test_where_with_out_is_a_masked_write(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = 5 * x
        np.log(x, out=y, where=x > 0)
        np.multiply(y, 2, out=y, where=np.array([False, True]))
        return y

    x = np.array([-1.0, 2.0])
    assert jac(f)(x).tolist() == [[5, 0], [0, 1]]
    np.testing.assert_allclose(dd.vjp(f, x)[0], [-5, 2 * math.log(2)])
    with pytest.raises(UnsupportedFunctionError, match=r"test_ufuncs.py, line \d+: np.log with where=.*np.where"):
        jac(lambda x: np.log(x, where=x > 0))(x)
    assert jac(lambda x: np.sin(x, where=True))(np.zeros(1)) == 1


@modes
def test_dtype_casts_as_numpy_does(jac: Any) -> None:
    x = np.array([1.5, 2.0])
    for f in (
        lambda x: np.multiply(x, x, dtype=np.float32),
        lambda x: np.add(x, 2, dtype=complex),
        lambda x: np.add(x > 1, x > 1.7, dtype=float) * x,
        lambda x: np.multiply(x, 3, dtype=np.float64, casting="same_kind"),
        lambda x: np.sqrt(x, signature=(np.float32, None)),
        lambda x: np.equal(x, 2, dtype=bool) * x,
    ):
        value = dd.vjp(f, x)[0]
        np.testing.assert_array_equal(value, f(x))
        assert value.dtype == f(x).dtype
        assert jac(f)(x).shape == (2, 2)
    with pytest.raises(TypeError, match="Cannot cast"):
        jac(lambda x: np.add(x, 1, dtype=int))(x)
    with pytest.raises(TypeError, match="Cannot cast"):
        jac(lambda x: np.add(x, 1, dtype=np.float32, casting="safe"))(x)


@modes
def test_a_ufunc_that_nobody_knows_is_named(jac: Any) -> None:
    unknown = np.frompyfunc(lambda x, y: x, 2, 1).reduce
    with pytest.raises(
        UnsupportedFunctionError, match=r"test_ufuncs.py, line \d+: .* is not yet in dualdiff's vocabulary"
    ):
        jac(unknown)(1.0)
    with pytest.raises(
        UnsupportedFunctionError, match=r"scipy.special.nctdtrinc cannot be differentiated: it is the inverse"
    ):
        jac(lambda x: scipy.special.nctdtrinc(x, 0.5, 1.0))(1.0)


# -- reduce -----------------------------------------------------------------------------------------


REDUCTIONS: list[Any] = [
    lambda x: np.add.reduce(x),
    lambda x: np.add.reduce(x, axis=(0, 2), keepdims=True),
    lambda x: np.add.reduce(x, axis=None, initial=3.0),
    lambda x: np.add.reduce(x, 1, dtype=np.longdouble),
    lambda x: np.add.reduce(x, axis=(1,), where=np.array([True, False, True])[:, None]),
    lambda x: np.multiply.reduce(x, axis=-1),
    lambda x: np.maximum.reduce(x, axis=1),
    lambda x: np.minimum.reduce(x, axis=(0, 1)),
    lambda x: np.maximum.reduce(x, axis=None, initial=2.5),
    lambda x: np.fmax.reduce(x, axis=1),
    lambda x: np.fmin.reduce(x, axis=(0, 1), keepdims=True),
    lambda x: np.subtract.reduce(x, axis=1),
    lambda x: np.divide.reduce(x, axis=2, keepdims=True),
    lambda x: np.hypot.reduce(x, axis=(0, 1)),
    lambda x: np.logaddexp.reduce(x, axis=(1, 2)),
    lambda x: np.logaddexp2.reduce(x, axis=-1, keepdims=True),
    lambda x: np.add.accumulate(x, axis=1),
    lambda x: np.multiply.accumulate(x, axis=-1),
    lambda x: np.maximum.accumulate(x, axis=1),
    lambda x: np.minimum.accumulate(x, 2),
    lambda x: np.fmax.accumulate(x),
    lambda x: np.subtract.accumulate(x, axis=1),
    lambda x: np.logaddexp.accumulate(x, axis=1),
    lambda x: np.add.reduceat(x, [0, 2, 1], axis=1),
    lambda x: np.multiply.reduceat(x, [1, 0], axis=2),
    lambda x: np.maximum.reduceat(x, np.array([0, 1]), axis=0),
    lambda x: np.subtract.outer(x, x[0, 0]),
]


@pytest.mark.parametrize("f", REDUCTIONS)
def test_methods_have_numpys_values_and_the_right_slopes(f: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.permutation(np.linspace(0.5, 3.0, 12)).reshape(2, 3, 2)
    v, h = rng.standard_normal(x.shape), 1e-6
    value = dd.vjp(f, x)[0]
    np.testing.assert_allclose(value, f(x), rtol=1e-14)
    assert value.dtype == f(x).dtype
    expected = (f(x + h * v) - f(x - h * v)) / (2 * h)
    for jac in MODES:
        np.testing.assert_allclose(np.tensordot(jac(f)(x), v, 3), expected, rtol=1e-7, atol=1e-8)


@modes
def test_reductions_of_discrete_values(jac: Any) -> None:
    x = np.array([[1.0, 2.0], [3.0, -4.0]])

    def f(x: Any) -> Any:
        assert np.logical_and.reduce(x > 0, axis=1).tolist() == [True, False]
        assert not np.logical_or.reduce(x > 5, axis=None)
        assert np.add.reduce(x > 0, axis=None) == 3
        assert np.bitwise_xor.accumulate(x > 0, axis=1).tolist() == [[True, False], [True, True]]
        assert np.less.outer(x[0], x[0]).tolist() == [[False, True], [False, False]]
        return x

    assert jac(f)(x).shape == (2, 2, 2, 2)


@modes
def test_reductions_of_scalars_and_empties(jac: Any) -> None:
    assert jac(lambda x: np.add.reduce(x))(2.0) == 1
    assert jac(lambda x: np.multiply.reduce(x, axis=None))(2.0) == 1
    empty = np.zeros((0, 2))
    assert jac(lambda x: np.add.reduce(x))(empty).shape == (2, 0, 2)
    assert dd.vjp(lambda x: np.logaddexp.reduce(x), empty)[0].tolist() == [-INF, -INF]
    assert dd.vjp(lambda x: np.hypot.reduce(x, axis=0), empty)[0].tolist() == [0, 0]
    with pytest.raises(ValueError, match="identity"):
        jac(lambda x: np.subtract.reduce(x))(empty)
    with pytest.raises(TypeError, match="scalar"):
        jac(lambda x: np.add.accumulate(x))(2.0)


def test_logaddexp_reduce_at_infinities() -> None:
    def f(x: Any) -> Any:
        return np.logaddexp.reduce(x)

    assert both(f, np.array([-INF, 0.0, 0.0])).tolist() == [0, 0.5, 0.5]
    assert both(f, np.array([-INF, -INF])).tolist() == [0.5, 0.5]
    with np.errstate(invalid="ignore"):
        assert both(f, np.array([INF, 0.0, INF])).tolist() == [0.5, 0, 0.5]
    np.testing.assert_allclose(both(f, np.array([1000.0, 1000.0])), [0.5, 0.5], rtol=1e-15)
    columns = both(lambda x: np.logaddexp.reduce(x, axis=0), np.array([[-INF, 0.0], [-INF, 0.0]]))
    assert columns.tolist() == [[[0.5, 0], [0.5, 0]], [[0, 0.5], [0, 0.5]]]
    assert both(f, np.array([-INF, 1.0], dtype=np.float32)).dtype == np.float32


def test_running_extremes_take_the_first_of_equals_and_pass_nan_on() -> None:
    x = np.array([1.0, 1.0, 0.0, 2.0])
    assert both(np.maximum.accumulate, x).argmax(axis=1).tolist() == [0, 0, 0, 3]
    assert both(np.minimum.accumulate, x).argmax(axis=1).tolist() == [0, 0, 2, 2]
    y = np.array([np.nan, 1.0, np.nan, 2.0])
    for f, at in ((np.maximum.accumulate, [0, 0, 0, 0]), (np.fmax.accumulate, [0, 1, 1, 3])):
        np.testing.assert_array_equal(dd.vjp(f, y)[0], f(y))
        assert both(f, y).argmax(axis=1).tolist() == at


FOLDED = (np.power, np.arctan2, np.remainder, np.copysign, np.hypot, np.fmax, np.subtract, np.divide, np.logaddexp)


@modes
@pytest.mark.parametrize("ufunc", FOLDED, ids=lambda u: u.__name__)
def test_any_ufunc_of_two_operands_folds_and_accumulates(jac: Any, ufunc: Any) -> None:
    x = np.array([[1.5, 0.75, 1.25], [0.5, 1.75, 0.875]])
    mask = np.array([[True, False, True], [True, True, False]])

    def by_hand(x: Any, start: Any = None, where: Any = None) -> Any:
        rows = []
        for row, there in zip(x, np.ones((2, 3), bool) if where is None else where, strict=True):
            entries = ([] if start is None else [start]) + [v for v, m in zip(row, there, strict=True) if m]
            rows.append(functools.reduce(ufunc, entries))
        return np.stack(rows)

    for f, same in (
        (lambda x: ufunc.reduce(x, axis=1), by_hand),
        (lambda x: ufunc.reduce(x, axis=1, initial=1.125), lambda x: by_hand(x, 1.125)),
        (lambda x: ufunc.reduce(x, axis=1, initial=x[0, 0]), lambda x: by_hand(x, x[0, 0])),
        (lambda x: ufunc.reduce(x, axis=1, initial=1.125, where=mask), lambda x: by_hand(x, 1.125, mask)),
        (lambda x: ufunc.accumulate(x, axis=1)[:, -1], by_hand),
        (lambda x: ufunc.reduceat(x, [0], axis=1)[:, 0], by_hand),
    ):
        np.testing.assert_allclose(dd.vjp(f, x)[0], f(x), rtol=1e-14)
        np.testing.assert_allclose(jac(f)(x), jac(same)(x), rtol=1e-13, atol=1e-14)


@modes
def test_folds_refuse_what_numpy_refuses(jac: Any) -> None:
    with pytest.raises(ValueError, match="not reorderable"):
        jac(lambda x: np.subtract.reduce(x, axis=(0, 1)))(np.ones((2, 2)))
    with pytest.raises(ValueError, match="specify 'initial'"):
        jac(lambda x: np.fmax.reduce(x, where=np.array([True, False])))(np.ones(2))
    with pytest.raises(IndexError, match="out of bounds"):
        jac(lambda x: np.add.reduceat(x, [0, 3]))(np.ones(3))


# -- at ---------------------------------------------------------------------------------------------


def _scatter(x: Any) -> Any:
    y = np.zeros_like(x)
    np.add.at(y, [0, 0, 2], x)
    np.subtract.at(y, (np.array([1]),), 2 * x[1])
    return y


def _multiply(x: Any) -> Any:
    y = 1 * x
    np.multiply.at(y, [0, 0], x[1:])
    return y


def _maximum(x: Any) -> Any:
    y = np.zeros_like(x)
    np.maximum.at(y, [1, 1, 1], x)
    return y


def _unary(x: Any) -> Any:
    y = 1 * x
    np.square.at(y, [0, 0, 2])
    return y


def _rows(x: Any) -> Any:
    y = np.zeros_like(x, shape=(2, 3))
    np.add.at(y, (slice(None), [0, 0]), x[:2])
    np.divide.at(y, (1, slice(None)), 2.0)
    return y


def _masked(x: Any) -> Any:
    y = 1 * x
    np.add.at(y, x > 2.5, 10 * x[0])
    return y


@pytest.mark.parametrize("f", [_scatter, _multiply, _maximum, _unary, _rows, _masked])
def test_at_writes_through_as_numpy_does(f: Any) -> None:
    x, v, h = np.array([1.5, 2.0, 3.0]), np.array([1.0, -2.0, 0.5]), 1e-6
    np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x))
    expected = (f(x + h * v) - f(x - h * v)) / (2 * h)
    for jac in MODES:
        np.testing.assert_allclose(jac(f)(x) @ v, expected, atol=1e-8)
        np.testing.assert_allclose(jac(jac(lambda x: np.sum(f(x) ** 2)))(x).T, jac(jac(lambda x: np.sum(f(x) ** 2)))(x))


@modes
def test_at_in_a_view_reaches_the_base(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = 1 * x
        np.add.at(y[1:], [0, 0], 3 * x[0])
        return y

    assert jac(f)(np.ones(2)).tolist() == [[1, 0], [6, 1]]


@modes
def test_at_in_a_plain_array(jac: Any) -> None:
    def lost(x: Any) -> Any:
        y = np.zeros(3)
        np.add.at(y, [0, 1], x)
        return y

    with pytest.raises(TracedAssignmentError, match=r"test_ufuncs.py, line \d+: np.add.at .*np.bincount"):
        jac(lost, capture="never")(np.ones(2))
    np.testing.assert_array_equal(jac(lost)(np.ones(2)), [[1, 0], [0, 1], [0, 0]])

    def counts(x: Any) -> Any:  # traced positions only: the counts are piecewise constant
        n = np.zeros(3)
        np.add.at(n, np.floor(x).astype(int), 1.0)
        return x * n[:2]

    assert jac(counts)(np.array([1.2, 1.5])).tolist() == [[0, 0], [0, 2]]


@modes
def test_at_does_not_round_into_integers(jac: Any) -> None:
    def f(x: Any) -> Any:
        n = np.zeros_like(x, dtype=int)
        np.add.at(n, [0], x[0])
        return x

    with pytest.raises(TypeError, match="same_kind"):
        jac(f)(np.ones(2))


@pytest.mark.parametrize("x", [np.array([-3.0]), np.array([[-3.0, 2.0]]), np.array(-3.0)])
def test_a_single_entry_meets_the_identity(x: Any) -> None:
    # hypot begins with its identity, so that of one number nothing but the size is left
    for f in (np.hypot.reduce, np.logaddexp.reduce, np.add.reduce, np.multiply.reduce, np.maximum.reduce):
        value, pull = dd.vjp(lambda x, f=f: f(x), x)
        np.testing.assert_allclose(value, f(x), rtol=1e-15)
        np.testing.assert_allclose(dd.jvp(lambda x, f=f: f(x), (x,), (np.ones_like(x),))[0], f(x), rtol=1e-15)
        wanted = np.sign(x) if f.__self__ is np.hypot else np.ones_like(x)
        np.testing.assert_allclose(pull(np.ones_like(value))[0], wanted)


def test_reductions_of_no_entries_and_no_segments() -> None:
    x = np.zeros((2, 0))
    for f in (
        lambda x: np.hypot.reduce(x, axis=1),
        lambda x: np.fmax.reduce(x, axis=()),
        lambda x: np.divide.reduce(x, axis=()),
        lambda x: np.add.reduceat(x, np.array([], int), axis=0),
    ):
        np.testing.assert_array_equal(dd.vjp(f, x)[0], f(x))
    y = np.array([-3.0, 4.0, 1.0])
    for ufunc in (np.hypot, np.subtract, np.maximum, np.add):
        for indices in ([0, 1], [0, 2, 1], []):
            at = np.array(indices, int)
            np.testing.assert_allclose(dd.vjp(lambda y, u=ufunc, at=at: u.reduceat(y, at), y)[0], ufunc.reduceat(y, at))


@modes
def test_functions_made_from_python_ones_take_entry_by_entry(jac: Any) -> None:
    x = np.array([[0.5, -1.5], [2.0, 1.0]])
    f = np.frompyfunc(lambda a, b: a * a if a > 0 else a * b, 2, 1)
    expected = jac(lambda x: np.where(x > 0, x * x, x * 3.0))(x)
    np.testing.assert_array_equal(jac(lambda x: f(x, 3.0))(x), expected)
    two = np.frompyfunc(lambda a: (a, a**2), 1, 2)
    got = jac(lambda x: two(x)[1])(x)
    np.testing.assert_array_equal(got, jac(lambda x: x * x)(x))


@pytest.mark.parametrize(
    "ufunc",
    [np.add, np.multiply, np.maximum, np.minimum, np.logaddexp, np.fmax, np.hypot, np.subtract],
    ids=lambda u: u.__name__,
)
def test_a_reduction_of_everything_by_name(ufunc: Any) -> None:
    x = np.array([[1.0, 2.5, 3.0], [4.0, 0.5, 7.0]])
    plain = dd.jacrev(lambda x: ufunc.reduce(x, axis=1))(x)
    np.testing.assert_array_equal(dd.jacrev(lambda x: ufunc.reduce(x, axis=1, where=True, keepdims=False))(x), plain)


def test_visits_of_one_entry_come_in_their_order() -> None:
    rng = np.random.default_rng(7)
    at = rng.permutation(np.repeat(np.arange(5), 8))
    values, t = rng.uniform(0.5, 2.0, (2, at.size))

    def f(v: Any) -> Any:
        y = np.ones(5) + 0.0 * np.sum(v)
        np.arctan2.at(y, at, v)
        return y

    def by_hand(v: Any) -> Any:
        y = [1.0] * 5
        for i, x in zip(at, v, strict=True):
            y[i] = np.arctan2(y[i], x)
        return np.stack(y)

    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(dd.jacobian(f, mode=mode)(values), dd.jacfwd(by_hand)(values), rtol=1e-12)
    np.testing.assert_allclose(dd.jvp(f, (values,), (t,))[0], by_hand(values), rtol=1e-14)
