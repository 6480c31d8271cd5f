"""The census: every function NumPy lets one override is in the register, once, and what is differentiable has a sample."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
from numpy.lib import recfunctions, scimath, stride_tricks
from numpy.testing.overrides import get_overridable_numpy_array_functions, get_overridable_numpy_ufuncs

import dualdiff as dd
from dualdiff.errors import UnsupportedFunctionError
from dualdiff.register import REGISTER, name_of
from dualdiff.rules.support import table
from dualdiff.rules.supported import DIFFERENTIATED, MEANING
from dualdiff.tracer import Tracer
from tests.catalogue.collection import samples
from tests.catalogue.special import UNSAFE

# These are imported when first asked for, and add to the set.
LAZY = (np.fft, np.linalg, np.polynomial.polynomial, np.strings, np.char, recfunctions, scimath, stride_tricks)
#: differentiable, but the sample stands under another name of the same function
UNDER_ANOTHER_NAME = {"np.amax", "np.amin", "np.trapz"}
REFUSED_METHODS = {
    *("data", "ctypes", "dump", "dumps", "tobytes", "tofile", "byteswap", "getfield", "setfield", "resize", "setflags")
}
"""What an array answers of its memory, which a value that is being differentiated does not have."""


def resolved(function: Any) -> Any:
    """Return the public function of this name: NumPy keeps a private twin of those that take ``like=``."""
    module = inspect.getmodule(function)
    for home in (np, module):
        public = getattr(home, getattr(function, "__name__", ""), None)
        if public is not None and getattr(public, "__module__", None) == function.__module__:
            return public
    return function


def overridable() -> Iterator[Any]:
    assert all(LAZY)
    yield from sorted({resolved(f) for f in get_overridable_numpy_array_functions()}, key=name_of)
    yield from sorted(get_overridable_numpy_ufuncs(), key=name_of)


def test_every_overridable_function_is_in_the_register() -> None:
    missing = [name_of(f) for f in overridable() if f not in REGISTER]
    assert not missing


def test_statuses_are_known_and_say_what_they_mean() -> None:
    for entry in REGISTER.values():
        if entry.status == "refused":
            assert entry.handler is None, entry.name
            assert len(entry.reason) > 15, f"{entry.name}: why, and what instead?"
        else:
            assert entry.status in MEANING, entry.name
            assert entry.handler is not None, entry.name


def test_every_differentiable_function_has_a_sample() -> None:
    named = {name_of(s.function) for s in samples() if s.function is not None} | UNDER_ANOTHER_NAME
    named |= {f"scipy.special.{n}" for n in UNSAFE}
    lacking = sorted({e.name for e in REGISTER.values() if e.status in DIFFERENTIATED} - named)
    assert not lacking


def test_every_method_of_an_array_is_answered() -> None:
    x = np.arange(1.0, 5.0).reshape(2, 2)
    # NumPy 2.0 still has methods that only say where they have gone.
    lacking = [n for n in dir(np.ndarray) if n[0] != "_" and hasattr(x, n) and not hasattr(Tracer, n)]
    assert not lacking
    for name in REFUSED_METHODS:

        def call(x: Any, name: str = name) -> Any:
            return getattr(x, name)(1)

        for operator in (dd.vjp, lambda g, x: dd.jvp(g, (x,), (x,))):
            with pytest.raises(UnsupportedFunctionError, match=rf"test_census.py, line \d+: ndarray.{name} "):
                operator(call, x)


def test_samples_are_for_functions_that_are_differentiable() -> None:
    wrong = {name_of(s.function) for s in samples() if s.function is not None and s.function not in REGISTER}
    assert not wrong


def test_what_has_no_rule_raises_with_its_name() -> None:
    for entry in list(REGISTER.values()):
        if entry.status != "refused" or isinstance(entry.function, type):
            continue

        def call(x: Any, f: Any = entry.function) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return x.__array_function__(f, (), (x,), {}) if not isinstance(f, np.ufunc) else f(*[x] * f.nin)

        for operator in (dd.vjp, lambda g, x: dd.jvp(g, (x,), (x,))):
            with pytest.raises(UnsupportedFunctionError) as raised:
                operator(call, np.array([1.0, 2.0]))
            assert entry.name in str(raised.value)
            assert "test_census.py" in str(raised.value)


def test_what_has_no_rule_works_on_plain_containers() -> None:
    def f(x: Any) -> Any:
        assert np.array_str(np.zeros_like(x)) == "[0. 0.]"
        assert list(np.packbits(x > 0)) == [192]
        assert np.fft.fft(np.ones_like(x))[0] == 2
        return x * 1.0

    dd.vjp(f, np.array([1.0, 2.0]))


def test_a_function_nobody_knows_raises_with_its_name() -> None:
    def stranger(x: Any) -> Any:
        return x

    with pytest.raises(UnsupportedFunctionError, match=r"stranger is not yet in dualdiff's vocabulary"):
        dd.vjp(lambda x: x.__array_function__(stranger, (), (x,), {}), 1.0)


def test_the_support_table_is_up_to_date() -> None:
    written = (Path(__file__).parent.parent / "docs" / "reference" / "support.md").read_text()
    versions = [".".join(v.__version__.split(".")[:2]) for v in (np, scipy)]
    if "NumPy {}, SciPy {}.".format(*versions) not in written:
        pytest.skip("the table is printed for another NumPy or SciPy")
    assert written == table(), "run: python -m dualdiff.rules.support > docs/reference/support.md"
