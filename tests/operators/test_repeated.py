"""What a solver asks for at one point after another is what the operators give there, by one run where that serves."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import CaptureWarning
from dualdiff.operators.repeated import Repeated, RepeatedGradient
from dualdiff.values import TRACED

T = np.linspace(0.1, 2.0, 12)
POINTS = np.array([1.0, 2.0]), np.array([1.5, 0.5])


def filled(p):
    y = np.zeros(3)
    y[0], y[1], y[2] = p[0], p[0] * p[1], 2.0 * p[1]
    return y


def added(p):
    y = np.zeros_like(T)
    y += p[0] * T
    y[3] = p[1]
    return y


def seen_through_a_view(p):
    a = p[0] * np.outer(T, T) * p[1]
    b = a[2]
    a[2, 3] = p[0]
    return b


def written(p):
    p[0] = p[1]
    return 2.0 * p


def swallowed(p):
    try:
        return np.save("nowhere", p)
    except Exception:
        return np.array([1.0, 2.0])


def raising(p):
    raise ValueError("the user's own")


def keyed(p):
    return p[0] * T if p[0] in {1.0: 2} else p[1] * T


SHORT = {
    "an array": lambda p: p[0] * np.exp(-p[1] * T),
    "a list of numbers": lambda p: [p[0] * p[1], p[0] - p[1]],
    "an array of numbers": lambda p: np.array([p[0] * p[1], p[0] - p[1], 3.0]),
    "a matrix": lambda p: np.outer(p[0] * T, p[1] * T),
    "a view": lambda p: (p[0] * np.outer(T, T) * p[1])[1:, 2],
    "a view written through": seen_through_a_view,
    "filled": filled,
    "written": written,
    "the argument": lambda p: p[::-1],
    "of one parameter": lambda p: p[0] * T,
    "by a branch": lambda p: p[0] * T if p[0] > 1.2 else p[1] * T,
    "nested": lambda p: dd.grad(lambda q: np.sum(q**2 * p[0] * p[1]))(T),
}
LONG = {
    "added to": added,
    "a constant in a list": lambda p: [p[0] * p[1], 3.0, p[0]],
    "too few": lambda p: [p[0] * p[1]],
    "a number": lambda p: p[0] * p[1],
    "single precision": lambda p: (p[0] * T + p[1]).astype(np.float32),
    "arrays": lambda p: (p[0] * T, p[1] * T),
    "not finite": lambda p: np.sqrt((p[0] - 1.0) * T) + p[1],
    "by math": lambda p: [math.exp(p[0]), math.exp(p[1])],
    "thirteen": lambda p: np.sin(np.tile(p, 7)[:13]),
    "complex": lambda p: p[0] * np.exp(1j * p[1] * T),
    "integers": lambda p: np.round(p[0] * T).astype(int),
    "nothing": lambda p: None,
    "by zero": lambda p: 1 / 0,
    "an error": raising,
    "a refusal swallowed": swallowed,
    "keyed": keyed,
}


def said(call, *args):
    """Return what a call gives, or what it raises."""
    try:
        return call(*args)
    except Exception as error:
        return type(error), str(error)


def is_same(found, right):
    """Whether a result is the right one up to rounding, or the same error."""
    if isinstance(right, tuple) and isinstance(right[0], type):
        return found == right
    return (
        np.shape(found) == np.shape(right)
        and np.asarray(found).dtype == np.asarray(right).dtype
        and np.allclose(found, right, rtol=1e-13, atol=0.0, equal_nan=True)
    )


@pytest.mark.parametrize("name", [*SHORT, *LONG])
@pytest.mark.filterwarnings("ignore::RuntimeWarning", f"ignore::{CaptureWarning.__module__}.CaptureWarning")
def test_a_jacobian_is_the_operators_at_every_point(name):
    runs = [0]
    given = {**SHORT, **LONG}[name]

    def f(p):
        runs[0] += type(p) in TRACED
        return given(p)

    found, right = Repeated(f), dd.jacobian(given, flat=True)
    for x in POINTS:
        assert is_same(said(found, x), said(right, x))
    runs[0] = 0
    assert is_same(said(found, POINTS[0]), said(right, POINTS[0]))
    if name in SHORT:
        assert runs[0] == 1


def test_separate_parameters_and_arguments_behind_the_point():
    def model(t, a, k, *, c=0.0):
        return a * np.exp(-k * t) + c

    found = Repeated(lambda p, t, **more: model(t, *p, **more), model)
    right = np.stack([np.exp(-2.0 * T), -T * np.exp(-2.0 * T)], axis=-1)
    np.testing.assert_allclose(found(POINTS[0], T, c=1.0), right, rtol=1e-15)
    with dd.kinks("raise"), pytest.raises(dd.errors.NonDifferentiablePointError):
        Repeated(lambda p: np.abs((p[0] - 1.0) * T) + p[1])(POINTS[0])


GRADIENTS = {
    "scalars": lambda x: (x[0] - 1) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2,
    "a sum": lambda x: np.sum((x[0] * np.exp(-x[1] * T) - 1.0) ** 2),
    "of one alone": lambda x: 3.0 * x[0],
    "singular": lambda x: np.linalg.norm(x - np.array([1.0, 2.0])),
    "by math": lambda x: math.sin(x[0]) * x[1],
    "a matrix": lambda x: np.linalg.det(np.array([[x[0], x[1]], [x[1], 3.0]])),
    "a constant": lambda x: 1.0,
    "a vector": lambda x: 2.0 * x,
    "many": lambda x: np.sum(np.tile(x, 4) ** 3),
    "an error": raising,
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.filterwarnings(f"ignore::{CaptureWarning.__module__}.CaptureWarning")
def test_a_gradient_comes_with_its_value_as_the_operator_has_them(name):
    f = GRADIENTS[name]
    found, right = RepeatedGradient(f), dd.value_and_grad(f)
    for x in (*POINTS, POINTS[0]):
        mine, theirs = said(found, x), said(right, x)
        assert mine == theirs if isinstance(theirs[1], str) else all(map(is_same, mine, theirs))
