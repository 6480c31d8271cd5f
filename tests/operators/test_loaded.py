"""Programs from files: the function without the function, as far as it goes, and an error where it does not."""

from __future__ import annotations

import importlib.util
import inspect
import io
import pickle
import sys
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import CompileWarning, InputError, NoProgramError, ProgramFileError, StaleProgramError
from dualdiff.operators.loaded import LoadedProgram
from dualdiff.trees import Columns

X = np.array([1.0, 2.0, 3.0])


def reloaded(program: Any, *args: Any, **kwargs: Any) -> Any:
    file = io.BytesIO()
    program.save(file, *args, **kwargs)
    return dd.load_program(file)


def energy(x: Any, scale: float = 2.0, *, power: int = 2) -> Any:
    """Return an energy."""
    return np.sum(np.sin(x) ** power) * scale


# --------------------------------------------------------------------------------------------------
# as the function


def test_a_loaded_program_has_the_name_the_signature_and_the_text_of_its_function() -> None:
    program = reloaded(dd.compile(dd.grad(energy)), X)
    assert (program.__name__, program.__doc__) == ("energy", "Return an energy.")
    parameters = inspect.signature(program).parameters
    assert str(inspect.signature(program)) == "(x, scale=2.0, *, power=2)"
    assert [p.kind for p in parameters.values()] == [p.kind for p in inspect.signature(energy).parameters.values()]
    assert repr(program) == "<program of energy, for 1 form of arguments>"


def test_arguments_by_name_and_defaults_are_those_of_the_function() -> None:
    compiled = dd.compile(dd.grad(energy))
    program = reloaded(compiled, X, 3.0)
    for args, kwargs in (((X, 0.5), {}), ((X,), {"scale": 0.5}), ((), {"scale": 0.5, "x": X}), ((2 * X,), {})):
        np.testing.assert_array_equal(program(*args, **kwargs), compiled(*args, **kwargs))
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        program()
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        program(X, y=1.0)
    with pytest.raises(NoProgramError, match=r"energy has no program for \(x: an array float64\[3\], power: 3\)"):
        program(X, power=3)
    without = reloaded(compiled, X)  # its default is a constant there
    np.testing.assert_array_equal(without(2 * X), compiled(2 * X))
    with pytest.raises(NoProgramError, match="scale: a Python float64"):
        without(X, 2.0)


def test_functions_of_any_number_of_arguments() -> None:
    def f(*xs: Any, **named: Any) -> Any:
        return sum(xs) * named["k"]

    program = reloaded(dd.compile(f), X, 2 * X, k=3.0)
    np.testing.assert_array_equal(program(X, X, k=2.0), 4 * X)
    with pytest.raises(NoProgramError):
        program(X, k=2.0)
    program = reloaded(dd.compile(np.hypot), X, X)  # whose parameters Python does not know, or does by now
    np.testing.assert_array_equal(program(3 * X, 4 * X), 5 * X)


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass
class Model:
    rate: Any
    offset: Any


def test_structures_of_arguments_and_results() -> None:
    def f(p: Any, model: Any) -> Any:
        a, b = p["a"], p["b"][0]
        return {
            "pair": Pair(a * model.rate, [b, (a + b,)]),
            "none": None,
            3: (a.shape, "text", 1, True),
            "zero": np.sum(b),
        }

    def arguments(k: float) -> Any:
        return {"b": [k * X], "a": 2 * X}, Model(k, Pair(k, X))

    program = reloaded(dd.compile(f), *arguments(2.0))
    found, right = program(*arguments(3.0)), f(*arguments(3.0))
    assert list(found) == ["pair", "none", 3, "zero"]
    assert found["pair"]._fields == ("first", "second")
    assert type(found["pair"]).__name__ == "Pair"
    np.testing.assert_array_equal(found["pair"].first, right["pair"].first)
    np.testing.assert_array_equal(found["pair"].second[1][0], right["pair"].second[1][0])
    assert found["none"] is None
    assert found[3] == right[3]
    assert type(found["zero"]) is np.float64
    for p, model in (
        ({"b": [X], "a": X, "c": X}, Model(1.0, Pair(1.0, X))),
        ({"b": (X,), "a": X}, Model(1.0, Pair(1.0, X))),
        ({"b": [X], "a": X}, Pair(1.0, Pair(1.0, X))),
        ({"b": [X], "a": X}, Model(1.0, (1.0, X))),
        ({"b": [X], "a": None}, Model(1.0, Pair(1.0, X))),
    ):
        with pytest.raises(NoProgramError, match="has no program for"):
            program(p, model)


