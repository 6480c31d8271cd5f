"""The operators: arguments, structure, dtypes, shapes, ownership, threads, pickles, SciPy."""

from __future__ import annotations

import importlib.resources
import inspect
import pickle
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import dualdiff as dd
from dualdiff.errors import InputError, NonScalarError
from dualdiff.register import REGISTER

MODES = {"forward": dd.jacfwd, "reverse": dd.jacrev, "auto": dd.jacobian}
modes = pytest.mark.parametrize("jac", MODES.values(), ids=MODES)

Point = namedtuple("Point", "x y")


@dataclass(frozen=True)
class Body:
    mass: float
    position: np.ndarray
    inner: dict[str, Any]


def rosenbrock(x: Any) -> Any:
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def cubes(x: Any) -> Any:
    return x**3


# --------------------------------------------------------------------------------------------------
# which arguments


@modes
def test_argnums(jac: Any) -> None:
    def f(x, y, z):
        return x * y**2 * z**3

    args = (2.0, 3.0, 5.0)
    wanted = (9.0 * 125, 2 * 2 * 3 * 125.0, 2 * 9 * 3 * 25.0)
    for i in range(3):
        assert jac(f, i)(*args) == wanted[i]
        assert jac(f, i - 3)(*args) == wanted[i]
        assert jac(f, (i,))(*args) == (wanted[i],)
    assert jac(f, (2, 0))(*args) == (wanted[2], wanted[0])
    assert jac(f, [0, -1])(*args) == (wanted[0], wanted[2])
    assert dd.grad(f, (-1, 1))(*args) == (wanted[2], wanted[1])


@pytest.mark.parametrize("argnums", [2, -3, (0, 2)])
def test_argnums_out_of_range(argnums: Any) -> None:
    with pytest.raises(InputError, match="positional argument"):
        dd.grad(lambda x, y: x * y, argnums)(1.0, 2.0)


@pytest.mark.parametrize("argnums", [(0, 0), (0, -2)])
def test_argnums_that_repeat(argnums: Any) -> None:
    with pytest.raises(InputError, match="twice"):
        dd.jacobian(lambda x, y: x * y, argnums)(1.0, 2.0)


def test_an_argument_passed_by_keyword_is_differentiated() -> None:
    assert dd.grad(lambda x: x * x)(x=2.0) == 4.0


@modes
def test_keyword_arguments_pass_through(jac: Any) -> None:
    def f(x: Any, scale: float = 1.0, *, power: int = 2, names: Any = ()) -> Any:
        assert names in ((), ["kept", "as", "is"])
        return scale * x**power

    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(jac(f)(x), np.diag(2 * x))
    np.testing.assert_array_equal(jac(f)(x, 3.0, power=3, names=["kept", "as", "is"]), np.diag(9 * x**2))
    assert dd.grad(f)(2.0, power=3) == 12.0
    assert dd.hvp(lambda x, a, *, b: a * b * x**3)(2.0, 1.0, 3.0, b=5.0) == 180.0


@pytest.mark.parametrize("operator", [dd.grad, dd.jacobian, dd.jacfwd, dd.hessian, dd.hvp, dd.value_and_grad])
def test_what_is_not_a_function_is_refused(operator: Any) -> None:
    with pytest.raises(InputError, match="must be a function"):
        operator(3.0)


@pytest.mark.parametrize("options", [{"mode": "sideways"}, {"chunk": 0}, {"chunk": -1}, {"chunk": 1.5}])
def test_options_that_make_no_sense_are_refused(options: Any) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        dd.jacobian(np.sin, **options)


# --------------------------------------------------------------------------------------------------
# structure


@modes
def test_structures_in_and_out(jac: Any) -> None:
    def f(p: Any) -> Any:
        return {"sum": p["a"] + p["b"][0], "pair": (p["b"][1] * 2.0, [p["a"] ** 2])}

    J = jac(f)({"a": np.array([1.0, 2.0]), "b": (3.0, np.array([4.0]))})
    assert set(J) == {"sum", "pair"}
    np.testing.assert_array_equal(J["sum"]["a"], np.eye(2))
    np.testing.assert_array_equal(J["sum"]["b"][0], np.ones(2))
    np.testing.assert_array_equal(J["sum"]["b"][1], np.zeros((2, 1)))
    np.testing.assert_array_equal(J["pair"][0]["b"][1], [[2.0]])
    np.testing.assert_array_equal(J["pair"][0]["a"], np.zeros((1, 2)))
    np.testing.assert_array_equal(J["pair"][1][0]["a"], np.diag([2.0, 4.0]))


@modes
def test_named_tuples(jac: Any) -> None:
    J = jac(lambda p: Point(p.x * p.y, p.y))(Point(2.0, 3.0))
    assert Point(Point(3.0, 2.0), Point(0.0, 1.0)) == J
    assert type(J) is Point
    assert type(J.x) is Point


