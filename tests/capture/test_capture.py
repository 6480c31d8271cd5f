"""Code as people write it: what a captured function may do, and what is left of the capture afterwards."""

from __future__ import annotations

import cmath
import functools
import importlib
import math
import pickle
import sys
import threading
import warnings
from collections.abc import Callable
from math import sin as sine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.special
import scipy.stats
from numpy import asarray, zeros

import dualdiff as dd
from dualdiff.capture import binding
from dualdiff.errors import CaptureError, CaptureWarning, DerivativeError, TracedAssignmentError, TracedConversionError
from dualdiff.testing import check

X = np.array([0.3, 0.7, 1.2])
modes = pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian], ids=["forward", "reverse", "auto"])
NP, MATH = np, math


def differences(f: Any, x: Any) -> Any:
    """Return the Jacobian of a plain function by central differences, extrapolated once."""

    def entries(x: Any) -> Any:
        found = f(x)
        return np.concatenate([np.ravel(v) for v in found]) if isinstance(found, list) else np.ravel(found)

    def central(h: float) -> Any:
        return np.stack([(entries(x + h * e) - entries(x - h * e)) / (2 * h) for e in np.eye(len(x))], axis=1)

    return (4 * central(5e-4) - central(1e-3)) / 3


@pytest.fixture(autouse=True)
def _nothing_stays_bound() -> Any:
    yield
    assert not binding._IN_USE
    assert np is NP
    assert math is MATH
    assert zeros is NP.zeros
    assert sine is MATH.sin
    assert "float" not in globals()
    assert "complex" not in globals()


# --------------------------------------------------------------------------------------------------
# code as it is written


def filled(x: Any) -> Any:
    f = np.zeros(3)
    f[0] = x[0] * x[1]
    f[1] = 2.0
    f[2] = np.sin(x[2]) + f[0]
    return f


def filled_by_a_bare_name(x: Any) -> Any:
    f = zeros((2, 3))
    f[0] = asarray(x) ** 2
    f[1, 1:] += f[0, :2]
    return f


def filled_in_a_loop(x: Any) -> Any:
    n = len(x)
    a = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            a[i, j] = x[i] * x[j] ** 2
    return a


def a_matrix_of_entries(x: Any) -> Any:
    c, s = np.cos(x[0]), np.sin(x[0])
    r = np.array([[c, -s], [s, c]])
    return np.linalg.solve(r + 2 * np.eye(2), np.array([x[1], 1.0]))


def a_frame(x: Any) -> Any:
    t = np.eye(4)
    t[:3, 3] = x
    t[0, 0] = math.cos(x[0])
    return t @ t


def converted_at_the_top(x: Any) -> Any:
    x = np.asarray(x, dtype=float)
    return np.array(x) * np.ascontiguousarray(x)[::-1]


def numbers_of_math(x: Any) -> Any:
    return [
        math.sin(x[0]) * math.hypot(x[0], x[1], x[2]),
        math.log(x[1], 3.0),
        sine(x[2]) ** 2,
        math.fsum(x),
        math.erf(x[0]),
    ]


def numbers_of_cmath(x: Any) -> Any:
    z = cmath.exp(1j * x[0]) * cmath.sqrt(x[1] - 1.0)
    return [z.real, z.imag]


def converted_by_float(x: Any) -> Any:
    a, b = float(x[0]), float(x[1])
    total = float(np.sum(x))
    assert isinstance(a, float)
    assert isinstance(1.5, float)
    assert float("2") == 2.0
    return np.array([a * b, total, np.zeros(1, dtype=float)[0]])


def converted_by_complex(x: Any) -> Any:
    z = complex(x[0], x[1]) * complex(x[2])
    return [abs(z) ** 2, z.real]


def lists_of_entries(x: Any) -> Any:
    return [np.dot([x[0], x[1]], [x[1], x[2]]), np.mean([x[0], 2.0, x[2]]), np.hypot([x[0], x[1]], 1.0)]


@np.vectorize
def _model(t: Any, a: Any) -> Any:
    return a * np.exp(-t) if t > 0.5 else a * t


