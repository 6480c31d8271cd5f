"""The programs that are drawn: they run, keep to their vocabulary, and print as code to run."""

from __future__ import annotations

import ast
import traceback
from collections import Counter
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import find, given, settings

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.register import REGISTER
from dualdiff.testing import check
from dualdiff.testing.strategies import VOCABULARIES, Program, programs
from dualdiff.testing.strategies.vocabulary import KINKED, KNOWN, vocabulary_of

repeatable = settings(derandomize=True, database=None, deadline=None)


def drawn(count: int = 80, **options: Any) -> list[Program]:
    found: list[Program] = []

    @settings(repeatable, max_examples=count)
    @given(programs(**options))
    def look(program: Program) -> None:
        found.append(program)

    look()
    return found


def used(program: Program) -> set[str]:
    """Return the names of NumPy's and SciPy's functions in a program, as they are written."""
    calls = {ast.unparse(n) for n in ast.walk(ast.parse(program.source)) if isinstance(n, ast.Attribute)}
    return {c for c in calls if c.startswith(("np.", "special."))}


def flat(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def test_programs_print_as_code_that_runs() -> None:
    for program in drawn(max_ops=8):
        code = repr(program).splitlines()
        assert code[0] == "import numpy as np"
        names: dict[str, Any] = {}
        exec("\n".join([*code[:-1], f"result = {code[-1]}"]), names)
        for a, b in zip(flat(names["result"]), flat(program(*program.point)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_failing_program_is_reported_as_code() -> None:
    @settings(max_examples=200, derandomize=True, database=None, deadline=None, report_multiple_bugs=False)
    @given(programs(max_ops=4, inputs=[(3,)]))
    def no_reductions(program: Program) -> None:
        assert "reduction" not in program.features

    with pytest.raises(AssertionError) as failed:
        no_reductions()
    report = "\n".join(failed.value.__notes__)
    code = report.split("program=\n")[1].split("f(x)\n")[0]
    assert code.startswith("import numpy as np\n\ndef f(x):\n    v1 = ")
    names: dict[str, Any] = {}
    exec(code + "f(x)", names)
    assert code.count("\n    v") == 1  # shrunk to the reduction alone


@pytest.mark.parametrize("name", VOCABULARIES)
def test_programs_keep_to_a_vocabulary_by_name(name: str) -> None:
    allowed = {f"np.{f.__name__}" for f in VOCABULARIES[name]} | {"np.tanh", "np.ones", "np.array", "np.max", "np.abs"}
    if name == "smooth":
        allowed -= {f"np.{f.__name__}" for f in KINKED}
    for program in drawn(vocabulary=name):
        assert used(program) <= allowed
        if name == "smooth":
            assert not program.features & {"branch"}
            assert "abs(" not in program.source
            assert ">" not in program.source


def test_programs_keep_to_functions_that_are_given_inside_their_domain() -> None:
    words = [np.sin, np.cbrt, np.arcsin, np.log, np.logaddexp, scipy.special.erf, scipy.special.gammaln]
    seen: Counter[str] = Counter()
    for program in drawn(400, vocabulary=words, max_ops=6):
        names = used(program)
        seen.update(names)
        assert names <= {f"np.{f.__name__}" for f in words} | {"special.erf", "special.gammaln", "np.tanh", "np.array"}
        assert ("from scipy import special" in repr(program)) == any(n.startswith("special.") for n in names)
        assert all(np.all(np.isfinite(v)) for v in flat(program(*program.point)))
    assert {"np.sin", "np.cbrt", "np.arcsin", "np.log", "np.logaddexp", "special.erf", "special.gammaln"} <= set(seen)


def test_inputs_results_and_writes_are_as_asked() -> None:
    for program in drawn(inputs=[(3, 2), ()], max_ops=4):
        assert [np.shape(x) for x in program.point] == [(3, 2), ()]
    for program in drawn(scalar=True):
        assert np.shape(program(*program.point)) == ()
    for program in drawn(in_place=False):
        assert not program.features & {"view", "assignment"}
        assert not any(
            isinstance(n, ast.AugAssign) or (isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Subscript))
            for n in ast.walk(ast.parse(program.source))
        )


def test_values_are_finite_and_moderate_and_shapes_differ() -> None:
    found = drawn()
    square = 0
    for program in found:
        values = flat(program(*program.point))
        assert all(np.all(np.abs(v) < 100) for v in values)
        square += sum(np.size(v) for v in values) == sum(np.size(x) for x in program.point)
    assert square < len(found) / 2
    assert sum(bool(p.features & {"view", "assignment"}) for p in found) > len(found) / 4


def test_points_hold_zeros_and_ties() -> None:
    points = np.concatenate([np.ravel(x) for p in drawn(inputs=[(4,)]) for x in p.point])
    assert np.mean(points == 0) > 0.08
    assert np.max(np.abs(points)) <= 2


def test_smooth_programs_can_be_checked_by_everybody() -> None:
    verdicts: Counter[str] = Counter()
    for program in drawn(vocabulary="smooth", max_ops=5)[::5]:
        verdicts[check(program, *program.point).verdict] += 1
    assert verdicts["agree"] > 0.8 * verdicts.total()


def test_programs_shrink() -> None:
    found = find(programs(), lambda p: "sin" in p.source, settings=settings(database=None, max_examples=2000))
    assert found.source == "def f(x):\n    v1 = np.sin(x)\n    return v1"
    assert found.point == (0.0,)


def test_errors_in_a_program_show_its_line() -> None:
    program = Program("def f(x):\n    y = np.sin(x)\n    return np.save('y', y)", (np.ones(2),))
    with pytest.raises(dd.errors.UnsupportedFunctionError) as failed:
        dd.jacobian(program)(*program.point)
    assert "return np.save('y', y)" in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vocabulary": "scipy"}, "there is no vocabulary 'scipy'"),
        ({"vocabulary": [np.linalg.svd]}, "no statement for np.linalg.svd"),
        ({"vocabulary": [3]}, "no statement for 3"),
        ({"vocabulary": [np.ldexp]}, "no statement for np.ldexp"),
        ({"vocabulary": [np.floor]}, "no statement for np.floor"),
        ({"max_ops": 0}, "at least one statement"),
        ({"inputs": []}, "shapes of one to"),
    ],
)
def test_what_programs_cannot_say_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        programs(**options)


def test_every_elementwise_function_of_one_or_two_operands_can_be_said() -> None:
    ufuncs = [
        f for f, e in REGISTER.items() if e.status == "elementwise" and isinstance(f, np.ufunc) and "np." in e.name
    ]
    x, y = np.linspace(-6.0, 6.0, 25), np.linspace(-2.0, 6.0, 25)
    said = 0
    for f in ufuncs:
        if f.nin <= 2 and f not in KNOWN and f is not np.ldexp:
            words = vocabulary_of([f])
            phrase = (words.unary if f.nin == 1 else words.binary)[-1]
            assert np.all(np.isfinite(eval(phrase.text.format(x="x", y="y"), {"np": np, "x": x, "y": y})))
            said += 1
    assert said > 30
