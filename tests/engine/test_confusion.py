"""Perturbation confusion: nested derivatives must keep their own ε apart.

The cases of Siskind & Pearlmutter (doi:10.1007/s10990-008-9037-1 and "Perturbation Confusion and Referential
Transparency", IFL 2005), of ForwardDiff's tags, and of teaching systems that nest. The numbers are by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import dualdiff as dd

Operator = Callable[[Callable[..., Any]], Callable[..., Any]]


def by_jvp(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: dd.jvp(f, (x,), (x * 0 + 1.0,))[1]


def by_vjp(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: dd.vjp(f, x)[1](1.0)[0]


def by_linearize(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: dd.linearize(f, x)[1](1.0)


#: ways to the derivative of a scalar function of a scalar
D: dict[str, Operator] = {
    "grad": dd.grad,
    "jacfwd": dd.jacfwd,
    "jacrev": dd.jacrev,
    "jacobian": dd.jacobian,
    "jvp": by_jvp,
    "vjp": by_vjp,
    "linearize": by_linearize,
}
one = pytest.mark.parametrize("d", D.values(), ids=D)
pairs = pytest.mark.parametrize(
    ("outer", "inner"), list(product(D.values(), repeat=2)), ids=[f"{a}-{b}" for a, b in product(D, repeat=2)]
)
triples = pytest.mark.parametrize(
    ("a", "b", "c"),
    [tuple(D[n] for n in names) for names in product(("grad", "jacfwd", "jvp", "vjp"), repeat=3)],
    ids=["-".join(names) for names in product(("grad", "jacfwd", "jvp", "vjp"), repeat=3)],
)


@pairs
def test_siskind_and_pearlmutters_example(outer: Operator, inner: Operator) -> None:
    # d/dx (x · d/dy (x + y)) = d/dx (x · 1) = 1; a confused system says 2
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x + y)(x))(1.0) == 1.0


@pairs
def test_a_product_inside(outer: Operator, inner: Operator) -> None:
    # d/dx (x · d/dy (x·y)|y=2) = d/dx x² = 2x
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    # d/dx (x · d/dy (x·y²)|y=x) = d/dx (x · 2x²) = 6x²
    assert outer(lambda x: x * inner(lambda y: x * y * y)(x))(3.0) == 54.0


@pairs
def test_the_inner_variable_does_not_reach_the_result(outer: Operator, inner: Operator) -> None:
    # The inner function ignores its own variable: d/dy x² = 0, whatever x carries.
    assert outer(lambda x: inner(lambda y: x * x)(5.0) + x)(3.0) == 1.0


@pairs
def test_the_outer_variable_does_not_reach_the_inner_function(outer: Operator, inner: Operator) -> None:
    # d/dx x·(d/dy y³ at 2) = 12
    assert outer(lambda x: x * inner(lambda y: y**3)(2.0))(7.0) == 12.0


@pairs
def test_the_inner_point_depends_on_the_outer_variable(outer: Operator, inner: Operator) -> None:
    # d/dx (d/dy y⁴ at x²) = d/dx 4x⁶ = 24x⁵
    assert outer(lambda x: inner(lambda y: y**4)(x * x))(1.5) == pytest.approx(24 * 1.5**5, rel=1e-14)


@pairs
def test_currying(outer: Operator, inner: Operator) -> None:
    # f(x)(y) = x·sin y with the outer derivative taken of a function that is returned and called later
    def f(x: Any) -> Callable[[Any], Any]:
        return lambda y: x * np.sin(y)

    assert outer(lambda x: inner(f(x))(0.5))(2.0) == pytest.approx(np.cos(0.5), rel=1e-15)


@pairs
def test_order_of_operands_does_not_decide(outer: Operator, inner: Operator) -> None:
    # x ∘ y and y ∘ x for an operation that does not commute
    assert outer(lambda x: inner(lambda y: x / y)(2.0))(3.0) == -0.25  # d/dx (−x/y²) = −1/4
    assert outer(lambda x: inner(lambda y: y / x)(2.0))(3.0) == pytest.approx(-1 / 9, rel=1e-15)
    assert outer(lambda x: inner(lambda y: x**y)(2.0))(3.0) == pytest.approx(2 * 3 * np.log(3.0) + 3, rel=1e-14)
    assert outer(lambda x: inner(lambda y: y**x)(2.0))(3.0) == pytest.approx(4 + 3 * 4 * np.log(2.0), rel=1e-14)


@triples
def test_three_levels_that_all_meet(a: Operator, b: Operator, c: Operator) -> None:
    # ∂x ∂y ∂z (x·y·z)² · ... at (2, 3, 5): 8xyz = 240
    assert a(lambda x: b(lambda y: c(lambda z: (x * y * z) ** 2)(5.0))(3.0))(2.0) == pytest.approx(240.0, rel=1e-14)


@triples
def test_third_derivatives(a: Operator, b: Operator, c: Operator) -> None:
    assert a(b(c(np.sin)))(0.7) == pytest.approx(-np.cos(0.7), rel=1e-14)
    assert a(b(c(lambda x: x**5)))(2.0) == pytest.approx(240.0, rel=1e-14)
    assert a(b(c(lambda x: 1 / x)))(2.0) == pytest.approx(-6 / 16, rel=1e-14)


@triples
def test_every_level_captures_the_ones_around_it(a: Operator, b: Operator, c: Operator) -> None:
    # g(x) = ∂y[ y · ∂z(x·y·z³)|z=y ]|y=x = ∂y[3·x·y⁴]|y=x = 12x⁴;  x·g = 12x⁵;  derivative 60x⁴
    def f(x):
        return x * b(lambda y: y * c(lambda z: x * y * z**3)(y))(x)

    assert a(f)(2.0) == pytest.approx(960.0, rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_towers(n: int) -> None:
    # the n-th derivative of exp(2x) is 2ⁿ·exp(2x), modes alternating
    def f(x):
        return np.exp(2 * x)

    for i in range(n):
        f = dd.grad(f) if i % 2 else dd.jacfwd(f)
    assert f(0.3) == pytest.approx(2**n * np.exp(0.6), rel=1e-13)


@pairs
def test_arrays(outer: Operator, inner: Operator) -> None:
    if outer not in (dd.jacfwd, dd.jacrev, dd.jacobian) or inner not in (dd.jacfwd, dd.jacrev, dd.jacobian):
        outer = inner = dd.jacobian
    # J of x ↦ x · (∂/∂y Σ x·y) at any y: x² entrywise, so 2·diag(x)
    x = np.array([1.0, 2.0, 3.0])

    def f(x):
        return x * inner(lambda y: (x * y)[0] + (x * y)[1] + (x * y)[2])(np.ones(3))

    np.testing.assert_allclose(outer(f)(x), np.diag(2 * x), rtol=1e-15)


def test_batched_directions_inside_batched_directions() -> None:
    # both levels carry three directions; they must not be taken for one another
    x = np.array([0.5, 1.0, 2.0])
    H = dd.jacfwd(dd.jacfwd(lambda x: x**3))(x)
    expected = np.zeros((3, 3, 3))
    expected[range(3), range(3), range(3)] = 6 * x
    np.testing.assert_allclose(H, expected, rtol=1e-15)
    np.testing.assert_allclose(dd.jacrev(dd.jacrev(lambda x: x**3))(x), expected, rtol=1e-15)
    np.testing.assert_allclose(dd.jacfwd(dd.jacrev(lambda x: x**3))(x), expected, rtol=1e-15)
    np.testing.assert_allclose(dd.jacrev(dd.jacfwd(lambda x: x**3))(x), expected, rtol=1e-15)


def test_vjp_inside_jvp_inside_vjp() -> None:
    # x ↦ ∂ of (v ↦ pull of x³ at v) along 2: 2·6v at v = x → 12x, whose derivative is 12; and it captures x as well
    def f(x: Any) -> Any:
        return dd.jvp(lambda v: dd.vjp(lambda u: u**3 * x, v)[1](1.0)[0], (x,), (2.0,))[1]

    # inner pull: 3v²·x; along 2: 12·v·x at v = x: 12x²; pulled: 24x
    value, pull = dd.vjp(f, 1.5)
    assert value == pytest.approx(27.0, rel=1e-15)
    assert pull(1.0)[0] == pytest.approx(36.0, rel=1e-15)


def test_a_pullback_made_outside_is_used_inside() -> None:
    # The pullback of x² at 3 is w ↦ 6w; its derivative by w is 6, in both modes.
    _, pull = dd.vjp(lambda x: x * x, 3.0)
    for d in D.values():
        assert d(lambda w: pull(w)[0] * w)(2.0) == 24.0


def test_a_linearisation_made_outside_is_used_inside() -> None:
    _, push = dd.linearize(lambda x: x**3, 2.0)
    for d in D.values():
        assert d(lambda v: push(v) * v)(5.0) == 120.0  # 12v² → 24v


@pairs
def test_a_traced_seed(outer: Operator, inner: Operator) -> None:
    # The direction, not the point, carries the outer derivative: ∂/∂v (2x·v) = 2x
    assert outer(lambda v: dd.jvp(lambda x: x * x, (3.0,), (v,))[1])(7.0) == 6.0
    assert outer(lambda w: dd.vjp(lambda x: x * x, 3.0)[1](w)[0])(7.0) == 6.0
    # ... and both at once: ∂/∂t (2t·t) = 4t
    assert outer(lambda t: dd.jvp(lambda x: x * x, (t,), (t,))[1])(7.0) == 28.0
    assert inner(lambda t: dd.vjp(lambda x: x * x, t)[1](t)[0])(7.0) == 28.0


@pairs
def test_control_flow_on_the_inner_variable(outer: Operator, inner: Operator) -> None:
    def f(x: Any) -> Any:
        def g(y: Any) -> Any:
            return x * y**2 if y > x else -x * y

        return inner(g)(2.0)

    assert outer(f)(1.0) == 4.0  # x·2y at y = 2
    assert outer(f)(3.0) == -1.0


@one
def test_stop_gradient_stops_every_level(d: Operator) -> None:
    assert d(lambda x: x * d(lambda y: dd.stop_gradient(x) * y)(1.0))(3.0) == 3.0
    assert d(lambda x: d(lambda y: y * dd.stop_gradient(y * x))(2.0))(3.0) == 0.0


@pairs
def test_assignment_of_an_outer_value_in_an_inner_array(outer: Operator, inner: Operator) -> None:
    def f(x: Any) -> Any:
        def g(y: Any) -> Any:
            a = np.array([y, y * y, x])
            b = np.zeros_like(a)
            b[0] = x * y
            b[1] = a[1] * b[0]
            return b[0] + b[1] + a[2] * b[1]

        # b0 = xy, b1 = x·y³: g = xy + xy³ + x²y³; g' = x + 3xy² + 3x²y²
        return inner(g)(2.0)

    assert outer(f)(3.0) == pytest.approx(1 + 12 + 24 * 3, rel=1e-15)


@pairs
def test_an_inner_array_overwritten_whole_by_outer_values(outer: Operator, inner: Operator) -> None:
    def f(x: Any) -> Any:
        def g(y: Any) -> Any:
            a = y * np.arange(1.0, 4.0)
            b = y * np.ones(3)
            c = x * np.ones(3)
            a[:] = c
            c[0] = 7.0  # another array by now
            b[...] = a
            return np.sum(a * b * y) + np.sum(c)

        # a = b = x: g = 3x²y + …, and nothing of what stood in a
        return inner(g)(2.0)

    assert outer(f)(3.0) == 18.0


@one
def test_an_array_of_constants_filled_and_overwritten(d: Operator) -> None:
    def f(x: Any) -> Any:
        y = np.array([1.0, 2.0, 3.0]) * np.ones(3)
        z = np.zeros_like(x, shape=3) + 5.0
        z[1] = x * x
        z[2] = z[1] * z[0]
        return np.sum(z * y)

    assert d(f)(2.0) == 2 * 4.0 + 3 * 20.0