def test_a_jacobian_by_several_numbers_is_the_tuple_that_scipys_optimisers_take_for_columns() -> None:
    jacobian = dd.jacobian(lambda a, b: a * np.exp(b * X), (0, 1))
    found, right = reloaded(dd.compile(jacobian), 1.0, 0.5)(2.0, 0.25), jacobian(2.0, 0.25)
    assert type(found) is type(right) is Columns
    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize(
    ("x", "other"),
    [
        (X, X[:2]), (X, X.astype(np.float32)), (X, 1.0), (1.0, np.float64(1.0)), (np.float64(1.0), np.array(1.0)),
        (np.eye(3), np.ones((3, 3)).T[::-1]), (1.0, 1), (X, None),
    ],
)  # fmt: skip
def test_arguments_of_another_form_are_no_arguments(x: Any, other: Any) -> None:
    program = reloaded(dd.compile(lambda x: x * 2), x)
    np.testing.assert_array_equal(program(x), x * 2)
    with pytest.raises(NoProgramError, match=r"has no program for \(x: .*\); the file holds those for \(x: "):
        program(other)


def test_integers_and_texts_among_the_arguments_belong_to_the_program() -> None:
    compiled = dd.compile(lambda x, n, how: x**n if how == "power" else x * n)
    compiled(X, 2, "power"), compiled(X, 3, "product")
    program = reloaded(compiled)
    np.testing.assert_array_equal(program(2 * X, 2, "power"), 4 * X**2)
    np.testing.assert_array_equal(program(2 * X, 3, "product"), 6 * X)
    for n, how in ((3, "power"), (2, "sum"), (2.0, "power"), (True, "power")):
        with pytest.raises(NoProgramError):
            program(X, n, how)
    with pytest.raises(NoProgramError, match=r"an argument of .* is of class 'object'"):
        program(X, 2, object())


# --------------------------------------------------------------------------------------------------
# where it does not go


def test_a_branch_that_was_not_saved_is_an_error_with_its_line() -> None:
    compiled = dd.compile(lambda x: np.log(x) if x[0] > 0 else x**2)
    program = reloaded(compiled, X)
    with pytest.raises(NoProgramError, match=r"np\.greater in test_loaded\.py, line \d+ is not True, as it was"):
        program(-X)
    compiled(-X)
    program = reloaded(compiled, X)
    for x in (X, -X, 2 * X, -2 * X, X):
        np.testing.assert_array_equal(program(x), compiled(x))


@pytest.mark.filterwarnings("error")
def test_what_is_not_finite_is_an_error() -> None:
    gradient = reloaded(dd.compile(dd.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)))), X)
    np.testing.assert_array_equal(gradient(4 * X), 0.25 / np.sqrt(X))
    with pytest.raises(NoProgramError, match="a value is not finite"):
        gradient(X - 1)  # for which the operator has another rule
    total = reloaded(dd.compile(lambda x: x[0] + x[1]), X)
    for value in (np.nan, np.inf):
        with pytest.raises(NoProgramError, match="a value is not finite"):
            total(value * X)
    root = reloaded(dd.compile(lambda x: np.sqrt(x[0]) + x[1]), X)
    with pytest.raises(NoProgramError, match="a value is not finite"):
        root(-X)


def test_a_branch_that_is_not_taken_may_fail() -> None:
    compiled = dd.compile(lambda x: np.where(x > 0, np.log(np.where(x > 0, x, -1.0)), x), check_every=None)
    program = reloaded(compiled, X)
    with np.errstate(all="ignore"):
        for x in (X, X - 2, X):
            np.testing.assert_array_equal(program(x), compiled(x))


