"""What the functions that fold an axis share: where=, initial=, out=, dtype=, axes, NaN and lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import dualdiff as dd
from dualdiff.errors import TracedAssignmentError
from tests.rules.worked import both


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
            dd.grad(lambda x, call=call: call(x, axis=0, out=np.zeros(())), capture="never")(np.ones(3))
        with pytest.raises(TracedAssignmentError):
            dd.jacfwd(lambda x, call=call: call(x, axis=0, out=np.zeros(())), capture="never")(np.ones(3))
    with pytest.raises(TracedAssignmentError):
        dd.grad(lambda x: np.cumsum(x, out=np.zeros(3)), capture="never")(np.ones(3))
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


def test_nan_goes_through() -> None:
    x = np.array([1.0, np.nan, 3.0])
    for f in (np.max, np.median, np.sum, np.std):
        value, _ = dd.value_and_grad(f)(x)
        assert np.isnan(value)
    assert np.isnan(dd.grad(np.max)(x)).all()


def test_object_arrays_and_lists() -> None:
    both(lambda x: np.sum([x[0], 2 * x[1]]), [1, 2], [1, 2])
    both(lambda x: np.average(x, weights=[1, 3]), [1, 2], [0.25, 0.75])
    both(lambda x: np.prod(np.array([x[0], x[1], 3.0])), [2, 0], [0, 6])
