"""Samples of reductions, running sums and order statistics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.catalogue.base import Sample, arrays, distinct

MASK = np.array([[True, False, True, True], [False, True, True, True], [True, True, False, True]])
MASK.flags.writeable = False
SAMPLES: list[Sample] = []


def add(name: str, function: Any, call: Callable[..., Any], *operands: Any, **options: Any) -> None:
    if function is not None:
        SAMPLES.append(Sample(name, function, call, st.tuples(*operands), **options))


for f in (np.sum, np.mean):
    n = f.__name__
    add(f"{n} of a vector", f, f, arrays(5), complex=True)
    add(f"{n} of a scalar", f, f, arrays(()))
    add(f"{n} along axis 0", f, partial(f, axis=0), arrays((3, 4)))
    add(f"{n} along a negative axis, kept", f, partial(f, axis=-2, keepdims=True), arrays((2, 3, 4)), complex=True)
    add(f"{n} along two axes", f, partial(f, axis=(0, -1)), arrays((2, 3, 4)))
    add(f"{n} of all, kept", f, partial(f, keepdims=True), arrays((2, 3)))
    add(f"{n} where", f, lambda x, f=f: f(x, axis=0, where=MASK), arrays((3, 4)))
    add(f"{n} in float64", f, partial(f, axis=1, dtype=np.float64), arrays((2, 3)), float32=False)
add("sum of nothing", np.sum, np.sum, arrays((0,)))
add("sum along an empty axis", np.sum, partial(np.sum, axis=0), arrays((0, 3)))
add("sum with a start", np.sum, partial(np.sum, axis=0, initial=2.0), arrays((2, 3)))
add("sum by method", np.sum, lambda x: x.sum(0), arrays((2, 3)))
add("mean by method", np.mean, lambda x: x.mean(), arrays((2, 3)))

add("average", np.average, partial(np.average, axis=0), arrays((3, 2)))
add("average with weights", np.average, lambda x, w: np.average(x, weights=w), arrays(4), arrays(4, "positive"))
add(
    "average with weights of an axis",
    np.average,
    lambda x, w: np.average(x, axis=1, weights=w),
    arrays((2, 3)),
    arrays(3, "positive"),
)
add(
    "average returned with its weight",
    np.average,
    lambda x, w: np.average(x, axis=0, weights=w, returned=True),
    arrays((3, 2)),
    arrays((3, 2), "positive"),
)

add("prod", np.prod, np.prod, arrays(5), complex=True)
add("prod of a scalar", np.prod, np.prod, arrays(()))
add("prod of nothing", np.prod, np.prod, arrays((0,)))
add("prod along an axis", np.prod, partial(np.prod, axis=1), arrays((2, 3, 2)))
add("prod along two axes, kept", np.prod, partial(np.prod, axis=(0, 2), keepdims=True), arrays((2, 3, 2)))
add("prod where", np.prod, lambda x: np.prod(x, axis=1, where=MASK, initial=2.0), arrays((3, 4)))

for f in (np.max, np.min):
    n = f.__name__
    add(n, f, f, distinct((5,)))
    add(f"{n} of a scalar", f, f, arrays(()))
    add(f"{n} along an axis", f, partial(f, axis=1), distinct((3, 4)))
    add(f"{n} along two axes, kept", f, partial(f, axis=(0, -1), keepdims=True), distinct((2, 3, 2)))
    add(f"{n} where", f, lambda x, f=f: f(x, axis=0, where=MASK, initial=0.05), distinct((3, 4)))
add("amax", np.amax, np.amax, distinct((5,)))
add("amin", np.amin, partial(np.amin, axis=0), distinct((2, 3)))
add("ptp", np.ptp, partial(np.ptp, axis=0), distinct((3, 4)))

for f in (np.var, np.std):
    n = f.__name__
    add(n, f, f, distinct((5,)), complex=True)
    add(f"{n} along an axis, ddof", f, partial(f, axis=0, ddof=1), distinct((4, 2)))
    add(f"{n} along two axes, kept", f, partial(f, axis=(0, 2), keepdims=True), distinct((2, 3, 2)))
    add(f"{n} where", f, lambda x, f=f: f(x, axis=1, where=MASK), distinct((3, 4)))
    add(f"{n} with a mean", f, lambda x, f=f: f(x, axis=0, mean=np.mean(x, axis=0, keepdims=True)), distinct((4, 2)))

add("cumsum", np.cumsum, np.cumsum, arrays((2, 3)), complex=True)
add("cumsum of a scalar", np.cumsum, np.cumsum, arrays(()))
add("cumsum along axis 0", np.cumsum, partial(np.cumsum, axis=0), arrays((4, 2)))
add("cumprod", np.cumprod, np.cumprod, arrays(5), complex=True)
add("cumprod along an axis", np.cumprod, partial(np.cumprod, axis=-2), arrays((3, 2)))
for f in (getattr(np, "cumulative_sum", None), getattr(np, "cumulative_prod", None)):
    if f is not None:
        add(f.__name__, f, f, arrays(4))
        add(f"{f.__name__} with its start", f, partial(f, axis=1, include_initial=True), arrays((2, 3)))

add("sort", np.sort, np.sort, distinct((2, 4)))
add("sort along axis 0", np.sort, partial(np.sort, axis=0), distinct((4, 2)))
add("sort of all", np.sort, partial(np.sort, axis=None, kind="stable"), distinct((2, 3)))
add("median, odd", np.median, np.median, distinct((5,)))
add("median, even", np.median, partial(np.median, axis=0), distinct((4, 3)))
add("median of all, kept", np.median, partial(np.median, keepdims=True), distinct((2, 3)))
add("quantile", np.quantile, partial(np.quantile, q=0.375), distinct((5,)))
add(
    "quantiles along an axis",
    np.quantile,
    lambda x: np.quantile(x, [0.125, 0.5, 1.0], axis=1),
    distinct((2, 4)),
    float32=False,
)
add(
    "quantile by rank",
    np.quantile,
    np.quantile,
    distinct((6,)),
    st.sampled_from([np.array(0.31), np.array(0.77)]),
    duck=False,
)
add("percentile", np.percentile, lambda x: np.percentile(x, 37.5, axis=0, keepdims=True), distinct((4, 2)))

METHODS = (
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull"),
    *("median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"),
)
for method in METHODS:
    add(f"quantile, {method}", np.quantile, partial(np.quantile, q=0.375, axis=1, method=method), distinct((2, 4)))
    add(f"percentile, {method}", np.percentile, partial(np.percentile, q=50.0, method=method), distinct((4,)))
WEIGHTS = np.array([[1.0, 2.0, 0.5, 1.0], [1.0, 1.0, 1.0, 3.0], [2.0, 1.0, 1.0, 1.0]])
WEIGHTS.flags.writeable = False
add(
    "quantile with weights",
    np.quantile,
    lambda x: np.quantile(x, 0.3125, axis=1, weights=WEIGHTS, method="inverted_cdf"),
    distinct((3, 4)),
    duck=False,
)

HOLES = np.array([[True, False, True, False], [False, False, True, True], [True, True, True, False]])
HOLES.flags.writeable = False


def holed(f: Any, **options: Any) -> Callable[..., Any]:
    return lambda x: f(np.where(HOLES, x, np.nan), **options)


for f in (np.nansum, np.nanmean, np.nanprod, np.nanmax, np.nanmin, np.nanvar, np.nanstd, np.nanmedian):
    n = f.__name__
    add(n, f, holed(f), distinct((3, 4)))
    add(f"{n} along an axis", f, holed(f, axis=1), distinct((3, 4)))
    # A column has one entry only: its spread is 0, where the root has no second derivative.
    add(f"{n} along an axis, kept", f, holed(f, axis=int(f is np.nanstd), keepdims=True), distinct((3, 4)))
add("nancumsum", np.nancumsum, holed(np.nancumsum, axis=1), arrays((3, 4)))
add("nancumprod", np.nancumprod, holed(np.nancumprod, axis=1), arrays((3, 4)))
add("nanquantile", np.nanquantile, holed(np.nanquantile, q=0.375, axis=1), distinct((3, 4)))
add("nanquantiles", np.nanquantile, holed(np.nanquantile, q=[0.25, 0.875], axis=0), distinct((3, 4)), float32=False)
for method in METHODS:
    add(
        f"nanquantile, {method}",
        np.nanquantile,
        holed(np.nanquantile, q=[0.375, 0.75], axis=1, method=method),
        distinct((3, 4)),
        float32=False,
        duck=False,
    )
add("nanpercentile", np.nanpercentile, holed(np.nanpercentile, q=37.5), distinct((3, 4)))

add("cov", np.cov, np.cov, arrays((3, 5)), float32=False)
add("cov of two", np.cov, np.cov, arrays(4), arrays(4), float32=False)
add(
    "cov of columns, weighted",
    np.cov,
    lambda x, w: np.cov(x, rowvar=False, aweights=w),
    arrays((5, 2)),
    arrays(5, "positive"),
    float32=False,
)
add(
    "corrcoef",
    np.corrcoef,
    np.corrcoef,
    distinct((2, 5)).map(lambda x: x + np.arange(10).reshape(2, 5) ** 2),
    float32=False,
)
COUNTED = np.array([0, 3, 1, 3, 0])
COUNTED.flags.writeable = False
add("bincount of weights", np.bincount, lambda w: np.bincount(COUNTED, w, minlength=6), arrays(5), float32=False)
DATA = np.array([0.1, 0.5, 0.9, 1.0, 0.3])
DATA.flags.writeable = False
add("histogram of weights", np.histogram, lambda w: np.histogram(DATA, 3, weights=w)[0], arrays(5), float32=False)
add(
    "density histogram of weights",
    np.histogram,
    lambda w: np.histogram(DATA, [0.0, 0.4, 1.0], weights=w, density=True)[0],
    arrays(5, "positive"),
    float32=False,
)


PLANE = np.array([[0.1, 0.2], [0.5, 0.1], [0.9, 0.7], [1.0, 0.4], [0.3, 0.6]])
PLANE.flags.writeable = False
add(
    "histogram2d of weights",
    np.histogram2d,
    lambda w: np.histogram2d(*PLANE.T, [2, 3], weights=w)[0],
    arrays(5),
    float32=False,
)
add(
    "histogramdd of weights",
    np.histogramdd,
    lambda w: np.histogramdd(PLANE, [[0.0, 0.4, 1.0], [0.0, 0.3, 0.65]], density=True, weights=w)[0],
    arrays(5, "positive"),
    float32=False,
)
add("bin edges", np.histogram_bin_edges, partial(np.histogram_bin_edges, bins=3), distinct((5,)), duck=False)
add("sort_complex", np.sort_complex, np.sort_complex, distinct((5,)), float32=False)


def logsumexp(x: Any) -> Any:
    top = x.max(axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=-1)) + top[..., 0]


add("logsumexp", np.sum, logsumexp, distinct((2, 4)))