def test_a_step_that_fails_says_so() -> None:
    program = reloaded(dd.compile(np.linalg.inv), np.eye(60) + 0.1)
    with pytest.raises(NoProgramError, match=r"a step fails \(LinAlgError: Singular matrix\)") as caught:
        program(np.zeros((60, 60)))
    assert isinstance(caught.value.__cause__, np.linalg.LinAlgError)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: (lambda x: squared(x)), r"whose rule is your own, in test_loaded\.py, line \d+"),
        (lambda: (lambda x: (x, SETTINGS)), "an object of class 'Settings' as a constant"),
        (lambda: (lambda x: Model(x, x)), "an object of class 'Model' as a result"),
        (lambda: (lambda x: OrderedDict(a=x)), "an object of class 'OrderedDict' as a result"),
        (lambda: (lambda x: (x, np.sin)), "an object of class 'ufunc' as a constant"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_refused_by_name(make: Any, words: str) -> None:
    with pytest.raises(ProgramFileError, match=rf"the program of <lambda> cannot be saved: it holds .*{words}"):
        dd.compile(make()).save(io.BytesIO(), X)


squared = dd.primitive(lambda x: x**2, jvp=lambda t, y, x: 2 * x * t)


class Settings:
    factor = 2.0


SETTINGS = Settings()


def test_where_there_is_no_program_nothing_is_saved() -> None:
    with pytest.raises(ProgramFileError, match="has no program yet to be saved; call it, or give the arguments"):
        dd.compile(energy).save(io.BytesIO())
    with pytest.raises(InputError, match="hold an object of class 'Settings'"):
        dd.compile(lambda x, s: x * s.factor).save(io.BytesIO(), X, SETTINGS)
    with pytest.warns(CompileWarning), pytest.raises(InputError, match="it writes into an argument"):
        dd.compile(written_into).save(io.BytesIO(), X.copy())


def test_what_has_changed_since_is_not_saved() -> None:
    matrix, factor = np.eye(3), 2.0
    program = dd.compile(lambda x: matrix @ x * factor, check_every=None)
    program(X)
    factor = 3.0
    with pytest.raises(ProgramFileError, match="has no program yet"):
        program.save(io.BytesIO())
    np.testing.assert_array_equal(reloaded(program, X)(X), 3 * X)
    matrix[0, 0] = 5.0
    for args in ((), (X,)):
        with pytest.raises(
            StaleProgramError, match=r"an array of shape \(3, 3\) that test_loaded\.py, line \d+ uses was written into"
        ):
            program.save(io.BytesIO(), *args)


def written_into(x: Any) -> Any:
    x[0] = 0.0
    return x


# --------------------------------------------------------------------------------------------------
# in other operators


@pytest.mark.parametrize("operator", [dd.jacfwd, dd.jacrev, dd.jacobian, lambda f: dd.jacfwd(dd.jacrev(f))])
def test_a_loaded_program_is_differentiated(operator: Any) -> None:
    def f(x: Any, scale: float = 2.0) -> Any:
        y = np.zeros_like(x)
        y[1:] = np.exp(-x[:-1]) * scale
        if x[0] > 0:
            y = y + np.sort(x)[::-1] * np.sum(x[[0, 2]] ** 2)
        return y * np.max(x)

    compiled = dd.compile(f)
    compiled(X, 3.0)
    program = reloaded(compiled)
    np.testing.assert_allclose(operator(program)(1.5 * X, 2.5), operator(f)(1.5 * X, 2.5), rtol=1e-14)
    with pytest.raises(NoProgramError, match="is not True"):
        operator(program)(-X, 2.5)
    with pytest.raises(NoProgramError, match="has no program for"):
        operator(program)(X[:2], 2.5)


def test_the_gradient_of_a_loaded_gradient_is_a_hessian() -> None:
    gradient = reloaded(dd.compile(dd.grad(energy)), X, 3.0)
    np.testing.assert_allclose(dd.jacobian(gradient)(X, 3.0), dd.hessian(energy)(X, 3.0), rtol=1e-14, atol=1e-15)
    value = reloaded(dd.compile(dd.value_and_grad(energy)), X, 3.0)
    np.testing.assert_allclose(dd.grad(lambda x: value(x, 3.0)[0])(X), dd.grad(energy)(X, 3.0), rtol=1e-15)


def test_a_loaded_program_is_compiled_and_saved_again() -> None:
    program = reloaded(dd.compile(dd.grad(energy)), X, 3.0)
    again = reloaded(dd.compile(program), X, 3.0)
    np.testing.assert_array_equal(again(2 * X, 1.0), dd.grad(energy)(2 * X, 1.0))


def test_where_kinks_are_errors_the_function_is_needed() -> None:
    program = reloaded(dd.compile(dd.grad(lambda x: np.sum(np.abs(x)))), X)
    with dd.kinks("raise"), pytest.raises(NoProgramError, match=r'dd\.kinks\("raise"\)'):
        program(X)


def test_sparse_jacobians_come_back_with_their_pattern() -> None:
    def f(x: Any) -> Any:
        return np.diff(x) ** 2

    jacobian = dd.compile(lambda x: (f(x), dd.jacobian(f, sparse=True)(x)), check_every=None)
    program = reloaded(jacobian, X)
    value, found = program(2 * X)
    right = dd.jacobian(f, sparse=True)(2 * X)
    np.testing.assert_array_equal(value, f(2 * X))
    assert type(found) is type(right)
    assert (found.nnz, found.has_canonical_format) == (right.nnz, True)
    np.testing.assert_array_equal(found.toarray(), right.toarray())
    found.indices[:] = 0  # which is nobody else's
    np.testing.assert_array_equal(program(2 * X)[1].toarray(), right.toarray())
    slope = dd.jacobian(lambda x: program(x)[1] @ X)(X)
    np.testing.assert_allclose(slope, dd.jacobian(lambda x: dd.jacobian(f)(x) @ X)(X), rtol=1e-15)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(program))(X)[1].toarray(), jacobian(X)[1].toarray())


# --------------------------------------------------------------------------------------------------
# as an object


def test_it_pickles() -> None:
    program = pickle.loads(pickle.dumps(reloaded(dd.compile(dd.grad(energy)), X)))
    np.testing.assert_array_equal(program(2 * X), dd.grad(energy)(2 * X))


