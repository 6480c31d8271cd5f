"""Right-hand sides and integrands that jump: loud where the jump moves with what is differentiated, right where it does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate
from scipy.integrate import odeint, quad, quad_vec, solve_bvp, solve_ivp

import dualdiff as dd
from dualdiff.errors import JumpError
from dualdiff.scipy.points import Points
from dualdiff.scipy.systems import Given

MATRIX = np.array([[2.0, 0.0], [0.0, 2.0]])


def end(rhs: Callable[..., Any], span: Any, y0: Any, **options: Any) -> Callable[[Any], Any]:
    """Return the last state of a solution, as a function of its parameters, all traced."""
    return lambda p: solve_ivp(lambda t, y: rhs(t, y, p), span, y0, **options).y[:, -1]


def friction(t: Any, y: Any, p: Any) -> Any:
    return [y[1], -y[0] - p[0] * np.sign(y[1])]


def large(t: Any, y: Any, p: Any) -> Any:
    return p[0] * np.roll(y, 1) - y - np.where(y > 0.5, 1.0, 0.0)


JUMPING: dict[str, tuple[Callable[..., Any], Any, dict[str, Any]]] = {
    **{f"friction by {m}": (friction, [1.0, 0.2], {"method": m}) for m in ("RK45", "BDF", "LSODA")},
    "friction, lax": (friction, [1.0, 0.2], {"rtol": 1e-2}),
    "where": (lambda t, y, p: np.where(y < 0.5, p[0], 0.6 * p[0]), [0.1], {"method": "DOP853", "rtol": 1e-9, "atol": 1e-11}),
    "an angle that wraps": (lambda t, y, p: [p[0] * y[1], -y[0] + 0.1 * np.arctan2(y[0], y[1])], [0.1, -1.0], {}),
    "time against a parameter": (lambda t, y, p: np.where(t > p[1], p[0], -y), [0.1], {}),
    "not recorded": (lambda t, y, p: np.linalg.solve(MATRIX, np.stack(friction(t, y, p))), [1.0, 0.2], {}),
    "a table": (lambda t, y, p: [p[0] * np.array([1.0, 2.0, 0.5, 1.0])[int(y[0])]], [0.1], {}),
    "large": (large, np.linspace(0.1, 0.6, 80), {}),
    "a mode that slides": (lambda t, y, p: [0.3 - p[0] * np.sign(y[0])], [0.05], {"max_step": 0.1, "rtol": 1e-1, "atol": 1e-1}),
}  # fmt: skip


@pytest.mark.parametrize("name", JUMPING)
def test_a_jump_that_the_state_or_a_parameter_moves_raises(name: str) -> None:
    rhs, y0, options = JUMPING[name]
    f = end(rhs, (0.0, 1.0), y0, **options)
    with pytest.raises(JumpError, match="right-hand side of solve_ivp jumps") as error:
        dd.jacrev(f, capture="always")(np.array([1.0, 0.77]))
    assert 0.0 < error.value.at < 1.0
    assert len(error.value.state) == len(y0)


def test_the_error_says_when_where_and_which_entry_and_a_value_alone_does_not_raise() -> None:
    f = end(friction, (0.0, 1.0), [1.0, 0.2], rtol=1e-6, atol=1e-8)
    p = np.array([0.1])
    with pytest.raises(JumpError, match=r"in entry 1 from -1\.118 to -0\.918 at t = 0\.1798") as error:
        dd.jvp(f, (p,), (p,))
    assert error.value.entries.tolist() == [1]
    np.testing.assert_allclose(error.value.state, [1.018, 0.0], atol=1e-4)
    for tangent in (0.0, -0.0):  # along which nothing moves
        assert not np.any(dd.jvp(f, (p,), (tangent * p,))[1])
    assert np.array_equal(dd.compile(f)(p), f(p))


def dose(t: Any, y: Any, p: Any) -> Any:
    return np.where((t > 0.5) & (t < 0.75), p[0], 0.0) - p[1] * y


@pytest.mark.parametrize("options", [{"method": m, "max_step": 0.1} for m in ("RK45", "Radau")])
def test_a_jump_at_a_fixed_time_is_right(options: dict[str, Any]) -> None:
    options = {"rtol": 1e-6, "atol": 1e-8, **options}
    exact = lambda p: p[0] / p[1] * (np.exp(-0.25 * p[1]) - np.exp(-0.5 * p[1])) + np.exp(-p[1])  # noqa: E731
    p = np.array([2.0, 0.7])
    found = dd.grad(lambda p: end(dose, (0.0, 1.0), [1.0], **options)(p)[0])(p)
    np.testing.assert_allclose(found, dd.grad(exact)(p), atol=2e-4)


def contact(t: Any, y: Any, p: Any) -> Any:
    return [y[1], -p[0] - np.where(y[0] < 0.0, 50.0 * y[0], 0.0)]


@pytest.mark.parametrize(
    "rhs",
    [
        contact,
        lambda t, y, p: [y[1], -p[0] * np.abs(y[0])],
        lambda t, y, p: [np.maximum(y[1], 0.3), np.clip(-p[0] * y[0], -0.4, 0.2)],
        lambda t, y, p: [y[1], -p[0] * np.tanh(40.0 * y[0])],
        lambda t, y, p: [np.arctan2(y[1], y[0] + 9.0), -p[0] * np.where(y[0] > 0.0, np.sqrt(np.abs(y[0])), 0.0)],
        lambda t, y, p: np.linalg.solve(MATRIX, np.stack([y[1], -p[0] * np.maximum(y[0], 0.0)])),
    ],
)
@pytest.mark.parametrize("options", [{"rtol": 1e-2, "method": "DOP853"}])
def test_kinks_and_steep_slopes_do_not_raise(rhs: Any, options: dict[str, Any]) -> None:
    assert np.all(np.isfinite(dd.jacrev(end(rhs, (0.0, 2.0), [0.3, -1.0], **options))(np.array([1.3]))))


# --------------------------------------------------------------------------------------------------
# ends of solutions at jumps


def stands(t: float, y: Any) -> Any:
    return y[1]


stands.terminal = True  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["RK45", "LSODA"])
def test_a_block_stops_where_its_friction_jumps(method: str) -> None:
    def f(p: Any) -> Any:  # the friction, the speed at first
        brake = lambda t, y: [y[1], -p[0] * np.sign(y[1])]  # noqa: E731
        found = solve_ivp(brake, (0.0, 9.0), [0.0, p[1]], method=method, events=stands, rtol=1e-6, atol=1e-8)
        return np.array([found.t[-1], found.y[0, -1]])

    p = np.array([0.5, 2.0])
    exact = [[-p[1] / p[0] ** 2, 1 / p[0]], [-(p[1] ** 2) / 2 / p[0] ** 2, p[1] / p[0]]]
    np.testing.assert_allclose(dd.jacfwd(f)(p), exact, atol=1e-3)
    np.testing.assert_allclose(dd.jacrev(f)(p), exact, atol=1e-3)


@pytest.mark.parametrize("held", [True, False])
def test_solutions_from_turn_to_turn(held: bool) -> None:
    def f(p: Any) -> Any:  # the stiffness, the friction, where it starts
        t, y, side = 0.0, np.array([p[2], 0.0]), -1.0
        for _ in range(2):
            turns = lambda t, y: y[1]  # noqa: E731
            turns.terminal, turns.direction = True, -side  # type: ignore[attr-defined]
            rhs = lambda t, y, s=side: [y[1], -p[0] * y[0] - p[1] * (s if held else np.sign(y[1]))]  # noqa: E731
            found = solve_ivp(rhs, (t, t + 9.0), y, events=turns, rtol=1e-6, atol=1e-8)
            t, y, side = found.t[-1], found.y[:, -1], -side
        return np.array([t, y[0]])

    p = np.array([4.0, 0.3, 1.0])
    exact = [[-np.pi / p[0] ** 1.5, 0.0, 0.0], [4 * p[1] / p[0] ** 2, -4 / p[0], 1.0]]
    np.testing.assert_allclose(dd.jacrev(f)(p), exact, atol=1e-3)


def test_what_lies_after_the_last_time_does_not_raise_and_parts_that_end_at_a_moving_jump_are_right() -> None:
    rhs = lambda t, y, p: np.where(t < p[0], 1.0, -p[1] * y)  # noqa: E731
    options = {"rtol": 1e-6, "atol": 1e-8}
    p = np.array([0.4, 0.7])
    early = lambda p: solve_ivp(lambda t, y: rhs(t, y, p), (0, 1), p[1:], t_eval=[0.3], **options).y[0, -1]  # noqa: E731
    np.testing.assert_allclose(dd.grad(early)(p), [0.0, 1.0], atol=1e-6)

    def parts(p: Any) -> Any:
        first = solve_ivp(lambda t, y: rhs(t, y, p), (0.0, p[0]), [0.0], **options).y[:, -1]
        return solve_ivp(lambda t, y: rhs(t, y, p), (p[0], 1.0), first, **options).y[0, -1]

    exact = lambda p: p[0] * np.exp(-p[1] * (1 - p[0]))  # noqa: E731
    np.testing.assert_allclose(dd.grad(parts)(p), dd.grad(exact)(p), atol=1e-4)


# --------------------------------------------------------------------------------------------------
# other solvers


def test_odeint_raises_up_to_its_last_time() -> None:
    def f(p: Any, last: float) -> Any:
        return odeint(lambda y, t: np.where(y < 0.5, p, 0.5 * p), 0.1, [0.0, 0.2, last])[-1, 0]

    with pytest.raises(JumpError, match="right-hand side of odeint"):
        dd.grad(f)(1.0, 1.0)
    assert abs(dd.grad(f)(1.0, 0.3) - 0.3) < 1e-6


def curved(load: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return the middle of a string under a load."""
    x = np.linspace(0.0, 1.0, 9)
    ends = lambda ya, yb: np.array([ya[0], yb[0] - 0.5])  # noqa: E731
    return lambda p: solve_bvp(
        lambda x, y: np.vstack([y[1], load(x, y[0], p)]), ends, x, np.zeros((2, 9)), tol=1e-2, max_nodes=50
    ).sol(0.5)[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of SciPy's refinement
def test_solve_bvp_raises_where_the_solution_or_a_parameter_moves_the_jump() -> None:
    with pytest.raises(JumpError, match="right-hand side of solve_bvp"):
        dd.jacfwd(curved(lambda x, y, p: np.where(y > 0.1, p, 3 * p)))(1.02)
    with pytest.raises(JumpError, match="right-hand side of solve_bvp"):
        dd.jacrev(curved(lambda x, y, p: np.where(x > 0.5 * p, p, 3 * p)))(1.02)
    fixed = curved(lambda x, y, p: np.where(x > 0.45, p, 1.3 * p) + 0.0 * np.maximum(y, 0.2))
    assert abs(dd.grad(fixed)(1.0) + 0.125 + 0.075 * 0.45**2) < 1e-2


@pytest.mark.parametrize(
    "integral",
    [
        lambda p: quad(lambda s: np.where(s < p, p * s, 1.0), 0, 1)[0],
        lambda p: quad(lambda s: p * s if s < p else 1.0, 0, 1, points=[0.4])[0],
        lambda p: quad_vec(lambda s: np.where(s < p, np.array([1.0, p]), 0.0), 0, 1)[0].sum(),
        lambda p: quad(lambda s: p * np.floor(s / p), 0, 1)[0],
        lambda p: quad(lambda s: p * s if s < p else 1.0, 0, p)[0],
    ],
)
@pytest.mark.parametrize("operator", [dd.jacrev])
def test_an_integrand_that_jumps_at_a_place_that_moves_raises(integral: Any, operator: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(JumpError, match="jumps"):
            operator(integral)(0.4)


@pytest.mark.parametrize(
    ("integral", "exact"),
    [
        (lambda p: quad(lambda s: p * s, 0, p)[0] + quad(lambda s: 1.0, p, 1)[0], lambda p: 1.5 * p * p - 1),
        (lambda p: quad(lambda s: p * s if s <= p else 1.0, 0, p)[0], lambda p: 1.5 * p * p),
        (lambda p: quad(lambda s: np.where(s < 0.3, p, 2 * p), 0, 1, points=[0.3])[0], lambda p: 1.7),
        (lambda p: quad(lambda s: np.where(s < p, 0.0, s - p), 0, 1)[0], lambda p: p - 1),
        (lambda p: quad(lambda s: abs(s - p), 0, 1)[0], lambda p: 2 * p - 1),
        (lambda p: quad(lambda s: p / np.sqrt(s), 0, 1)[0], lambda p: 2.0),
        (lambda p: quad(lambda s: np.sqrt(s - p), p, 1)[0], lambda p: -np.sqrt(1 - p)),
    ],
)
def test_integrals_whose_jumps_and_kinks_are_harmless_are_right(integral: Any, exact: Any) -> None:
    for operator in (dd.jacfwd, dd.jacrev):
        assert abs(operator(integral)(0.4) - exact(0.4)) < 1e-6


@pytest.mark.skipif(not hasattr(scipy.integrate, "tanhsinh"), reason="since SciPy 1.15")
def test_an_integral_by_tanhsinh_raises_where_a_jump_moves() -> None:
    with pytest.raises(JumpError, match="jumps"):
        dd.grad(lambda p: scipy.integrate.tanhsinh(lambda s: np.where(s < p, p, 0.0), 0, 1).integral)(0.4)


@pytest.mark.skipif(not hasattr(scipy.integrate, "cubature"), reason="since SciPy 1.15")
def test_an_integral_over_a_box_raises_where_a_jump_moves_and_is_right_where_it_stands() -> None:
    def mean(f: Callable[[Any], Any], points: Any = None) -> Any:
        return scipy.integrate.cubature(f, [0.0, 0.0], [1.0, 1.0], rtol=1e-3, points=points).estimate

    with pytest.raises(JumpError, match="cubature jumps"):
        dd.grad(lambda p: mean(lambda x: np.where(x[:, 0] < p, x[:, 1], 0.0)))(0.4)
    assert abs(dd.grad(lambda p: mean(lambda x: np.where(x[:, 0] < 0.3, p, 2 * p), [[0.3, 0.5]]))(0.4) - 1.7) < 1e-9
    assert abs(dd.grad(lambda p: mean(lambda x: np.exp(-p * x[:, 0] - x[:, 1])))(0.4) + 0.24318) < 1e-4


def test_a_second_derivative_does_not_miss_a_kink_that_moves() -> None:
    with pytest.raises(JumpError, match="a derivative of the function"):
        dd.hessian(lambda p: quad(lambda s: np.where(s < p, 0.0, (s - p) * p), 0, 1)[0])(0.4)


def test_decisions_are_the_same_from_jump_to_jump() -> None:
    def at(f: Callable[[Any], Any], y: Any) -> Any:
        given = Given(lambda t, y: f(y), "a function")
        many = Points(lambda inputs: given.problem(inputs[:2], []), [0.0, y[:1]], [False, True])
        varied = {0: np.zeros(len(y)), 1: y[:, None]}
        np.testing.assert_allclose(many.values(varied), np.transpose([f(v) for v in y[None]]).reshape(len(y), -1))
        return many.decisions(varied)

    y = np.array([-1.7, -1.2, -0.2, 0.3, 0.4, 1.1])
    for f, same in (
        (np.sign, [0, 0, 0, 1, 1, 1]),
        (np.floor, [0, 0, 1, 2, 2, 3]),
        (lambda y: y % 1.0, [0, 0, 1, 2, 2, 3]),
        (lambda y: np.fmod(y, 1.0), [0, 0, 1, 1, 1, 3]),
        (lambda y: np.copysign(1.0, y), [0, 0, 0, 1, 1, 1]),
        (lambda y: np.arctan2(y, -1.0), [0, 0, 0, 1, 1, 1]),
        (lambda y: np.where(y > 0.35, y, 2 * y), [0, 0, 0, 0, 1, 1]),
        (lambda y: np.maximum(np.abs(y), 0.3), [0, 0, 0, 0, 0, 0]),
    ):
        codes = at(f, y)
        assert np.array_equal(codes[:, None] == codes, np.equal.outer(same, same)), f