_typed = np.vectorize(lambda t: t**2 if t > 0.5 else 0.25, otypes=[float])


def vectorized(x: Any) -> Any:
    return _model(np.linspace(0, 1, 3), x[0]) + _typed(x)


class Robot:
    """Methods, callable objects, a buffer of its own made at each call."""

    def __init__(self) -> None:
        self.lengths = np.array([1.0, 2.0, 0.5])

    def link(self, angle: Any, length: Any) -> Any:
        t = np.eye(3)
        t[:2, :2] = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        t[0, 2] = length
        return t

    def __call__(self, q: Any) -> Any:
        return functools.reduce(np.matmul, [self.link(a, n) for a, n in zip(q, self.lengths)])

    def tip(self, q: Any, scale: float = 2.0) -> Any:
        return scale * self(q)[:2, 2]


def in_pieces(x: Any) -> Any:
    t = np.linspace(0.0, 1.0, 4)
    return np.piecewise(t, [t < 0.5, t >= 0.5], [lambda t: x[0] * t, lambda t: x[1] * t**2])


def joined(x: Any) -> Any:
    return [np.r_[x, 1.0, x[::-1] * 2, 0:2], np.c_[x, x**2, [1.0, 2.0, x[0]]]]


def recursion(x: Any) -> Any:
    if len(x) == 1:
        out = np.zeros(1)
        out[0] = x[0] ** 2
        return out
    return np.concatenate([recursion(x[1:]), recursion(x[:1])])


CODE: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        filled, filled_by_a_bare_name, filled_in_a_loop, a_matrix_of_entries, a_frame, converted_at_the_top, numbers_of_math,
        numbers_of_cmath, converted_by_float, converted_by_complex, lists_of_entries, vectorized, in_pieces, joined, recursion,
    )
}  # fmt: skip
CODE["lambda"] = lambda x: np.array([math.exp(x[0]), x[1] * x[2]])
CODE["object"] = Robot()
CODE["method"] = Robot().tip
CODE["partial"] = functools.partial(Robot().tip, scale=0.5)
CODE["polyroots"] = lambda x: np.polynomial.polynomial.polyroots(np.array([x[0] * x[1], -2.0 - x[2], 1.0]))
CODE["fit"] = lambda x: np.polynomial.Polynomial.fit(np.arange(3.0), x, 1).convert().coef
CODE["softmax"] = scipy.special.softmax
CODE["logsumexp"] = lambda x: scipy.special.logsumexp(x[:2]) * np.ones(2)
CODE["rosen"] = scipy.optimize.rosen
CODE["simpson"] = lambda x: scipy.integrate.simpson(x[0] * np.exp(-x[1] * np.linspace(0, 1, 5)), x=np.linspace(0, 1, 5))
CODE["logpdf"] = lambda x: scipy.stats.norm.logpdf(np.array([0.1, 2.0]), loc=x[0], scale=x[1])


@modes
@pytest.mark.parametrize("f", CODE.values(), ids=CODE)
def test_code_as_it_is_written(f: Any, jac: Any) -> None:
    for _ in range(2):  # the second call starts captured
        found = jac(f, flat=True)(X)
        np.testing.assert_allclose(found, differences(f, X), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["filled", "a_frame", "numbers_of_math", "method", "rosen", "converted_by_float"])
def test_second_derivatives_of_captured_code(name: str) -> None:
    def total(x: Any) -> Any:
        return sum([np.sum(np.asarray(v) ** 2) for v in np.atleast_1d(CODE[name](x))])

    np.testing.assert_allclose(dd.hessian(total)(X), differences(dd.grad(total), X), rtol=1e-5, atol=1e-6)


@modes
def test_variables_of_enclosing_functions(jac: Any) -> None:
    import math as m

    import numpy as numeric

    def helper(x: Any) -> Any:
        out = numeric.zeros(2)
        out[0] = m.sin(x[0])
        return out

    def f(x: Any) -> Any:
        return helper(x) * x[1]

    np.testing.assert_allclose(jac(f)(X), differences(f, X), rtol=1e-6, atol=1e-9)
    assert m is MATH
    assert numeric is NP


