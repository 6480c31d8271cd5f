"""Rules of the user's own: from one side of a derivative everything follows, and what does not fit is named."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import dualdiff as dd
from dualdiff.errors import InputError, RuleError
from dualdiff.kinds import PRIMITIVES
from dualdiff.testing import check_rule
from tests.custom.flavours import FLAVOURS, SECOND_ORDER, compiled
from tests.duck import StrictDuck, unwrap

X = np.array([0.3, 1.2, 2.0])
A = np.array([[1.0, 2.0, 0.5], [-1.0, 0.25, 3.0]])


@pytest.mark.parametrize("name", FLAVOURS)
def test_every_flavour_obeys_the_laws(name: str) -> None:
    f, args, kwargs = FLAVOURS[name]
    report = check_rule(f, *args, **kwargs)
    assert report.verdict == "agree"
    second = next((line for line in report.lines if line.startswith("second")), "second: none")
    assert ("the rule's own derivative" in second) == (name in SECOND_ORDER), second


@pytest.mark.parametrize("name", FLAVOURS)
def test_called_on_plain_values_it_is_the_function(name: str) -> None:
    f, args, kwargs = FLAVOURS[name]
    found, expected = f(*args, **kwargs), f.__wrapped__(*args, **kwargs)
    assert type(found) is type(expected)
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("name", [n for n in FLAVOURS if "complex operands" not in n])
def test_tensors_go_through_as_functions_do(name: str) -> None:
    f, args, kwargs = FLAVOURS[name]
    if not all(isinstance(a, (np.ndarray, float)) for a in args):
        return
    places = f.covered(len(args))
    partials = getattr(f, "partials", None)
    places = [p for i, p in enumerate(places) if partials is None or partials[i] is not None]

    def total(*xs: Any) -> Any:
        given = list(args)
        for p, x in zip(places, xs, strict=True):
            given[p] = x
        out = f(*given, **kwargs)
        leaves = (
            [out] if not isinstance(out, (tuple, list, dict)) else list(out.values()) if isinstance(out, dict) else out
        )
        parts = [np.sum(v if not isinstance(v, dict) else v["s"]) for v in leaves]
        return sum(parts[1:], parts[0])

    xs = [args[p] for p in places]
    expected = dd.grad(total, tuple(range(len(xs))))(*xs)
    tensors = [dd.tensor(x, requires_grad=True) for x in xs]
    total(*tensors).backward()
    for t, e in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(t.grad.numpy(), e, rtol=1e-6 if np.asarray(e).dtype == np.float32 else 1e-12)


@pytest.mark.parametrize(
    "name", ["jvp", "vjp", "partials", "linear, compiled", "linear in two", "custom_jvp", "custom_vjp", "checkpoint"]
)
def test_gradients_of_gradients_of_tensors(name: str) -> None:
    f, args, _ = FLAVOURS[name]

    def total(*xs: Any) -> Any:
        out = f(*xs)
        return np.sum((out if not isinstance(out, tuple) else out[0] * out[1]) ** 2)

    def slope(*xs: Any) -> Any:
        return sum([np.sum(g**2) for g in dd.grad(total, tuple(range(len(xs))))(*xs)])

    expected = dd.grad(slope, tuple(range(len(args))))(*args)
    tensors = [dd.tensor(x, requires_grad=True) for x in args]
    first = dd.gradients(total(*tensors), tensors, create_graph=True)
    parts = [(g**2).sum() for g in first]
    for found, e in zip(dd.gradients(sum(parts[1:], parts[0]), tensors), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), e, rtol=1e-11)


def test_nested_to_the_third_order() -> None:
    cube = dd.primitive(lambda x: x**3, jvp=lambda p, t: 3 * p[0] ** 2 * t[0])
    for f in (
        cube,
        dd.primitive(lambda x: x**3, vjp=lambda p, w: 3 * p[0] ** 2 * w),
        dd.primitive(lambda x: x**3, partials=lambda x: 3 * x**2),
    ):
        assert dd.grad(dd.grad(dd.grad(f)))(2.0) == pytest.approx(6.0)
        assert dd.jvp(lambda x, f=f: dd.grad(dd.grad(f))(x), (2.0,), (1.0,))[1] == pytest.approx(6.0)
        assert dd.grad(lambda x, f=f: dd.jvp(f, (x,), (1.0,))[1])(2.0) == pytest.approx(12.0)


def test_the_derivative_by_the_direction_itself() -> None:
    f = dd.primitive(compiled(lambda x: np.sin(x)), derivative="difference")
    v = np.array([1.0, -2.0, 0.5])
    g = dd.grad(lambda v: np.sum(dd.jvp(f, (X,), (v,))[1]))(v)
    np.testing.assert_allclose(g, np.cos(X), rtol=1e-9)


def test_an_elementwise_rule_has_the_diagonal_as_its_pattern() -> None:
    f = dd.primitive(np.sin, partials=np.cos)
    J = dd.jacobian(f, sparse=True)(np.linspace(0.0, 1.0, 500))
    assert J.nnz == 500
    np.testing.assert_allclose(J.diagonal(), np.cos(np.linspace(0.0, 1.0, 500)))
    assert dd.hessian(lambda x: f(x).sum(), sparse=True)(np.ones(50)).nnz == 50


def test_a_declared_matrix_is_the_pattern_and_few_directions_serve() -> None:
    calls = []

    def jvp(primals: Any, tangents: Any) -> Any:
        calls.append(1)
        return np.convolve(tangents[0], [1.0, 2.0, 3.0], "same") * 2 * np.convolve(primals[0], [1.0, 2.0, 3.0], "same")

    n = 60
    pattern = scipy.sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(n, n))
    for said in (pattern, pattern.toarray(), lambda shape: scipy.sparse.eye_array(shape[0]) + pattern):
        f = dd.primitive(lambda x: np.convolve(x, [1.0, 2.0, 3.0], "same") ** 2, jvp=compiled(jvp), pattern=said)
        x = np.linspace(1.0, 2.0, n)
        J = dd.jacobian(f, sparse=True)(x)
        assert J.nnz == 3 * n - 2
        np.testing.assert_allclose(J.toarray(), dd.jacobian(f, mode="forward")(x), rtol=1e-12)
        calls.clear()
        colored = dd.jacobian(f, sparse=True, coloring="columns")(x)
        np.testing.assert_allclose(colored.toarray(), J.toarray(), rtol=1e-12)
        assert len(calls) <= 6


def test_patterns_by_word_and_by_operand() -> None:
    f = dd.primitive(
        lambda x, y: x * 2 + y.sum(), vjp=lambda p, w: (2 * w, np.full(3, w.sum())), pattern=("elementwise", "dense")
    )
    J = dd.jacobian(f, ("x", "y"), sparse=True)(X, X)
    assert J.nnz == 3 + 9
    check_rule(f, X, X)
    wrong = dd.primitive(
        lambda x: x * x.sum(), jvp=lambda p, t: t[0] * p[0].sum() + p[0] * t[0].sum(), pattern=np.eye(3)
    )
    with pytest.raises(AssertionError, match="the pattern says it does not"):
        check_rule(wrong, X)


def test_a_declared_cost_reaches_the_price() -> None:
    def price(cost: Any) -> float:
        f = dd.primitive(np.sin, jvp=lambda p, t: np.cos(p[0]) * t[0], cost=cost)
        return next(w.seconds for w in dd.jacobian(f).explain(np.ones(20)).ways if w.name == "forward")

    assert price(1e9) > 100 * price(None)
    assert price(lambda shape: 1e6 * shape[0]) == price(2e7)


def test_object_arrays_of_differentiated_numbers_are_packed() -> None:
    f = dd.primitive(np.sin, partials=np.cos)
    g = dd.grad(lambda x: np.sum(f(np.array([x[0], 2.0 * x[1]], dtype=object))))(X)
    np.testing.assert_allclose(g, [np.cos(X[0]), 2 * np.cos(2 * X[1]), 0.0])


@pytest.mark.parametrize(
    "f",
    [
        dd.primitive(np.sin, partials=np.cos),
        dd.primitive(lambda x: np.sin(x), jvp=lambda p, t: np.cos(p[0]) * t[0]),
        dd.primitive(lambda x: np.sin(x), vjp=lambda p, w: np.cos(p[0]) * w),
        dd.checkpoint(lambda x: np.sin(x)),
    ],
)
def test_other_types_of_array_go_through_rules_in_numpy(f: Any) -> None:
    (found,) = dd.vjp(f, StrictDuck(X))[1](StrictDuck(np.ones(3)))
    _, slope = dd.jvp(f, (StrictDuck(X),), (StrictDuck(np.ones(3)),))
    for d in (found, slope):
        assert type(d) is StrictDuck
        np.testing.assert_allclose(unwrap(d), np.cos(X))


def test_structural_zeros_stay_zero() -> None:
    root = dd.primitive(np.sqrt, partials=lambda x: 0.5 / np.sqrt(x), singular=True)
    with np.errstate(divide="ignore"):
        for jac in (dd.jacfwd, dd.jacrev, dd.jacobian):
            np.testing.assert_array_equal(jac(root)(np.array([0.0, 4.0])), [[np.inf, 0.0], [0.0, 0.25]])


def test_a_careful_pass_goes_through_rules_of_every_kind() -> None:
    for name in ("jvp of compiled code", "vjp of compiled code", "black box, differences", "linear, compiled"):
        f, args, _ = FLAVOURS[name]
        n = len(args)

        def g(x: Any, f: Any = f, n: int = n, args: Any = args) -> Any:
            return np.sum(f(x, *args[1:n])) + np.sum(np.sqrt(x - args[0]))

        with np.errstate(all="ignore"):
            for grad in (dd.grad(g), lambda x, g=g: dd.jacfwd(g)(x)):
                assert np.isinf(grad(args[0])).all(), name


def test_rules_take_tuples_and_keywords() -> None:
    @dd.primitive(jvp=lambda primals, tangents, power, out: power * out / primals[0] * tangents[0], nondiff="power")
    def f(x: Any, power: int = 2) -> Any:
        return x**power

    assert dd.grad(f)(3.0, 3) == pytest.approx(27.0)
    assert dd.grad(f)(3.0, power=3) == pytest.approx(27.0)
    with pytest.raises(RuleError, match=r"the parameter 'power' of f is being differentiated"):
        dd.grad(f, 1)(3.0, 3.0)
    assert dd.grad(lambda x: f(x, power=dd.stop_gradient(x)))(3.0) == pytest.approx(27.0)


def test_arguments_of_other_kinds_are_left_alone() -> None:
    f = dd.primitive(
        lambda how, x, scale=None: getattr(np, how)(x) * (scale or 1.0), jvp=lambda p, t: np.cos(p[1]) * t[1]
    )
    assert dd.grad(f, 1)("sin", 0.5) == np.cos(0.5)
    assert dd.grad(f, 1)("sin", 0.5, None) == np.cos(0.5)


def test_integers_beside_what_is_differentiated() -> None:
    f = dd.primitive(lambda x, n: x**n, vjp=lambda p, w: (w * p[1] * p[0] ** (p[1] - 1), None))
    np.testing.assert_allclose(dd.grad(lambda x: np.sum(f(x, 3)))(X), 3 * X**2)
    np.testing.assert_allclose(
        dd.jacfwd(lambda x: f(x, np.array([1, 2, 3])))(X), np.diag([1.0, 2 * X[1], 3 * X[2] ** 2])
    )


def test_a_method_has_a_rule() -> None:
    class Model:
        scale = 2.0

        @dd.primitive(nondiff=0, jvp=lambda p, t, self: self.scale * np.cos(p[0]) * t[0])
        def __call__(self, x: Any) -> Any:
            return self.scale * np.sin(x)

    assert dd.grad(Model())(0.5) == 2 * np.cos(0.5)


def test_both_sides_may_be_given() -> None:
    sides = []

    def jvp(p: Any, t: Any) -> Any:
        sides.append("forward")
        return np.cos(p[0]) * t[0]

    def vjp(p: Any, w: Any) -> Any:
        sides.append("reverse")
        return np.cos(p[0]) * w

    f = dd.primitive(np.sin, jvp=jvp, vjp=vjp)
    dd.jvp(f, (0.5,), (1.0,), check=False)
    dd.grad(f, check=False)(0.5)
    assert sides == ["forward", "reverse"]


def test_real_operands_of_complex_results_get_real_covectors() -> None:
    n = 8
    x = np.linspace(0.0, 1.0, n)
    for f in (
        dd.primitive(np.fft.fft, rmatvec=lambda g: n * np.fft.ifft(g)),
        dd.primitive(lambda x: np.fft.fft(x), vjp=lambda p, w: n * np.fft.ifft(w)),
    ):
        g = dd.grad(lambda x, f=f: np.sum(np.abs(f(x)) ** 2))(x)
        np.testing.assert_allclose(g, 2 * n * x, atol=1e-12)
        check_rule(f, x, skip=("second", "precision"))
        np.testing.assert_allclose(dd.jacfwd(f)(x), np.fft.fft(np.eye(n), axis=0), atol=1e-12)


def test_float32_stays() -> None:
    x = X.astype(np.float32)
    for f in (
        dd.primitive(np.sin, partials=lambda x: np.cos(np.float64(x))),
        dd.primitive(np.sin, jvp=lambda p, t: np.cos(np.float64(p[0])) * t[0]),
        dd.primitive(np.sin, vjp=lambda p, w: np.float64(w) * np.cos(p[0])),
        dd.primitive(np.sin, derivative="difference"),
    ):
        for jac in (dd.jacfwd, dd.jacrev):
            assert jac(f)(x).dtype == np.float32


def test_results_of_several_types() -> None:
    f = dd.primitive(
        lambda x: {"a": np.float32(1) * x.astype(np.float32), "b": (x * 1j, x.sum())},
        jvp=lambda p, t: {"a": t[0], "b": (t[0] * 1j, t[0].sum())},
    )
    out, slope = dd.jvp(f, (X,), (np.ones(3),))
    assert (out["a"].dtype, out["b"][0].dtype) == (np.float32, np.complex128)
    np.testing.assert_array_equal(slope["b"][0], [1j, 1j, 1j])
    assert slope["b"][1] == 3.0
    for g in (dd.grad(lambda x: f(x)["b"][1]), dd.grad(lambda x: np.imag(f(x)["b"][0]).sum())):
        np.testing.assert_array_equal(g(X), np.ones(3))
    assert dd.grad(lambda x: f(x)["a"].sum())(X).dtype == np.float64


def test_inside_loops_arrays_and_writes() -> None:
    f = dd.primitive(lambda x: np.sin(x), jvp=lambda p, t: np.cos(p[0]) * t[0])

    def g(x: Any) -> Any:
        y = np.zeros_like(x)
        for i in range(len(x)):
            y[i] = f(x[i])
        z = f(y)
        z[0] = 0.0
        return z.sum() + f(np.zeros_like(x)).sum()

    np.testing.assert_allclose(dd.grad(g)(X), np.where([0, 1, 1], np.cos(np.sin(X)) * np.cos(X), 0.0))
    np.testing.assert_allclose(dd.jacfwd(g)(X), dd.grad(g)(X))


def test_a_result_is_its_own_even_where_the_function_returns_its_argument() -> None:
    f = dd.primitive(lambda x: x, jvp=lambda p, t: t[0])

    def g(x: Any) -> Any:
        y = f(x)
        y[0] = 5.0
        return y * x

    np.testing.assert_array_equal(dd.jacobian(g)(X), np.diag([5.0, *(2 * X[1:])]))
    seed = np.ones(3)
    dd.jvp(f, (X,), (seed,))[1][0] = 7.0
    assert seed[0] == 1.0


# -- what is said ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs one rule, partials=, jvp=, vjp=, rmatvec= or derivative="),
        ({"partials": np.cos, "jvp": lambda p, t: t}, "got partials and jvp or vjp"),
        ({"derivative": "symbolic"}, "must be one of 'difference', 'complex-step'"),
        ({"vjp": 3}, "vjp= must be a function, not 'int'"),
        ({"partials": 1, "pattern": "diagonal"}, "'dense', 'elementwise', a matrix"),
        ({"partials": 1, "pattern": "dense"}, "which is their pattern"),
        ({"partials": 1, "cost": 3.0}, "costs what its size is"),
    ],
)
def test_what_no_rule_can_be_is_refused_at_once(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dd.primitive(np.sin, **options)


def test_matvec_needs_its_transpose_and_stands_alone() -> None:
    with pytest.raises(InputError, match="needs its transpose"):
        dd.primitive(matvec=lambda x: A @ x)
    with pytest.raises(InputError, match="in the place of f"):
        dd.primitive(np.sin, matvec=lambda x: A @ x, rmatvec=lambda g: A.T @ g)
    np.testing.assert_array_equal(dd.jacobian(dd.primitive(matvec=lambda x: A @ x, rmatvec=lambda g: A.T @ g))(X), A)
    with pytest.raises(InputError, match="belongs to a function"):
        dd.primitive(3, partials=1)  # type: ignore[arg-type]


def test_a_linear_function_of_several_results() -> None:
    f = dd.primitive(lambda x: (A @ x, x.sum()), rmatvec=lambda g, s: A.T @ g + s)
    for jac in (dd.jacfwd, dd.jacrev):
        top, bottom = jac(f)(X)
        np.testing.assert_array_equal(top, A)
        np.testing.assert_array_equal(bottom, np.ones(3))
    check_rule(f, X)


def test_operators_of_scipy_as_linear_functions() -> None:
    from scipy.sparse.linalg import aslinearoperator

    op = aslinearoperator(scipy.sparse.csr_array(A))
    f = dd.primitive(matvec=op.matvec, rmatvec=op.rmatvec)
    np.testing.assert_array_equal(dd.jacobian(f, mode="forward")(X), A)
    np.testing.assert_allclose(dd.hessian(lambda x: np.sum(f(x) ** 2))(X), 2 * A.T @ A)
    g = dd.primitive(scipy.sparse.csr_array(A).dot, rmatvec=scipy.sparse.csr_array(A).T.dot, pattern=A != 0)
    assert dd.jacobian(g, sparse=True)(X).nnz == 6


SHAPES = [
    (dd.primitive(np.sin, partials=lambda x: np.ones(2)), r"partial 0 of sin returned shape \(2,\).*\(3,\)"),
    (dd.primitive(np.sin, partials=lambda x: x * 1j), r"partial 0 of sin returned dtype complex128 where float64"),
    (dd.primitive(np.sin, partials=lambda x: None), r"partial 0 of sin returned None where an array of shape \(3,\)"),
    (dd.primitive(lambda x: (x,), partials=1), r"<lambda> returned a structure"),
    (dd.primitive(np.sum, partials=1), r"sum returned shape \(\) from operands that broadcast to \(3,\)"),
    (dd.primitive(np.sin, jvp=lambda p, t: t[0][:2]), r"the rule jvp of sin returned shape \(2,\) where shape \(3,\)"),
    (dd.primitive(np.sin, jvp=lambda p, t: t[0] * 1j), r"the rule jvp of sin returned dtype complex128 where float64"),
    (
        dd.primitive(np.sin, jvp=lambda p, t: (t[0], t[0])),
        r"the rule jvp of sin returned 2 arrays where there are 1 results",
    ),
    (dd.primitive(np.sin, jvp=lambda p, t: "t"), r"returned 't' where an array of shape \(3,\) is needed"),
    (
        dd.primitive(np.sin, vjp=lambda p, w: w[:2]),
        r"the rule vjp \(argument 0\) of|the rule vjp of sin \(argument 0\)|argument 0",
    ),
    (
        dd.primitive(np.sin, vjp=lambda p, w: (w, w)),
        r"the rule vjp of sin returned 2 covectors for the 1 arrays of argument 0",
    ),
    (dd.primitive(lambda x: "text", jvp=lambda p, t: t[0]), r"<lambda> returned a 'str'"),
    (dd.primitive(lambda x: np.arange(3), jvp=lambda p, t: t[0]), r"returned an array of dtype int64"),
    (dd.primitive(lambda x: (), jvp=lambda p, t: t[0]), r"returned no number or array"),
]


@pytest.mark.parametrize(("f", "message"), SHAPES)
def test_what_a_rule_returns_is_checked_and_named(f: Any, message: str) -> None:
    for jac in (dd.jacfwd, dd.jacrev):
        with pytest.raises(RuleError, match=message):
            jac(f)(X)


def test_what_a_transpose_returns_is_checked_and_named() -> None:
    for back, message in (
        (lambda g: None, "rmatvec of f returned None where one array is needed"),
        (lambda g: g, r"rmatvec of f returned shape \(2,\) where shape \(3,\) is needed"),
        (lambda g: 1j * A.T @ g, "rmatvec of f returned dtype complex128 where float64"),
    ):

        @dd.primitive(rmatvec=back)
        def f(x: Any) -> Any:
            return A @ x

        np.testing.assert_array_equal(dd.jacfwd(f)(X), A)
        with pytest.raises(RuleError, match=message):
            dd.jacrev(f)(X)


def test_an_operand_without_a_partial_is_named() -> None:
    f = dd.primitive(lambda x, y: x * y, partials=(lambda x, y: y, None))
    np.testing.assert_array_equal(dd.jacobian(f)(X, 2.0), 2 * np.eye(3))
    with pytest.raises(RuleError, match="argument 1 of <lambda> is being differentiated, and its partial is None"):
        dd.grad(f, 1)(1.0, 2.0)
    assert dd.grad(lambda x: f(x, dd.stop_gradient(x)))(3.0) == 3.0
    with pytest.raises(RuleError, match="called with 1 arguments"):
        dd.grad(dd.primitive(lambda *xs: xs[0], partials=(1, 1)))(1.0)


def test_what_is_closed_over_is_refused_where_it_would_be_lost() -> None:
    def outer(y: Any, closed: str) -> Any:
        if closed == "function":
            f = dd.primitive(lambda x: x * y, jvp=lambda p, t: t[0] * 2.0)
        else:
            f = dd.primitive(lambda x: x * 2.0, jvp=lambda p, t: t[0] * y)
        return f(y * 1.0)

    for closed in ("function", "rule"):
        with pytest.raises((RuleError, dd.errors.EscapedValueError), match=r"not among its arguments|outlived"):
            dd.grad(outer)(3.0, closed)
        with pytest.raises((RuleError, dd.errors.EscapedValueError), match=r"not among its arguments|outlived"):
            dd.jvp(lambda y, c=closed: outer(y, c), (3.0,), (1.0,))


def test_a_write_into_an_argument_is_refused() -> None:
    def f(x: Any) -> Any:
        x[0] = 1.0
        return x

    with pytest.raises(RuleError, match=r"writes into an argument.*np.array\(x\)"):
        dd.jacobian(dd.primitive(f, jvp=lambda p, t: t[0]))(X)
    with pytest.raises(ValueError, match="read-only"):
        dd.jvp(dd.primitive(np.sin, jvp=lambda p, t: np.multiply(t[0], 2.0, out=t[0])), (X,), (np.ones(3),))


def test_a_rule_that_is_not_linear_has_no_other_side() -> None:
    clipped = dd.primitive(lambda x: x, vjp=lambda p, w: np.clip(w, -1.0, 1.0))
    np.testing.assert_array_equal(dd.grad(lambda x: np.sum(10 * clipped(x)))(X), np.ones(3))
    np.testing.assert_array_equal(dd.jacrev(lambda x: 10 * clipped(x))(X), np.eye(3))
    with pytest.raises(RuleError, match="is not linear"):
        dd.jacfwd(clipped)(X)


def test_a_rule_that_is_not_numpy_says_so_at_second_order() -> None:
    f = dd.primitive(np.sin, jvp=lambda p, t: compiled(lambda x, t: np.cos(x) * t)(p[0], t[0]))
    np.testing.assert_allclose(dd.grad(f)(0.5), np.cos(0.5))
    with pytest.raises(TypeError, match="compiled") as error:
        dd.grad(dd.grad(f))(0.5)
    assert any("written in NumPy's functions" in note for note in error.value.__notes__)


# -- what the engine has of it -------------------------------------------------------------------------


def test_a_row_says_that_it_is_the_users() -> None:
    from dualdiff.kinds import Elementwise, General, Linear
    from dualdiff.rules.elementwise import add
    from dualdiff.tape import record

    for f, kind in (
        (dd.primitive(np.sin, partials=np.cos), Elementwise),
        (dd.primitive(lambda x: A @ x, rmatvec=lambda g: A.T @ g), Linear),
        (dd.primitive(np.sin, jvp=lambda p, t: np.cos(p[0]) * t[0]), General),
    ):
        tape, _ = record(f, X)
        (row,) = tape.rows
        assert isinstance(row, kind)
        assert row.by_user
    assert not add.by_user


def test_primitives_are_freed_with_their_functions() -> None:
    before = {name: len(rows) for name, rows in PRIMITIVES.items()}
    f = dd.primitive(np.sin, partials=np.cos)
    dd.grad(f)(0.5)
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None
    assert {name: len(rows) for name, rows in PRIMITIVES.items()} == before


def _cube(x: Any) -> Any:
    return x**3


def _slope(primals: Any, tangents: Any) -> Any:
    return 3 * primals[0] ** 2 * tangents[0]


by_parts = dd.primitive(_cube, jvp=_slope)


@dd.primitive(jvp=_slope)
def by_name(x: Any) -> Any:
    return x**3


def test_pickles_by_name_or_by_its_parts() -> None:
    for f in (by_name, by_parts):
        again = pickle.loads(pickle.dumps(f))
        assert dd.grad(again)(2.0) == 12.0
        assert dd.grad(copy.copy(f))(2.0) == 12.0
        row = pickle.loads(pickle.dumps(f.rows[0]))
        assert row.by_user
    assert pickle.loads(pickle.dumps(by_name)) is by_name
    assert by_name.__name__ == "by_name"
    assert repr(by_name) == "<Primitive by_name>"


def test_plans_hold_for_other_points() -> None:
    plan = dd.plan_jacobian(lambda x: by_name(x) * 2.0, X)
    np.testing.assert_allclose(plan(2 * X), np.diag(6 * (2 * X) ** 2))
    again = pickle.loads(pickle.dumps(dd.plan_jacobian(by_name, X)))
    np.testing.assert_allclose(again(2 * X), np.diag(3 * (2 * X) ** 2))
    kept = pickle.loads(pickle.dumps(dd.jacobian(by_name)))
    np.testing.assert_allclose(kept(X), np.diag(3 * X**2))
