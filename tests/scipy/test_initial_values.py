"""``solve_ivp`` and ``odeint`` inside a differentiated function: closed forms, frozen steps, events, times, and every option."""

from __future__ import annotations

import itertools
import math
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.integrate as si
from scipy.integrate import odeint, solve_ivp

import dualdiff as dd
from dualdiff.errors import DerivativeError, InputError, NonDifferentiablePointError, UnsupportedFunctionError
from dualdiff.scipy import integrate

METHODS = ["RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA"]
TIGHT = {"rtol": 1e-6, "atol": 1e-9}


def both(f: Any, x: Any) -> Any:
    """Return the Jacobian by forward mode, which reverse mode equals to rounding, and whose function has SciPy's values."""
    x = np.asarray(x, float)
    forward, backward = dd.jacfwd(f)(x), dd.jacrev(f)(x)
    np.testing.assert_allclose(forward, backward, rtol=1e-9, atol=1e-11 * np.max(np.abs(forward)))
    np.testing.assert_allclose(dd.jvp(f, (x,), (x,))[0], f(x), rtol=1e-13, atol=1e-15)
    return forward


# --------------------------------------------------------------------------------------------------
# closed forms


@pytest.mark.parametrize("method", METHODS)
def test_decay_by_rate_start_and_times(method: str) -> None:
    at = np.array([0.3, 1.0, 2.5])

    def f(p: Any) -> Any:
        return si.solve_ivp(lambda t, y: [-p[0] * y[0]], (p[2], 3.0), [p[1]], method=method, t_eval=at, **TIGHT).y[0]

    k, y0, t0 = p = np.array([0.7, 2.0, 0.1])
    e = np.exp(-k * (at - t0))
    exact = np.stack([-(at - t0) * y0 * e, e, k * y0 * e], axis=1)
    np.testing.assert_allclose(both(f, p), exact, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_an_oscillator_at_differentiated_times(method: str) -> None:
    def f(p: Any) -> Any:
        found = solve_ivp(lambda t, y: [y[1], -(p[0] ** 2) * y[0]], (0.0, p[1]), [1.0, 0.0], method=method, **TIGHT)
        assert found.t[-1] == found.t[-1:]
        return np.array([found.y[0, -1], found.y[1, -1], found.t[-1]])

    w, t = 2.0, 1.3
    c, s = np.cos(w * t), np.sin(w * t)
    exact = [[-t * s, -w * s], [-s - w * t * c, -(w**2) * c], [0, 1]]
    np.testing.assert_allclose(both(f, [w, t]), exact, atol=2e-4 if method == "RK23" else 3e-5)


def test_a_logistic_curve_by_arguments_of_the_function() -> None:
    def f(p: Any) -> Any:
        at = p[3] * np.array([0.5, 1.0, 2.0])
        rhs = lambda t, y, r, k: r * y * (1 - y / k)  # noqa: E731
        return si.solve_ivp(rhs, (0, 4), p[:1], t_eval=at, args=(p[1], p[2]), rtol=1e-9, atol=1e-11).y[0]

    def exact(p: Any) -> Any:
        at = p[3] * np.array([0.5, 1.0, 2.0])
        return p[2] / (1 + (p[2] / p[0] - 1) * np.exp(-p[1] * at))

    p = np.array([0.2, 1.5, 3.0, 1.1])
    np.testing.assert_allclose(both(f, p), dd.jacobian(exact)(p), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_at_an_equilibrium_the_error_is_of_the_order_of_the_tolerance(method: str, tol: float) -> None:
    at = np.array([0.2, 1.0, 10.0])

    def f(p: Any) -> Any:  # the state stands still: a solver that looks at it alone takes steps of any length
        rhs = lambda t, y: p[0] - p[1] * y  # noqa: E731
        return si.solve_ivp(rhs, (0, 10), [p[2]], method=method, rtol=tol, atol=1e-3 * tol, t_eval=at).y[0]

    e = np.exp(-2 * at)
    exact = np.stack([(1 - e) / 2, -(1 - e) / 2, e], axis=1)
    np.testing.assert_allclose(both(f, [2.0, 2.0, 1.0]), exact, atol=3 * tol)


def test_a_forcing_that_vanishes_at_this_point() -> None:
    def f(p: Any) -> Any:
        return si.solve_ivp(lambda t, y: p * np.sin(20 * t) + 0 * y, (0, 3), [0.0], rtol=1e-6, atol=1e-8).y[0, -1]

    assert abs(dd.grad(f)(0.0) - (1 - np.cos(60)) / 20) < 1e-5


# The sensitivities that CVODES prints for Robertson's kinetics (its example cvsRoberts_FSA_dns, rtol = 1e-4).
CVODES = {
    0.4: [[-3.5595e-01, 3.9025e-04, 3.5556e-01], [9.5431e-08, -2.1309e-10, -9.5218e-08], [-1.5833e-11, -5.2900e-13, 1.6362e-11]],
    4.0: [[-1.8761e00, 1.7922e-04, 1.8759e00], [2.9614e-06, -5.8305e-10, -2.9608e-06], [-4.9334e-10, -2.7626e-13, 4.9362e-10]],
    40.0: [[-4.2475e00, 4.5913e-05, 4.2475e00], [1.3731e-05, -2.3573e-10, -1.3730e-05], [-2.2883e-09, -1.1380e-13, 2.2885e-09]],
}  # fmt: skip


@pytest.mark.parametrize("method", ["BDF", "LSODA"])
def test_robertson_against_what_cvodes_prints(method: str) -> None:
    def f(p: Any) -> Any:
        def rhs(t: float, y: Any) -> Any:
            first = -p[0] * y[0] + p[1] * y[1] * y[2]
            last = p[2] * y[1] ** 2
            return [first, -first - last, last]

        at = list(CVODES)
        return si.solve_ivp(rhs, (0, 40), [1.0, 0, 0], method=method, t_eval=at, rtol=1e-5, atol=[1e-9, 1e-13, 1e-9]).y

    found = dd.jacfwd(f)(np.array([0.04, 1e4, 3e7]))
    np.testing.assert_allclose(np.transpose(found, (1, 2, 0)), list(CVODES.values()), rtol=2e-3)


# --------------------------------------------------------------------------------------------------
# the steps taken


def pendulum(p: Any) -> Any:
    return lambda t, y: np.array([y[1], -p[0] * np.sin(y[0]) - p[1] * y[1] + np.cos(t)])


def frozen(kind: Any, f: Any, times: Any, y: Any) -> Any:
    """Take given steps by the formula of a method: complex numbers may pass."""
    for t, t_new in itertools.pairwise(times):
        h, slopes = t_new - t, []
        for i, c in enumerate(kind.C):
            slopes.append(f(t + c * h, y + h * sum((a * k for a, k in zip(kind.A[i], slopes)), 0 * y)))
        y = y + h * sum(b * k for b, k in zip(kind.B, slopes))
    return y


@pytest.mark.parametrize("kind", [si.RK23, si.RK45, si.DOP853])
def test_explicit_methods_have_the_derivative_of_the_steps_taken(kind: Any) -> None:
    p = np.array([2.0, 0.3, 1.0, 0.5])

    def f(p: Any) -> Any:
        return si.solve_ivp(pendulum(p), (0, 3), p[2:], method=kind, **TIGHT).y[:, -1]

    times = si.solve_ivp(pendulum(p), (0, 3), p[2:], method=kind, **TIGHT).t
    columns = [frozen(kind, pendulum(q), times, q[2:]).imag / 1e-30 for q in p + 1e-30j * np.eye(4)]
    np.testing.assert_allclose(both(f, p), np.transpose(columns), rtol=1e-12)


@pytest.mark.parametrize("method", ["RK45", "Radau", "LSODA"])
def test_second_derivatives(method: str) -> None:
    def f(p: Any) -> Any:
        return si.solve_ivp(lambda t, y: -p[0] * y, (0, p[1]), [p[2]], method=method, rtol=1e-7, atol=1e-10).y[0, -1]

    p = np.array([0.7, 2.0, 1.5])
    exact = dd.hessian(lambda p: p[2] * np.exp(-p[0] * p[1]))(p)
    np.testing.assert_allclose(dd.hessian(f)(p), exact, atol=3e-6)
    np.testing.assert_allclose(dd.jacrev(dd.grad(f))(p), dd.hessian(f)(p), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["RK45", "Radau"])
def test_a_plan_and_a_compiled_function_choose_the_steps_anew_at_another_point(method: str) -> None:
    def f(p: Any) -> Any:
        return si.solve_ivp(lambda t, y: -p * y, (0.0, 2.0), [1.0], method=method, rtol=1e-7, atol=1e-10).y[0, -1]

    with warnings.catch_warnings():  # that the program was recorded again
        warnings.simplefilter("ignore")
        plan, compiled = dd.plan_jacobian(f, 0.5), dd.compile(f)
        for p in (0.5, 6.0, 0.5, 0.02):
            assert abs(plan(p) + 2 * np.exp(-2 * p)) < 1e-6
            assert [compiled(p) for _ in range(3)] == [f(p)] * 3


def test_checkpoints_keep_less_and_give_the_same() -> None:
    def f(p: Any, **options: Any) -> Any:
        rhs = lambda t, y: p[0] * np.roll(y, 1) - p[1] * y**3  # noqa: E731
        start = np.linspace(0.0, 1.0, 500)
        return np.sum(integrate.solve_ivp(rhs, (0, 1), start, t_eval=[0.4, 1.0], max_step=0.02, **options).y ** 2)

    def peak(**options: Any) -> Any:
        tracemalloc.start()
        found = dd.grad(f)(p, **options)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found, size

    p = np.array([1.0, 0.5])
    f(p)
    (whole, much), (parts, less) = peak(), peak(checkpoints=10)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    assert less < 0.7 * much
    np.testing.assert_allclose(dd.jacfwd(f)(p, checkpoints=7), whole, rtol=1e-11)
    with pytest.raises(InputError, match="keeps every step"):
        f(p, checkpoints=3, dense_output=True)
    with pytest.raises(InputError, match="positive"):
        f(p, checkpoints=0)


# --------------------------------------------------------------------------------------------------
# events


def falls(t: float, y: Any) -> Any:
    return y[0]


falls.terminal = True  # type: ignore[attr-defined]
falls.direction = -1  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", METHODS)
def test_a_ball_is_thrown(method: str) -> None:
    def f(p: Any) -> Any:  # height, speed, gravity, where it is seen
        seen = lambda t, y: y[0] - p[3]  # noqa: E731
        rhs = lambda t, y: [y[1], -p[2]]  # noqa: E731
        found = si.solve_ivp(
            rhs, (0, 20), p[:2], method=method, events=[seen, falls], dense_output=True, max_step=0.3, **TIGHT
        )
        assert found.status == 1
        assert len(found.t_events[0]) == 2
        ends = [found.t[-1], found.t_events[1][0], *found.y[:, -1], *found.y_events[1][0]]
        return np.array([*ends, *found.t_events[0], *found.y_events[0][1], *found.sol(0.4)])

    def exact(p: Any) -> Any:
        root = lambda h, sign: (p[1] + sign * np.sqrt(p[1] ** 2 + 2 * p[2] * (p[0] - h))) / p[2]  # noqa: E731
        end, up, down = root(0.0, 1), root(p[3], -1), root(p[3], 1)
        ends = [end, end, 0 * end, p[1] - p[2] * end, 0 * end, p[1] - p[2] * end]
        middle = [p[0] + 0.4 * p[1] - 0.08 * p[2], p[1] - 0.4 * p[2]]
        return np.array([*ends, up, down, p[3], p[1] - p[2] * down, *middle])

    p = np.array([1.0, 5.0, 9.81, 1.5])
    np.testing.assert_allclose(both(f, p), dd.jacobian(exact)(p), atol=1e-5)


def test_a_ball_bounces_from_solution_to_solution() -> None:
    def f(p: Any) -> Any:
        t, y = 0.0, np.array([1.0, 0.0])
        for _ in range(3):
            found = si.solve_ivp(lambda t, y: [y[1], -p[0]], (t, 9.0), y, events=falls, rtol=1e-8, atol=1e-10)
            t, y = found.t[-1], np.array([0.0, -p[1] * found.y[1, -1]])
        return t

    def exact(p: Any) -> Any:
        return np.sqrt(2 / p[0]) * (1 + 2 * p[1] + 2 * p[1] ** 2)

    p = np.array([9.81, 0.8])
    np.testing.assert_allclose(dd.grad(f)(p), dd.grad(exact)(p), rtol=1e-6)
    np.testing.assert_allclose(dd.hessian(f)(p), dd.hessian(exact)(p), rtol=1e-5)


def test_an_event_that_touches_has_no_derivative() -> None:
    def f(p: Any) -> Any:
        return si.solve_ivp(
            lambda t, y: [p + 0 * y[0]], (0, 2), [-1.0], events=lambda t, y: y[0] ** 3 + 1e-9 * y[0]
        ).t_events[0][0]

    with pytest.raises(NonDifferentiablePointError, match="without crossing"):
        dd.grad(f)(1.0)


# --------------------------------------------------------------------------------------------------
# options, and ways to hold a parameter


class Model:
    def __init__(self, rate: Any) -> None:
        self.rate = rate

    def rhs(self, t: float, y: Any) -> Any:
        slope = np.zeros(1)
        slope[0] = -self.rate * y[0] + 0.0 * math.sin(t)
        return slope


HELD = Model(0.0)


def of_a_global(p: Any) -> Any:
    HELD.rate = p
    return solve_ivp(lambda t, y: -HELD.rate * y, (0, 1), [1.0]).y[0, -1]


@pytest.mark.parametrize(
    "solve",
    [
        lambda p: solve_ivp(Model(p).rhs, (0, 1), [1.0], **TIGHT).y[0, -1],
        lambda p: (lambda m: solve_ivp(lambda t, y: m.rhs(t, y), (0, 1), [1.0], method="BDF", **TIGHT))(Model(p)).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 1), np.array([1.0]), vectorized=True, **TIGHT).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 1), [1], method="Radau", vectorized=True, **TIGHT).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y, [0, 1], [1.0], first_step=1e-3, max_step=0.1, **TIGHT).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y[0], (1, 0), [np.exp(-p)], **TIGHT).y[0, -1] * np.exp(-p),
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 1), [1.0], dense_output=True, **TIGHT).sol(np.array([0.2, 1.0]))[0, 1],
        lambda p: solve_ivp(lambda t, y: -y, (0, 2), [1.0], dense_output=True, method="DOP853", t_eval=[1.0], **TIGHT).sol(p)[0],
        lambda p: solve_ivp(lambda t, y, q: -q * y, (0, 1), [1.0], method="Radau", jac=lambda t, y, q: [[-q]], args=(p,), **TIGHT).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 1), [1.0], method="BDF", jac_sparsity=np.eye(1), **TIGHT).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 1), [1.0], method="LSODA", lband=0, uband=0, **TIGHT).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 1), [1.0], method=si.LSODA, min_step=1e-12, **TIGHT).y[0, -1],
        lambda p: np.real(solve_ivp(lambda t, y: (1j - p) * y, (0, 1), [1 + 0j], **TIGHT).y[0, -1] * np.exp(-1j)),
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 0), [np.exp(-p)]).y[0, -1],
        lambda p: solve_ivp(lambda t, y: -p * y, (0, 0), [np.exp(-p)], method="BDF", dense_output=True).sol(0.0)[0],
    ],
)  # fmt: skip
def test_each_is_the_exponential_at_one(solve: Any) -> None:
    for operator in (dd.jacfwd, dd.jacrev):
        assert abs(operator(solve)(1.0) + np.exp(-1.0)) < 1e-5


