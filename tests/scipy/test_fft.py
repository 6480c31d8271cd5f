"""scipy.fft: every transform has a drop-in, which agrees with SciPy's own, and is found without being asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.fft

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.scipy.fft import DROP_INS

#: what transforms nothing
OTHERS = {
    *("fftfreq", "rfftfreq", "fftshift", "ifftshift", "next_fast_len", "prev_fast_len", "fhtoffset"),
    *("set_backend", "skip_backend", "set_global_backend", "register_backend", "get_workers", "set_workers"),
}
RNG = np.random.default_rng(5)
X = RNG.standard_normal((4, 5))
each = pytest.mark.parametrize("function", list(DROP_INS), ids=lambda f: f.__name__)


def test_every_transform_has_a_drop_in() -> None:
    assert {f.__name__ for f in DROP_INS} == set(scipy.fft.__all__) - OTHERS


@each
def test_a_drop_in_has_scipys_signature(function: Any) -> None:
    def shown(f: Any) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(f).parameters.values()]

    assert shown(DROP_INS[function]) == shown(function)


def ways_of(function: Any) -> list[dict[str, Any]]:
    name = function.__name__
    if "ht" in name:
        return [{"dln": 0.25, "mu": 0.5}, {"dln": 0.25, "mu": 0.5, "bias": 0.5, "offset": 0.25}]
    sizes: list[dict[str, Any]] = [{}, {"norm": "ortho"}, {"norm": "forward"}]
    if name[-1] == "n" or name[-1] == "2":
        sizes += [{"s": (3, 7), "axes": (-1, 0)}, {"axes": 1}, {"axes": [1], "s": 3}, {"s": (-1, 6)}]
    else:
        sizes += [{"n": 7}, {"n": 3, "axis": 0}, {"axis": -2, "norm": "ortho"}]
    if "ct" in name or "st" in name:
        sizes = [{**s, "type": t, "orthogonalize": o} for s in sizes for t in (1, 2, 3, 4) for o in (None, True, False)]
    return sizes


@each
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.longdouble, np.int64, np.complex64])
def test_a_drop_in_gives_scipys_values(function: Any, dtype: Any) -> None:
    x = (4 * X).astype(dtype)
    if np.dtype(dtype).kind == "c":
        x += dtype(0.5j) * x[::-1]
    for kwargs in ways_of(function):
        try:
            expected = function(x, **kwargs)
        except TypeError:  # a transform of real numbers
            with pytest.raises(TypeError):
                DROP_INS[function](x, **kwargs)
            continue
        got = DROP_INS[function](x, **kwargs)
        assert got.dtype == expected.dtype
        rtol = 30 * np.finfo(expected.dtype).eps
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@each
def test_a_traced_value_finds_it(function: Any) -> None:
    kwargs = ways_of(function)[-1]
    v = RNG.standard_normal(X.shape)
    value, tangent = dd.jvp(lambda x: function(x, **kwargs), (X,), (v,))
    np.testing.assert_allclose(value, function(X, **kwargs), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tangent, function(v, **kwargs), rtol=1e-12, atol=1e-12)
    x = dd.tensor(X, requires_grad=True)
    y = function(x, **kwargs)
    np.testing.assert_allclose(y.detach().numpy(), value, rtol=1e-12, atol=1e-12)


ODD = [{"s": (3,), "axes": (0, 1)}, {"axes": (0, 0)}, {"axes": 2}, {"s": (1, 2, 3)}, {"s": (0, 2)}, {"norm": "other"}]


@each
def test_a_drop_in_refuses_what_scipy_refuses(function: Any) -> None:
    own = set(inspect.signature(function).parameters)
    for kwargs in [odd for odd in ODD if set(odd) <= own]:
        for f in (function, DROP_INS[function]):
            with pytest.raises(ValueError, match=r"axes|axis|shape|data points|norm"):
                f(X, **kwargs)


def test_a_plan_is_refused_as_by_scipy() -> None:
    with pytest.raises(NotImplementedError, match="plan"):
        dd.vjp(lambda x: scipy.fft.fft(x, plan=1), X)


def test_a_parameter_of_a_hankel_transform_is_refused() -> None:
    with pytest.raises(UnsupportedFunctionError, match=r"a parameter of scipy.fft.fht .* is being differentiated"):
        dd.vjp(lambda mu: scipy.fft.fht(X, 0.25, mu), 0.5)


def test_types_are_checked() -> None:
    with pytest.raises(ValueError, match="Invalid type 5"):
        dd.vjp(lambda x: scipy.fft.dct(x, type=5), X)
    with pytest.raises(ValueError, match="data points"):
        dd.vjp(lambda x: scipy.fft.dct(x, n=0), X)


def test_frequencies_of_a_traced_step() -> None:
    for f in (scipy.fft.fftfreq, scipy.fft.rfftfreq, np.fft.fftfreq, np.fft.rfftfreq):
        got = dd.jacobian(lambda d, f=f: f(4, d))(0.5)
        np.testing.assert_allclose(got, -f(4, 0.5) / 0.5)


@pytest.mark.parametrize("start", ["dd.grad(f)(x)", "t = dd.tensor(x, requires_grad=True); f(t).backward()"])
def test_scipy_may_be_loaded_after_dualdiff(start: str) -> None:
    program = "\n".join(
        (
            "import sys, numpy as np, dualdiff as dd",
            "x = np.arange(4.0)",
            "dd.grad(lambda x: (x * x).sum())(x)",
            "assert 'scipy.fft' not in sys.modules and 'dualdiff.scipy' not in sys.modules",
            "import scipy.fft",
            "f = lambda x: (scipy.fft.dct(x) ** 2).sum()",
            start,
            "assert 'dualdiff.scipy.fft' in sys.modules",
            "assert scipy.fft.dct(x).shape == (4,)",
        )
    )
    subprocess.run([sys.executable, "-c", program], check=True)
