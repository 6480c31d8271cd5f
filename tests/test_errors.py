"""What cannot be differentiated raises: the class, the user's line, and what to write instead, in both modes."""

# ruff: noqa: B008  (a plain array made outside the function, and looked at afterwards)

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.linalg

import dualdiff as dd
from dualdiff.errors import (
    DerivativeError,
    EscapedValueError,
    InputError,
    TracedAssignmentError,
    TracedConversionError,
    UnsupportedFunctionError,
)

X = np.array([0.25, 0.5, 0.75])
MODES = {
    "forward": dd.jacfwd,
    "reverse": dd.jacrev,
    "auto": dd.jacobian,
    "one direction": lambda f: lambda x: dd.jvp(f, (x,), (x,)),
}
modes = pytest.mark.parametrize("jac", MODES.values(), ids=MODES)


class Case(NamedTuple):
    """A function whose first line is wrong, the error, and words that the message must hold."""

    name: str
    f: Callable[[Any], Any]
    error: type[DerivativeError]
    words: tuple[str, ...]


CASES: list[Case] = []


def case(error: type[DerivativeError], *words: str) -> Callable[[Any], Any]:
    """Note a case; the line after the ``def`` is the one the message must name."""

    def note(f: Any) -> Any:
        CASES.append(Case(f.__name__.strip("_"), f, error, words))
        return f

    return note


# -- conversions -----------------------------------------------------------------------------------


@case(TracedConversionError, "float()", "stop_gradient")
def _float(x):
    return float(x[0]) * x


@case(TracedConversionError, "complex()", "stop_gradient")
def _complex(x):
    return complex(x[0]) * x


@case(TracedConversionError, "np.sin", "stop_gradient")
def _math_sin(x):
    return math.sin(x[0]) * x


@case(TracedConversionError, "np.sin", "stop_gradient")
def _math_pow(x):
    return math.pow(x[0], 2.0) * x


@case(TracedConversionError, "np.sin", "stop_gradient")
def _math_fsum(x):
    return math.fsum(x) * x


@case(TracedConversionError, "stop_gradient")
def _asarray_of_floats(x):
    return np.asarray(x, dtype=float) * x


@case(TracedConversionError, "stop_gradient")
def _array_of_float32(x):
    return np.array(x, dtype=np.float32) * x


@case(TracedConversionError, "dtype=")
def _array_of_a_list_of_floats(x):
    return np.array([x[0], x[1]], dtype=float) * x[:2]


@case(TracedConversionError, "without a format")
def _format(x):
    return f"{x[0]:.3f}" and x


@case(TracedConversionError, "stop_gradient")
def _percent(x):
    return "%f" % x[0] and x  # noqa: UP031


# -- destinations that are plain -------------------------------------------------------------------


@case(TracedAssignmentError, "np.zeros_like", "np.stack")
def _assignment(x, c=np.zeros(3)):
    c[0] = x[0]


@case(TracedAssignmentError, "np.zeros_like", "np.stack")
def _slice_assignment(x, c=np.zeros(3)):
    c[:] = x


@case(TracedAssignmentError, "np.zeros_like", "np.stack")
def _mask_assignment(x, c=np.zeros(3)):
    c[c == 0] = x


@case(TracedAssignmentError)
def _augmented_add(x, buf=np.zeros(3)):
    buf += x


@case(TracedAssignmentError)
def _augmented_multiply(x, buf=np.zeros(3)):
    buf *= x


@case(TracedAssignmentError)
def _augmented_matmul(x, buf=np.eye(3)):
    buf @= x[:, None] * x


@case(TracedAssignmentError)
def _augmented_entry(x, buf=np.zeros(3)):
    buf[:2] -= x[:2]


@case(TracedAssignmentError)
def _out_of_a_ufunc(x, buf=np.zeros(3)):
    np.add(x, 1.0, out=buf)


@case(TracedAssignmentError)
def _out_of_a_unary_ufunc(x, buf=np.zeros(3)):
    np.exp(x, buf)


@case(TracedAssignmentError)
def _out_of_a_sum(x, buf=np.zeros(())):
    np.sum(x, out=buf)


@case(TracedAssignmentError)
def _out_of_a_matmul(x, buf=np.zeros(3)):
    np.matmul(np.eye(3), x, out=buf)


@case(TracedAssignmentError)
def _out_of_a_dot(x, buf=np.zeros(3)):
    np.dot(np.eye(3), x, out=buf)


@case(TracedAssignmentError)
def _out_of_a_concatenate(x, buf=np.zeros(6)):
    np.concatenate([x, x], out=buf)


@case(TracedAssignmentError)
def _out_of_a_clip(x, buf=np.zeros(3)):
    np.clip(x, 0, 1, out=buf)