def test_dataclasses() -> None:
    body = Body(2.0, np.array([1.0, 2.0]), {"k": np.array([3.0])})

    def energy(b):
        return b.mass * (b.position[0] ** 2 + b.position[1] ** 2) * b.inner["k"][0]

    g = dd.grad(energy)(body)
    assert type(g) is Body
    assert g.mass == 15.0
    assert g.position.tolist() == [12.0, 24.0]
    assert g.inner["k"].tolist() == [10.0]
    value, tangent = dd.jvp(lambda b: Body(b.mass**2, b.position * b.mass, b.inner), (body,), (g,))
    assert type(value) is type(tangent) is Body
    assert tangent.mass == 2 * 2.0 * 15.0
    np.testing.assert_array_equal(tangent.position, g.position * 2.0 + body.position * 15.0)
    _, pull = dd.vjp(lambda b: Body(b.mass**2, b.position * b.mass, b.inner), body)
    (back,) = pull(Body(1.0, np.ones(2), {"k": np.array([7.0])}))
    assert back.mass == 4.0 + 3.0
    assert back.inner["k"].tolist() == [7.0]


@modes
def test_flat_joins_everything_to_one_matrix(jac: Any) -> None:
    def f(p, q):
        return (p["a"] * q, p["b"] + 0.0 * q[0])

    J = jac(f, (0, 1), flat=True)({"a": np.array([1.0, 2.0]), "b": 3.0}, np.array([4.0, 5.0]))
    np.testing.assert_array_equal(J, [[4, 0, 0, 1, 0], [0, 5, 0, 0, 2], [0, 0, 1, 0, 0]])
    assert jac(np.sin, flat=True)(0.5).shape == (1, 1)
    assert jac(np.sum, flat=True)(np.ones((2, 3))).shape == (1, 6)
    assert jac(lambda x: x * np.ones((2, 3)), flat=True)(0.5).shape == (6, 1)


@modes
def test_auxiliary_data(jac: Any) -> None:
    def f(x):
        return (x**2, {"twice": 2 * x, "text": "kept", "n": 3})

    x = np.array([1.0, 2.0])
    J, aux = jac(f, has_aux=True)(x)
    np.testing.assert_array_equal(J, np.diag(2 * x))
    assert aux["text"] == "kept"
    assert aux["n"] == 3
    assert type(aux["twice"]) is np.ndarray
    np.testing.assert_array_equal(aux["twice"], 2 * x)


@modes
def test_auxiliary_data_keep_the_derivatives_of_outer_runs(jac: Any) -> None:
    def f(y):
        z = y * 1.0
        view = z[:1]
        z[0] = 5 * y[1]
        return z, {
            "view": view,
            "entries": np.array([y[0], 2 * y[1], 1.0]),
            "outer": outer[0] ** 2,
            "product": y * outer[0],
        }

    outer: list[Any] = [1.0]
    x = np.array([2.0, 3.0])
    _, aux = jac(f, has_aux=True)(x)
    np.testing.assert_array_equal(aux["view"], [15.0])
    np.testing.assert_array_equal(aux["entries"], [2.0, 6.0, 1.0])

    def through(t):
        outer[0] = t[0]
        runs = (
            jac(f, has_aux=True)(t)[1],
            dd.jvp(f, (t,), (t,), has_aux=True)[2],
            dd.vjp(f, t, has_aux=True)[2],
            dd.grad(lambda y: (lambda v, aux: (v.sum(), aux))(*f(y)), has_aux=True)(t)[1],
        )
        return [np.concatenate([aux["product"], np.stack([aux["outer"]]), aux["entries"]]) for aux in runs]

    want = np.array([[4.0, 0], [3, 2], [4, 0], [1, 0], [0, 2], [0, 0]])
    for way in (dd.jacfwd, dd.jacrev):
        for found in way(through)(x):
            np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("one", [1.0, 1, True, np.float64(1), np.float32(1), np.int64(1), np.array(1.0), np.array(1)])
@pytest.mark.parametrize("x", [2.0, np.float64(2), np.array(2.0)], ids=["float", "scalar", "array"])
def test_directions_without_axes_are_what_their_values_are(x: Any, one: Any) -> None:
    def f(x):
        y = np.multiply(x, 1.0)[...]
        y = np.zeros_like(y) + y
        return np.reshape(y * x, 1)[0] + x[...] if isinstance(x, np.ndarray) else np.reshape(y * x, 1)[0] + x

    found = (
        dd.jvp(f, (x,), (one,))[1],
        dd.linearize(f, x)[1](one),
        *dd.vjp(f, x)[1](one),
        dd.grad(lambda t: dd.jvp(f, (t,), (one,))[1])(x) + 3.0,
        dd.grad(lambda t: dd.jvp(f, (x,), (t,))[1])(2.0),
        dd.grad(lambda t: dd.vjp(f, x)[1](t)[0])(2.0),
        dd.hvp(f)(x, one) + 3.0,
    )
    assert [float(t) for t in found] == [5.0] * 7
    assert [np.shape(t) for t in found] == [()] * 7


def test_auxiliary_data_of_the_others() -> None:
    def f(x):
        return (x * x, x + 1)

    assert dd.grad(f, has_aux=True)(3.0) == (6.0, 4.0)
    assert dd.value_and_grad(f, has_aux=True)(3.0) == ((9.0, 4.0), 6.0)
    assert dd.jvp(f, (3.0,), (1.0,), has_aux=True) == (9.0, 6.0, 4.0)
    value, pull, aux = dd.vjp(f, 3.0, has_aux=True)
    assert (value, pull(1.0), aux) == (9.0, (6.0,), 4.0)
    for found in (dd.grad(f, has_aux=True)(3.0)[1], dd.jvp(f, (3.0,), (1.0,), has_aux=True)[2], aux):
        assert type(found) in (float, np.float64)
    with pytest.raises(InputError, match="pair"):
        dd.grad(lambda x: x * x, has_aux=True)(3.0)


