"""How far apart two Jacobians are: relative to the size of the terms, equal where both are infinite alike."""

import numpy as np
import pytest

from dualdiff.lab.agreement import agreement, difference
from dualdiff.lab.oracle import Oracle


def test_difference_is_relative_to_the_column_of_a_tall_jacobian():
    R = np.array([[1.0, 1e6], [2.0, 3e6], [4.0, 2e6]])
    J = R + np.array([[0, 3], [0, 0], [0, 0]])
    assert difference(J, R) == pytest.approx(1e-6)


def test_difference_is_relative_to_the_row_of_a_wide_jacobian():
    R = np.array([[1e-6, 2e-6, 4e-6], [1.0, 2.0, 4.0]])
    J = R + np.array([[4e-8, 0, 0], [0, 0, 0]])
    assert difference(J, R) == pytest.approx(1e-2)


def test_difference_of_a_column_that_should_be_zero_is_infinite():
    R = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert difference(R, R) == 0
    assert difference(R + np.array([[0, 1e-300], [0, 0]]), R) == np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_agrees_with_its_like_alone(bad):
    R = np.eye(2)
    J = np.array([[1, bad], [0, 1]])
    assert difference(J, R) == difference(R, J) == np.inf
    assert difference(J, J) == 0
    assert difference(J, np.array([[1, 0.5], [0, 1]])) == np.inf


def test_infinities_of_two_signs_are_apart():
    assert difference(np.array([[np.inf]]), np.array([[-np.inf]])) == np.inf
    assert difference(np.array([[np.inf]]), np.array([[np.nan]])) == np.inf


def test_different_shapes_never_agree():
    assert difference(np.ones((2, 1)), np.ones((2, 2))) == np.inf


def test_no_columns_and_no_rows_agree():
    assert difference(np.ones((3, 0)), np.ones((3, 0))) == 0
    assert difference(np.ones((0, 3)), np.ones((0, 3))) == 0


def known(matrix, bars=0.0, scale=0.0):
    matrix = np.asarray(matrix, dtype=float)
    bars = np.broadcast_to(np.asarray(bars, dtype=float), matrix.shape)
    return Oracle("given", matrix, bars, np.arange(matrix.shape[1]), matrix.shape[1], scale)


def test_an_error_is_that_of_the_worst_entry_and_of_the_mean_one():
    R = np.array([[1.0, 2.0], [2.0, 4.0]])
    found = agreement(R + np.array([[0.2, 0], [0, 0]]), known(R), R, 1e-10)
    assert found.largest == pytest.approx(0.1)
    assert found.mean == pytest.approx(0.025)
    assert not found.agrees
    assert agreement(R + np.array([[0.2, 0], [0, 0]]), known(R), R, 0.11).agrees


def test_the_oracles_bar_is_allowed_for():
    R = np.array([[1.0], [2.0]])
    J = R + 1e-6
    assert not agreement(J, known(R, 1e-7), J, 1e-10).agrees
    assert agreement(J, known(R, 2e-6), J, 1e-10).agrees


def test_a_line_of_zeros_is_known_to_the_bar_alone():
    R, J = np.array([[1e-17], [0.0]]), np.array([[0.0], [0.0]])
    assert agreement(J, known(R, 1e-15, 1.0), J, 1e-10).largest == 0
    assert agreement(J + 1e-3, known(R, 1e-15, 1.0), J, 1e-10).largest == np.inf


def test_a_bar_as_wide_as_the_terms_knows_nothing():
    R = np.array([[0.0, 1.0]])
    assert known(R, [[2.0, 1e-9]]).unknown == 1
    assert known(R, [[1e-9, 1e-9]]).unknown == 0


def test_of_what_the_oracle_does_not_know_methods_are_held_against_each_other():
    R, bars = np.array([[7.0, 1.0]]), np.array([[np.inf, 0.0]])
    J = np.array([[np.inf, 1.0]])
    same = agreement(J, known(R, bars), J, 1e-10)
    assert (same.agrees, same.largest, same.infinite, same.apart) == (True, 0.0, 1, 0)
    other = agreement(np.array([[3.0, 1.0]]), known(R, bars), J, 1e-10)
    assert (other.agrees, other.infinite, other.apart) == (False, 0, 1)


def test_what_is_not_finite_where_the_oracle_is_is_wrong():
    R = np.array([[1.0, 2.0]])
    found = agreement(np.array([[1.0, np.nan]]), known(R), R, 1.0)
    assert (found.agrees, found.largest, found.infinite) == (False, np.inf, 1)


def test_some_columns_are_enough():
    R = np.array([[1.0, 2.0, 3.0]])
    some = Oracle("given", R[:, [0, 2]], np.zeros((1, 2)), np.array([0, 2]), 3)
    assert agreement(np.array([[1.0, 9.0, 3.0]]), some, R, 1e-10).agrees
    assert not agreement(np.array([[1.0, 2.0, 9.0]]), some, R, 1e-10).agrees
    assert "2 of 3 columns" in str(some)
