"""The steps of an evaluation as they are shown: labels, names from the source, tangents, adjoints, and the forms they print in."""

from __future__ import annotations

import builtins
import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given

import dualdiff as dd
from dualdiff.errors import EscapedValueError, InputError
from dualdiff.lab.problems import zoo
from dualdiff.lab.trace import names, words
from dualdiff.lab.trace.picture import fillings
from dualdiff.lab.trace.sheets import LONGEST, sheets
from dualdiff.testing.strategies import Program, programs


def mixed(x, c):
    a, b = x[0], x[1]
    p, _, r = x
    y = np.zeros_like(x[:2])
    y[0] = a * b
    y[1] += np.sin(a) / 2
    m = np.mean(x)
    if a > 0:
        m *= 3
    z = helper(m)
    for _ in range(2):
        z = np.cos(z)
    w = (x @ x
         + z)  # fmt: skip
    k = abs(w) ** 0.5 if p > 0 else -w
    t = np.where(x > 1, x, 0.0)
    return np.concatenate([y, np.array([r, k]), -t]), c * w


def helper(u):
    v = u * 2
    return v + 1


X = np.array([1.0, 2.0, 3.0])


@pytest.fixture(scope="module")
def shown() -> Any:
    return dd.show(mixed, X, 2.0)


def step(trace: Any, operation: str) -> Any:
    (found,) = [s for s in trace.steps if s.operation == operation]
    return found


# --------------------------------------------------------------------------------------------------
# numbers


