"""What functions of other libraries say of differentiated values is said again in words, and sends a run to what can take them."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.signal import butter, chirp, sosfilt
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

import dualdiff as dd
from dualdiff.capture.names import drop_in, drop_in_method
from dualdiff.errors import ForeignError, TracedConversionError, replaced

X = np.linspace(-1.0, 1.0, 12)
SECTIONS = butter(4, 0.3, output="sos")
FACTORS = splu(csc_array(np.eye(12) * 3 + np.eye(12, k=1)))


@pytest.mark.parametrize(
    ("f", "error"),
    [(lambda x: sosfilt(SECTIONS, x), TracedConversionError), (lambda x: FACTORS.solve(x), ForeignError)],
    ids=["filter", "factors"],
)
def test_compiled_functions_are_exchanged_once_they_were_met(f: Any, error: type[Exception]) -> None:
    np.testing.assert_allclose(dd.jacobian(f)(X), np.stack([f(e) for e in np.eye(12)], axis=1), atol=1e-13)
    with pytest.raises(error, match="value that is being differentiated"):
        dd.jacobian(f, capture="never")(X)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An installed library, whose functions ask an argument for what only its own have; there is something in their place."""
    place = tmp_path / "site-packages"
    place.mkdir()
    (place / "elsewhere.py").write_text(
        "def twice(x):\n    return x.of_its_own * 2\n\n\n"
        "class Line:\n    def at(self, x):\n        return x.of_its_own * 3\n"
        "    @classmethod\n    def of(cls, x):\n        return x.of_its_own * 4\n"
    )
    monkeypatch.syspath_prepend(place)
    module = importlib.import_module("elsewhere")
    monkeypatch.delitem(sys.modules, "elsewhere")
    drop_in(module.twice, lambda x: 2 * x)
    replaced(module.twice)
    for name, stand_in in (("at", lambda self, x: 3 * x), ("of", lambda cls, x: 4 * x)):
        drop_in_method(module.Line, name, stand_in)
        replaced(getattr(module.Line, name), module.Line)
    return module


@pytest.mark.parametrize(
    ("made", "factor"),
    [
        (lambda m: lambda x, f=m.twice: f(x), 2.0),
        (lambda m: lambda x: m.Line().at(x), 3.0),
        (lambda m: lambda x: m.Line.of(x), 4.0),
    ],
    ids=["function", "method", "class's own"],
)
def test_what_fails_in_a_way_of_its_own_is_exchanged_as_well(elsewhere: ModuleType, made: Any, factor: float) -> None:
    f = made(elsewhere)
    with pytest.raises(ForeignError, match="of_its_own"):
        dd.jacobian(f, capture="never")(X)
    np.testing.assert_array_equal(dd.jacobian(f)(X), factor * np.eye(12))


def test_an_error_of_the_user_shows_nothing_of_the_runs_before() -> None:
    def rule(primals: Any, w: Any) -> Any:
        if np.any(np.asarray(primals[0]) != 1):
            raise ZeroDivisionError("the user's own")
        return (3 * primals[0] ** 2 * w,)

    cube = dd.primitive(lambda x: x**3, vjp=rule)
    with pytest.raises(ZeroDivisionError, match="own") as raised:
        dd.grad(dd.grad(lambda x: cube(x) * x))(2.0)
    said = "".join(traceback.format_exception(raised.value))
    assert "During handling" not in said
    assert "RunAgain" not in said


def test_an_object_of_another_library_that_holds_them_is_named() -> None:
    class Slotted:
        __slots__ = "held"

        def __init__(self, held: Any) -> None:
            self.held = held

    class Open:
        def __init__(self, held: Any) -> None:
            self.inside = held

    def objects(x: Any) -> Any:
        found = np.empty(len(x), dtype=object)
        for k in range(len(x)):
            found[k] = x[k]
        return found

    for make in (Slotted, Open):
        for kept in (objects, lambda x: x, lambda x: [x]):
            with pytest.raises(ForeignError, match=r"in scipy.signal.chirp: .*\(its argument 't'\)"):
                dd.jacobian(lambda x, m=make, k=kept: chirp(m(k(x)), 1, 2, 3), capture="never")(X)


def test_the_users_own_errors_are_theirs() -> None:
    def f(x: Any) -> Any:
        raise ValueError("Matrix is singular")

    for operator in (dd.jacobian, dd.jacfwd, dd.grad):
        with pytest.raises(ValueError, match=r"^Matrix is singular$"):
            operator(f)(X)
