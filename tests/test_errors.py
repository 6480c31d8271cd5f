"""What cannot be differentiated raises: the class, the user's line, and what to write instead, in both modes."""

# ruff: noqa: B008  (a plain array made outside the function, and looked at afterwards)

from __future__ import annotations

import contextlib
import copy
import functools
import math
import operator
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.linalg

import dualdiff as dd
from dualdiff import errors
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


@case(TracedConversionError, "math.pow(x[0], 2.0)", "np.power", "stop_gradient")
def _math_pow(x):
    return math.pow(x[0], 2.0) * x


@case(TracedConversionError, "np.sum", "stop_gradient")
def _math_fsum(x):
    return math.fsum(x) * x


@case(TracedConversionError, "stop_gradient")
def _asarray_of_floats(x):
    return np.asarray(x, dtype=float) * x


@case(TracedConversionError, "stop_gradient")
def _array_of_float32(x):
    return np.array(x, dtype=np.float32) * x


@case(TracedConversionError, "np.stack")
def _array_of_a_list_of_floats(x):
    return np.array([x[0], x[1]], dtype=float) * x[:2]


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


@case(TracedConversionError, "np.nditer(x)", "x.flat")
def _nditer(x):
    return next(np.nditer(x))


@case(TracedAssignmentError, "np.select")
def _piecewise_of_plain_data(x):
    np.piecewise(np.arange(3.0), [np.array([True, False, True])], [lambda v: v * x[0]])


@case(TracedConversionError, "otypes=")
def _vectorize_with_types(x):
    np.vectorize(lambda v: v * 2, otypes=[float])(x)


@case(DerivativeError)
def _tobytes(x):
    x.tobytes()


@modes
@pytest.mark.parametrize("one", CASES, ids=[c.name for c in CASES])
def test_it_raises_names_the_line_and_says_what_to_do(one: Case, jac: Any) -> None:
    line = one.f.__code__.co_firstlineno + 2  # the decorator, the def, the line
    with pytest.raises(one.error) as caught:
        jac(dd.capture(one.f, "never"))(X)
    message = str(caught.value)
    assert f"test_errors.py, line {line}" in message
    for word in one.words:
        assert word in message
    if (
        one.error is TracedAssignmentError and one.f.__defaults__
    ):  # the array was there before: to capture the module does not help
        with pytest.raises(TracedAssignmentError, match=f"test_errors.py, line {line}"):
            jac(one.f)(X)
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


OPERATORS = {
    "jvp": lambda f, x: dd.jvp(f, (x,), (x,)),
    "vjp": lambda f, x: dd.vjp(f, x),
    "linearize": lambda f, x: dd.linearize(f, x)[1](x),
    "grad": lambda f, x: dd.grad(lambda x: f(x)[0])(x),
    "value_and_grad": lambda f, x: dd.value_and_grad(lambda x: f(x)[0])(x)[1],
    "hessian": lambda f, x: dd.hessian(lambda x: f(x)[0])(x),
    "hvp": lambda f, x: dd.hvp(lambda x: f(x)[0])(x, x),
    "jacfwd": lambda f, x: dd.jacfwd(f)(x),
    "jacrev": lambda f, x: dd.jacrev(f)(x),
    "value_and_jacobian": lambda f, x: dd.value_and_jacobian(f)(x)[1],
    "columns by chunks": lambda f, x: dd.jacfwd(f, chunk=1)(x),
    "auto": lambda f, x: dd.jacobian(f)(x),
    "elimination": lambda f, x: dd.jacobian(f, mode="elimination")(x),
    "sparse": lambda f, x: dd.jacobian(f, sparse=True)(x).toarray(),
    "linear_operator": lambda f, x: dd.linear_operator(f, x).matvec(x),
    "plan_jacobian": lambda f, x: dd.plan_jacobian(f, x)(x),
}