ARM_ONE = """
import numpy as np
from arm_two import scaled
def f(x):
    y = np.zeros(2)
    y[0] = scaled(x)[0]
    return y
"""


@modes
def test_a_package_of_helpers(jac: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "arm_one.py").write_text(ARM_ONE)
    (tmp_path / "arm_two.py").write_text(
        "import math\nfrom numpy import array\ndef scaled(x):\n    return array([math.exp(x[0]), 1.0])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    one = importlib.import_module("arm_one")
    try:
        for _ in range(2):
            np.testing.assert_allclose(jac(lambda x: one.f(x))(X), [[math.exp(0.3), 0, 0], [0, 0, 0]])
        assert one.np is NP
        assert sys.modules["arm_two"].math is MATH
    finally:
        del sys.modules["arm_one"], sys.modules["arm_two"]


def test_eager_tensors_are_captured_on_request() -> None:
    x = dd.tensor(X, requires_grad=True)
    y = dd.capture(filled)(x)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), differences(filled, X).sum(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(dd.capture(filled)(X), filled(X))


def test_a_captured_function_is_an_ordinary_one() -> None:
    @dd.capture
    def f(x: Any) -> Any:
        """Say what it does."""
        return math.sin(x)

    assert f.__doc__ == "Say what it does."
    assert f.__name__ == "f"
    assert f(0.5) == math.sin(0.5)
    assert dd.grad(f)(0.5) == math.cos(0.5)

    class Model:
        @dd.capture
        def cost(self, x: Any) -> Any:
            return math.sin(x)

    assert dd.grad(Model().cost)(0.5) == math.cos(0.5)


# --------------------------------------------------------------------------------------------------
# what it costs, and what it says


def _counting() -> tuple[list[int], Any]:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        return helper_of_counting(x)

    return calls, f


def helper_of_counting(x: Any) -> Any:
    return math.sin(x) * x


def test_the_first_call_runs_again_and_warns_once() -> None:
    calls, f = _counting()
    with pytest.warns(CaptureWarning, match=r"test_capture.py, line \d+.*captured.*doubled"):
        assert dd.grad(f)(0.5) == math.sin(0.5) + 0.5 * math.cos(0.5)
    assert len(calls) == 3  # a run that stumbles, a captured one, and a plain one to compare its value with
    calls.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dd.grad(f)(0.5)
        dd.jacfwd(f)(0.25)
    assert len(calls) == 2


def test_a_look_at_the_code_spares_the_run_that_stumbles() -> None:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        y = np.zeros(2)
        y[0] = x
        return y

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dd.jacrev(f)(1.0)
        dd.jacrev(f)(1.0)
    assert len(calls) == 3


def test_settings_of_capture() -> None:
    with pytest.raises(TracedConversionError, match=r"np\.sin"):
        dd.grad(lambda x: math.sin(x), capture="never")(0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dd.grad(lambda x: math.sin(x) + 1.0, capture="always")(0.5) == math.cos(0.5)
        assert dd.grad(lambda x: math.sin(x) + 2.0, capture=[sys.modules[__name__]])(0.5) == math.cos(0.5)
    with pytest.raises(TracedConversionError):
        dd.grad(lambda x: math.sin(x) + 3.0, capture=[scipy.optimize])(0.5)
    with pytest.raises(dd.errors.InputError, match="'math' itself"):
        dd.grad(lambda x: math.sin(x), capture=[math])
    with pytest.raises(dd.errors.InputError, match="auto"):
        dd.grad(math.sin, capture="sometimes")
    with pytest.raises(dd.errors.InputError, match="auto"):
        dd.capture(math.sin, modules=3)  # type: ignore[arg-type]
    with pytest.raises(dd.errors.InputError, match="function"):
        dd.capture(3)  # type: ignore[arg-type]
    for operator in (
        lambda f, **o: dd.jvp(f, (0.5,), (1.0,), **o)[1],
        lambda f, **o: dd.vjp(f, 0.5, **o)[1](1.0)[0],
        lambda f, **o: dd.linearize(f, 0.5, **o)[1](1.0),
        lambda f, **o: dd.value_and_grad(f, **o)(0.5)[1],
        lambda f, **o: dd.jacobian(f, **o)(0.5),
        lambda f, **o: dd.linear_operator(f, 0.5, **o).matvec(np.ones(1))[0],
        lambda f, **o: dd.batch_jacobian(lambda x: np.stack([f(x[0])]), **o)(np.array([0.5]))[0],
        lambda f, **o: dd.hvp(f, **o)(0.5, 1.0) + math.sin(0.5) + math.cos(0.5),
        lambda f, **o: dd.hessian(f, **o)(0.5) + math.sin(0.5) + math.cos(0.5),
    ):
        assert operator(lambda x: math.sin(x), capture="always") == pytest.approx(math.cos(0.5))
        with pytest.raises(TracedConversionError):
            operator(lambda x: math.sin(x), capture="never")


# --------------------------------------------------------------------------------------------------
# correct or loud


@modes
@pytest.mark.parametrize("error", [TypeError, Exception, (ValueError, TypeError)])
def test_a_swallowed_refusal_is_raised(jac: Any, error: Any) -> None:
    def f(x: Any) -> Any:
        try:
            np.save("/dev/null", x)
        except error:
            return 1e10
        return x[0]

    with pytest.raises(DerivativeError, match=r"np\.save"):
        jac(f)(X)


@modes
def test_a_swallowed_stumble_runs_again(jac: Any) -> None:
    def f(x: Any) -> Any:
        try:
            return math.sin(x[0])
        except Exception:
            return np.inf

    np.testing.assert_allclose(jac(f)(X), [math.cos(0.3), 0, 0])


def test_a_refusal_swallowed_around_an_inner_operator() -> None:
    def f(x: Any) -> Any:
        try:
            return dd.grad(lambda y: np.save("/dev/null", x * y))(1.0)
        except TypeError:
            return 0.0

    with pytest.raises(DerivativeError, match=r"np\.save"):
        dd.grad(f)(2.0)


class Holder:
    """Memory that capture does not reach."""

    buffer = np.zeros(2)

    def into_a_buffer(self, x: Any) -> Any:
        self.buffer[:] = x[:2]
        return self.buffer

    def into_a_default(self, x: Any, out: Any = np.zeros(3)) -> Any:
        out[0] = x[0]
        return out


@modes
@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("into_a_buffer", TracedAssignmentError, "np.zeros_like"),
        ("into_a_default", TracedAssignmentError, "np.zeros_like"),
    ],
)
def test_what_capture_does_not_reach_raises_with_the_line(name: str, error: Any, words: str, jac: Any) -> None:
    f = getattr(Holder(), name)
    with pytest.raises(error) as caught:
        jac(f)(X)
    line = f.__func__.__code__.co_firstlineno
    assert any(f"test_capture.py, line {line + k}" in str(caught.value) for k in (1, 2, 3))
    assert words in str(caught.value)
    assert not Holder.buffer.any()


