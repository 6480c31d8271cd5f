"""The error of differences over their step is shaped like a V, and exact methods lie below it."""

import json

import numpy as np
import pytest

from dualdiff import lab
from dualdiff.errors import InputError


def test_errors_fall_with_the_step_and_rise_with_rounding():
    found = lab.accuracy(np.exp, np.array([1.0, 2.0]))
    errors = dict(zip(found.steps, found["one-sided"].errors, strict=True))
    # The truncation error of exp is h/2, and that of a central difference h²/6, relative to exp itself.
    assert errors[1e-3] == pytest.approx(0.5 * 1e-3 * 2, rel=0.01)  # the step is relative: 2·1e-3 at x = 2
    central = dict(zip(found.steps, found["central"].errors, strict=True))
    assert central[1e-2] == pytest.approx((2e-2) ** 2 / 6, rel=0.01)
    assert errors[1e-8] < errors[1e-4]
    assert errors[1e-8] < errors[1e-14]


def test_exact_methods_lie_below_every_step():
    found = lab.accuracy(lambda x: np.sin(x) * x[0], np.array([0.5, 1.5, 2.5]))
    for scheme in ("one-sided", "central"):
        step, error = found.best(scheme)
        assert step in found.steps
        assert error > 10 * max(found.exact.values())


def test_the_complex_step_has_no_right_arm():
    found = lab.accuracy(np.exp, np.array([1.0, 2.0]), steps=[1e-8, 1e-12, 1e-16])
    assert max(found["complex step"].errors) < 1e-14


def test_the_complex_step_is_left_out_where_code_drops_it():
    found = lab.accuracy(np.abs, np.array([1.0, -2.0]))
    assert [curve.scheme for curve in found.curves] == ["one-sided", "central"]
    with pytest.raises(KeyError):
        found["complex step"]


def test_of_many_columns_some_are_drawn():
    found = lab.accuracy(lambda x: x**2, np.linspace(1, 2, 50), steps=[1e-6])
    assert len(found.oracle.columns) == 16
    assert found.exact["forward"] < 1e-14


def test_nested_functions_and_numbers_are_measured():
    found = lab.accuracy(lambda p: {"a": p["x"] ** 2, "b": np.sin(p["y"])}, {"x": np.array([1.0, 2.0]), "y": 0.5})
    assert found.best("central")[1] < 1e-9
    assert found["complex step"].errors[-1] < 1e-14
    assert lab.accuracy(np.sin, 0.5).best("central")[1] < 1e-9


def test_steps_must_be_positive():
    with pytest.raises(InputError, match="positive"):
        lab.accuracy(np.exp, np.ones(2), steps=[1e-3, 0.0])
    with pytest.raises(InputError, match="positive"):
        lab.accuracy(np.exp, np.ones(2), steps=[])


def test_it_is_written_out_and_drawn(tmp_path):
    found = lab.accuracy(np.exp, np.array([1.0]), steps=[1e-4, 1e-8])
    assert "best at" in str(found)
    assert json.loads(found.to_json())["steps"] == [1e-4, 1e-8]
    assert found.to_csv().splitlines()[0] == "step,scheme,error"
    pytest.importorskip("matplotlib")
    figure = found.plot(tmp_path / "steps.svg")
    assert len(figure.axes[0].lines) >= 5