@case(TracedAssignmentError)
def _out_of_a_take(x, buf=np.zeros(2)):
    np.take(x, [0, 1], out=buf)


@case(TracedAssignmentError)
def _out_of_a_cumsum(x, buf=np.zeros(3)):
    np.cumsum(x, out=buf)


@case(TracedAssignmentError)
def _out_of_a_reduction_method(x, buf=np.zeros(())):
    np.add.reduce(x, out=buf)


@case(TracedAssignmentError)
def _copyto(x, buf=np.zeros(3)):
    np.copyto(buf, x)


@case(TracedAssignmentError)
def _put(x, buf=np.zeros(3)):
    np.put(buf, [0], x[0])


@case(TracedAssignmentError)
def _put_along_axis(x, buf=np.zeros(3)):
    np.put_along_axis(buf, np.array([0]), x[:1], 0)


@case(TracedAssignmentError)
def _place(x, buf=np.zeros(3)):
    np.place(buf, np.array([True, False, False]), x[:1])


@case(TracedAssignmentError)
def _putmask(x, buf=np.zeros(3)):
    np.putmask(buf, np.array([True, False, False]), x)


@case(TracedAssignmentError)
def _fill_diagonal(x, buf=np.zeros((3, 3))):
    np.fill_diagonal(buf, x)


@case(TracedAssignmentError)
def _ufunc_at(x, buf=np.zeros(3)):
    np.add.at(buf, [0, 1], x[:2])


@case(DerivativeError)
def _full_like_of_a_plain_array(x, buf=np.zeros(3)):
    np.full_like(buf, x[0])


@case(DerivativeError)
def _fill(x, buf=np.zeros(3)):
    buf.fill(x[0])


# -- functions outside the vocabulary --------------------------------------------------------------


@case(UnsupportedFunctionError, "np.save")
def _refused(x):
    np.save("/dev/null", x)


@case(UnsupportedFunctionError, "np.savetxt")
def _savetxt(x):
    np.savetxt("/dev/null", x)


@case(UnsupportedFunctionError, "np.array2string")
def _array2string(x):
    np.array2string(x)


@case(DerivativeError)
def _compiled_code(x):
    scipy.linalg.lapack.dgesv(np.eye(3), x)


@case(UnsupportedFunctionError, "view")
def _reinterpreted_bytes(x):
    x.view(np.int64)


@case(DerivativeError)
def _tobytes(x):
    x.tobytes()


@modes
@pytest.mark.parametrize("one", CASES, ids=[c.name for c in CASES])
def test_it_raises_names_the_line_and_says_what_to_do(one: Case, jac: Any) -> None:
    line = one.f.__code__.co_firstlineno + 2  # the decorator, the def, the line
    with pytest.raises(one.error) as caught:
        jac(one.f)(X)
    message = str(caught.value)
    assert f"test_errors.py, line {line}" in message
    for word in one.words:
        assert word in message
    for default in one.f.__defaults__ or ():
        assert np.array_equal(default, np.eye(3)) or not default.any(), "the plain array was written to"


def test_the_line_numbers_above_are_those_of_the_lines() -> None:
    import inspect

    for one in CASES:
        source = inspect.getsource(one.f).splitlines()
        assert source[0].startswith("@case")
        assert source[1].startswith("def ")


UNKNOWN = {"histogramdd": (X,), "unpackbits": (X,), "busday_count": (X, X)}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_function_is_named_with_a_way_on(name: str) -> None:
    def f(x: Any) -> Any:
        return getattr(np, name)(*[x for _ in UNKNOWN[name]])

    with pytest.raises(
        UnsupportedFunctionError, match=rf"test_errors\.py, line {f.__code__.co_firstlineno + 1}: np\.{name}"
    ):
        dd.jacfwd(f)(X)


# --------------------------------------------------------------------------------------------------
# escaped values


@pytest.mark.parametrize(
    "use",
    [
        lambda t: t + 1,
        lambda t: np.sin(t),
        lambda t: t[0],
        lambda t: t * t,
        operator.neg,
        lambda t: t.sum(),
        lambda t: t.__setitem__(0, 1.0),
        lambda t: np.ones(3) @ t,
    ],
    ids=["add", "sin", "index", "multiply", "negative", "sum", "assign", "matmul"],
)
@modes
def test_a_value_that_escaped_raises_when_used(jac: Any, use: Any) -> None:
    kept = []

    def f(x: Any) -> Any:
        kept.append(x * 2)
        return x * x

    jac(f)(X)
    with pytest.raises(EscapedValueError, match="outlived"):
        use(kept[0])


