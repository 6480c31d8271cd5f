"""What NumPy refuses of movements is refused alike, and refusals name the function and the line."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.transpose(x, (0, 0)),
        lambda x: np.transpose(x, (0,)),
        lambda x: np.swapaxes(x, 0, 2),
        lambda x: np.moveaxis(x, [0, 1], [0]),
        lambda x: np.rollaxis(x, 0, 5),
        lambda x: np.squeeze(x, axis=0),
        lambda x: np.expand_dims(x, 4),
        lambda x: np.matrix_transpose(x[0]),
        lambda x: np.split(x, 2, axis=1),
        lambda x: np.array_split(x, 0),
        lambda x: np.vsplit(x[0], 1),
        lambda x: np.dsplit(x, 1),
        lambda x: np.hsplit(x[0, 0, ...], 1),
        lambda x: np.concatenate([]),
        lambda x: np.concatenate([x[0, 0], x[0, 1]]),
        lambda x: np.concatenate([x, x[0]]),
        lambda x: np.stack([x, x[0]]),
        lambda x: np.stack([]),
        lambda x: np.repeat(x, -1),
        lambda x: np.pad(x, -1),
        lambda x: np.pad(x, 1, "nonsense"),
        lambda x: np.pad(x, 1, "edge", constant_values=1),
        lambda x: np.pad(x[:0], 1, "edge"),
        lambda x: np.diag(x[None]),
        lambda x: np.diagonal(x[0]),
        lambda x: np.rot90(x, axes=(0, 0)),
        lambda x: np.meshgrid(x[0], x[0], indexing="no"),
        lambda x: np.vander(x),
        lambda x: np.ix_(x),
        lambda x: np.block([[x], x]),
        lambda x: np.block([]),
        lambda x: np.convolve(x[0], x[0], "no"),
        lambda x: np.convolve(x[0], x[0][:0]),
        lambda x: np.convolve(x, x[0]),
        lambda x: np.interp(x, x[0], x[0, :1]),
        lambda x: np.interp(x, x[0][:0], x[0][:0]),
        lambda x: np.interp(x, x[0], x[0], period=0),
        lambda x: np.diff(x, -1),
        lambda x: np.diff(x[0, 0]),
        lambda x: np.gradient(x[:1]),
        lambda x: np.gradient(x, 1.0, 1.0, 1.0),
        lambda x: np.gradient(x, edge_order=3),
        lambda x: np.gradient(x, np.ones(5), axis=0),
        lambda x: np.take(x, 9),
        lambda x: np.linspace(x, x, -1),
        lambda x: np.geomspace(0 * x, x),
        lambda x: np.apply_along_axis(np.sum, 0, x[:, :0]),
        lambda x: np.apply_over_axes(lambda a, i: a[0, 0], x, 0),
    ],
)
def test_what_numpy_refuses_is_refused_alike(call: Any) -> None:
    x = np.arange(1.0, 7.0).reshape(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as plain:
            call(x)
        for operator in (dd.vjp, lambda f, x: dd.jvp(f, (x,), (x,))):
            with pytest.raises((ValueError, TypeError, IndexError)) as traced:
                operator(call, x)
            assert isinstance(traced.value, (type(plain.value), ValueError))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.pad(x, 1, lambda *a: None), "np.pad"),
        (lambda x: np.unique(np.stack([x, x]), axis=0), "np.unique"),
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, writeable=True), "sliding_window_view"),
        (lambda x: np.intersect1d(x, x, return_indices=True), "np.intersect1d"),
        (lambda x: np.repeat(x, x), "being differentiated"),
    ],
)
def test_refusals_name_the_function_and_the_line(call: Any, name: str) -> None:
    for operator in (dd.vjp, lambda f, x: dd.jvp(f, (x,), (x,))):
        with pytest.raises(UnsupportedFunctionError, match=r"test_refusals\.py, line \d+") as raised:
            operator(call, np.ones(2))
        assert name in str(raised.value)