def test_columns_and_rows_are_those_of_the_jacobian(shown):
    by_x, by_c = (dd.jacobian(lambda x, c: np.append(*mixed(x, c)), n)(X, 2.0) for n in (0, 1))
    whole = np.column_stack([by_x, by_c])
    assert shown.shape == (8, 4)
    assert shown.columns == (0, 1, 2, 3)
    assert shown.rows == (0, 1, 2, 3, 4, 5)
    np.testing.assert_allclose(shown.pushed, whole, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(shown.pulled, whole[:6], rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(shown.value, np.append(*mixed(X, 2.0)))
    np.testing.assert_allclose(shown.jacobian, whole, rtol=1e-13, atol=1e-15)
    assert shown.agree


@pytest.mark.parametrize("case", zoo("small"), ids=lambda case: case.name)
def test_every_problem_fills_its_known_jacobian(case):
    found = dd.show(case.function, case.point, columns=range(case.inputs), rows=range(case.outputs))
    wanted = case.jacobian(case.point)
    scale = np.max(np.abs(wanted))
    np.testing.assert_allclose(found.pushed, wanted, rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(found.pulled, wanted, rtol=1e-9, atol=1e-12 * scale)
    assert found.agree
    assert all(line == line.rstrip() for line in str(found).splitlines())


@given(programs("smooth"))
def test_random_programs_fill_their_jacobian(program: Program) -> None:
    argnums = tuple(range(len(program.point)))
    wanted = dd.jacobian(program, argnums, flat=True)(*program.point)
    found = dd.show(program, *program.point, columns=range(wanted.shape[1]), rows=range(wanted.shape[0]))
    for filled in (found.pushed, found.pulled):
        np.testing.assert_allclose(filled, wanted, rtol=1e-6, atol=1e-9 * max(1.0, np.max(np.abs(wanted), initial=0.0)))
    str(found), found.to_html(), found.to_latex()
    json.loads(found.to_json(), parse_constant=pytest.fail)


def test_rows_and_columns_that_differ_are_seen_to():
    found = dd.show(lambda x: x * x[0], X)
    assert found.agree
    wrong = dataclasses.replace(found, pulled=found.pulled + np.eye(3))
    assert not wrong.agree
    nearly = dataclasses.replace(found, pulled=found.pulled * (1 + 1e-9))
    assert not nearly.agree


def test_single_precision_agrees_to_its_own_digits():
    x = np.linspace(0.1, 2.0, 5, dtype=np.float32)
    found = dd.show(lambda x: np.exp(np.sin(x) / x)[:3] * np.sum(np.sqrt(x)), x)
    assert not np.array_equal(found.pushed[:3], found.pulled[:, :5])
    assert found.agree
    assert not dataclasses.replace(found, pulled=found.pulled * 1.01).agree


def test_seeds_stand_at_the_inputs_and_at_the_outputs(shown):
    x, c = shown.steps[:2]
    assert (x.label, x.operation, c.label) == ("x", "input", "c")
    np.testing.assert_array_equal(np.column_stack([x.tangents, c.tangents]), np.eye(4))
    (first,) = [s for s in shown.steps if s.operation.startswith("np.concatenate")]
    np.testing.assert_array_equal(first.adjoints, np.eye(6, 7))


def test_contributions_add_up_to_the_adjoint(shown):
    x = shown.steps[0]
    assert len(x.contributions) > 3
    np.testing.assert_allclose(x.adjoints, sum(c.adjoints for c in x.contributions), rtol=1e-13)


def test_what_has_no_derivative_has_no_tangent(shown):
    for operation in ("v1 > 0", "x > 1"):
        found = step(shown, operation)
        assert found.tangents is None
        assert found.adjoints is None
    floor = step(dd.show(lambda x: np.floor(x[:2]) * x[1:], X), "np.floor(v1)")
    assert floor.value.tolist() == [1.0, 2.0]
    assert floor.tangents is None


def test_infinite_and_nan_values_are_shown_as_they_are():
    found = dd.show(lambda x: np.sqrt(x[:2]) * np.log(x[1:]), np.array([0.0, 4.0, -1.0]))
    assert found.value.tolist()[0] == 0.0
    assert np.isnan(found.value[1])
    assert np.isinf(found.pushed[0, 0])
    assert "nan" in str(found)
    assert "inf" in str(found)
    assert r"\infty" in found.to_latex()
    assert json.loads(found.to_json(), parse_constant=pytest.fail)["value"] == [0.0, None]


def test_chosen_columns_and_rows_alone_are_filled():
    found = dd.show(lambda x: np.sin(x[:2]) * x[2], X, columns=-1, rows=[1])
    assert (found.columns, found.rows) == ((2,), (1,))
    assert np.isnan(found.jacobian).tolist() == [[True, True, False], [False, False, False]]
    assert "(of 3 shown: 2)" in str(found)
    assert "(of 2 shown: 1)" in str(found)
    assert len(sheets(found)) == 2
    only = dd.show(lambda x: np.sin(x[:2]) * x[2], X, columns=(), rows=0)
    assert [s.title for s in sheets(only)] == ["Adjoints, backward: the seed e_0 fills row 0 (of 2 shown: 0)"]


def test_argnums_leaves_the_others_constant():
    found = dd.show(lambda x, n: sum(x[i] for i in range(n)) * x[:2], X, 3, argnums=0)
    assert found.shape == (2, 3)
    by_name = dd.show(lambda x, y: x[:2] * y, X, 2.0, argnums="y")
    assert by_name.inputs == ("y",)
    assert by_name.pushed.tolist() == [[1.0], [2.0]]


def test_a_result_that_depends_on_nothing_has_a_row_of_zeros():
    found = dd.show(lambda x: (x[0] * x[1], np.ones(2)), X[:2])
    assert found.owners == (3, None, None)
    assert found.pulled.tolist() == [[2.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
    assert found.agree
    assert "constant" in str(found)


# --------------------------------------------------------------------------------------------------
# names


def test_variables_have_the_names_of_the_source(shown):
    called = {s.operation: s.name for s in shown.steps}
    assert called["v1 * v2"] == ""  # an expression that is stored is not a variable's
    assert called["[0, 0] with [0] = v7"] == "y"
    assert called["v10 / 2"] == called["v9 + v11"] == ""
    assert called["v8 with [1] = v12"] == "y"
    assert called["np.mean(x)"] == called["v14 * 3"] == "m"
    assert called["v16 * 2"] == "v"
    assert called["v17 + 1"] == ""
    assert called["np.cos(v18)"] == called["np.cos(v19)"] == "z"
    assert called["x @ x"] == ""
    assert called["v21 + v20"] == "w"
    assert [s.name for s in shown.steps if s.operation == "x[0]"] == ["a", "p"]
    assert step(shown, "x[2]").name == "r"
    assert [s.name for s in shown.steps if "** 0.5" in s.operation] == ["k"]
    assert [s.name for s in shown.steps if s.operation.startswith("np.where")] == ["t"]


def test_steps_know_their_lines(shown):
    found = step(shown, "v16 * 2").place
    assert re.fullmatch(r"test_trace\.py, line \d+", found.line)
    assert found.source == "v = u * 2"


def test_of_a_function_that_takes_several_steps_the_last_has_the_name():
    def f(x):
        d = np.diff(x)
        return d * d

    found = dd.show(f, X)
    taken = [s.name for s in found.steps if s.place.source.startswith("d =")]
    assert len(taken) > 1
    assert taken == [""] * (len(taken) - 1) + ["d"]


def test_names_in_other_spellings():
    def f(x):
        (a, _), q = x[:2], x[2]
        b: float = a + 1 if a > 0 else a
        s = 0.0
        for xi in x:
            s = s + xi
        r = [xj * 2 for xj in x[:2]]
        u = 2 * (w := r[0] * r[1])
        return np.array([q, b, s, w + u])

    found = [s.name for s in dd.show(f, X).steps]
    for name, count in (("a", 1), ("q", 1), ("b", 1), ("s", 3), ("xi", 3), ("xj", 2), ("w", 1), ("u", 1), ("r", 0)):
        assert found.count(name) == count, name


def test_what_a_loop_runs_over_is_not_named_as_its_entries_are():
    def f(x):
        s = 0.0
        for part in x[:2]:
            s = s + part
        for entry in np.stack([x, x])[1]:
            s = s * entry
        return s

    found = dd.show(f, X).steps
    assert [s.value.shape for s in found if s.name == "part"] == [(), ()]
    assert [s.value.shape for s in found if s.name == "entry"] == [(), (), ()]


def test_a_function_of_numpy_has_no_name_of_the_callers():
    found = dd.show(np.sin, X)
    assert [(s.name, s.place.line) for s in found.steps] == [("", ""), ("", "")]


def test_a_function_of_the_zoo_has_the_names_of_its_own_source():
    case = zoo("small")[0]
    taken = dd.show(case.function, case.point)
    assert {s.name for s in taken.steps} == {"", "y"}
    assert all("equations.py" in s.place.line for s in taken.steps if s.place.line)


def test_without_a_source_there_is_no_name():
    space: dict[str, Any] = {"np": np}
    exec("def f(x):\n    a = x[0] * x[1]\n    return a * x[:1]", space)
    found = dd.show(space["f"], X)
    assert {s.name for s in found.steps} == {""}
    assert found.pushed.tolist() == [[4.0, 1.0, 0.0]]


def test_source_that_is_not_that_of_the_code_gives_no_name(monkeypatch):
    def f(x):
        inner = x[0] * x[1]
        return inner * x[:1]

    lines = names.linecache.getlines(__file__)
    edited = [line.replace("inner =", "other =") for line in lines]
    monkeypatch.setattr(names.linecache, "getlines", lambda *_: edited)
    assert {s.name for s in dd.show(f, X).steps} == {""}


def test_labels_do_not_collide_with_parameters():
    found = dd.show(lambda v1, v2: v1 * v2, 2.0, 3.0)
    assert [s.label for s in found.steps] == ["v1", "v2", "s1"]
    assert "s<sub>1</sub>" in found.to_html()
    assert "v<sub>1</sub>" not in found.to_html()


def test_nested_arguments_and_results_have_paths():
    found = dd.show(lambda p: {"u": p["a"] * p["b"], "w": (p["b"],)}, {"a": 2.0, "b": X[:2]})
    assert found.inputs == ("p['a']", "p['b'][0]", "p['b'][1]")
    assert found.outputs[0].endswith("['u'][0]")
    assert found.outputs[-1].endswith("['w'][0][1]")


def test_nested_operators_are_shown_as_the_steps_they_take():
    found = dd.show(lambda x: dd.grad(lambda y: np.sum(y**3))(x)[:2], X)
    np.testing.assert_allclose(found.pushed, [[6.0, 0, 0], [0, 12.0, 0]])


# --------------------------------------------------------------------------------------------------
# forms


class _Balanced(HTMLParser):
    """Raises where a tag is closed that is not the one open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells = 0

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.cells += tag == "td"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_balanced_and_has_every_cell(shown):
    parser = _Balanced()
    parser.feed(shown.to_html())
    assert parser.open == []
    assert parser.cells == sum(len(row.texts) for sheet in sheets(shown) for row in sheet.rows)
    assert shown._repr_html_() == shown.to_html()
    assert "<script" not in shown.to_html()


def test_names_that_look_like_html_are_escaped():
    found = dd.show(lambda x: {"<b>": x * (x < 2)}, X)
    assert "&lt;b&gt;" in found.to_html()
    assert "<b>" not in found.to_html()


def test_latex_groups_are_balanced(shown):
    written = shown.to_latex()
    bare = re.sub(r"\\[{}]", "", written)
    assert bare.count("{") == bare.count("}")
    assert written.count(r"\begin{array}") == written.count(r"\end{array}") == 2 * len(sheets(shown))
    for line in written.splitlines():
        if line.endswith(r"\\") and "&" in line:
            assert len(re.findall(r"(?<!\\)&", line)) in (3, 7)
    assert r"v_{1}" in written
    assert r"\text" not in written  # in which MathJax shows an escaped sign with its escape
    assert r"\mathtt{np{.}mean(x)}" in written
    assert shown._repr_latex_() == written


def test_the_forms_of_all_tables_are_there(shown, tmp_path):
    assert len(shown.tables) == 7
    assert shown.to_markdown().count("| step |") == 7
    assert len(shown.to_csv().splitlines()) == len(shown.steps) + 1
    document = json.loads(shown.to_json(tmp_path / "shown.json"))
    assert json.loads((tmp_path / "shown.json").read_text()) == document
    assert document["shape"] == [8, 4]
    assert [s["label"] for s in document["steps"]] == [s.label for s in shown.steps]
    assert document["steps"][0]["contributions"][0]["adjoints"] == shown.steps[0].contributions[0].adjoints.tolist()
    for form, write in (("html", shown.to_html), ("tex", shown.to_latex)):
        written = write(tmp_path / f"shown.{form}")
        assert (tmp_path / f"shown.{form}").read_text().rstrip() == written.rstrip()


def test_complex_numbers_on_the_way_are_shown_in_both_parts():
    found = dd.show(lambda x: np.abs(np.exp(1j * x) + x)[:2], X)
    assert found.agree
    np.testing.assert_allclose(found.jacobian, dd.jacobian(lambda x: np.abs(np.exp(1j * x) + x)[:2])(X), rtol=1e-13)
    parts = json.loads(found.to_json())["steps"][1]["value"]
    assert sorted(parts) == ["imag", "real"]


def test_large_arguments_are_abbreviated():
    found = dd.show(lambda x: np.sum(np.sin(x) * x), np.linspace(0.0, 1.0, 100_000))
    assert found.columns == tuple(range(6))
    assert max(map(len, str(found).splitlines())) < 200
    with pytest.raises(InputError, match=r"\(1, 100000\) cannot be drawn"):
        found.plot()


def test_arguments_without_entries_are_shown():
    found = dd.show(lambda x, y: np.append(x * 2, y), np.zeros(0), 3.0)
    assert found.shape == (1, 1)
    assert found.pushed.tolist() == found.pulled.tolist() == [[1.0]]
    assert "[]" in str(found)


def test_sparse_constants_are_named_by_their_kind():
    S = scipy.sparse.random(2, 3, 0.8, random_state=0, format="csr")
    found = dd.show(lambda x: S @ x, X)
    assert "csr_matrix (2, 3)" in found.steps[1].operation
    np.testing.assert_allclose(found.jacobian, S.toarray())


def test_a_long_run_is_abbreviated_in_the_middle():
    def f(x):
        for _ in range(LONGEST):
            x = x * 1.5
        return x[:1]

    found = dd.show(f, X)
    assert len(found.steps) == LONGEST + 2
    printed = str(found).splitlines()
    assert sum("⋮" in line for line in printed) == 2
    assert "2 more" in str(found)


@pytest.mark.parametrize(
    ("x", "written"),
    [
        (1 / 3, "0.3333"),
        (-0.0, "0"),
        (1e-20, "1e-20"),
        (np.float32(2.5), "2.5"),
        (3, "3"),
        (True, "True"),
        (1 + 2j, "1+2j"),
        (np.array([]), "[]"),
        (np.arange(6.0), "[0, 1, 2, 3, 4, 5]"),
        (np.arange(7.0), "[0, 1, …, 5, 6]"),
        (np.ones((2, 2)), "[[1, 1], [1, 1]]"),
        (np.ones((30, 30)), "[[1, …, 1], …, [1, …, 1]]"),
    ],
)
def test_arrays_are_written_on_one_line(x, written):
    assert words.array(x) == written


@pytest.mark.parametrize(
    ("index", "written"),
    [
        (0, "0"),
        (slice(1, None), "1:"),
        (slice(None, None, -1), "::-1"),
        ((0, slice(None), ...), "0, :, ..."),
        ((), "()"),
        (np.array([0, 2]), "[0, 2]"),
    ],
)
def test_indices_are_written_as_in_source(index, written):
    assert words.index(index) == written


def test_operations_name_their_axis_where_there_are_several():
    found = dd.show(lambda A: np.sum(A, axis=0)[:2] @ np.ones((2, 1)), np.ones((2, 3)))
    assert [s.operation for s in found.steps[1:]] == ["np.sum(A, axis=-2)", "v1[:2]", "v2 @ [[1], [1]]"]


# --------------------------------------------------------------------------------------------------
# pictures


def test_every_entry_is_filled_by_its_column_its_row_and_its_colour():
    found = dd.show(lambda x: np.append(np.diff(x), x[:1] ** 2), np.arange(1.0, 5.0))
    columns, rows, colours = fillings(found)
    np.testing.assert_array_equal(columns.passes, np.tile(np.arange(4), (4, 1)))
    np.testing.assert_array_equal(rows.passes, columns.passes.T)
    assert colours.title == "colours: 2 pushes"
    np.testing.assert_array_equal(colours.passes >= 0, found.jacobian != 0)
    for p in range(2):  # no row meets a colour twice
        assert (np.count_nonzero(colours.passes == p, axis=1) <= 1).all()


def test_a_dense_jacobian_has_no_colours():
    found = dd.show(lambda x: np.sum(x) * x[:2], X)
    assert [f.title for f in fillings(found)] == ["columns: 3 pushes", "rows: 2 pulls"]


def test_the_picture_shows_all_lines_though_the_tables_show_six():
    found = dd.show(lambda x: np.cumsum(np.tile(x, 4)), X)
    assert found.rows == tuple(range(6))
    assert fillings(found)[1].title == "rows: 12 pulls"


def test_plot_has_a_frame_a_pass():
    pytest.importorskip("matplotlib")
    found = dd.show(lambda x: np.diff(x) * 2, X)
    axes = [ax for ax in found.plot().axes if ax.images]
    assert [ax.get_title() for ax in axes] == [
        "$e_{0}$",
        "$e_{1}$",
        "$e_{2}$",
        "$e_{0}$",
        "$e_{1}$",
        "$e_{0}$ + $e_{2}$",
        "$e_{1}$",
    ]
    assert sorted(t.get_text() for t in axes[2].texts) == ["-2", "-2", "0", "0", "2", "2"]


def test_a_picture_is_written_where_it_is_asked_for(tmp_path):
    pytest.importorskip("matplotlib")
    dd.show(lambda x: np.diff(x) * 2, X).plot(tmp_path / "filled.svg")
    assert "<svg" in (tmp_path / "filled.svg").read_text()


def test_svg_is_the_same_every_time():
    pytest.importorskip("matplotlib")
    found = dd.show(lambda x: np.diff(x) * 2, X)
    assert found.to_svg().startswith("<svg")
    assert found.to_svg() == found.to_svg()


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, shown):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'dualdiff\[plot\]'"):
        shown.plot()


# --------------------------------------------------------------------------------------------------
# what cannot be shown


@pytest.mark.parametrize(
    ("f", "args", "options", "message"),
    [
        (3, (X,), {}, "must be a function"),
        (np.sin, (), {}, "needs the point x"),
        (lambda x: x * 1j, (X,), {}, "imaginary part as results"),
        (lambda x: np.real(x), (X * 1j,), {}, "imaginary part as arguments"),
        (lambda x: x, (X,), {"columns": 3}, "there is no number 3, the Jacobian has 3 columns"),
        (lambda x: x[:1], (X,), {"rows": [0, 1]}, "there is no number 1, the Jacobian has 1 row"),
        (lambda x: x, (X,), {"rows": "first"}, "must be a whole number"),
        (lambda x: x, (X,), {"columns": 0.5}, "must be a whole number"),
        (lambda x: x, (X,), {"digits": 0}, "digits=0"),
        (lambda x: None, (X,), {}, "returned None"),
        (lambda x: sum(x[0] * i for i in range(300)), (X,), {}, "more than 400"),
    ],
)
def test_what_cannot_be_shown_says_why(f, args, options, message):
    with pytest.raises(InputError, match=message):
        dd.show(f, *args, **options)


def test_showing_inside_an_operator_is_refused():
    with pytest.raises(InputError, match="outside of other operators"):
        dd.grad(lambda x: dd.show(np.sin, x).value[0])(0.5)
    with pytest.raises(InputError, match=r"x\.detach\(\)\.numpy\(\) of a tensor"):
        dd.show(np.sin, dd.tensor([1.0, 2.0]))


def test_an_error_of_the_function_is_its_own():
    kept = []

    def f(x):
        kept.append(x * 2)
        return kept[0] * x

    dd.show(f, X)
    with pytest.raises(EscapedValueError):
        dd.show(f, X)


def test_importing_the_front_door_does_not_import_the_lab():
    program = "import sys, dualdiff; print('dualdiff.lab' in sys.modules, dualdiff.show.__name__, 'dualdiff.lab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "show", "True"]