def test_another_value_while_captured_is_refused() -> None:
    def f(x: Any) -> Any:
        a = np.array([x, 2.0])
        return a[0] if type(a) is np.ndarray else a[0] ** 2

    with pytest.raises(CaptureError, match="plain NumPy"):
        dd.grad(f)(3.0)


def test_a_function_that_never_returns_the_same_twice_is_not() -> None:
    rng = np.random.default_rng(0)

    def f(x: Any) -> Any:
        return np.array([x, 1.0]) * rng.random()

    assert dd.jacrev(f)(3.0)[0] > 0


def test_caches_keep_no_traced_value() -> None:
    weights_computed: list[int] = []

    @functools.lru_cache
    def cached(t: Any) -> Any:
        return math.sin(t)

    @functools.lru_cache
    def weights(n: int) -> Any:
        weights_computed.append(n)
        w = np.zeros(n)
        w[0] = 2.0
        return w

    globals()["_cached"], globals()["_weights"] = cached, weights
    try:

        def f(x: Any) -> Any:
            y = np.zeros(2)
            y[0] = _cached(x[0]) + _cached(0.5)  # type: ignore[name-defined]  # noqa: F821
            return y * _weights(2)  # type: ignore[name-defined]  # noqa: F821

        for plain in (f, lambda x: [f(v) for v in (x, x.tolist())]):  # whose keys are NumPy's numbers, and Python's
            plain(X)
            for jac in (dd.jacfwd, dd.jacrev, dd.jacfwd):
                np.testing.assert_allclose(jac(f)(X), [[2 * math.cos(0.3), 0, 0], [0, 0, 0]])
        assert cached.cache_info().currsize <= 2  # the plain 0.5, and 0.3 of the plain run
        assert type(weights(2)) is np.ndarray
        assert len(weights_computed) == 1
    finally:
        del globals()["_cached"], globals()["_weights"]


