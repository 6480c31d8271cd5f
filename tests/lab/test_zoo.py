"""The zoo's functions are plain NumPy, and what it says of their Jacobians is right."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

import dualdiff as dd
from dualdiff.lab.problems import Case, zoo
from dualdiff.lab.problems.scalar import roe_flux
from dualdiff.lab.problems.stencils import burgers_upwind

SMALL, MEDIUM = zoo("small"), zoo("medium")

#: Entries of their patterns vanish at some points and not at others.
WIDER = ("burgers-upwind",)


def named(case: Case) -> str:
    return case.name


@pytest.fixture(params=SMALL, ids=named)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def flat(case: Case, jacobian: np.ndarray) -> np.ndarray:
    return np.reshape(jacobian, (case.outputs, case.inputs))


def truth(case: Case) -> np.ndarray:
    return flat(case, dd.jacfwd(case.function)(case.point))


def central_differences(case: Case) -> np.ndarray:
    """Differences in steps relative to each variable, with one step of extrapolation."""

    def difference(i: int, factor: float) -> np.ndarray:
        up, down = case.point.copy(), case.point.copy()
        step = factor * abs(case.point[i])
        up[i] += step
        down[i] -= step
        return np.ravel((case.function(up) - case.function(down)) / (up[i] - down[i]))

    return np.stack([(4 * difference(i, 1e-4) - difference(i, 2e-4)) / 3 for i in range(case.inputs)], axis=1)


def distinct(cases: tuple[Case, ...]) -> bool:
    names = [case.name for case in cases]
    return len(set(names)) == len(names) and all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def test_there_are_many_and_each_has_its_name():
    assert len(SMALL) == len(MEDIUM) >= 30
    assert distinct(SMALL)
    assert distinct(MEDIUM)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="'small', 'medium', 'large'"):
        zoo("huge")


def test_small_is_small(case):
    assert case.inputs <= 40
    assert case.outputs <= 40


def test_each_is_documented_and_has_a_jacobian_or_a_pattern(case):
    assert case.title
    assert case.source
    assert case.jacobian is not None or case.pattern is not None


def test_values_are_finite_and_at_most_one_dimensional(case):
    y = case.function(case.point)
    assert np.asarray(y).dtype == np.float64
    assert np.ndim(y) <= 1
    assert np.isfinite(y).all()


def test_points_and_bound_data_cannot_be_written(case):
    assert case.point.dtype == np.float64
    assert case.point.ndim == 1
    bound = list(getattr(case.function, "keywords", {}).values())
    arrays = [a for value in bound for a in (value if isinstance(value, tuple) else (value,))]
    for array in (case.point, *(a for a in arrays if isinstance(a, np.ndarray))):
        assert not array.flags.writeable
        assert array.base is None


def test_functions_leave_their_argument_alone(case):
    x = case.point.copy()
    first = case.function(x)
    assert np.array_equal(x, case.point)
    assert not np.shares_memory(np.asarray(first), x)
    assert np.array_equal(case.function(x), first)


def test_both_modes_agree(case):
    forward, reverse = truth(case), flat(case, dd.jacrev(case.function)(case.point))
    np.testing.assert_allclose(reverse, forward, rtol=1e-9, atol=1e-12 * np.abs(forward).max())


def test_jacobian_by_hand_is_that_of_both_modes(case):
    if case.jacobian is None:
        pytest.skip("none by hand")
    J = case.jacobian(case.point)
    assert J.shape == (case.outputs, case.inputs)
    for found in (truth(case), flat(case, dd.jacrev(case.function)(case.point))):
        np.testing.assert_allclose(J, found, rtol=1e-9, atol=1e-12 * np.abs(J).max())


def test_jacobian_by_hand_is_the_limit_of_differences(case):
    J = case.jacobian(case.point) if case.jacobian is not None else truth(case)
    # Relative to the column: rounding in f is divided by a step that is relative to the variable.
    size = np.abs(J).max(axis=0)
    assert (np.abs(central_differences(case) - J) <= 1e-6 * size + 1e-9).all()


def test_pattern_holds_the_nonzeros(case):
    if case.pattern is None:
        pytest.skip("no pattern")
    pattern = case.pattern()
    assert isinstance(pattern, scipy.sparse.csr_array)
    assert pattern.dtype == bool
    assert pattern.shape == (case.outputs, case.inputs)
    assert pattern.has_canonical_format
    assert pattern.data.all()
    nonzero = truth(case) != 0
    if case.name.startswith(WIDER):
        assert not (nonzero & ~pattern.toarray()).any()
    else:
        assert np.array_equal(nonzero, pattern.toarray())


@pytest.mark.parametrize("shifted", [True, False])
def test_roe_flux_by_hand_with_every_sign_of_the_waves(shifted):
    case = roe_flux(shifted=shifted)
    for speed in (-3.0, -1.0, -0.1, 0.2, 1.1, 4.0):  # moved with the gas: momentum and energy change
        l0, l1, l2, r0, r1, r2 = case.point
        x = np.array([l0, l1 + l0 * speed, l2 + speed * l1 + l0 * speed**2 / 2] * 2)
        x[3:] = r0, r1 + r0 * speed, r2 + speed * r1 + r0 * speed**2 / 2
        np.testing.assert_allclose(case.jacobian(x), dd.jacfwd(case.function)(x), rtol=1e-9, atol=1e-12)


def test_roe_flux_is_consistent_and_upwind():
    case = roe_flux()
    state = np.array([1.2, 0.6, 2.0])
    rho, m, e = state
    p = 0.4 * (e - 0.5 * m**2 / rho)
    np.testing.assert_allclose(case.function(np.tile(state, 2)), [m, m**2 / rho + p, m / rho * (e + p)], rtol=1e-12)
    fast = np.array([1.0, 5.0, 15.0])  # faster than sound: the flux is that of the state on the left
    J = case.jacobian(np.concatenate([fast, fast * 1.001]))
    assert np.abs(J[:, 3:]).max() < 0.02 * np.abs(J[:, :3]).max()


def test_a_pattern_that_depends_on_the_point_holds_the_nonzeros_of_all():
    case = burgers_upwind(6)
    nonzero = np.zeros((6, 6), dtype=bool)
    for x in (case.point, -case.point):
        nonzero |= case.jacobian(x) != 0
    assert np.array_equal(nonzero, case.pattern().toarray())


def test_pickled_is_the_same(case):
    again = pickle.loads(pickle.dumps(case))
    assert again.name == case.name
    assert np.array_equal(again.point, case.point)
    assert np.array_equal(again.function(case.point), case.function(case.point))
    if case.jacobian is not None:
        assert np.array_equal(again.jacobian(case.point), case.jacobian(case.point))
    if case.pattern is not None:
        assert np.array_equal(again.pattern().toarray(), case.pattern().toarray())


def test_built_twice_is_the_same():
    for one, other in zip(SMALL, zoo("small"), strict=True):
        assert one.name == other.name
        assert np.array_equal(one.function(one.point), other.function(other.point))


@pytest.mark.parametrize("medium", MEDIUM, ids=named)
def test_medium_jacobians_by_hand_have_the_pattern(medium):
    assert medium.inputs * medium.outputs <= 1_000_000
    assert np.isfinite(medium.function(medium.point)).all()
    J = medium.jacobian(medium.point)
    assert J.shape == (medium.outputs, medium.inputs)
    direction = np.random.default_rng(0).normal(size=medium.inputs)
    if medium.pattern is not None:
        pattern = medium.pattern()
        assert pattern.shape == J.shape
        assert np.count_nonzero(J) == np.count_nonzero(J[pattern.nonzero()])
    _, along = dd.jvp(medium.function, (medium.point,), (direction,))
    np.testing.assert_allclose(np.ravel(along), J @ direction, rtol=1e-7, atol=1e-10 * np.abs(J).max())


def test_large_ones_build_and_evaluate():
    # Not at the head of the file: they take their time and half a gigabyte.
    cases = zoo("large")
    assert len(cases) >= 15
    assert distinct(cases)
    for case in cases:
        assert np.isfinite(case.function(case.point)).all(), case.name


def test_problems_know_nothing_of_derivatives():
    # In a fresh process: the package that holds the problems imports the library, so it is taken away first. What lists them
    # for people prints as the lab's tables do, and is none of them.
    program = """
import importlib, sys
from dualdiff.lab.problems import zoo
problems = "dualdiff.lab.problems"
modules = [m for name, m in sys.modules.items() if name.startswith(problems) and name != problems + ".listing"]
library = {name for name in sys.modules if name.split(".")[0] == "dualdiff" and not name.startswith(problems)}
for module in modules:
    for value in vars(module).values():
        assert getattr(value, "__module__", "") not in library, (module, value)
        assert getattr(value, "__name__", "") not in library, (module, value)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
