"""Fits from NIST's starts reach NIST's parameters."""

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.lab import fits
from dualdiff.lab.fits import digits, fit
from dualdiff.lab.problems import BOXBOD, MGH09, MICHELSON, MISRA1A, PROBLEMS, THURBER

# Where residuals are large, the sum of squares cannot tell parameters apart that differ in their last eight digits: it
# is flat at its minimum. So a solver that compares sums of squares stops there, however exact its derivatives.
EXPECTED = {MISRA1A: 9, THURBER: 6.5, MGH09: 6.5, BOXBOD: 7.5, MICHELSON: 9}


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_fit_agrees_with_the_certified_values(problem):
    found = fit(problem)
    assert found.converged
    assert found.digits >= EXPECTED[problem]
    assert found.rss == pytest.approx(problem.rss, rel=1e-9, abs=1e-18)
    assert found.method == ("trf" if problem is MICHELSON else "lm")


def test_fit_with_finite_differences_does_without_the_library(monkeypatch):
    monkeypatch.setattr(fits.dd, "jacobian", None)
    found = fit(BOXBOD, "2-point")
    assert found.jacobian == "2-point"
    assert found.digits >= 6


def test_the_jacobian_is_asked_at_plain_arrays(monkeypatch):
    right, seen = dd.jacobian, []

    def jacobian(f):
        J = right(f)
        return lambda x: (seen.append(type(x)), J(x))[1]

    monkeypatch.setattr(fits.dd, "jacobian", jacobian)
    fit(BOXBOD)
    assert set(seen) == {np.ndarray}


def test_digits_are_those_of_the_worst_component():
    assert digits(np.array([1.0, -200.02]), np.array([1.0, -200.0])) == pytest.approx(4.0)


def test_digits_stop_where_the_certificate_does_and_at_none():
    c = np.array([3.0])
    assert digits(c, c) == digits(c * (1 + 1e-14), c) == 11
    assert digits(100 * c, c) == digits(c * np.inf, c) == digits(c * np.nan, c) == 0
