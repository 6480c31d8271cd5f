"""JAX's spelling: the rules are called as its documentation says, and the other mode follows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import InputError, RuleError
from tests.custom import flavours

X, Y = np.array([0.3, 1.2]), np.array([2.0, -1.0])


@pytest.mark.parametrize("name", ["forward", "by_argument", "reverse"])
def test_both_modes_from_either_rule(name: str) -> None:
    f = getattr(flavours, name)
    for jac in (dd.jacfwd, dd.jacrev):
        by_x, by_y = jac(f, (0, 1))(X, Y)
        np.testing.assert_allclose(by_x, np.diag(np.cos(X) * Y))
        np.testing.assert_allclose(by_y, np.diag(np.sin(X)))
    np.testing.assert_allclose(dd.hessian(lambda x: f(x, Y).sum())(X), np.diag(-np.sin(X) * Y))
    np.testing.assert_allclose(dd.jacfwd(lambda x: f(y=Y, x=x))(X), np.diag(np.cos(X) * Y))


def test_defjvp_is_a_decorator_and_gives_the_rule_back() -> None:
    f = dd.custom_jvp(lambda x: x**2)

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        return f(*primals), 2 * primals[0] * tangents[0]

    assert rule((3.0,), (1.0,)) == (9.0, 6.0)
    assert dd.grad(f)(3.0) == 6.0


def test_what_is_not_differentiated_comes_first() -> None:
    seen = []

    @dd.custom_jvp
    def plain(x: Any) -> Any:
        return x

    def applied(f: Any, x: Any) -> Any:
        return f(x)

    g = dd.custom_jvp(applied, nondiff_argnums=(0,))

    @g.defjvp
    def _(f: Any, primals: Any, tangents: Any) -> Any:
        seen.append(f)
        (x,), (t,) = primals, tangents
        return f(x), 2.0 * t

    assert dd.grad(lambda x: g(np.sin, x), check=False)(0.5) == 2.0
    assert dd.jvp(lambda x: g(np.sin, x), (0.5,), (3.0,), check=False)[1] == 6.0
    assert set(seen) == {np.sin}

    h = dd.custom_vjp(lambda lo, x, hi: x, nondiff_argnums=(0, 2))
    h.defvjp(lambda lo, x, hi: (x, None), lambda lo, hi, kept, g: (np.clip(g, lo, hi),))
    assert dd.grad(lambda x: 10 * h(-1.0, x, 4.0), check=False)(2.0) == 4.0
    named = dd.custom_vjp(nondiff_argnames=("lo", "hi"))(lambda lo, x, hi: x)
    named.defvjp(lambda lo, x, hi: (x, None), lambda lo, hi, kept, g: (np.clip(g, lo, hi),))
    assert dd.grad(lambda x: 10 * named(lo=-1.0, x=x, hi=3.0), check=False)(2.0) == 3.0
    with pytest.raises(RuleError, match="parameter 'lo'"):
        dd.grad(lambda lo: named(lo, 1.0, 2.0))(0.0)
    assert plain(3.0) == 3.0


def test_structures_go_in_and_out() -> None:
    @dd.custom_vjp
    def f(p: Any) -> Any:
        return {"y": p["a"] * p["b"]}

    f.defvjp(lambda p: (f(p), p), lambda p, g: ({"a": g["y"] * p["b"], "b": g["y"] * p["a"]},))
    point = {"a": X, "b": Y}
    g = dd.grad(lambda p: f(p)["y"].sum())(point)
    np.testing.assert_array_equal(g["a"], Y)
    np.testing.assert_array_equal(g["b"], X)
    out, slope = dd.jvp(f, (point,), ({"a": np.ones(2), "b": np.zeros(2)},))
    np.testing.assert_array_equal(slope["y"], Y)
    np.testing.assert_array_equal(out["y"], X * Y)


def test_none_is_no_cotangent_and_no_rule_no_influence() -> None:
    f = dd.custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (f(x, y), y), lambda y, g: (g * y, None))
    assert dd.grad(f, (0, 1))(3.0, 4.0) == (4.0, 0.0)
    g = dd.custom_jvp(lambda x, y: x * y)
    g.defjvps(lambda t, out, x, y: t * y, None)
    assert dd.grad(g, (0, 1))(3.0, 4.0) == (4.0, 0.0)
    h = dd.custom_jvp(lambda x: x * 2.0)
    h.defjvps(None)
    assert dd.grad(h)(3.0) == 0.0


def test_a_stable_derivative_where_the_function_overflows() -> None:
    @dd.custom_jvp
    def log1pexp(x: Any) -> Any:
        return np.log(1.0 + np.exp(x))

    log1pexp.defjvps(lambda t, out, x: (1 - 1 / (1 + np.exp(x))) * t)
    with np.errstate(over="ignore"):
        assert dd.grad(log1pexp)(1000.0) == 1.0


def test_straight_through_on_tensors_and_in_both_modes() -> None:
    through = dd.custom_vjp(np.round)
    through.defvjp(lambda x: (np.round(x), None), lambda _, g: (g,))
    x = dd.tensor(X, requires_grad=True)
    (through(x) * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 2.0])
    np.testing.assert_array_equal(dd.jacfwd(through)(X), np.eye(2))


def test_what_is_missing_or_does_not_fit_is_said() -> None:
    f = dd.custom_jvp(lambda x: x)
    assert f(2.0) == 2.0
    with pytest.raises(RuleError, match=r"no rule was given; give it with f\.defjvp"):
        dd.grad(f)(2.0)
    with pytest.raises(RuleError, match=r"f.defvjp\(fwd, bwd\)"):
        dd.grad(dd.custom_vjp(lambda x: x))(2.0)
    f.defjvp(lambda p, t: t[0])
    with pytest.raises(RuleError, match="returned no pair"):
        dd.grad(f)(np.float64(2.0))
    f.defjvps(lambda t, out, x: t, lambda t, out, x: t)
    with pytest.raises(RuleError, match="1 arguments, and defjvps was given 2 rules"):
        dd.grad(f)(2.0)
    with pytest.raises(InputError, match="use defjvp"):
        dd.custom_jvp(lambda n, x: x, nondiff_argnums=(0,)).defjvps(lambda t, out, x: t)
    with pytest.raises(InputError, match="takes a function"):
        f.defjvp(3)
    g = dd.custom_vjp(lambda x, y: x * y)
    with pytest.raises(InputError, match="two functions"):
        g.defvjp(lambda x, y: 0, None)
    g.defvjp(lambda x, y: 3.0, lambda kept, c: (c, c))
    with pytest.raises(RuleError, match="fwd of <lambda> returned no pair"):
        dd.grad(g)(1.0, 2.0)
    g.defvjp(lambda x, y: (x * y, None), lambda kept, c: (c,))
    with pytest.raises(
        RuleError, match="bwd of <lambda> returned 1 covectors where a tuple with one covector for each of 2"
    ):
        dd.grad(g)(1.0, 2.0)


def test_they_pickle_by_name() -> None:
    for f in (flavours.forward, flavours.reverse):
        again = pickle.loads(pickle.dumps(flavours.forward))
        assert dd.grad(again)(0.5, 2.0) == dd.grad(f)(0.5, 2.0)


def test_defaults_are_arguments_of_the_rule() -> None:
    @dd.custom_vjp
    def f(x: Any, scale: Any = 2.0) -> Any:
        return x * scale

    f.defvjp(lambda x, scale: (x * scale, (x, scale)), lambda kept, g: (g * kept[1], g * kept[0]))
    assert dd.grad(f)(3.0) == 2.0
    assert dd.grad(f, "scale")(3.0, scale=5.0) == 3.0