# --------------------------------------------------------------------------------------------------
# shapes


@modes
@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 1), (2, 3), (3, 1), (0,), (0, 2)])
def test_shapes_are_never_squeezed(jac: Any, shape: Any) -> None:
    x = np.ones(shape)
    for f, out in (
        (np.sin, shape),
        (lambda x: x.reshape((1, *shape)), (1, *shape)),
        (lambda x: x[..., None] * np.ones(2), (*shape, 2)),
    ):
        J = jac(f)(x)
        assert np.shape(J) == out + shape
        value, again = dd.value_and_jacobian(f, mode=jac(f).mode)(x)
        assert np.shape(value) == out
        assert np.shape(again) == out + shape


@modes
def test_empty_arrays(jac: Any) -> None:
    assert jac(lambda x: x * 2)(np.zeros((0,))).shape == (0, 0)
    assert jac(lambda x: np.sum(x))(np.zeros((0,))).shape == (0,)
    assert jac(lambda x: np.zeros(0) * x[0])(np.ones(3)).shape == (0, 3)
    assert dd.grad(lambda x: np.sum(x))(np.zeros((0,))).shape == (0,)
    assert jac(lambda x: x * 2, flat=True)(np.zeros((0, 2))).shape == (0, 0)
    assert jac(lambda x: ())(np.ones(3)) == ()


