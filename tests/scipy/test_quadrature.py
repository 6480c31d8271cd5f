"""scipy.integrate's integrals: by limits, by closed-over values and by args, in both modes and nested, through plain user code."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.integrate as si
import scipy.special

import dualdiff as dd
from dualdiff.errors import DerivativeError, InaccurateIntegralError, RuleError, UnsupportedFunctionError
from dualdiff.testing import check

T = np.array([0.0, 0.3, 0.4, 0.9, 1.0, 1.7, 1.9, 2.2])
Y = np.cos(3 * T) + 2

# name: the function, the point, its gradient worked by hand (or None)
CASES: dict[str, tuple[Any, list[float], Any]] = {
    "closed over, and a limit": (
        lambda p: si.quad(lambda s: np.exp(-p[0] * s), 0, p[1])[0],
        [2.0, 0.5],
        [math.exp(-1) * (1 / 2 * (1 / 2 + 0.5)) - 1 / 4, math.exp(-1)],
    ),
    "both limits": (lambda p: si.quad(np.sin, p[0], p[1])[0], [0.5, 2.0], [-math.sin(0.5), math.sin(2.0)]),
    "limits the other way": (lambda p: si.quad(np.sin, p[0], p[1])[0], [2.0, 0.5], [-math.sin(2.0), math.sin(0.5)]),
    "an empty interval": (lambda p: si.quad(lambda s: p[1] * s, p[0], 2.0)[0], [2.0, 3.0], [-6.0, 0.0]),
    "args": (lambda p: si.quad(lambda s, a, b: a * s**b, 0, 1, args=(p[0], p[1]))[0], [3.0, 2.0], [1 / 3, -1 / 3]),
    "one argument": (lambda p: si.quad(lambda s, a: a * s, 0, 1, args=p[0])[0], [3.0], [0.5]),
    "the whole line": (
        lambda p: si.quad(lambda s: np.exp(-p[0] * s * s), -np.inf, np.inf)[0],
        [2.0],
        [-0.5 * math.sqrt(math.pi) * 2**-1.5],
    ),
    "a half line": (lambda p: si.quad(lambda s: np.exp(-s), p[0], np.inf)[0], [1.0], [-math.exp(-1)]),
    "points": (lambda p: si.quad(lambda s: p[0] * abs(s - 0.3), 0, p[1], points=[0.3])[0], [2.0, 0.8], [0.17, 1.0]),
    "weight cos": (
        lambda p: si.quad(lambda s: p[0], 0, p[1], weight="cos", wvar=3.0)[0],
        [2.0, 0.8],
        [math.sin(2.4) / 3, 2 * math.cos(2.4)],
    ),
    "weight sin on a half line": (
        lambda p: si.quad(lambda s: np.exp(-p[0] * s), 0, np.inf, weight="sin", wvar=3.0)[0],
        [2.0],
        [-12 / 169],
    ),
    "weight alg": (lambda p: si.quad(lambda s: p[0] * s, 0, 1, weight="alg", wvar=(-0.5, 0))[0], [3.0], [2 / 3]),
    "weight cauchy": (
        lambda p: si.quad(lambda s: p[0] * s, 0, p[1], weight="cauchy", wvar=0.5)[0],
        [2.0, 1.5],
        [1.5 + 0.5 * math.log(2), 3.0],
    ),
    "complex": (
        lambda p: si.quad(lambda s: np.exp(1j * p[0] * s), 0, p[1], complex_func=True)[0].imag,
        [2.0, 0.5],
        None,
    ),
    "full output": (lambda p: si.quad(lambda s: p[0] * s, 0, 1, full_output=1)[0], [3.0], [0.5]),
    "twelve parameters": (
        lambda p: si.quad(lambda s: np.polyval(p, s), 0, 1)[0],
        [1.0] * 12,
        [1 / k for k in range(12, 0, -1)],
    ),
    "a function that a function closes over": (lambda p: nested_closures(p), [2.0], [0.5]),
    "inside another": (
        lambda p: si.quad(lambda x: si.quad(lambda y: p[0] * x * y, 0, p[1] * x)[0], 0, 1)[0],
        [2.0, 3.0],
        [9 / 8, 2 * 3 / 4],
    ),
    "dblquad": (
        lambda p: si.dblquad(lambda y, x: p[0] * x * y, 0, p[1], lambda x: 0, lambda x: p[2] * x)[0],
        [2.0, 1.5, 3.0],
        None,
    ),
    "dblquad, args and constant limits": (
        lambda p: si.dblquad(lambda y, x, c: c * x * y, 0, p[1], 0, 1, args=(p[0],))[0],
        [2.0, 3.0],
        [9 / 4, 3.0],
    ),
    "tplquad": (
        lambda p: si.tplquad(lambda z, y, x: z, 0, p[0], 0, 1.5, 0, lambda x, y: x)[0],
        [2.0],
        [3.0],
    ),
    "nquad": (
        lambda p: si.nquad(lambda x, y, c: c * x * y, [lambda y, c: (0, c * y), [0, p[1]]], args=(p[0],))[0],
        [2.0, 1.0],
        [12 / 8, 4.0],
    ),
    "nquad, options": (
        lambda p: si.nquad(lambda x, y: p[0] * abs(x - 0.3), [[0, 1], [0, 1]], opts=[{"points": [0.3]}, {"epsabs": 1e-9}])[0],
        [2.0],
        [0.29],
    ),
    "quad_vec": (
        lambda p: si.quad_vec(lambda s: np.array([[p[0] * s], [np.exp(p[1] * s)]]), 0, p[1])[0][1, 0],
        [2.0, 0.5],
        None,
    ),
    "quad_vec of a number": (lambda p: si.quad_vec(lambda s, a: a * s, 0, 1, args=(p[0],))[0], [2.0], [0.5]),
    "quad_vec of what is zero here": (lambda p: si.quad_vec(lambda s: (p[0] - 1) * s, 0, 1)[0], [1.0], [0.5]),
    "simpson, places, an even number": (lambda x: si.simpson(Y, x=x), list(T), None),
    "simpson, an odd number": (lambda x: si.simpson(Y[:7], x=x), list(T[:7]), None),
    "simpson, two": (lambda x: si.simpson(Y[:2], x=x), list(T[:2]), None),
    "simpson, values along an axis": (lambda y: si.simpson(y.reshape(4, 2), x=T[:4], axis=0).sum(), list(Y), None),
    "simpson, dx": (lambda p: si.simpson(Y, dx=p[0]), [0.3], None),
    "trapezoid": (lambda x: si.trapezoid(Y, x), list(T), None),
    "cumulative_trapezoid": (lambda x: si.cumulative_trapezoid(Y, x, initial=0)[5], list(T), None),
    "cumulative_simpson": (lambda x: si.cumulative_simpson(Y, x=x)[4], list(T), None),
    "romb": (lambda y: si.romb(y, 0.25), list(Y[:5]), None),
    "fixed_quad": (lambda p: si.fixed_quad(lambda s: np.exp(-p[0] * s), 0, p[1], n=4)[0], [2.0, 0.5], None),
}  # fmt: skip


def nested_closures(p: Any) -> Any:
    def scale(s: Any) -> Any:
        return p[0] * s

    def integrand(s: Any) -> Any:
        return scale(s)

    return si.quad(integrand, 0, 1)[0]


@pytest.mark.parametrize("name", CASES)
def test_it_is_scipys_value_and_has_its_derivative_in_both_modes(name: str) -> None:
    f, at, gradient = CASES[name]
    x = np.array(at)
    value, found = dd.value_and_grad(f)(x)
    assert value == pytest.approx(f(x), rel=1e-14, abs=1e-300)
    forward = dd.jacobian(f, mode="forward")(x)
    assert np.allclose(forward, found, rtol=1e-13, atol=1e-300)
    if gradient is not None:
        assert np.allclose(found, gradient, rtol=1e-9, atol=1e-12)
    else:
        check(f, x, directions=1, rtol=1e-9)


@pytest.mark.parametrize("name", ["closed over, and a limit", "weight cos", "quad_vec"])
def test_second_derivatives_are_integrals_too(name: str) -> None:
    f, at, _ = CASES[name]
    x, h = np.array(at), 1e-3
    H = dd.hessian(f)(x)
    g = dd.grad(f)
    wide, narrow = (
        np.stack([(g(x + t * e) - g(x - t * e)) / (2 * t) for e in np.eye(len(x))], axis=1) for t in (h, h / 2)
    )
    assert np.allclose(H, (4 * narrow - wide) / 3, rtol=1e-7, atol=1e-9)
    assert np.allclose(H, H.T, rtol=1e-9, atol=1e-11)


def test_second_derivatives_of_an_integral_inside_another() -> None:
    f, at, _ = CASES["inside another"]  # p₀ p₁²/8
    assert np.allclose(dd.hessian(f)(np.array(at)), [[0, at[1] / 4], [at[1] / 4, at[0] / 4]], atol=1e-12)


def test_what_quad_says_beside_the_value_is_scipys() -> None:
    def f(p: Any) -> Any:
        value, error, info = si.quad(lambda s: np.exp(p[0] * s), 0, 1, full_output=1)
        seen.append((error, info["neval"]))
        return value

    seen: list[Any] = []
    dd.grad(f)(np.array([2.0]))
    _, error, info = si.quad(lambda s: np.exp(2.0 * s), 0, 1, full_output=1)
    assert seen[-1] == (error, info["neval"])


def test_a_loop_variable_keeps_the_value_it_had() -> None:
    def f(p: Any) -> Any:
        return np.stack([si.quad(lambda s: p[0] * s * k, 0, 1)[0] for k in (1.0, 2.0, 3.0)])  # noqa: B023

    assert np.allclose(dd.jacobian(f, mode="reverse")(np.array([1.0]))[:, 0], [0.5, 1.0, 1.5])


def test_an_array_that_is_changed_afterwards_is_noticed() -> None:
    def f(p: Any) -> Any:
        total = 0.0
        for k in (1.0, 2.0):
            scale[0] = k
            total = total + si.quad(lambda s: p[0] * s * scale[0], 0, 1)[0]
        return total

    scale = np.zeros(1)
    with pytest.raises(RuleError, match="other values now"):
        dd.grad(f)(np.array([1.0]))


class Rate:
    def __init__(self, k: Any) -> None:
        self.k = k

    def at(self, s: Any) -> Any:
        return self.k * s


def test_attributes_of_the_object_whose_method_it_is_are_seen() -> None:
    found = dd.grad(lambda p: si.quad(Rate(p[0]).at, 0, 1)[0])(np.array([1.0]))
    np.testing.assert_allclose(found, [0.5], rtol=1e-14)


HIDDEN: list[Any] = []


def test_what_nobody_sees_from_outside_is_refused() -> None:
    def f(p: Any) -> Any:
        HIDDEN[:] = [p[0]]
        return si.quad(lambda s: HIDDEN[0] * s, 0, 1)[0]

    with pytest.raises(RuleError, match=r"test_quadrature.py, line \d+.*scipy.integrate.quad depends on"):
        dd.grad(f)(np.array([1.0]))


TABLE = {"quad": si.quad, "quad_vec": si.quad_vec}


@pytest.mark.parametrize("name", TABLE)
def test_a_table_of_rules_serves_and_nothing_is_exchanged_where_that_is_not_wanted(name: str) -> None:
    def by_table(p: Any) -> Any:
        return TABLE[name](lambda s: p[0] * s - s, 0, 1)[0]

    def by_name(p: Any) -> Any:
        return getattr(si, name)(lambda s: p[0] * s - s, 0, 1)[0]

    for f in (by_name, by_table):
        assert dd.grad(f)(np.array([1.0]))[0] == pytest.approx(0.5, rel=1e-14)
        with pytest.raises(DerivativeError, match=f"scipy.integrate.{name} is differentiated where"):
            dd.grad(f, capture="never")(np.array([1.0]))


def test_a_compiled_gradient_of_an_integral() -> None:
    def f(p: Any) -> Any:
        return si.quad(lambda s: np.exp(-p[0] * s), 0, p[1])[0]

    fast = dd.compile(dd.grad(f))
    for p in ([1.0, 2.0], [1.5, 0.3], [1.0, -1.0]):
        assert np.allclose(fast(np.array(p)), dd.grad(f)(np.array(p)), rtol=1e-14)


def test_a_derivative_that_cannot_be_integrated_raises_with_both_numbers() -> None:
    def f(p: Any) -> Any:  # a kink, and in its derivative a pole that five intervals do not resolve
        return si.quad(lambda s: np.sqrt(np.abs(s - p[0])), 0, 1, limit=5)[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InaccurateIntegralError) as raised:
            dd.grad(f)(np.array([0.3]))
    assert raised.value.error > raised.value.allowed


SINGULAR = {
    "a pole at the limit": lambda p: si.quad(lambda t: 1 / np.sqrt(p - t), 0, p)[0],
    "a logarithm at the limit": lambda p: si.quad(lambda t: np.log(p - t), 0, p)[0],
    "a power of Python's numbers": lambda p: si.quad(lambda t: (p - t) ** -0.25, 0, p)[0],
    "a pole at the limit, in quad_vec": lambda p: si.quad_vec(lambda t: np.log(abs(p - t) + 0 * t), 0.1, p)[0],
    "a pole inside": lambda p: si.quad(lambda t: np.log(np.abs(t - p)), 0, 3)[0],
}
if hasattr(si, "tanhsinh"):
    SINGULAR["a pole at the lower limit"] = lambda p: si.tanhsinh(lambda t: (t - p) ** -0.25, p, 3.0).integral


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.filterwarnings("ignore")
def test_a_term_that_diverges_is_no_answer(name: str, mode: Any) -> None:
    with pytest.raises(InaccurateIntegralError, match=r"singular at the limit|probably divergent"):
        dd.jacobian(SINGULAR[name], mode=mode)(1.3)


LIMITS: dict[str, tuple[Any, float]] = {  # with the derivative at 1.3
    "the substitution that the error names": (lambda p: si.quad(lambda u: p / np.sqrt(p - p * u), 0, 1)[0], 1.3**-0.5),
    "a logarithm by the scale": (lambda p: si.quad(lambda u: p * np.log(p * u), 0, 1)[0], math.log(1.3)),
    "a limit without a value": (lambda p: si.quad(lambda t: np.sin(t - p) / (t - p), p, 3)[0], -math.sin(1.7) / 1.7),
    "a singularity at the other limit": (lambda p: si.quad(lambda t: 1 / np.sqrt(t), 0, p)[0], 1.3**-0.5),
    "an integrand that is 0 at the limit": (lambda p: si.quad(lambda t: np.sqrt(p - t), 0, p)[0], 1.3**0.5),
}


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.filterwarnings("ignore")
def test_an_integrand_counts_at_a_limit_as_beside_it(mode: Any) -> None:
    for f, wanted in LIMITS.values():
        assert math.isclose(dd.jacobian(f, mode=mode)(1.3), wanted, rel_tol=1e-6)
    still = lambda p: si.quad(lambda t: p * np.log(t), 0 * p, 1)[0]  # noqa: E731
    assert math.isclose(dd.jacobian(still, mode="forward")(1.3), -1.0, rel_tol=1e-9)  # what does not move has no term


REFUSED = {
    "complex parameters": (
        lambda p: complex_parameter(p),
        "complex number",
    ),
    "weight alg": (lambda p: si.quad(np.sin, 0, p[0], weight="alg", wvar=(0, 0))[0], "by its limits"),
    "wvar": (lambda p: si.quad(np.sin, 0, 1, weight="cos", wvar=p[0])[0], "wvar"),
    "points": (lambda p: si.quad(lambda s: p[0] * s, 0, 1, points=[p[0]])[0], "difficult points"),
    "quad_vec": (lambda p: si.quad_vec(lambda s: np.array([1j * p[0] * s]), 0, 1)[0][0].imag, "complex values"),
}


def complex_parameter(p: Any) -> Any:
    z = p[0] * (1 + 1j)
    return si.quad(lambda s: np.abs(z) * s, 0, 1)[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_differentiated_says_so(name: str) -> None:
    f, said = REFUSED[name]
    with pytest.raises(UnsupportedFunctionError, match=said):
        dd.grad(f)(np.array([0.7]))


def test_plain_integrals_stay_scipys_own() -> None:
    assert dd.grad(lambda p: p[0] * si.quad(np.sin, 0, 1)[0])(np.array([1.0]))[0] == si.quad(np.sin, 0, 1)[0]
    with pytest.raises(ValueError, match="at least one subinterval"):
        dd.grad(lambda p: si.quad(lambda s: p[0] * s, 0, 1, limit=0)[0])(np.array([1.0]))


@pytest.mark.skipif(not hasattr(si, "tanhsinh"), reason="this SciPy has none")
def test_the_doubly_exponential_rule() -> None:
    def f(p: Any) -> Any:
        closed = si.tanhsinh(lambda s: np.exp(-p[0] * s) / np.sqrt(s), 0.0, p[1]).integral
        both = si.tanhsinh(lambda s, a: np.exp(-a * s), [0.0, p[0]], [1.0, np.inf], args=(p,))
        assert both.success.all()
        return np.append(both.integral, closed)

    p = np.array([1.3, 0.7])

    def closed_form(p: Any) -> Any:
        root = np.sqrt(np.pi / p[0]) * scipy.special.erf(np.sqrt(p[0] * p[1]))
        return np.stack([(1 - np.exp(-p[0])) / p[0], np.exp(-p[1] * p[0]) / p[1], root])

    for jac in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(jac(f)(p), dd.jacobian(closed_form)(p), rtol=1e-8)
    with pytest.raises(UnsupportedFunctionError, match="log=True"):
        dd.grad(lambda a: si.tanhsinh(lambda s: -a * s, 0.0, 1.0, log=True).integral)(1.0)
    with pytest.raises(UnsupportedFunctionError, match="callback"):
        dd.grad(lambda a: si.tanhsinh(lambda s: -a * s, 0.0, 1.0, callback=print).integral)(1.0)


# --------------------------------------------------------------------------------------------------
# series and boxes

newer = pytest.mark.skipif(not hasattr(si, "nsum"), reason="SciPy has them since 1.15")


def zeta(a: Any, p: Any, **options: Any) -> Any:
    return si.nsum(lambda k: 1 / k**p, a, np.inf, **options).sum


@newer
def test_series_by_what_their_terms_depend_on_and_by_their_beginning() -> None:
    for mode in (dd.jacfwd, dd.jacrev):
        assert mode(lambda p: zeta(1, p))(2.0) == pytest.approx(-0.9375482543158438, rel=1e-8)  # ζ'(2)
        assert mode(lambda a: zeta(a, 2.0))(1.5) == pytest.approx(-2 * scipy.special.zeta(3, 1.5), rel=1e-8)
    assert dd.hessian(lambda a: zeta(a, 2.0))(1.5) == pytest.approx(6 * scipy.special.zeta(4, 1.5), rel=1e-8)
    whole = lambda q: si.nsum(lambda k: np.exp(-q * k * k), -np.inf, np.inf).sum  # noqa: E731
    assert dd.grad(whole)(0.3) == pytest.approx(-0.5 * math.sqrt(math.pi) * 0.3**-1.5, rel=1e-7)
    before = lambda b: si.nsum(np.exp, -np.inf, b).sum  # noqa: E731
    assert dd.grad(before)(0.3) == pytest.approx(before(0.3), rel=1e-8)
    few = lambda q: si.nsum(lambda k: q**k, 0, 5).sum  # noqa: E731
    assert dd.grad(few)(0.7) == pytest.approx(sum(k * 0.7 ** (k - 1) for k in range(6)), rel=1e-12)
    logs = lambda p: si.nsum(lambda k: -p * np.log(k), 1, np.inf, log=True).sum  # noqa: E731
    assert dd.grad(logs)(2.0) == pytest.approx(-0.9375482543158438 / scipy.special.zeta(2), rel=1e-7)


@newer
def test_a_series_that_is_not_summed_has_no_derivative_and_finite_ones_none_by_their_ends() -> None:
    with np.errstate(all="ignore"):
        assert np.isnan(dd.grad(lambda p: zeta(1, p, maxterms=64))(0.9))
    for f in (lambda a: si.nsum(lambda k: 1 / k, a, 9).sum, lambda b: si.nsum(lambda k: 1 / k, 1, b).sum):
        with pytest.raises(UnsupportedFunctionError, match="over whole numbers"):
            dd.grad(f)(3.0)


BOXES: dict[str, Any] = {
    "parameters": lambda p: si.cubature(lambda x: np.exp(-p[0] * x[:, 0] * x[:, 1]) * p[1], [0, 0], [1, 2]).estimate,
    "limits": lambda p: si.cubature(lambda x: np.exp(-p[0] * x[:, 0] * x[:, 1]), 0.1 * p, p, rule="gk15").estimate,
    "genz-malik": lambda p: si.cubature(lambda x: x[:, 0] * x[:, 1], 0.1 * p, p, rule="genz-malik").estimate,
    "half a line": lambda p: si.cubature(lambda x: np.exp(-p[0] * x[:, 0]), p[1:], [np.inf], rtol=1e-7).estimate,
    "the other way": lambda p: si.cubature(lambda x: np.exp(-p[0] * x[:, 0]), p[1:], [0.2], points=[[0.4]]).estimate,
    "a matrix": lambda p: (
        si.cubature(lambda x, q: x[:, :1, None] ** q * np.ones((2, 1)), [0.5], p[1:], args=(p[0],)).estimate
    ),
}


@newer
@pytest.mark.parametrize("name", BOXES)
def test_integrals_over_boxes(name: str) -> None:
    report = check(BOXES[name], np.array([1.3, 0.7]), directions=1, order=2 if name == "half a line" else 1)
    assert report.verdict == "agree", report.doubts


@newer
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")  # of SciPy's own run, before it is exchanged
def test_what_is_refused_of_boxes() -> None:
    p = np.array([1.3, 0.7])
    result = lambda p: si.cubature(lambda x: np.exp(-p[0] * x[:, 0]), [0.0], [1.0])  # noqa: E731
    with pytest.raises(UnsupportedFunctionError, match="'regions'"):
        dd.jacobian(lambda p: result(p).regions[0].estimate)(p)
    turning = lambda p: si.cubature(lambda x: np.exp(1j * p[0] * x[:, 0]), [0.0], [1.0]).estimate.imag  # noqa: E731
    with pytest.raises(UnsupportedFunctionError, match="complex values"):
        dd.jacobian(turning)(p)
    jump = lambda p: si.cubature(lambda x: np.abs(x[:, 0] - 0.3) ** p[0], [0.0], [1.0], max_subdivisions=2).estimate  # noqa: E731
    with pytest.raises(InaccurateIntegralError, match="max_subdivisions="):
        dd.jacobian(jump)(0.1 * p)
    pole = lambda p: si.cubature(lambda x: 1 / np.sqrt(p[0] - x[:, 0]), [0.0], p[:1], rtol=1e-3).estimate  # noqa: E731
    with pytest.raises(InaccurateIntegralError, match="no finite value at the limit"), np.errstate(all="ignore"):
        dd.jacobian(pole)(p)
