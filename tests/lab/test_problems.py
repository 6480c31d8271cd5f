"""The problems are what NIST published, and their Jacobians by hand are right."""

import numpy as np
import pytest

from dualdiff.lab.problems import BOXBOD, MGH09, MICHELSON, MISRA1A, PROBLEMS, THURBER, Problem, select

CURVES = [MISRA1A, THURBER, MGH09, BOXBOD]


def named(problem: Problem) -> str:
    return problem.name


@pytest.fixture(params=PROBLEMS, ids=named)
def problem(request: pytest.FixtureRequest) -> Problem:
    return request.param


@pytest.fixture
def point(problem: Problem) -> np.ndarray:
    """A point near the start with no symmetry left in it."""
    return problem.start * (1 + 0.1 * np.random.default_rng(0).uniform(-1, 1, problem.inputs))


@pytest.mark.parametrize("curve", CURVES, ids=named)
def test_residual_sum_of_squares_at_the_certified_parameters_is_the_certified_one(curve):
    r = curve.residual(curve.certified)
    assert r @ r == pytest.approx(curve.rss, rel=1e-9)


@pytest.mark.parametrize("curve", CURVES, ids=named)
def test_certified_parameters_are_stationary(curve):
    r, J = curve.residual(curve.certified), curve.jacobian(curve.certified)
    # The cosine between the residual and each column.
    cosine = (J.T @ r) / (np.linalg.norm(J, axis=0) * np.linalg.norm(r))
    assert np.abs(cosine).max() < 1e-7


@pytest.mark.parametrize(("curve", "degrees"), [(MISRA1A, 12), (THURBER, 30), (MGH09, 7), (BOXBOD, 4)])
def test_degrees_of_freedom(curve, degrees):
    assert curve.degrees == degrees


def test_michelson_is_wide():
    assert (MICHELSON.outputs, MICHELSON.inputs) == (3, 1000)
    assert MICHELSON.degrees < 0
    assert MICHELSON.certified is None


def test_moments_of_a_normal_density_are_its_own():
    x = MICHELSON.x
    mean, deviation = 299.83, 0.05
    density = np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
    assert MICHELSON.model(np.log(density), x) == pytest.approx([1, mean, deviation], rel=1e-8)


def test_jacobian_by_hand_against_the_complex_step(problem, point):
    step = 1e-30
    shifted = point + 1j * step * np.eye(problem.inputs)
    J = np.stack([problem.residual(b).imag / step for b in shifted], axis=-1)
    # The side along which entries share their unit: columns of tall Jacobians, rows of wide ones.
    size = np.abs(J).max(axis=0 if problem.degrees >= 0 else 1, keepdims=True)
    assert (np.abs(problem.jacobian(point) - J) / size).max() < 1e-13


def test_jacobian_by_hand_against_central_differences(problem, point):
    steps = np.diag(1e-4 * np.abs(point))
    J = np.stack([(problem.residual(point + h) - problem.residual(point - h)) / (2 * h.sum()) for h in steps], axis=-1)
    size = np.abs(J).max(axis=0 if problem.degrees >= 0 else 1, keepdims=True)
    # Wide: the mean is 1e6 times its derivatives, which leaves 16 - 6 - 4 (the step) digits.
    assert (np.abs(problem.jacobian(point) - J) / size).max() < 1e-4


def test_shapes(problem):
    assert problem.residual(problem.start).shape == problem.y.shape == (problem.outputs,)
    assert problem.jacobian(problem.start).shape == (problem.outputs, problem.inputs)


def test_data_cannot_be_written(problem):
    for array in (problem.x, problem.y, problem.start, problem.certified):
        if array is not None:
            assert array.base is None
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0.0


def test_source_names_where_the_data_are_published(problem):
    assert "https://www.itl.nist.gov/div898/strd/" in problem.source
    assert "doi:10." in problem.source


def test_problems_are_found_by_name_in_any_case(problem):
    assert select(problem.name.upper()) is select(problem.name.lower()) is problem


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(KeyError, match="BoxBOD"):
        select("Longley")