@modes
def test_results_that_do_not_depend_on_the_input_have_zero_derivative(jac: Any) -> None:
    np.testing.assert_array_equal(jac(lambda x: np.ones(2))(np.ones(3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(jac(lambda x: (x, 1.5))(np.ones(3))[1], np.zeros(3))
    assert jac(lambda x: 7.0)(1.0) == 0.0
    np.testing.assert_array_equal(jac(lambda x: x.astype(int).astype(float))(np.ones(3)), np.zeros((3, 3)))


# --------------------------------------------------------------------------------------------------
# kinds of numbers


@modes
def test_python_floats_stay_python_floats(jac: Any) -> None:
    assert type(jac(lambda x: x * x)(3.0)) is float
    assert type(dd.grad(lambda x: x * x)(3.0)) is float
    value, tangent = dd.jvp(lambda x: x * x, (3.0,), (1.0,))
    assert type(value) is type(tangent) is float


@modes
def test_zero_dimensional_arrays(jac: Any) -> None:
    J = jac(lambda x: x * x)(np.array(3.0))
    assert np.shape(J) == ()
    assert J == 6.0


@modes
@pytest.mark.parametrize("x", [3, True, np.int32(3), np.array([1, 2]), np.array([True, False])], ids=repr)
def test_integers_are_promoted_once(jac: Any, x: Any) -> None:
    J = jac(lambda x: x**2 * 0.5)(x)
    assert np.asarray(J).dtype == np.float64
    np.testing.assert_array_equal(np.asarray(J), np.asarray(jac(lambda x: x**2 * 0.5)(np.asarray(x, float))))


@modes
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_in_dtype_out(jac: Any, dtype: Any) -> None:
    x = np.array([1.0, 2.0], dtype)
    J = jac(lambda x: 2.0 * np.sin(x) * x)(x)
    assert J.dtype == dtype
    value, tangent = dd.jvp(np.exp, (x,), (x,))
    assert value.dtype == tangent.dtype == dtype
    assert dd.vjp(np.exp, x)[1](x)[0].dtype == dtype
    assert jac(lambda x: x * x)(dtype(3)).dtype == dtype


def test_mixed_precision_gives_every_argument_its_own() -> None:
    x, y = np.array([1.0, 2.0], np.float32), np.array([3.0, 4.0])
    gx, gy = dd.vjp(lambda x, y: x * y, x, y)[1](np.ones(2))
    assert (gx.dtype, gy.dtype) == (np.float32, np.float64)


@modes
def test_complex_jacobians_of_holomorphic_functions(jac: Any) -> None:
    z = np.array([1 + 2j, 0.5 - 1j])
    J = jac(lambda z: z**2 * (1 + 1j), holomorphic=True)(z)
    np.testing.assert_allclose(J, np.diag(2 * z * (1 + 1j)), rtol=1e-14)
    assert jac(np.exp, holomorphic=True)(1j) == pytest.approx(np.exp(1j), rel=1e-15)


@modes
def test_complex_inputs_want_to_be_meant(jac: Any) -> None:
    z = np.array([1 + 2j])
    with pytest.raises(InputError, match="holomorphic=True"):
        jac(lambda z: z * z)(z)
    with pytest.raises(InputError, match="needs complex inputs"):
        jac(lambda z: z * z, holomorphic=True)(np.ones(2))
    with pytest.raises(InputError, match="not holomorphic"):
        jac(np.conj, holomorphic=True)(z)
    with pytest.raises(InputError, match="not holomorphic"):
        jac(lambda z: z * abs(z), holomorphic=True)(z)


@modes
def test_complex_results_of_real_inputs(jac: Any) -> None:
    x = np.array([0.5, 2.0])
    np.testing.assert_allclose(jac(lambda x: np.exp(1j * x))(x), np.diag(1j * np.exp(1j * x)), rtol=1e-14)
    np.testing.assert_allclose(jac(lambda x: (x * (2 + 1j)).real)(x), 2 * np.eye(2), rtol=1e-14)


COMPLEX_NUMBERS: list[Any] = [1.0, np.float64(1.0), np.float32(1.0), np.array(1.0)]


@pytest.mark.parametrize("x", COMPLEX_NUMBERS, ids=lambda x: type(x).__name__)
def test_a_complex_result_of_a_real_number_has_its_imaginary_part(x: Any) -> None:
    def f(x: Any) -> Any:
        return np.exp(1j * x)

    first, second = 1j * np.exp(1j), -np.exp(1j)
    one = x * 0 + 1
    found = {
        **{mode: dd.jacobian(f, mode=mode)(x) for mode in ("auto", "forward", "reverse")},
        "flat": dd.jacobian(f, flat=True)(x)[0, 0],
        "with its value": dd.value_and_jacobian(f)(x)[1],
        "plan": dd.plan_jacobian(f, x)(x),
        "jvp": dd.jvp(f, (x,), (one,))[1],
        "linearize": dd.linearize(f, x)[1](one),
        "vjp": dd.vjp(f, x)[1](one)[0] + 1j * dd.vjp(f, x)[1](1j * one)[0],
    }
    for name, J in found.items():
        np.testing.assert_allclose(J, first, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(dd.jacobian(f, mode="finite-differences")(x), first, rtol=1e-4)
    for hessian in (dd.hessian(f), dd.jacrev(dd.jacrev(f)), dd.jacfwd(dd.jacfwd(f))):
        np.testing.assert_allclose(hessian(x), second, rtol=1e-6)
    assert all(np.isrealobj(c) for c in dd.vjp(f, x)[1](1j * one))  # of a real argument the cotangent is real
    if type(x) is float:
        assert type(dd.jacobian(f)(x)) is complex


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "finite-differences"])
def test_complex_and_real_results_side_by_side(mode: Any) -> None:
    def f(p: Any) -> Any:
        a, b = p["a"], p["b"]
        return {"wave": np.exp(1j * a[0]), "real": a[0] * b, "list": [1j * a[1] * b]}

    J = dd.jacobian(f, mode=mode)({"a": [1.0, 2.0], "b": np.array([3.0, 4.0])})
    np.testing.assert_allclose(J["wave"]["a"], [1j * np.exp(1j), 0.0], rtol=1e-8)
    np.testing.assert_allclose(J["real"]["a"], [[3.0, 4.0], [0.0, 0.0]], rtol=1e-8)
    np.testing.assert_allclose(J["list"][0]["a"], [[0.0, 0.0], [3j, 4j]], rtol=1e-8)
    np.testing.assert_allclose(J["list"][0]["b"], 2j * np.eye(2), rtol=1e-8)
    assert type(J["real"]["a"][0]) is np.ndarray
    assert J["real"]["b"].dtype == np.float64


def test_the_complex_step_of_a_complex_result_is_refused() -> None:
    with pytest.raises(InputError, match="complex result"):
        dd.jacobian(lambda x: np.exp(1j * x), mode="complex-step")(1.0)


def test_complex_gradients_are_adjoints() -> None:
    # ∇|z|² = 2z: the direction of steepest ascent
    assert dd.grad(lambda z: (z * np.conj(z)).real)(1 + 2j) == 2 + 4j
    _, pull = dd.vjp(lambda z: z * (3 - 1j), 1 + 2j)
    assert pull(1.0 + 0j)[0] == 3 + 1j


@pytest.mark.parametrize(
    "x",
    [
        "text",
        None,
        [1.0, 2.0, "a"],
        {"a": "b"},
        np.array(["a"]),
        np.array([None]),
        object(),
        np.array(["2020-01-01"], "M8[D]"),
    ],
    ids=lambda x: "object" if type(x) is object else repr(x),
)
def test_what_cannot_be_differentiated_is_refused(x: Any) -> None:
    for operator in (dd.grad, dd.jacobian, dd.jacfwd, dd.jacrev):
        if x is None:
            continue  # a node without leaves: nothing to differentiate by
        with pytest.raises(InputError, match="cannot be differentiated"):
            operator(lambda x: 1.0)(x)


@modes
def test_results_that_are_not_numbers_are_refused(jac: Any) -> None:
    for bad in ("text", np.array(["a"]), object()):
        with pytest.raises(InputError, match="returned"):
            jac(lambda x, bad=bad: bad)(np.ones(2))


@modes
def test_discrete_results_say_that_they_have_no_derivative(jac: Any) -> None:
    for f in (lambda x: x > 0.5, lambda x: np.argmax(x), lambda x: x.astype(int)):
        with pytest.raises(InputError, match="no derivative"):
            jac(f)(np.ones(2))


# --------------------------------------------------------------------------------------------------
# jvp, vjp, linearize, gradients


def test_jvp_checks_its_tangents() -> None:
    x = np.ones(3)
    with pytest.raises(InputError, match="shape"):
        dd.jvp(np.sin, (x,), (np.ones(2),))
    with pytest.raises(InputError, match="shape"):
        dd.jvp(np.sin, (x,), (1.0,))
    with pytest.raises(InputError, match="arrays where"):
        dd.jvp(np.sin, (x,), (x, x))
    with pytest.raises(InputError, match="complex"):
        dd.jvp(np.sin, (x,), (x * 1j,))
    with pytest.raises(InputError, match="numeric"):
        dd.jvp(np.sin, (x,), (np.array(["a", "b", "c"]),))


def test_vjp_and_linearize_check_their_seeds() -> None:
    x = np.ones(3)
    _, pull = dd.vjp(lambda x: (np.sin(x), x[0]), x)
    with pytest.raises(InputError, match="arrays where"):
        pull(x)
    with pytest.raises(InputError, match="shape"):
        pull((np.ones(2), 1.0))
    with pytest.raises(InputError, match="complex"):
        pull((x * 1j, 1.0))
    _, push = dd.linearize(np.sin, x)
    with pytest.raises(InputError, match="shape"):
        push(np.ones(4))
    with pytest.raises(InputError, match="arrays where"):
        push(x, x)


def test_integer_seeds_are_fine() -> None:
    assert dd.jvp(lambda x: x * 2, (3.0,), (1,)) == (6.0, 2.0)
    assert dd.vjp(lambda x: x * 2, 3.0)[1](1) == (2.0,)
    np.testing.assert_array_equal(dd.vjp(lambda x: x * 2, np.ones(2))[1](np.array([1, 0]))[0], [2.0, 0.0])


def test_linearize_is_jvp_many_times() -> None:
    def f(x, y):
        return (np.sin(x) * y, x[0] + y)

    x, y = np.array([0.5, 1.0]), 2.0
    value, push = dd.linearize(f, x, y)
    for u, v in ((np.array([1.0, 0.0]), 0.0), (np.array([0.5, -1.0]), 3.0)):
        expected_value, expected = dd.jvp(f, (x, y), (u, v))
        found = push(u, v)
        for a, b in zip((*value, *found), (*expected_value, *expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15)


def test_a_gradient_needs_one_real_scalar() -> None:
    with pytest.raises(NonScalarError, match=r"\(2,\).*dd\.jacobian"):
        dd.grad(lambda x: x * 2)(np.ones(2))
    with pytest.raises(NonScalarError, match=r"\(1,\)"):
        dd.grad(lambda x: x * 2)(np.ones(1))
    with pytest.raises(NonScalarError):
        dd.grad(lambda x: (x, x))(1.0)
    with pytest.raises(NonScalarError, match="complex"):
        dd.grad(lambda x: x * 1j)(1.0)
    assert dd.value_and_grad(rosenbrock)(np.array([1.0, 2.0]))[0] == 100.0


def test_hessians() -> None:
    x = np.array([1.0, 2.0])
    expected = [[2 - 400 * (2 - 3), -400], [-400, 200]]
    np.testing.assert_array_equal(dd.hessian(rosenbrock)(x), expected)
    np.testing.assert_array_equal(dd.jacfwd(dd.jacfwd(rosenbrock))(x), expected)
    np.testing.assert_array_equal(dd.jacrev(dd.jacrev(rosenbrock))(x), expected)
    np.testing.assert_array_equal(dd.jacrev(dd.jacfwd(rosenbrock))(x), expected)
    for v in np.eye(2):
        np.testing.assert_array_equal(dd.hvp(rosenbrock)(x, v), np.array(expected) @ v)
    assert dd.hessian(cubes)(x).shape == (2, 2, 2)
    blocks = dd.hessian(lambda x, y: x[0] * x[1] * y, (0, 1))(x, 3.0)
    np.testing.assert_array_equal(blocks[0][0], [[0, 3], [3, 0]])
    np.testing.assert_array_equal(blocks[0][1], [2, 1])
    np.testing.assert_array_equal(blocks[1][0], [2, 1])
    assert blocks[1][1] == 0


@modes
@pytest.mark.parametrize("chunk", [1, 2, 3, 100, None])
def test_chunks(jac: Any, chunk: Any) -> None:
    x = np.arange(5.0)

    def f(x):
        return x[::-1] ** 2 * x[0] + np.array([1.0, 2, 3, 4, 5])

    np.testing.assert_array_equal(jac(f, chunk=chunk)(x), dd.jacfwd(f)(x))
    np.testing.assert_array_equal(dd.hessian(lambda x: f(x)[1], chunk=chunk)(x), dd.hessian(lambda x: f(x)[1])(x))


@modes
@pytest.mark.parametrize("chunk", [1, 2, None])
def test_a_function_does_not_see_which_columns_are_asked_for(jac: Any, chunk: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        z = y.copy()
        z += np.tanh(x)  # into a copy of an argument that has no direction in this chunk
        m = np.array([[0.0, -y[1]], [y[0], 1.0]]) * y[0]  # of entries that have none
        return np.exp(m) @ z

    x, y = np.array(0.5), np.array([0.25, -1.0])
    expected = dd.jacrev(f, (0, 1))(x, y)
    for a, b in zip(jac(f, (0, 1), chunk=chunk)(x, y), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_value_and_jacobian() -> None:
    x = np.array([1.0, 2.0])
    for mode in ("auto", "forward", "reverse"):
        value, J = dd.value_and_jacobian(cubes, mode=mode)(x)
        np.testing.assert_array_equal(value, cubes(x))
        np.testing.assert_array_equal(J, np.diag(3 * x**2))
    (value, aux), J = dd.value_and_jacobian(lambda x: (x * 2, "aux"), has_aux=True)(x)
    assert aux == "aux"
    np.testing.assert_array_equal(J, 2 * np.eye(2))


def test_auto_looks_again_for_another_shape() -> None:
    # tall for one input shape, wide for another: decisions must not leak from one to the other
    A = np.random.default_rng(0).standard_normal((40, 40))

    def f(x):
        return A[:, : x.shape[0]] @ x if x.shape[0] < 10 else np.sum(A[0] * x)

    jac = dd.jacobian(f)
    for n in (5, 40, 5, 40):
        x = np.ones(n)
        expected = A[:, :5] if n == 5 else A[0]
        np.testing.assert_allclose(jac(x), expected, rtol=1e-14)


def test_explain_prints_and_answers() -> None:
    tall = dd.jacobian(lambda x: np.sin(x[0] * np.arange(200.0)) + x[1] + x[2] * x[3])
    text = str(tall.explain(np.ones(4)))
    assert "forward" in text
    assert "reverse" in text
    assert "← chosen" in text
    found = tall.explain(np.ones(4))
    assert found.chosen == "forward"
    assert found.reason.startswith("forward")
    assert {w.name: w.sweeps for w in found.ways} == {"forward": 4, "reverse": 200}
    wide = dd.jacobian(lambda x: np.sum(np.sin(x)))
    assert wide.explain(np.ones(500)).chosen == "reverse"
    assert dd.jacfwd(np.sin).explain(np.ones(5)).chosen == "forward"
    assert dd.jacrev(np.sin).explain(np.ones(5)).chosen == "reverse"


# --------------------------------------------------------------------------------------------------
# ownership


def test_inputs_mutated_between_vjp_and_its_pullback() -> None:
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    _, pull = dd.vjp(lambda x, y: x * y * x, x, y)
    _, push = dd.linearize(lambda x, y: x * y * x, x, y)
    x += 100
    y[:] = -1
    np.testing.assert_array_equal(pull(np.ones(2))[0], [6.0, 16.0])
    np.testing.assert_array_equal(pull(np.ones(2))[1], [1.0, 4.0])
    np.testing.assert_array_equal(push(np.ones(2), np.zeros(2)), [6.0, 16.0])


@modes
def test_constants_mutated_while_the_function_runs(jac: Any) -> None:
    def f(y: Any) -> Any:
        A = np.zeros((2, 2))
        for k in range(3):
            A[0, 0], A[0, 1], A[1, 1] = k, 1.0, 2.0
            y = A @ y
        return y

    expected = np.eye(2)
    for k in range(3):
        expected = np.array([[k, 1.0], [0.0, 2.0]]) @ expected
    np.testing.assert_array_equal(jac(f)(np.array([1.0, 2.0])), expected)


@modes
def test_constants_of_elementwise_functions_mutated(jac: Any) -> None:
    def f(x: Any) -> Any:
        c = np.ones(2)
        y = x * c
        c[:] = 7.0
        z = y / c
        c *= 2.0
        mask = np.array([True, False])
        w = np.where(mask, z, 2 * z)
        mask[:] = False
        index = np.array([1, 0])
        u = w[index]
        index[:] = 0
        return u

    np.testing.assert_allclose(jac(f)(np.array([1.0, 2.0])), [[0, 2 / 7], [1 / 7, 0]], rtol=1e-15)


def test_constants_mutated_after_the_recording() -> None:
    c = np.array([2.0, 3.0])
    index = np.array([1, 1])
    base = np.array([5.0, 5.0, 6.0])
    view = base[1:]
    _, pull = dd.vjp(lambda x: (x * c)[index] * view, np.ones(2))
    _, push = dd.linearize(lambda x: (x * c)[index] * view, np.ones(2))
    c[:] = 0
    index[:] = 0
    base[:] = 0
    np.testing.assert_array_equal(pull(np.ones(2))[0], [0.0, 33.0])
    np.testing.assert_array_equal(push(np.array([0.0, 1.0])), [15.0, 18.0])


def test_seeds_are_never_written() -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[0] = x[1] * x[0]
        y[1:] = x[:-1]
        y += x
        y[0] *= 2
        return y

    x, seed = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    for array in (x, seed):
        array.flags.writeable = False
    _, pull = dd.vjp(f, x)
    first = pull(seed)[0].copy()
    np.testing.assert_array_equal(pull(seed)[0], first)
    writeable = seed.copy()
    pull(writeable)
    dd.jvp(f, (x,), (writeable,))
    dd.linearize(f, x)[1](writeable)
    np.testing.assert_array_equal(writeable, seed)
    np.testing.assert_array_equal(dd.jvp(f, (x,), (seed,))[1], dd.jacfwd(f)(x) @ seed)


@pytest.mark.parametrize(
    "f", [lambda x: x, lambda x: x[:], lambda x: x.reshape(-1), lambda x: x + 0.0, lambda x: x[::-1][::-1]]
)
def test_results_do_not_share_memory_with_inputs_or_seeds(f: Any) -> None:
    x, v = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    _, pull = dd.vjp(f, x)
    for result in (pull(v)[0], dd.jvp(f, (x,), (v,))[1], dd.linearize(f, x)[1](v)):
        result *= 0.0
        assert v.tolist() == [3.0, 4.0]
    for J in (dd.jacfwd(f)(x), dd.jacrev(f)(x)):
        J[...] = 0.0
    assert pull(v)[0].tolist() == [3.0, 4.0]
    assert x.tolist() == [1.0, 2.0]


@modes
def test_writing_into_a_copy_of_the_input_leaves_the_input_alone(jac: Any) -> None:
    def f(x: Any) -> Any:
        y = x.copy()
        y[0] = y[1] ** 2
        return y * x

    x = np.array([1.0, 3.0])
    np.testing.assert_array_equal(jac(f)(x), [[9.0, 6.0], [0.0, 6.0]])
    assert x.tolist() == [1.0, 3.0]


def test_writing_the_whole_of_an_array_without_axes() -> None:
    def f(x: Any) -> Any:
        y = x.copy()
        y[...] = x * 2
        return y

    _, pull = dd.vjp(f, np.array(3.0))
    for seed in (1.0, np.float64(1.0), np.array(1.0), np.ones((2,))[0]):
        assert pull(seed)[0] == 2.0
    assert dd.jvp(f, (np.array(3.0),), (np.array(1.0),))[1] == 2.0


@modes
def test_writing_into_the_argument_itself_stays_inside(jac: Any) -> None:
    def f(x: Any) -> Any:
        x[0] = x[1] ** 2
        x *= 2.0
        return x

    x = np.array([1.0, 3.0])
    np.testing.assert_array_equal(jac(f)(x), [[0.0, 12.0], [0.0, 2.0]])
    assert x.tolist() == [1.0, 3.0]


# --------------------------------------------------------------------------------------------------
# exceptions, threads, pickles


@modes
def test_an_exception_in_the_middle_leaves_nothing_behind(jac: Any) -> None:
    class InterruptedOnPurposeError(Exception):
        pass

    switch = [True]

    def f(x: Any) -> Any:
        y = np.sin(x)
        if switch[0]:
            dd.grad(lambda z: np.sum(z * y))(x)
            raise InterruptedOnPurposeError
        return y * x

    x = np.array([1.0, 2.0, 3.0, 4.0])
    operator = jac(f)
    for _ in range(3):
        switch[0] = True
        with pytest.raises(InterruptedOnPurposeError):
            operator(x)
        switch[0] = False
        np.testing.assert_allclose(operator(x), np.diag(np.sin(x) + x * np.cos(x)), rtol=1e-15)


def test_the_users_own_errors_pass_unchanged() -> None:
    def f(x: Any) -> Any:
        return x + {}["missing"]

    for operator in (dd.grad, dd.jacobian, dd.jacfwd):
        with pytest.raises(KeyError, match="missing"):
            operator(f)(1.0)
    with pytest.raises(ZeroDivisionError):
        dd.grad(lambda x: 1 / 0 * x)(1.0)
    with pytest.raises(ValueError, match="broadcast"):
        dd.grad(lambda x: np.sum(x + np.ones(3)))(np.ones(2))


def test_operators_pickle_where_the_function_does() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    for operator in (
        dd.jacobian(cubes),
        dd.jacfwd(cubes, chunk=2),
        dd.jacrev(cubes, flat=True),
        dd.value_and_jacobian(cubes),
        dd.hessian(rosenbrock),
        dd.grad(rosenbrock),
        dd.value_and_grad(rosenbrock, has_aux=False),
        dd.jacobian(dd.grad(rosenbrock)),
    ):
        before = operator(x)
        again = pickle.loads(pickle.dumps(operator))
        assert repr(again) == repr(operator)
        for a, b in zip(
            np.atleast_1d(*before) if isinstance(before, tuple) else [before],
            np.atleast_1d(*again(x)) if isinstance(before, tuple) else [again(x)],
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    h = pickle.loads(pickle.dumps(dd.hvp(rosenbrock)))
    np.testing.assert_array_equal(h(x, x), dd.hvp(rosenbrock)(x, x))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(dd.grad(lambda x: x))


def test_operators_wear_the_functions_name() -> None:
    for operator in (dd.grad, dd.jacobian, dd.hessian, dd.hvp):
        assert operator(rosenbrock).__name__ == "rosenbrock"
        assert inspect.unwrap(operator(rosenbrock)) is rosenbrock
        assert "rosenbrock" in repr(operator(rosenbrock))


def test_threads() -> None:
    # many threads, one operator: levels, decisions and careful passes are nobody else's
    barrier = threading.Barrier(4)
    jac = dd.jacobian(lambda x: np.sin(x) * x[0] + np.sqrt(x))
    hess = dd.hessian(lambda x: np.sum(np.sin(x) * x[0]))

    def work(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        barrier.wait()
        ok = True
        for _ in range(20):
            x = rng.uniform(0.5, 2, 5)
            expected = np.diag(np.cos(x) * x[0] + 0.5 / np.sqrt(x))
            expected[:, 0] += np.sin(x)
            ok &= np.allclose(jac(x), expected, rtol=1e-13)
            H = np.diag(-np.sin(x) * x[0])
            H[0] += np.cos(x)
            H[:, 0] += np.cos(x)
            ok &= np.allclose(hess(x), H, rtol=1e-13)
            ok &= bool(np.isfinite(dd.jacrev(np.sqrt)(np.array([0.0, 1.0]))[0, 1]))
        return ok

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [True] * 4


# --------------------------------------------------------------------------------------------------
# strong zeros


@modes
def test_zeros_off_the_diagonal_stay_zero_where_a_partial_is_infinite(jac: Any) -> None:
    np.testing.assert_array_equal(jac(np.sqrt)(np.array([0.0, 4.0, 1.0, 9.0])), np.diag([np.inf, 0.25, 0.5, 1 / 6]))


@modes
def test_the_branch_not_taken_does_not_spoil_the_other(jac: Any) -> None:
    def f(x):
        return np.where(x > 0, np.sqrt(np.where(x > 0, x, 0.0)), 0.0)

    np.testing.assert_array_equal(jac(f)(np.array([-1.0, 4.0, 0.0, 1.0])), np.diag([0.0, 0.25, 0.0, 0.5]))

    def g(x):
        return np.where(x > 0, x, x / 0.0 if np.ndim(x) == 0 else 0.0 * x)

    np.testing.assert_array_equal(jac(g)(np.array([-1.0, 4.0, 0.5, 1.0])), np.diag([0.0, 1.0, 1.0, 1.0]))


@modes
def test_second_derivatives_beside_a_singular_point(jac: Any) -> None:
    x = np.array([0.0, 4.0])
    H = dd.jacfwd(jac(lambda x: np.sqrt(x)))(x)
    assert H[1, 1, 1] == pytest.approx(-1 / 32, rel=1e-15)
    assert H[1, 1, 0] == H[1, 0, 1] == H[0, 1, 1] == 0.0


# --------------------------------------------------------------------------------------------------
# SciPy


def test_minimize_takes_gradient_and_hessian_vector_products() -> None:
    found = optimize.minimize(
        rosenbrock, [-1.0, 2.0], jac=dd.grad(rosenbrock), hessp=dd.hvp(rosenbrock), method="trust-ncg"
    )
    assert found.success
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-5)
    found = optimize.minimize(
        rosenbrock, [-1.0, 2.0], jac=dd.grad(rosenbrock), hess=dd.hessian(rosenbrock), method="trust-exact"
    )
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-5)
    found = optimize.minimize(dd.value_and_grad(rosenbrock), [-1.0, 2.0], jac=True, method="BFGS")
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-5)


def test_extra_arguments_of_scipy_pass_through() -> None:
    def f(x, a, b):
        return a * (x[0] - b) ** 2 + x[1] ** 2

    found = optimize.minimize(f, [5.0, 5.0], args=(2.0, 3.0), jac=dd.grad(f), hessp=dd.hvp(f), method="Newton-CG")
    np.testing.assert_allclose(found.x, [3, 0], atol=1e-7)


def test_least_squares_and_root_take_jacobians() -> None:
    t = np.linspace(0, 1, 12)
    y = 2.5 * np.exp(-1.3 * t)

    def residuals(p):
        return p[0] * np.exp(-p[1] * t) - y

    for jac in MODES.values():
        found = optimize.least_squares(residuals, [1.0, 1.0], jac=jac(residuals))
        np.testing.assert_allclose(found.x, [2.5, 1.3], rtol=1e-10)

    def system(x):
        return np.array([x[0] ** 2 + x[1] ** 2 - 4, x[0] - x[1]])

    found = optimize.root(system, [1.0, 2.0], jac=dd.jacobian(system))
    np.testing.assert_allclose(found.x, [2**0.5, 2**0.5], rtol=1e-12)
    assert optimize.newton(lambda x: x**3 - 2, 1.0, fprime=dd.grad(lambda x: x**3 - 2)) == pytest.approx(
        2 ** (1 / 3), rel=1e-14
    )


def test_a_rule_that_fails_names_the_line_of_its_equation(monkeypatch):
    def broken(y, x):
        raise ZeroDivisionError("rule")

    def f(x):
        return np.sin(np.exp(x))

    monkeypatch.setattr(REGISTER[np.sin].primitive, "partials", (broken,))
    line = f.__code__.co_firstlineno + 1
    for derivative in (
        lambda: dd.grad(f)(1.0),
        lambda: dd.jacrev(f)(np.ones(2)),
        lambda: dd.linearize(f, np.ones(2))[1](np.ones(2)),
    ):
        with pytest.raises(ZeroDivisionError) as info:
            derivative()
        assert info.value.__notes__ == [f"in the derivative of np.sin, test_operators.py, line {line}"]


def test_the_package_says_that_it_is_typed():
    assert (importlib.resources.files(dd) / "py.typed").is_file()


def test_zeros_are_of_the_kind_of_their_argument() -> None:
    square = lambda x, y: x**2  # noqa: E731
    for found in (
        dd.grad(square, argnums=(0, 1))(1.0, 2.0),
        dd.vjp(square, 1.0, 2.0)[1](1.0),
        dd.jacobian(square, (0, 1))(1.0, 2.0),
    ):
        assert found == (2.0, 0.0)
        assert [type(v) for v in found] == [float, float]
    assert type(dd.grad(square, argnums=1)(1.0, np.array(2.0))) is np.ndarray