def test_results_are_of_scipys_type_and_carry_its_counts() -> None:
    seen = []

    def f(p: Any) -> Any:
        seen.append(si.solve_ivp(lambda t, y: -p * y, (0, 1), [1.0], events=lambda t, y: y[0] - 7, dense_output=True))
        return seen[-1].y[0, -1]

    plain = f(0.5)
    dd.grad(f)(0.5)
    found, given = seen[-1], seen[0]
    assert plain == given.y[0, -1]
    assert type(found) is type(given)
    assert set(found) == set(given)
    assert (found.nfev, found.status, found.success, found.message) == (given.nfev, 0, True, given.message)
    assert isinstance(found.sol, si.OdeSolution)
    assert found.t_events[0].shape == (0,)


def test_a_sensitivity_that_is_not_finite_raises() -> None:
    def f(p: Any) -> Any:
        return solve_ivp(lambda t, y: np.sqrt(p * y), (0, 1), [1.0]).y[0, -1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DerivativeError, match="not finite"):
            dd.grad(f)(0.0)


def test_what_is_refused_is_refused_by_name() -> None:
    class Mine(si.Radau):
        pass

    decay = lambda p, **options: solve_ivp(lambda t, y: -p * y, (0, 1), [1.0], **options).y[0, -1]  # noqa: E731
    for options, message in (
        ({"method": Mine}, "not with Mine"),
        ({"method": "RK4"}, "method"),
        ({"t_eval": [2.0]}, "t_span"),
    ):
        with pytest.raises((UnsupportedFunctionError, ValueError), match=message):
            dd.grad(lambda p, options=options: decay(p, **options))(0.5)
    with pytest.raises(UnsupportedFunctionError, match="the option max_step of solve_ivp is being differentiated"):
        dd.grad(lambda p: decay(p, max_step=p))(0.5)
    try:
        with pytest.raises(UnsupportedFunctionError, match="neither an argument nor closed over"):
            dd.grad(of_a_global)(0.5)
    finally:
        HELD.rate = 0.0