def test_entries_read_twice_are_one_key() -> None:
    """In a dictionary and in a cache of the function's own."""

    def f(x: Any) -> Any:
        square = functools.lru_cache(lambda t: t * t)
        y = 2 * x
        kept = {y[i]: square(y[i]) for i in range(3)}
        return kept[y[1]] + square(y[1]) + 2 * kept[y[2]]

    np.testing.assert_allclose(dd.grad(f)(np.array([2.0, 3.0, 5.0])), [0, 48, 80])


def test_integers_and_what_was_there_before_stay_plain() -> None:
    data = np.arange(3.0)

    def f(x: Any) -> Any:
        assert type(np.zeros(3, dtype=int)) is NP.ndarray
        assert type(np.array([True, False])) is NP.ndarray
        assert np.asarray(data) is data
        assert np.asanyarray(data) is data
        y = np.asarray(x)
        assert y is x
        assert isinstance(np.zeros(2), np.ndarray)
        assert np.float64 is NP.float64
        return np.sum(y * data)

    np.testing.assert_array_equal(dd.grad(f)(X), data)


def test_everything_is_given_back_after_an_error() -> None:
    def f(x: Any) -> Any:
        np.zeros(3)[0] = x[0]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        dd.grad(f)(X)


def test_a_name_bound_meanwhile_stays() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(1)
        y[0] = x
        globals()["rebound"] = "mine"
        return y[0]

    globals()["rebound"] = NP
    try:
        assert dd.grad(f)(2.0) == 1.0
        assert globals()["rebound"] == "mine"
    finally:
        del globals()["rebound"]


def test_other_threads_see_the_real_numpy() -> None:
    stop = threading.Event()
    wrong: list[Any] = []

    def hammer() -> None:
        while not stop.is_set():
            y = np.zeros(3)
            y[0] = math.sin(0.5)
            if type(y) is not NP.ndarray or not isinstance(y, np.ndarray) or type(np.array([1.0])) is not NP.ndarray:
                wrong.append(type(y))
                return

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=hammer) for _ in range(3)]
    try:
        for t in threads:
            t.start()
        results: list[Any] = []
        workers = [
            threading.Thread(target=lambda: results.extend([dd.jacobian(f)(X) for f in (filled, a_frame)] * 10))
            for _ in range(2)
        ]
        for t in workers:
            t.start()
        for t in workers:
            t.join()
    finally:
        stop.set()
        for t in threads:
            t.join()
        sys.setswitchinterval(before)
    assert not wrong
    assert len(results) == 40
    for k in range(0, 40, 2):
        np.testing.assert_allclose(results[k], differences(filled, X), rtol=1e-6, atol=1e-9)


# --------------------------------------------------------------------------------------------------
# printing


@modes
def test_printing_never_stops_a_run(jac: Any, capsys: Any) -> None:
    layout = "%.2f"

    def f(x: Any) -> Any:
        t = x[0]
        print("%.3f" % t, "%5.1f and %d" % (t, 3), layout % t, f"{t:.4f}", format(t, ".1e"), str(t), x)  # noqa: UP031
        return t * x

    jac(f, capture="never")(X)
    out = capsys.readouterr().out
    for text in ("0.300", "  0.3 and 3", "0.30", "0.3000", "3.0e-01", "[0.3 0.7 1.2]"):
        assert text in out