def _kept(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that computes once and then hands out what it kept."""
    memory: list[Any] = []

    def f(x: Any) -> Any:
        if not memory:
            memory.append(make(x))
        return memory[0]

    return f


def _of_an_inner_run() -> Callable[[Any], Any]:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        dd.grad(lambda y: kept.append(y * y) or (y * y).sum())(x)
        return kept[-1]

    return f


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: _kept(lambda x: x * x),
        lambda: _kept(lambda x: (x * x)[::-1]),
        lambda: _kept(lambda x: [x[0] * x[1], x[2]]),
        lambda: _kept(lambda x: np.array([x[0] * x[1], x[1], 0.0])),
        lambda: (lambda f: lambda x: f(x).copy())(_kept(lambda x: x * x)),
        _of_an_inner_run,
    ],
    ids=["array", "view", "numbers", "object array", "copy", "inner run"],
)
def test_a_value_of_an_ended_run_raises_when_it_is_returned(operator: Any, make: Any) -> None:
    f = make()
    with contextlib.suppress(EscapedValueError):  # a way that runs f twice finds what it kept already on the first call
        operator(f, X)
    with pytest.raises(EscapedValueError, match="outlived"):
        operator(f, X)


def test_a_value_of_an_ended_run_raises_in_a_batch() -> None:
    f = _kept(lambda x: x * x)
    dd.batch_jacobian(f)(X)
    with pytest.raises(EscapedValueError, match="outlived"):
        dd.batch_jacobian(f)(X)


@modes
def test_a_value_of_an_ended_run_is_no_argument_direction_or_auxiliary_data(jac: Any) -> None:
    kept: list[Any] = []
    jac(lambda x: kept.append(x * 2) or x)(X)
    old = kept[-1]
    uses = (
        lambda: dd.jvp(lambda x: x, (old,), (X,)),
        lambda: dd.jvp(lambda x: x, (X,), (old,)),
        lambda: dd.vjp(lambda x: x, X)[1](old),
        lambda: dd.linearize(lambda x: x, X)[1](old),
        lambda: jac(lambda x: x)(old),
        lambda: dd.jacobian(lambda x, y: y)(X, old),
        lambda: dd.value_and_grad(lambda x: (x.sum(), {"kept": old}), has_aux=True)(X),
        lambda: dd.zeros(3).__setitem__(slice(None), old),
        lambda: dd.jacfwd(lambda x: np.zeros_like(x).__setitem__(slice(None), old))(X),
    )
    for use in uses:
        with pytest.raises(EscapedValueError):
            use()


@modes
def test_a_value_of_an_ended_run_decides_nothing(jac: Any) -> None:
    kept: list[Any] = []
    jac(lambda x: kept.append(x[0]) or x)(X)
    old = kept[-1]
    for use in (
        hash,
        bool,
        int,
        lambda t: t == 0.25,
        lambda t: t in [0.25],
        lambda t: 0.25 in [t],
        lambda t: [t].index(1),
    ):
        with pytest.raises(EscapedValueError):
            use(old)
    assert "0.25" in repr(old)


# --------------------------------------------------------------------------------------------------
# values as keys


@modes
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_look_ups_go_by_value(jac: Any, dtype: Any) -> None:
    rates = {0.25: 3.0, 0.5: 5.0}

    def f(x: Any) -> Any:
        allowed = x[1] in {0.5, 1.0} and x[2] in [0.75] and x[2] not in rates
        return x * rates[x[0]] * rates.get(x[1], 0.0) * rates.get(x[2], 1.0) * (2.0 if allowed else 0.0)

    found = jac(f)(X.astype(dtype))
    np.testing.assert_array_equal(
        found[0] if isinstance(found, tuple) else np.diag(found), f(X) if isinstance(found, tuple) else 30
    )


def test_a_look_up_is_a_decision_that_a_recording_notes() -> None:
    rates = {1.0: 3.0, 2.0: 5.0}
    J = dd.jacobian(lambda x: x * rates.get(x[0], 7.0))
    for x in ([1.0, 4.0], [2.0, 4.0], [1.5, 4.0], [1.0, 4.0]):
        np.testing.assert_array_equal(J(np.array(x)), np.eye(2) * rates.get(x[0], 7.0))


@modes
def test_numbers_hash_as_numpy_scalars_and_arrays_do_not(jac: Any) -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append((hash(x[0]), hash(x.sum())))
        for array in (x, x[:1], x[0, ...], np.zeros_like(x)):
            with pytest.raises(TypeError, match="unhashable"):
                hash(array)
        return x

    jac(f)(X)
    assert seen[0] == (hash(0.25), hash(1.5))
    assert dd.grad(lambda x: x * {hash(2.0): 3.0}[hash(x)])(2.0) == 3.0
    with pytest.raises(TypeError, match="unhashable"):
        jac(lambda x: x * hash(x))(np.array(2.0))


@modes
def test_cached_helpers(jac: Any) -> None:
    calls = []

    @functools.lru_cache
    def square(t: Any) -> Any:
        calls.append(t)
        return t * t

    def f(x: Any) -> Any:
        return np.stack([square(x[0]) * square(x[0]), square(x[1]), square(x[2])])

    want = np.diag([4 * X[0] ** 3, 2 * X[1], 2 * X[2]])
    for _ in range(2):  # what an ended run left in the cache is not taken for a value of this one
        found = jac(f)(X)
        found = found[1] if isinstance(found, tuple) else found
        np.testing.assert_allclose(found, want @ X if found.ndim == 1 else want)
    assert square(0.25) == 0.0625
    assert len(calls) % 3 == 1  # a number that is read twice is found


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian], ids=["forward", "reverse", "auto"])
def test_equal_values_with_different_derivatives_do_not_share_a_key(jac: Any) -> None:
    @functools.lru_cache
    def square(t: Any) -> Any:
        return t * t

    def remembered(x: Any) -> Any:
        memory: dict[Any, Any] = {}
        return np.stack([memory.setdefault(t, t * t) for t in x])

    for f in (lambda x: np.stack([square(x[0]), square(x[1])]), remembered, lambda x: x * len(set(x))):
        with pytest.raises(TracedConversionError, match="takes two values"):
            jac(f)(np.ones(2))
    jac(lambda x: x * len(set(dd.stop_gradient(x))))(np.ones(2))

    def f(x: Any) -> Any:  # a comparison that is written out is a branch like any other
        a, b = x
        return x * len({a}) * len({b}) * (3.0 if a == b else 1.0)

    np.testing.assert_array_equal(jac(f)(np.ones(2)), np.eye(2) * 3)
    # Along (1, 1) both have the same derivative, and so has whatever is computed from either.
    assert dd.jvp(remembered, (np.ones(2),), (np.ones(2),))[1].tolist() == [2.0, 2.0]


def test_keys_of_nested_runs() -> None:
    def f(x: Any) -> Any:
        return dd.jvp(lambda y: y * {1.0: 3.0, 2.0: 5.0}[y] * {2.0: x}[y], (x,), (1.0,))[1]

    for jac in (dd.jacfwd, dd.jacrev):
        assert jac(f)(2.0) == 5.0

    def g(x: Any) -> Any:  # the key of the outer run and that of the inner are equal, and differ in their derivatives
        return dd.jvp(lambda y: {x: x * x}.get(y, y), (x,), (1.0,))[1]

    with pytest.raises(TracedConversionError, match="takes two values"):
        dd.grad(g)(2.0)


# --------------------------------------------------------------------------------------------------
# arrays of objects


def slopes(f: Any, x: Any) -> Any:
    """Return the Jacobian of a function that is quadratic, by central differences."""
    return np.stack([(f(x + e) - f(x - e)) / 2 for e in np.eye(len(x))], axis=1)


@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev], ids=["forward", "reverse"])
def test_an_array_of_entries_holds_what_its_entries_were(jac: Any) -> None:
    def copied(x: Any) -> Any:
        total, before = x[0, ...].copy(), []
        for t in x[1:]:
            before.append(np.array(total))
            total += t
        return np.array([*before, total * 1.0])

    x = np.array([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(copied(x), [1.0, 3.0, 7.0])
    np.testing.assert_array_equal(jac(copied)(x), np.tri(3))

    def scaled(x: Any) -> Any:
        v, x = np.array(x), x.copy()
        x *= 3.0
        return v * x

    assert jac(scaled)(np.array(2.0)) == 12.0

    def written(x: Any, into: Callable[[Any], Any]) -> Any:
        total = x[0, ...].copy()
        v = np.array([total, x[1]])
        into(total)
        return v * total

    for into in (lambda t: t.__iadd__(1.0), lambda t: t.__setitem__((), 1.0), lambda t: np.add(t, 1.0, out=t)):
        f = functools.partial(written, into=into)
        np.testing.assert_allclose(jac(f)(x), slopes(f, x), atol=1e-8)

    def not_yet_traced(x: Any) -> Any:
        total = np.zeros_like(x, shape=())
        v = np.array([total, x[0]])
        total += x[1]
        return v * total

    np.testing.assert_allclose(jac(not_yet_traced)(x), slopes(not_yet_traced, x), atol=1e-8)

    def counted(x: Any) -> Any:  # a number that is stored in a plain array is copied there
        n, store = np.zeros_like(x, shape=()), np.zeros(3)
        for i in range(3):
            n += 1.0
            store[i] = n
        n += x[0]
        return store * n

    np.testing.assert_array_equal(jac(counted)(x)[:, 0], [1.0, 2.0, 3.0])

    def viewed(x: Any) -> Any:  # the entry is a view: a write into what it shows counts as well
        y = x * 1.0
        v = np.array([y[0, ...], x[1]])
        y[0] = x[2]
        return v * y[0]

    np.testing.assert_allclose(jac(viewed)(x), slopes(viewed, x), atol=1e-8)

    def listed(x: Any) -> Any:  # a list is made an array at once, of which nobody keeps an entry
        total = x[0, ...].copy()
        a = np.dot([total, 1.0], x[:2])
        total += 1.0
        return np.stack([a, np.dot([total, 1.0], x[:2])])

    np.testing.assert_array_equal(jac(listed)(x), [[2.0, 1, 0], [3.0, 1, 0]])

    def rebound(x: Any) -> Any:
        total = x[0, ...].copy()
        v = np.array([total, x[1]])
        total = total + 1.0
        return v * total

    np.testing.assert_array_equal(jac(rebound)(x), [[3.0, 0, 0], [2.0, 2.0, 0]])


@pytest.mark.filterwarnings("ignore::dualdiff.errors.NoDerivativeWarning")
@pytest.mark.parametrize("jac", [dd.jacfwd, dd.jacrev, dd.jacobian], ids=["forward", "reverse", "auto"])
@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda x: x + np.zeros_like(np.array([x[0], x[1], x[2]])), np.eye(3)),
        (lambda x: np.array([1, 2.5, True], object) * x, np.diag([1, 2.5, 1])),
        (lambda x: np.concatenate([x, np.array([], object)]), np.eye(3)),
        (lambda x: np.pad(np.zeros_like(np.array([x[0]])), 1) + x, np.eye(3)),
        (lambda x: np.stack([np.full_like(np.array([x[0]]), 2)[0] * x[0], x[1], x[2]]), np.diag([2, 1, 1])),
        (lambda x: np.ones_like(np.array([x[0], x[1]])), np.zeros((2, 3))),
        (lambda x: np.where(x > 0, x, np.zeros_like(np.array(list(x)))), np.eye(3)),
    ],
)
def test_an_object_array_of_numbers_is_one_of_numbers(jac: Any, f: Any, want: Any) -> None:
    np.testing.assert_array_equal(jac(f)(X), want)


@modes
def test_an_array_of_other_objects_is_refused(jac: Any) -> None:
    for other in (None, "two", object()):
        with pytest.raises(DerivativeError, match="objects"):
            jac(lambda x: x * np.array([1.0, other, 2.0], object))(X)  # noqa: B023


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
    with pytest.raises(EscapedValueError, match="pickled"):
        jac(lambda x: pickle.dumps(x) and x)(X)

    def f(x: Any) -> Any:
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


WARNINGS = (
    dd.errors.CaptureWarning,
    dd.errors.CompileWarning,
    dd.errors.DocumentedWarning,
    dd.errors.NoDerivativeWarning,
    dd.errors.NotAMinimumWarning,
)


def test_every_error_is_a_derivative_error_and_a_builtin_one() -> None:
    for error in vars(dd.errors).values():
        if isinstance(error, type) and issubclass(error, Exception) and error not in (DerivativeError, *WARNINGS):
            assert issubclass(error, DerivativeError)
            assert issubclass(error, (TypeError, ValueError, RuntimeError))
    assert issubclass(InputError, ValueError)


DECORATED = """
import functools

def around(f):
    @functools.wraps(f)
    def inner(*args):
        return f(*args)
    return inner

@around
def put_away(ask):
    return ask()

@around
def kept(ask):
    return ask()

def calling(f, ask):
    return f(ask)
"""


def test_a_decorator_around_a_replaced_function_is_not_taken_for_one_around_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errors, "REPLACED", set())
    monkeypatch.setattr(errors, "_AROUND", set())
    names: dict[str, Any] = {}
    exec(compile(DECORATED, scipy.linalg.__file__, "exec"), names)
    errors.replaced(names["put_away"])
    for called, where in (("put_away", "calling"), ("kept", "kept")):
        assert names["calling"](names[called], partial(errors.stumble, "array")).code.co_name == where