# --------------------------------------------------------------------------------------------------
# odeint

AT = np.linspace(0.0, 2.0, 5)


def stiff_slope(p: Any) -> Any:
    return lambda y, t: [[-p, 0], [1e5, -1e5]]


@pytest.mark.parametrize(
    "solve",
    [
        lambda p: odeint(lambda y, t: -p * y, 1.0, AT)[:, 0],
        lambda p: odeint(lambda t, y, q: -q * y, [1.0], AT, args=(p,), tfirst=True, full_output=True)[0][:, 0],
        lambda p: odeint(lambda y, t: -y, [1.0], AT * p, rtol=1e-9, atol=1e-12)[:, 0],
        lambda p: odeint(lambda y, t: -p * y[0], [np.exp(-2 * p)], AT[::-1])[::-1, 0],
        lambda p: odeint(lambda y, t: [-p * y[0], 1e5 * (y[0] - y[1])], [1, 1], AT, Dfun=stiff_slope(p), rtol=1e-6)[:, 0],
        lambda p: odeint(lambda y, t: -p * y, [1.0], np.repeat(AT, 2), tcrit=[1.2], hmax=0.3, mxstep=5000)[::2, 0],
    ],
)  # fmt: skip
def test_odeint_gives_the_exponential(solve: Any) -> None:
    p = np.array(0.7)
    exact = -AT * np.exp(-0.7 * AT)
    for operator in (dd.jacfwd, dd.jacrev):
        np.testing.assert_allclose(operator(solve)(p), exact, atol=1e-6)
    np.testing.assert_allclose(dd.jvp(solve, (p,), (p,))[0], solve(p), rtol=1e-13)


def test_odeint_refuses_what_scipy_refuses() -> None:
    with pytest.raises(ValueError, match="monotonically"):
        dd.grad(lambda p: odeint(lambda y, t: -p * y, 1.0, [0.0, 2.0, 1.0])[-1, 0])(0.5)
    with pytest.raises(UnsupportedFunctionError, match="an option of odeint"):
        dd.grad(lambda p: odeint(lambda y, t: -p * y, 1.0, AT, hmax=p)[-1, 0])(0.5)
