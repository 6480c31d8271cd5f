"""Refusals inside libraries: the user's line, the function that was entered there, the argument, and a fix that works."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.cluster.vq
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.signal

import dualdiff as dd
from dualdiff.errors import (
    DerivativeError,
    ForeignError,
    InputError,
    TracedAssignmentError,
    TracedConversionError,
    UnsupportedFunctionError,
)

X = np.array([0.25, 0.5, 0.75])
both = pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
pytestmark = pytest.mark.filterwarnings("ignore::dualdiff.errors.CaptureWarning")

LIBRARY = """
import numpy as np

BUFFER = np.zeros(3)

class Model:
    def fit(self, X, y=None):
        if not isinstance(X, list):
            raise TypeError("expected a list")
        return self

    def score(self, X):
        return X.no_such_name

class Forest(Model):
    pass

def fill(values):
    BUFFER[:] = values
    return BUFFER

def checked(values):
    if type(values) is not np.ndarray:
        raise ValueError("an ndarray is needed")
    return values

class Dispatcher:
    def __call__(self, values):
        raise TypeError("cannot determine Numba type of " + str(type(values)))

compiled = Dispatcher()
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package that lies where installed packages do."""
    place = tmp_path / "site-packages"
    place.mkdir()
    (place / "somelib.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(place))
    import somelib

    yield somelib
    del sys.modules["somelib"]


def message(jac: Any, f: Any, error: type[DerivativeError] | tuple[type[DerivativeError], ...]) -> str:
    with pytest.raises(error) as caught:
        jac(f)(X)
    said = str(caught.value)
    assert said.startswith(f"test_messages.py, line {f.__code__.co_firstlineno}")
    assert "site-packages" not in said
    for name in ("Traced", "Dual", "Var", "dualdiff.dual", "dualdiff.tape"):
        assert name not in said
    return said


@both
def test_an_installed_package_that_fails_in_its_own_words(library: Any, jac: Any) -> None:
    said = message(jac, lambda x: library.Model().fit(x) and x, ForeignError)
    assert "in somelib.Model.fit" in said
    assert "expected a list" in said
    assert "argument 'X'" in said
    assert "in somelib.Model.score" in message(jac, lambda x: library.Model().score(x), ForeignError)
    assert "an ndarray is needed" in message(jac, lambda x: library.checked(x), ForeignError)
    assert "Numba type of differentiated value" in message(jac, lambda x: library.compiled(x), ForeignError)


@both
def test_an_inherited_method_bears_the_name_of_the_class_that_was_asked(library: Any, jac: Any) -> None:
    assert "in somelib.Forest.score" in message(jac, lambda x: library.Forest().score(x), ForeignError)

    class Mine(library.Forest):  # type: ignore[misc, name-defined]
        pass

    assert "in somelib.Forest.score" in message(jac, lambda x: Mine().score(x), ForeignError)


@both
def test_a_package_that_stores_into_memory_of_its_own_is_not_told_as_the_users_line(library: Any, jac: Any) -> None:
    said = message(jac, lambda x: library.fill(x), TracedAssignmentError)
    assert "somelib.fill stores a value" in said
    assert "argument 'values'" in said
    assert "zeros_like" not in said


def spd(x: Any) -> Any:
    return np.outer(x, x) + 2 * np.eye(3)


# Of the next, one version of SciPy converts its arguments, where another hands them to compiled code that takes arrays alone.
CONVERTS_OR_NOT = (ForeignError, TracedConversionError)

UNCAPTURED = {
    "solve": (lambda x: scipy.linalg.solve(spd(x), x), CONVERTS_OR_NOT, "in scipy.linalg.solve", "np.linalg.solve"),
    "cho_factor": (lambda x: scipy.linalg.cho_factor(spd(x))[0], CONVERTS_OR_NOT, "in scipy.linalg.cho_factor", "np.linalg.solve"),
    "lu_factor": (lambda x: scipy.linalg.lu_factor(spd(x))[0], TracedConversionError, "in scipy.linalg.lu_factor", "np.linalg.solve"),
    "eigh": (lambda x: scipy.linalg.eigh(spd(x), np.eye(3))[0], TracedConversionError, "in scipy.linalg.eigh", "np.linalg.cholesky"),
    "lyapunov": (lambda x: scipy.linalg.solve_continuous_lyapunov(spd(x), spd(x)), TracedConversionError, "continuous_lyap", "primitive"),
}  # fmt: skip
TRIED = {
    "kmeans": (lambda x: scipy.cluster.vq.kmeans(spd(x), 2)[0], UnsupportedFunctionError, "in scipy.cluster.vq.kmeans", "primitive"),
    "pandas": (lambda x: (pd.Series(x) * 2).to_numpy(), TracedConversionError, "in pandas", "labels beside it"),
}  # fmt: skip


@both
@pytest.mark.parametrize(("f", "error", "entered", "fix"), [pytest.param(*v, id=k) for k, v in TRIED.items()])
def test_what_scipy_and_pandas_refuse(f: Any, error: Any, entered: str, fix: str, jac: Any) -> None:
    hold(message(jac, f, error), entered, fix)


@both
@pytest.mark.parametrize(("f", "error", "entered", "fix"), [pytest.param(*v, id=k) for k, v in UNCAPTURED.items()])
def test_what_scipy_refuses_where_nothing_is_captured(f: Any, error: Any, entered: str, fix: str, jac: Any) -> None:
    hold(message(lambda f: jac(f, capture="never"), f, error), entered, fix)


def hold(said: str, entered: str, fix: str) -> None:
    assert entered in said
    assert fix in said
    assert "stop_gradient" in said


def test_the_fixes_are_right() -> None:
    spline = scipy.interpolate.CubicSpline(range(4), np.arange(4.0) ** 3)
    f = dd.primitive(spline, partials=spline.derivative())
    np.testing.assert_allclose(dd.jacobian(f)(X), np.diag(3 * X**2), atol=1e-12)

    def lfilter(x: Any) -> Any:
        return scipy.signal.lfilter([1.0], [1.0, 0.5], x)

    linear = dd.primitive(matvec=lfilter, rmatvec=lambda w: lfilter(w[::-1])[::-1])
    np.testing.assert_allclose(dd.jacrev(linear)(X), lfilter(np.eye(3)).T, atol=1e-14)

    def general(x: Any) -> Any:
        m = np.linalg.inv(np.linalg.cholesky(spd(x)))
        return np.linalg.eigvalsh(m @ np.diag(x) @ m.T)

    np.testing.assert_allclose(general(X), scipy.linalg.eigh(np.diag(X), spd(X), eigvals_only=True))
    h = 1e-6
    slopes = [(general(X + h * e) - general(X - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(dd.jacobian(general)(X), np.stack(slopes, 1), atol=1e-8)


@both
def test_results_that_are_none(jac: Any) -> None:
    with pytest.raises(InputError, match=r"test_messages\.py, line \d+: the function returned a 'str'"):
        jac(lambda x: "text")(X)
    with pytest.raises(InputError, match=r"returned None.*return"):
        jac(lambda x: None)(X)


@both
def test_a_line_without_its_source_still_says_what_to_write(jac: Any) -> None:
    names: dict[str, Any] = {}
    exec(compile("import math\ndef f(x):\n    return math.sin(x[0]) * x\n", "typed.py", "exec"), names)
    with pytest.raises(TracedConversionError, match=r"typed\.py, line 3: float\(\) would turn .*np\.sin for math\.sin"):
        jac(dd.capture(names["f"], "never"))(X)


def test_a_line_of_a_notebook_is_told_by_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    IPython = pytest.importorskip("IPython")
    from IPython.core.compilerop import CachingCompiler

    code = "def f(x):\n    return np.save('file', x)\n"
    compiler = CachingCompiler()
    names: dict[str, Any] = {"np": np}
    exec(compile(code, compiler.cache(code, 3), "exec"), names)
    with pytest.raises(UnsupportedFunctionError, match=r"^<?ipython-input"):
        dd.grad(names["f"])(X)
    monkeypatch.setattr(IPython, "get_ipython", lambda: types.SimpleNamespace(compile=compiler))
    with pytest.raises(UnsupportedFunctionError, match=r"^Cell In\[3\], line 2: "):
        dd.grad(names["f"])(X)