def test_a_text_that_is_not_proven_to_be_one_is_refused() -> None:
    class Modulo:
        def __mod__(self, other: Any) -> Any:
            return float(other)

    with pytest.raises(TracedConversionError):
        dd.grad(lambda x: Modulo() % x, capture="never")(2.0)


# --------------------------------------------------------------------------------------------------
# random generators

_rng = np.random.default_rng(3)


@modes
@pytest.mark.parametrize("shape", [(6,), (3, 2)])
def test_generators_move_traced_entries_as_they_move_plain_ones(shape: Any, jac: Any) -> None:
    def moved(x: Any) -> Any:
        rng = np.random.default_rng(5)
        x = x.reshape(shape)
        y = x.copy()
        rng.shuffle(y)
        return (
            rng.permutation(x).ravel()
            + 10 * rng.permuted(x, axis=-1).ravel()
            + 100 * y.ravel()
            + rng.choice(x.ravel(), 6)
        )

    def by_a_global(x: Any) -> Any:
        return _rng.permutation(x)

    x = np.arange(1.0, 7.0)
    J = jac(moved)(x)
    np.testing.assert_allclose(J @ x, moved(x))
    np.testing.assert_array_equal(J.sum(axis=1), np.full(6, 112.0))
    J = jac(by_a_global)(x)
    np.testing.assert_array_equal((J.sum(axis=0), J.sum(axis=1)), np.ones((2, 6)))
    assert isinstance(_rng, np.random.Generator)
    assert type(_rng) is np.random.Generator


@pytest.mark.parametrize("x", [5.4, -5.4, 6.7, -6.7, 0.3, 0.8])
@pytest.mark.parametrize("y", [2.0, -2.0, 0.7])
def test_a_remainder_is_that_of_the_nearest_multiple(x: float, y: float) -> None:
    def f(v: Any) -> Any:
        return math.remainder(v[0], v[1])

    value, (by_x, by_y) = dd.value_and_grad(f)(np.array([x, y]))
    assert value == pytest.approx(math.remainder(x, y), abs=1e-15)
    h = 1e-6
    assert by_x == 1.0
    assert by_y == pytest.approx((math.remainder(x, y + h) - math.remainder(x, y - h)) / (2 * h), abs=1e-8)


SOLVE: Any = scipy.optimize.brentq


def _by_the_name_of_the_module(p: Any) -> Any:
    return SOLVE(lambda x: x * x - p, 0.0, 5.0)


def test_a_name_that_is_bound_to_another_function_between_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    for solve in (scipy.optimize.brentq, scipy.optimize.ridder, scipy.optimize.bisect, scipy.optimize.brentq):
        monkeypatch.setitem(globals(), "SOLVE", solve)
        assert dd.grad(_by_the_name_of_the_module)(4.0) == pytest.approx(0.25, rel=1e-9)
        assert SOLVE is solve


def test_functions_of_scipy_are_differentiated_themselves_and_with_arguments_in_front() -> None:
    A = np.array([[2.0, 1.0], [0.5, 3.0]])
    solve = functools.partial(scipy.linalg.solve, A)
    np.testing.assert_allclose(dd.jacobian(solve)(np.ones(2)), np.linalg.inv(A), rtol=1e-14)
    np.testing.assert_allclose(dd.grad(scipy.linalg.det)(A), np.linalg.det(A) * np.linalg.inv(A).T, rtol=1e-14)
    assert "truth" in str(check(scipy.linalg.inv, A))


def stored(x: Any) -> Any:
    found = np.zeros(2)
    found[0] = x**2
    return found


def test_a_function_with_named_modules_is_sent_to_other_processes() -> None:
    f = pickle.loads(pickle.dumps(dd.capture(stored, modules=[sys.modules[__name__]])))
    np.testing.assert_array_equal(dd.jacfwd(f)(0.5), [1, 0])
