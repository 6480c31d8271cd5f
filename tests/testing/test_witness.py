"""The witness: its error bars hold, it says when it does not know, and it does not cost more than it must."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from dualdiff import testing
from dualdiff.testing import check_gradient, check_jacobian, complex_step, differences, estimate, judge, noise_of
from dualdiff.testing.line import Line
from dualdiff.testing.stencil import SPACINGS


def along(f, x, v=None):
    x = np.asarray(x, float)
    return lambda xs: [np.asarray(f(xs[0]))], [x], [np.where(x == 0, 1.0, abs(x)) if v is None else v]


FUNCTIONS = {
    "exp": (np.exp, np.exp),
    "sin of a square": (lambda x: np.sin(x**2), lambda x: 2 * x * np.cos(x**2)),
    "quick": (lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x)),
    "ripple": (lambda x: x + 1e-3 * np.sin(1e5 * x), lambda x: 1 + 100 * np.cos(1e5 * x)),
    "cancels": (lambda x: (x + 1e8) - 1e8, lambda x: np.ones_like(x)),
    "single": (lambda x: np.sin(np.float32(x)).astype(float), np.cos),
    "rounded": (lambda x: np.round(np.exp(x), 7), np.exp),
    "absolute": (abs, np.sign),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_truth_lies_inside_the_error_bars(name):
    f, slope = FUNCTIONS[name]
    x = np.random.default_rng(1).uniform(0.3, 2.0, 200)
    found = differences(*along(f, x))
    true = slope(x) * abs(x)
    off = abs(found.values[0] - true)
    bar = 8 * found.errors[0] + 1e-10 * np.maximum(abs(true), found.secants[0])
    assert np.mean(off <= bar) > 0.95  # the others are excused by a second reading
    assert np.all(np.isfinite(found.errors[0]))
    verdicts = testing.verdict.judge_entries(true, found, 0)
    assert not (verdicts == "disagree").any()


def test_error_bars_are_narrow_where_the_function_is_smooth():
    x = np.linspace(0.5, 2, 50)
    found = differences(*along(lambda x: np.exp(x) * np.sin(x), x))
    assert np.all(found.errors[0] < 1e-11)


def test_every_entry_has_an_error_bar_of_its_own():
    found = estimate(*along(lambda x: np.stack([np.sin(x[0]), abs(x[1]), 1e9 * x[0] + x[2]]), [1.0, 0.0, 1.0]))
    assert found.errors[0][0] < 1e-11
    assert found.errors[0][1] == np.inf
    assert found.kinks[0][:, 1].tolist() == pytest.approx([-1.0, 1.0])
    assert np.isnan(found.kinks[0][:, 0]).all()
    assert 1e-9 < found.errors[0][2] < 1e-2


def test_a_function_that_stands_still_knows_nothing_unless_it_does_so_over_long_steps():
    stairs = differences(*along(lambda x: np.floor(1e6 * x) / 1e6, [0.7123456789]))
    assert stairs.values[0] == pytest.approx(0.7123456789, rel=1e-3)  # not zero, as fine steps would have it
    still = differences(*along(lambda x: np.clip(x, -1, 1), [3.0]))
    assert still.values[0] == 0.0
    assert still.errors[0] < 1e-12


def test_the_complex_step_is_not_believed_beside_a_kink():
    f, x, v = along(lambda x: np.sqrt(x @ x), [0.0, 0.0], np.array([1.0, 0.5]))
    assert complex_step(f, x, v).values[0] == pytest.approx(np.sqrt(1.25))
    assert estimate(f, x, v).errors[0] == np.inf


@pytest.mark.parametrize("shift", [1.0, 3.0, 7.3])
@pytest.mark.parametrize("size", [1e-12, 1e-13, 1e-14])
def test_the_complex_step_alone_calls_nothing_wrong(size, shift):
    # It sees the slope turned around, and the values are rounded too much to say so.
    f, x, v = along(lambda x: sum(np.sin(k + shift + size * np.conjugate(x)) for k in range(9)), [0.7])
    slope = size * sum(np.cos(k + shift) for k in range(9))
    assert judge(slope * v[0], estimate(f, x, v)) != "disagree"


def test_the_complex_step_still_sees_what_is_lost_in_the_value():
    f, x, v = along(lambda x: 1.0 + 1e-12 * np.sin(x), [0.7])
    found = estimate(f, x, v)
    assert found.values[0] == pytest.approx(1e-12 * np.cos(0.7) * 0.7, rel=1e-12)
    assert judge(1e-12 * np.cos(x[0]) * v[0], found) == "agree"
    assert judge(-1e-11 * np.cos(x[0]) * v[0], found) == "disagree"


@pytest.mark.parametrize("first", [0.0, 2e-313, 1e-100, 1e-20])
@pytest.mark.parametrize("low", [-30.0, -38.0, -700.0])
def test_what_is_rounded_away_beside_a_one_makes_no_slope_wrong(first, low):
    # The logarithm of 1 + exp(low) stands still, or shows nothing but noise beside a first entry that is seen to all digits.
    for v in (np.array([first or 1.0, -low]), np.array([0.0, 1.0])):
        f, x, _ = along(lambda x: x[0] + np.log(1 + 2 * np.exp(x[1])), [first, low])
        slope = v[0] + 2 * np.exp(low) / (1 + 2 * np.exp(low)) * v[1]
        (verdict,), _ = testing.verdict.examine(Line(f, x, [v]), [slope])
        assert verdict != "disagree"


def test_wrong_slopes_of_small_functions_are_seen():
    for size in (1e-20, 1e-200):
        f, x, v = along(lambda x: size * np.sin(x), [0.7])  # noqa: B023
        assert judge(size * np.cos(x[0]) * v[0], estimate(f, x, v)) == "agree"
        assert judge(size * np.cos(x[0]) * v[0] * 1.001, estimate(f, x, v)) == "disagree"


def test_the_complex_step_knows_its_own_noise():
    def expanded(x):
        return np.polyval(np.poly(np.ones(7)), x)

    found = complex_step(*along(expanded, [1.2]))
    true = 1.2 * 7 * 0.2**6
    assert abs(found.values[0] - true) > 4 * np.finfo(float).eps * true
    assert abs(found.values[0] - true) <= 8 * found.errors[0]
    assert found.errors[0] < 1e-3 * true


def test_steps_reach_from_a_tenth_to_a_millionth_of_a_millionth():
    assert 4 * SPACINGS[0] > 0.05
    assert SPACINGS[-1] < 5e-12
    x = np.array([0.7])
    for s in SPACINGS[:-1]:
        for k in (1, 3, 4):
            assert (x + k * s * 0.5) - x == k * s * 0.5  # no rounding of the point


@pytest.mark.parametrize("seed", range(40))
def test_gradients_at_minima_of_least_squares_are_right(seed):
    rng = np.random.default_rng(seed)
    M, x = rng.standard_normal((20, 4)), rng.standard_normal(4)
    report = check_gradient(
        lambda x: 0.5 * np.sum((M @ x - M @ AT) ** 2), lambda x: M.T @ (M @ x - M @ AT), AT := x, points=0
    )
    assert report.verdict == "agree"


@pytest.mark.parametrize("seed", range(20))
def test_our_own_gradients_at_minima_are_right(seed):
    rng = np.random.default_rng(seed)
    M, x = rng.standard_normal((20, 4)), rng.standard_normal(4)
    y = M @ x
    assert testing.check(lambda x: 0.5 * np.sum((M @ x - y) ** 2), x).verdict == "agree"


def test_what_agrees_at_once_costs_eight_evaluations_a_column():
    calls = []

    def f(x):
        calls.append(x)
        return np.sin(x) * x[0]

    def jac(x):
        J = np.diag(np.cos(x) * x[0])
        J[:, 0] += np.sin(x)
        return J

    report = check_jacobian(f, jac, np.linspace(0.3, 2, 50), points=0)
    assert report.verdict == "agree"
    assert report.evaluations == 8 * 50 + 1
    assert len(calls) <= report.evaluations + 5


def test_evaluations_can_be_limited_and_what_is_left_open_is_said():
    rosen, slope = scipy.optimize.rosen, scipy.optimize.rosen_der
    report = check_jacobian(rosen, slope, np.linspace(0.5, 1.5, 30), max_evaluations=100)
    assert report.evaluations <= 100
    assert report.verdict == "inconclusive"
    few = check_jacobian(rosen, slope, np.linspace(0.5, 1.5, 30), directions=3, points=0)
    assert few.verdict == "agree"
    assert few.evaluations < 40
    with pytest.raises(testing.CheckError, match="random direction"):
        check_jacobian(
            rosen, lambda x: slope(x) * np.where(np.arange(30) == 7, 1.01, 1), np.linspace(0.5, 1.5, 30), directions=3
        )


def test_noise_and_tolerances_can_be_declared():
    def rough(x):
        return np.exp(x) + 1e-3 * np.exp(x) * ((np.sin(x * 1e9) * 43758.5) % 1 - 0.5)

    x = np.array([0.5, 1.0])
    off = check_jacobian(np.exp, lambda x: np.diag(np.exp(x)) * 1.001, x, rtol=1e-2)
    assert off.verdict == "agree"
    with pytest.raises(testing.CheckError):
        check_jacobian(np.exp, lambda x: np.diag(np.exp(x)) * 1.001, x, rtol=1e-4)
    assert check_jacobian(np.exp, lambda x: np.diag(np.exp(x)) + 1e-5, x, atol=1e-4).verdict == "agree"
    assert check_jacobian(rough, lambda x: np.diag(np.exp(x)), x, noise=1e-3, points=0).verdict in (
        "agree",
        "inconclusive",
    )


def test_noise_is_read_from_a_table_of_differences():
    rng = np.random.default_rng(3)
    t = np.arange(9) / 64
    for level in (1e-12, 1e-6, 1e-2, 1e200, 1e-200):
        estimates = [noise_of(np.cos(t) * level * 1e3 + level * rng.standard_normal(9)) for _ in range(300)]
        assert 0.5 * level < np.median(estimates) < 2 * level
        assert np.mean(np.array(estimates) < level / 6) < 0.01


def test_any_exception_is_outside_the_domain():
    class StoppedError(Exception):
        pass

    def f(x):
        if np.real(x[0]) > 1.0:
            raise StoppedError
        return np.sin(x)

    assert check_jacobian(f, lambda x: np.diag(np.cos(x)), np.array([0.999, 0.5])).verdict == "agree"
    assert check_jacobian(f, lambda x: np.diag(np.cos(x)), np.array([1.0, 0.5])).verdict == "inconclusive"


def test_a_wave_too_short_for_any_step_is_not_taken_for_a_slope_of_zero():
    def f(x):
        return np.sinc(np.exp(x))  # at 200 a wave is shorter than the spacing of numbers

    def jac(x):
        z = np.exp(x)
        return np.diag(np.cos(np.pi * z) - np.sinc(z))

    assert check_jacobian(f, jac, np.array([200.0])).verdict == "inconclusive"
    assert check_jacobian(f, jac, np.array([2.0]), points=0).verdict == "agree"


def test_judging_without_an_estimate_of_the_second_reading_still_works():
    e = estimate(*along(np.exp, [1.0, 2.0]))
    assert judge(np.exp([1.0, 2.0]) * [1.0, 2.0], e) == "agree"
    assert judge(np.exp([1.0, 2.0]) * [1.0, 2.1], e) == "disagree"