def test_a_value_that_escaped_into_another_operator_raises() -> None:
    kept: list[Any] = []
    dd.grad(lambda x: kept.append(x) or x * x)(3.0)
    with pytest.raises(EscapedValueError):
        dd.grad(lambda y: y * kept[0])(2.0)
    with pytest.raises(EscapedValueError):
        dd.jacfwd(lambda y: y * kept[0])(2.0)


def test_an_assignment_of_an_inner_value_to_an_outer_array_raises() -> None:
    def f(x: Any) -> Any:
        store = np.zeros_like(x)

        def g(y: Any) -> Any:
            store[0] = y * x[0]
            return y * y

        return dd.grad(g)(2.0) * x + store

    for jac in (dd.jacfwd, dd.jacrev):
        with pytest.raises(TracedAssignmentError, match="outside"):
            jac(f)(X)


@modes
def test_traced_values_do_not_pickle_and_do_copy(jac: Any) -> None:
    def f(x: Any) -> Any:
        with pytest.raises(EscapedValueError, match="pickled"):
            pickle.dumps(x)
        y = copy.copy(x)
        z = copy.deepcopy(x)
        y[0] = 0.0
        return x * z + y

    found = jac(f)(X)
    if isinstance(found, tuple):
        found = found[0]
        np.testing.assert_array_equal(found, X * X + [0, *X[1:]])
    else:
        np.testing.assert_array_equal(found, np.diag(2 * X + [0, 1, 1]))


# --------------------------------------------------------------------------------------------------
# what works after all


@modes
def test_arrays_of_traced_scalars_work(jac: Any) -> None:
    def f(x: Any) -> Any:
        R = np.array([[np.cos(x[0]), -np.sin(x[0])], [np.sin(x[0]), np.cos(x[0])]])
        return np.array([x[1], x[2]]) @ R + np.array([1.0, x[0]]) * np.full(2, x[0]) / x[0]

    c, s = np.cos(X[0]), np.sin(X[0])
    _, b, d = X
    expected = [[-b * s + d * c, c, s], [-b * c - d * s + 1, -s, c]]
    found = jac(f)(X)
    if isinstance(found, tuple):
        np.testing.assert_allclose(found[1], np.array(expected) @ X, rtol=1e-14)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@modes
def test_a_traced_array_looks_like_an_array(jac: Any) -> None:
    def f(x: Any) -> Any:
        assert isinstance(x, np.ndarray)
        assert (x.shape, x.ndim, x.size, len(x), x.dtype, x.itemsize, x.nbytes) == ((3,), 1, 3, 3, np.float64, 8, 24)
        assert isinstance(x[0], float)
        assert isinstance(x[0], np.float64)
        assert not isinstance(x, float)
        assert np.shape(x) == (3,)
        assert np.ndim(x) == 1
        assert np.isscalar(x[0]) or np.ndim(x[0]) == 0
        assert x.flags.writeable
        assert "0.25" in repr(x)
        assert callable(x.sin)
        with pytest.raises(AttributeError):
            x.no_such_attribute
        return x * 1.0

    jac(f)(X)


@modes
def test_decisions_may_be_taken_on_traced_values(jac: Any) -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for v in x:
            if v > 0.4 and bool(v < 10) and v != 3:
                total = total + v * v
        n = int(x[2] * 4)  # 3: an integer leaves on purpose
        assert n == 3
        assert math.floor(x[2] * 4) == 3
        return total * np.ones(1) * n

    found = jac(f)(X)
    expected = np.array([[0, 3 * 2 * 0.5, 3 * 2 * 0.75]])
    np.testing.assert_allclose(
        found[1] if isinstance(found, tuple) else found,
        expected @ X if isinstance(found, tuple) else expected,
        rtol=1e-15,
    )


def test_stop_gradient_is_the_way_out_that_messages_name() -> None:
    assert dd.grad(lambda x: x * math.sin(dd.stop_gradient(x)))(0.5) == math.sin(0.5)
    assert dd.jacfwd(lambda x: x * math.sin(dd.stop_gradient(x)))(0.5) == math.sin(0.5)
    buf = np.zeros(3)
    for jac in (dd.jacfwd, dd.jacrev):

        def f(x: Any) -> Any:
            buf[:] = dd.stop_gradient(x)
            return x * buf

        np.testing.assert_array_equal(jac(f)(X), np.diag(X))


def test_every_error_is_a_derivative_error_and_a_builtin_one() -> None:
    for error in vars(dd.errors).values():
        if isinstance(error, type) and issubclass(error, Exception) and error is not DerivativeError:
            assert issubclass(error, DerivativeError)
            assert issubclass(error, (TypeError, ValueError, RuntimeError))
    assert issubclass(InputError, ValueError)
