"""Reductions at special points, worked by hand: zeros, ties, constants, NaN; and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError, UnsupportedFunctionError

MODES = [dd.jacfwd, dd.jacrev]
SECOND = [lambda f: dd.jacfwd(dd.jacrev(f)), lambda f: dd.jacrev(dd.jacfwd(f)), lambda f: dd.jacrev(dd.jacrev(f))]


def both(f: Any, x: Any, expected: Any) -> None:
    for mode in MODES:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=1e-12, atol=1e-14)


def second(f: Any, x: Any, expected: Any) -> None:
    for mode in SECOND:
        assert_allclose(mode(f)(np.asarray(x, float)), expected, rtol=1e-12, atol=1e-14)


# -- products ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "gradient"),
    [([2, 3, 4], [12, 8, 6]), ([2, 0, 4], [0, 8, 0]), ([0, 3, 0], [0, 0, 0]), ([0, 0, 0], [0, 0, 0]), ([5], [1])],
)
def test_prod_with_zeros(x: Any, gradient: Any) -> None:
    both(np.prod, x, gradient)
    both(lambda x: np.cumprod(x)[-1], x, gradient)
    both(lambda x: np.multiply.reduce(x), x, gradient)


def test_second_derivative_of_a_product_with_two_zeros() -> None:
    hessian = np.array([[0, 0, 3], [0, 0, 0], [3, 0, 0]])
    second(np.prod, [0, 3, 0], hessian)
    second(lambda x: np.cumprod(x)[2], [0, 3, 0], hessian)
    second(lambda x: np.prod(x.reshape(3, 1), axis=(0, 1)), [0, 3, 0], hessian)


def test_third_derivative_of_a_product_of_zeros() -> None:
    for f in (np.prod, lambda x: np.cumprod(x)[-1]):
        third = dd.jacrev(dd.jacfwd(dd.jacrev(f)))(np.zeros(3))
        assert third[0, 1, 2] == third[2, 1, 0] == 1
        assert third.sum() == 6


def test_cumprod_jacobian_by_hand() -> None:
    both(np.cumprod, [2, 0, 4, 5], [[1, 0, 0, 0], [0, 2, 0, 0], [0, 8, 0, 0], [0, 40, 0, 0]])


def test_cumprod_of_a_long_vector() -> None:
    x = np.full(1000, 1.001)
    g = dd.grad(lambda x: np.cumprod(x)[-1])(x)
    assert_allclose(g, 1.001**999, rtol=1e-10)


# -- extrema and order ---------------------------------------------------------------------------------------------


def test_ties_share_evenly() -> None:
    both(np.max, [1, 3, 3, 2], [0, 0.5, 0.5, 0])
    both(np.min, [1, 1, 1, 2], [1 / 3, 1 / 3, 1 / 3, 0])
    both(lambda x: np.max(x, axis=0), [[1, 2], [1, 0]], [[[0.5, 0], [0.5, 0]], [[0, 1], [0, 0]]])
    both(lambda x: x.max(), [[2, 2], [1, 2]], np.array([[1, 1], [0, 1]]) / 3)
    both(lambda x: np.maximum.reduce(x), [5, 5], [0.5, 0.5])
    both(np.ptp, [1, 3, 3], [-1, 0.5, 0.5])
    second(np.max, [1, 3, 3], np.zeros((3, 3)))


def test_sort_with_ties() -> None:
    expected = [[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]]
    both(np.sort, [2, 1, 2, 3], expected)
    both(lambda x: np.sort(x[:, None], axis=0)[:, 0], [2, 1, 2, 3], expected)
    both(lambda x: np.sort(x[None], axis=None), [2, 1, 2, 3], expected)
    third = 1 / 3
    both(np.sort, [7, 7, 7], np.full((3, 3), third))
    second(lambda x: np.sum(np.sort(x) ** 2), [2, 1, 2], 2 * np.array([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]))


def test_sort_method_in_place() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        y.sort()
        return y

    both(f, [3, 1, 2], 2 * np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))


def test_median_and_quantiles() -> None:
    both(np.median, [5, 1, 3], [0, 0, 1])
    both(np.median, [5, 1, 3, 4], [0, 0, 0.5, 0.5])
    both(np.median, [3, 1, 3], [0.5, 0, 0.5])
    both(lambda x: np.quantile(x, 0.25), [4, 1, 2], [0, 0.5, 0.5])
    both(lambda x: np.percentile(x, [0, 100]), [4, 1, 2], [[0, 1, 0], [1, 0, 0]])
    both(lambda q: np.quantile(np.array([1.0, 2.0, 4.0]), q), 0.75, 4.0)
    both(lambda q: np.quantile(np.array([1.0, 2.0, 4.0]), q), 1.0, 4.0)


def test_nan_goes_through() -> None:
    x = np.array([1.0, np.nan, 3.0])
    for f in (np.max, np.median, np.sum, np.std):
        value, _ = dd.value_and_grad(f)(x)
        assert np.isnan(value)
    assert np.isnan(dd.grad(np.max)(x)).all()


def test_nan_reductions() -> None:
    x = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    for mode in MODES:
        assert_allclose(mode(np.nansum)(x), [[1, 0, 1], [0, 0, 0]])
        assert_allclose(mode(np.nanmean)(x), [[0.5, 0, 0.5], [0, 0, 0]])
        assert_allclose(mode(np.nanmax)(x), [[0, 0, 1], [0, 0, 0]])
        assert_allclose(mode(np.nanmedian)(x), [[0.5, 0, 0.5], [0, 0, 0]])
        assert_allclose(mode(np.nanprod)(x), [[3, 0, 1], [0, 0, 0]])
    value, _ = dd.vjp(lambda x: np.nanmax(x, axis=1), x)
    assert_array_equal(value, [3, np.nan])


# -- moments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.0, 0.1, 1e8, 1e-300])
def test_std_of_a_constant(c: float) -> None:
    both(np.std, np.full(7, c), np.zeros(7))
    both(lambda x: np.std(x, axis=0), np.full((7, 1), c), np.zeros((1, 7, 1)))
    second(np.std, np.full(3, c), np.zeros((3, 3)))
    both(lambda x: np.std(x, mean=np.mean(x, keepdims=True)), np.full(7, c), np.zeros(7))
    both(np.nanstd, np.full(2, c), np.zeros(2))


def test_var_and_std_by_hand() -> None:
    both(np.var, [1, 3], [-1, 1])
    both(lambda x: np.var(x, ddof=1), [1, 3], [-2, 2])
    both(lambda x: np.var(x, correction=1), [1, 3], [-2, 2])
    both(np.std, [1, 3], [-0.5, 0.5])
    second(np.var, [1, 3], [[0.5, -0.5], [-0.5, 0.5]])
    second(np.std, [1, 3, 5], dd.jacfwd(dd.jacfwd(lambda x: np.sqrt(np.var(x))))(np.array([1.0, 3, 5])))


def test_ddof_twice() -> None:
    with pytest.raises(ValueError, match="correction"):
        dd.grad(lambda x: np.var(x, ddof=1, correction=1))(np.ones(3))


# -- where=, initial=, out=, dtype= --------------------------------------------------------------------------------


def test_what_does_not_take_part_gets_zero() -> None:
    mask = np.array([True, False, True])
    both(lambda x: np.sum(x, where=mask, initial=10), [1, np.inf, 2], [1, 0, 1])
    both(lambda x: np.mean(x, where=mask), [1, np.nan, 2], [0.5, 0, 0.5])
    both(lambda x: np.max(x, where=mask, initial=0), [1, 9, 2], [0, 0, 1])
    both(lambda x: np.max(x, initial=2), [1, 2, 0], [0, 0.5, 0])
    both(lambda x: np.var(x, where=mask), [1, 9, 3], [-1, 0, 1])
    both(lambda x: np.sum(x, where=x > 1), [1, 9, 3], [0, 1, 1])
    both(lambda x: np.sum(x, where=mask[:2, None]), np.ones((2, 2)), [[1, 1], [0, 0]])
    with pytest.raises(ValueError, match="where="):
        dd.grad(lambda x: np.sum(x, where=np.ones((2, 3), bool)))(np.ones(3))
    with pytest.raises(ValueError, match="initial"):
        dd.grad(lambda x: np.max(x, where=mask))(np.ones(3))


def test_a_start_that_is_differentiated() -> None:
    both(lambda x: np.sum(np.ones(2) * x[0], initial=x[1]), [1, 2], [2, 1])
    both(lambda x: np.prod(x[:2], initial=x[2]), [2, 3, 4], [12, 8, 6])


def test_out_traced_and_plain() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        assert np.cumsum(x, out=y) is y
        return y

    both(f, [1, 2], [[1, 0], [1, 1]])
    for call in (np.sum, np.mean, np.prod, np.max, np.var, np.std, np.median, np.ptp):
        with pytest.raises(TracedAssignmentError, match=f"np.{call.__name__}.*plain array"):
            dd.grad(lambda x, call=call: call(x, axis=0, out=np.zeros(())))(np.ones(3))
        with pytest.raises(TracedAssignmentError):
            dd.jacfwd(lambda x, call=call: call(x, axis=0, out=np.zeros(())))(np.ones(3))
    with pytest.raises(TracedAssignmentError):
        dd.grad(lambda x: np.cumsum(x, out=np.zeros(3)))(np.ones(3))
    with pytest.raises(ValueError, match="shape"):
        dd.grad(lambda x: np.sum(x, out=np.zeros_like(x)))(np.ones(3))


def test_dtype() -> None:
    x = np.array([1, 2], np.float32)
    y, pull = dd.vjp(lambda x: np.sum(x, dtype=np.float64), x)
    assert y.dtype == np.float64
    assert pull(np.float64(1))[0].dtype == np.float32
    mask_sum = dd.grad(lambda x: np.sum(x > 0) * x[0])(np.array([1.0, 2.0, -3.0]))
    assert_array_equal(mask_sum, [2, 0, 0])


def test_bad_axes_raise_as_in_numpy() -> None:
    with pytest.raises(np.exceptions.AxisError):
        dd.grad(lambda x: np.sum(x, axis=1))(np.ones(3))
    with pytest.raises(ValueError, match="duplicate"):
        dd.jacrev(lambda x: np.sum(x, axis=(0, 0)))(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"empty|zero-size"):
        dd.jacfwd(np.max)(np.ones(0))


# -- averages, counts ----------------------------------------------------------------------------------------------


def test_average() -> None:
    both(lambda w: np.average(np.array([1.0, 3.0]), weights=w), [1, 1], [-0.5, 0.5])
    with pytest.raises(ZeroDivisionError):
        dd.grad(lambda w: np.average(np.ones(2), weights=w))(np.array([1.0, -1.0]))
    with pytest.raises(TypeError, match="Axis"):
        dd.grad(lambda x: np.average(x, weights=[1, 2]))(np.ones((2, 2)))


def test_counts_are_linear_in_their_weights() -> None:
    both(lambda w: np.bincount([0, 2, 0], w), [1, 2, 3], [[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    both(lambda w: np.histogram([0.0, 1.0, 0.4], 2, weights=w)[0], [1, 2, 3], [[1, 0, 1], [0, 1, 0]])
    with pytest.raises(UnsupportedFunctionError, match=r"test_reduction.py, line \d+: np.histogram counts"):
        dd.grad(lambda x: np.histogram(x, 3)[0].sum())(np.arange(3.0))
    with pytest.raises(TypeError, match="floating-point"):
        dd.grad(lambda x: np.bincount(x).sum())(np.arange(3.0))


def test_settings_that_are_differentiated_are_refused() -> None:
    with pytest.raises(UnsupportedFunctionError, match="ddof"):
        dd.grad(lambda x: np.var(x, ddof=x[0]))(np.arange(3.0))


def test_refusals_name_the_function() -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"np.quantile with method="):
        dd.grad(lambda x: np.quantile(x, 0.5, method="hazen"))(np.arange(3.0))
    with pytest.raises(UnsupportedFunctionError, match=r"np.percentile with weights="):
        dd.grad(lambda x: np.percentile(x, 50, method="inverted_cdf", weights=[1, 2, 3]))(np.arange(3.0))
    with pytest.raises(ValueError, match="range"):
        dd.grad(lambda x: np.quantile(x, 1.5))(np.arange(3.0))


def test_correlation_of_parallel_rows() -> None:
    x = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    j = dd.jacrev(np.corrcoef)(x)
    assert_allclose(j[0, 0], 0, atol=1e-14)
    assert_allclose(dd.jacfwd(np.corrcoef)(x), j, atol=1e-14)


def test_logsumexp_of_large_numbers() -> None:
    def f(x: Any) -> Any:
        return np.log(np.sum(np.exp(x - x.max()))) + x.max()

    both(f, [1000, 1000, -1000], [0.5, 0.5, 0])
    second(f, [1000, 1000], [[0.25, -0.25], [-0.25, 0.25]])


def test_object_arrays_and_lists() -> None:
    both(lambda x: np.sum([x[0], 2 * x[1]]), [1, 2], [1, 2])
    both(lambda x: np.average(x, weights=[1, 3]), [1, 2], [0.25, 0.75])
    both(lambda x: np.prod(np.array([x[0], x[1], 3.0])), [2, 0], [0, 6])


_SAMPLES = [
    np.arange(n, dtype=float).reshape(s) ** 2 - 3.0 for n, s in ((12, (3, 4)), (3, (1, 3)), (3, (3, 1)), (4, (4,)))
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("x", [*_SAMPLES, np.array([[2.0]]), np.array(2.0), np.zeros((0, 3))], ids=np.shape)
@pytest.mark.parametrize("rowvar", [True, False])
def test_covariances_have_the_values_and_shapes_of_this_numpy(x: Any, rowvar: bool) -> None:
    calls = [
        lambda x, d=d, b=b: np.cov(x, rowvar=rowvar, ddof=d, bias=b) for d in (None, 0, 1, 9) for b in (True, False)
    ]
    calls += [lambda x: np.corrcoef(x, rowvar=rowvar), lambda x: np.cov(x, rowvar=rowvar, ddof=0.5)]
    for y in _SAMPLES:
        calls += [
            lambda x, y=y: np.cov(x, y, rowvar=rowvar, ddof=0),
            lambda x, y=y: np.cov(y, x, rowvar=rowvar),
            lambda x, y=y: np.corrcoef(x, y, rowvar=rowvar),
        ]
    for w in ([1, 2, 1, 3], [2, 1, 1], [0, 0, 0, 0], [1, -1, 2, 1], [0.5, 1, 1, 2], [[1, 1, 1, 1]]):
        calls += [
            lambda x, w=w: np.cov(x, rowvar=rowvar, fweights=w),
            lambda x, w=w: np.cov(x, rowvar=rowvar, aweights=w, ddof=3),
            lambda x, w=w: np.cov(x, rowvar=rowvar, fweights=[1] * len(w), aweights=w),
        ]
    for f in calls:
        try:
            wanted = f(x)
        except Exception as error:
            with pytest.raises(type(error)):
                dd.vjp(f, x)
            continue
        for found in (dd.vjp(f, x)[0], dd.jvp(f, (x,), (np.ones_like(x),))[0]):
            assert np.shape(found) == np.shape(wanted)
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