def test_it_says_of_what_it_is_made() -> None:
    compiled = dd.compile(lambda x: np.exp(x) * X if x[0] < 5 else x)
    program = reloaded(compiled, X)
    mine, its = program.explain(X), compiled.explain(X)
    assert str(mine) == str(its)
    assert program.source(X).startswith("def program(x0")
    with pytest.raises(NoProgramError):
        program.source(X[:2])


def test_its_results_are_nobody_elses() -> None:
    program = reloaded(dd.compile(lambda x: (x, x * 2, WEIGHTS)), X)
    for _ in range(3):
        x = X.copy()
        for found, right in zip(program(x), (X, X * 2, np.ones(3)), strict=True):
            np.testing.assert_array_equal(found, right)
            found[...] = 7.0
        np.testing.assert_array_equal(x, X)


WEIGHTS = np.ones(3)


def test_threads_share_it() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(50, 50))
    f = dd.grad(lambda x: np.sum(np.tanh(matrix @ x) ** 2 * np.exp(-x)))
    points = [rng.normal(size=50) for _ in range(20)]
    expected = [f(x) for x in points]
    program = reloaded(dd.compile(f), points[0])
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: [program(x) for x in points], range(8)):
                np.testing.assert_array_equal(found, expected)
    finally:
        sys.setswitchinterval(before)


def test_it_becomes_machine_code_when_its_calls_have_paid_for_that() -> None:
    pytest.importorskip("llvmlite")

    def f(x: Any) -> Any:
        if x[0] > 0:
            return x[0] * np.sin(x[1]) + np.exp(-x[2])
        return x[0]

    gradient = dd.grad(f)
    program = reloaded(dd.compile(gradient, check_every=None), X)
    program(X)
    assert program.explain(X).tier == "scalars"
    assert program.explain(X).why == "its calls have not paid for compiling"
    variant = program._entries[0].variants[0]
    variant.calls = 10**9
    np.testing.assert_allclose(program(2 * X), gradient(2 * X), rtol=1e-15)
    assert program.explain(X).tier == "machine code"
    np.testing.assert_allclose(program(3 * X), gradient(3 * X), rtol=1e-15)
    with pytest.raises(NoProgramError, match=r"np\.greater in test_loaded\.py, line \d+ is not True"):
        program(-X)
    with pytest.raises(NoProgramError, match="a value is not finite"):
        program(np.array([1.0, np.nan, 1.0]))


def test_a_large_program_is_compiled_at_its_first_call() -> None:
    def f(x: Any) -> Any:
        y = x[0]
        for _ in range(2000):
            y = y + 0.001 * np.sin(y) * x[1]
        return y

    program = reloaded(dd.compile(f, check_every=None), X)
    np.testing.assert_allclose(program(0.5 * X), f(0.5 * X), rtol=1e-13)
    if importlib.util.find_spec("llvmlite"):
        assert program.explain(X).tier == "machine code"


def test_calls_that_look_alike_enter_a_loaded_program_directly() -> None:
    def f(x: Any, scale: float = 2.0) -> Any:
        return np.where(x > 0, np.sin(x) * scale, x) if x[0] > -1 else x

    gradient = dd.jacobian(f)
    program = reloaded(dd.compile(gradient, check_every=None), X, scale=3.0)
    for k in range(40):
        np.testing.assert_array_equal(program(X + k, scale=3.0 + k), gradient(X + k, scale=3.0 + k))
    entrance = type(program).__call__
    assert entrance is not LoadedProgram.__call__
    variant = program._entries[0].variants[0]
    program._settle()
    assert variant.calls == 40
    with pytest.raises(NoProgramError, match=r"np\.greater"):
        program(X - 10, scale=3.0)
    with pytest.raises(NoProgramError, match="has no program for"):
        program(X[:2], scale=3.0)
    with pytest.raises(NoProgramError, match="a program from a file has none"), dd.kinks("raise"):
        program(X, scale=3.0)
    assert dd.jacobian(lambda s: program(X, scale=s))(3.0).shape == (3, 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(program))(X, scale=2.5), gradient(X, scale=2.5))
    another = reloaded(dd.compile(dd.jacobian(lambda x, scale=2.0: x), check_every=None), X, scale=3.0)
    assert type(another).__call__ is LoadedProgram.__call__
    if importlib.util.find_spec("llvmlite"):
        variant.entrance.grant(0)  # as if the calls had been made
        variant.calls = 10**9
        for k in range(40):
            np.testing.assert_allclose(program(X + k, scale=3.0 + k), gradient(X + k, scale=3.0 + k), rtol=1e-15)
        assert type(program).__call__ is variant.code.entrance.call
        with pytest.raises(NoProgramError, match=r"np\.greater"):
            program(X - 10, scale=3.0)
