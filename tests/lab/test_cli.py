"""The command line: what it prints, and the status it leaves."""

import builtins
import html
import io
import json
import re
import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.lab import cli, tables
from dualdiff.lab.cli.target import Misuse, argument
from dualdiff.lab.problems import PROBLEMS, zoo
from dualdiff.lab.tables import Table, plain, show

QUICK = ("--problem", "BoxBOD", "--rounds", "1")


def run(*words: str) -> int:
    return cli.main(list(words))


class _Constant:
    """A Jacobian that is one everywhere, with somebody else's explanation."""

    def __init__(self, J):
        self.explain = J.explain
        self.J = J

    def __call__(self, x):
        return np.ones_like(self.J(x))


@pytest.fixture
def wrong_reverse(monkeypatch):
    right = dd.jacobian

    def jacobian(f, argnums=0, **options):
        found = right(f, argnums, **options)
        return _Constant(found) if options == {"mode": "reverse"} else found

    monkeypatch.setattr(dd, "jacobian", jacobian)


def test_tables_name_the_plan_the_methods_and_the_fit(capsys):
    assert run(*QUICK) == 0
    printed = capsys.readouterr()
    for part in ("BoxBOD", "doi:10.18434/T43G6C", "forward", "reverse", "auto", "by hand", "2-point", "3-point"):
        assert part in printed.out
    assert str(dd.jacobian(PROBLEMS[3].residual).explain(PROBLEMS[3].start)).splitlines()[0] in printed.out
    assert "DISAGREES" not in printed.out
    assert printed.err == ""


def test_json_is_one_document_and_nothing_else(capsys):
    assert run("--json", "--rounds", "1") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    document = json.loads(printed.out, parse_constant=pytest.fail)
    assert document["agree"] is True
    assert [found["name"] for found in document["problems"]] == [problem.name for problem in PROBLEMS]
    for found in document["problems"]:
        assert found["plan"]["chosen"] in [way["name"] for way in found["plan"]["ways"]]
        assert found["plan"]["reason"]
        methods = {method["name"]: method for method in found["methods"]}
        assert methods["forward"]["difference"] < 1e-13
        assert methods["auto"]["difference"] <= methods["auto"]["tolerance"] == 1e-10
        assert methods["2-point"]["exact"] is False
        assert found["fits"][0]["jacobian"] == "dualdiff"
        assert found["fits"][0]["digits"] > 6
        assert len(found["fits"][0]["parameters"]) == found["inputs"]


def test_problems_are_selected_in_the_order_given(capsys):
    assert run("fit", "--json", "--rounds", "1", "--problem", "mgh09", "--problem", "BOXBOD") == 0
    assert [found["name"] for found in json.loads(capsys.readouterr().out)["problems"]] == ["MGH09", "BoxBOD"]


@pytest.mark.usefixtures("wrong_reverse")
def test_status_is_one_if_modes_disagree(capsys):
    assert run(*QUICK) == 1
    printed = capsys.readouterr()
    assert "DISAGREES" in printed.out
    assert printed.err == "BoxBOD: not what the oracle says: reverse\n"


@pytest.mark.usefixtures("wrong_reverse")
def test_json_stays_valid_if_modes_disagree(capsys):
    assert run(*QUICK, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["agree"] is document["problems"][0]["agree"] is False


@pytest.mark.usefixtures("wrong_reverse")
def test_what_is_not_finite_is_null(monkeypatch, capsys):
    monkeypatch.setattr(_Constant, "__call__", lambda self, x: np.nan * self.J(x))
    assert run(*QUICK, "--json") == 1
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    methods = {method["name"]: method for method in document["problems"][0]["methods"]}
    assert methods["reverse"]["difference"] is None
    assert methods["reverse"]["agrees"] is False


@pytest.mark.parametrize(
    "words",
    [
        ("--problem", "Longley"),
        ("--rounds", "0"),
        ("--rounds", "many"),
        ("frobnicate",),
        ("--frobnicate",),
        ("trace",),
        ("compare", "a.py:f", "--rounds", "0"),
        ("trace", "a.py:f", "--columns", "first"),
        ("problems", "--scale", "huge"),
        ("sweep", "a.py:f"),
        ("sweep", "a.py:f", "--sizes", "four"),
    ],
)
def test_status_is_two_if_the_arguments_make_no_sense(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert "--help says more" in printed.err


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--help")
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert all(command.name in printed for command in cli.COMMANDS)


def test_the_package_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dualdiff", *QUICK, "--json"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("dualdiff", run_name="__main__")
    assert stopped.value.code == 0
    assert json.loads(capsys.readouterr().out)["agree"] is True


# --------------------------------------------------------------------------------------------------
# functions of one's own

CURVE = '''
"""A curve."""
import numpy as np
from neighbour import TIMES

print("what a file prints is not the answer")


def decay(b):
    return b[0] * np.exp(-b[1] * TIMES) + b[2]


def by_hand(b):
    e = np.exp(-b[1] * TIMES)
    return np.stack([e, -b[0] * TIMES * e, np.ones(5)], axis=1)


def by_mistake(b):
    return by_hand(b) * [1, 2, 1]


def scaled(x, scale):
    y = np.sin(x[:2])
    return y * scale


def scaled_by_hand(x, scale):
    return np.diag(np.cos(x))[:2] * scale


def nested(p):
    return {"u": p["a"] * p["b"], "v": p["b"][:1]}


def through(n):
    A = np.random.default_rng(0).standard_normal((3, n))
    return lambda x: np.tanh(A @ x), np.ones(n)


def kinked(x):
    return np.abs(x[:1])


def failing(x):
    raise ValueError("no such thing")


def refused(x):
    return np.save("file", x)


class Model:
    @staticmethod
    def run(x):
        return x[:2] ** 2
'''


@pytest.fixture
def curve(tmp_path, monkeypatch):
    """A file with functions, beside one that it imports; its path as it is given on the command line."""
    (tmp_path / "curve.py").write_text(CURVE)
    (tmp_path / "neighbour.py").write_text("import numpy as np\n\nTIMES = np.linspace(0.0, 2.0, 5)\n")
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = dict(sys.modules)
    yield tmp_path / "curve.py"
    for name in set(sys.modules) - set(known):
        if name in ("curve", "neighbour", "broken", "_random"):
            del sys.modules[name]


POINT = ("--at", "1,0.7,0.2")
B = np.array([1.0, 0.7, 0.2])
COMPARING = ("--methods", "forward", "reverse", "2-point", "--rounds", "1", "--seconds", "1")


def answer(capsys, *words: str, status: int = 0) -> dict[str, Any]:
    """Run a command that prints JSON; return the document."""
    assert run(*words, "--json") == status
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_compare_lists_the_methods_and_that_by_hand(curve, capsys):
    assert run("compare", f"{curve}:decay", *POINT, "--jacobian", "by_hand", *COMPARING) == 0
    printed = capsys.readouterr().out
    for part in ("decay: 5 outputs by 3 inputs", "forward", "reverse", "2-point", "by hand", "oracle:"):
        assert part in printed
    assert "what a file prints" not in printed


def test_compare_lists_only_what_applies_beside_a_jacobian_by_hand(curve, capsys):
    words = ("compare", f"{curve}:decay", *POINT, "--rounds", "1", "--seconds", "2")
    alone = [m["method"] for m in answer(capsys, *words)["methods"]]
    assert "mixed" not in alone
    document = answer(capsys, *words, "--jacobian", "by_hand")
    assert [m["method"] for m in document["methods"]] == [*alone, "by hand"]
    assert document["methods"][-1]["agrees"] is True


def test_compare_gives_a_jacobian_by_hand_all_arguments(curve, capsys):
    words = ("--at", "1,2,3", "0.5", "--argnums", "x", "--jacobian", "scaled_by_hand")
    document = answer(capsys, "compare", f"{curve}:scaled", *words, *COMPARING)
    assert document["inputs"] == 3
    assert document["methods"][-1]["agrees"] is True


def test_compare_fails_where_a_method_disagrees(curve, capsys):
    words = ("compare", f"{curve}:decay", *POINT, "--jacobian", "by_mistake", *COMPARING)
    assert run(*words) == 1
    printed = capsys.readouterr()
    assert "DISAGREES" in printed.out
    assert printed.err.splitlines()[-1] == f"{curve}:decay: not what the oracle says: by hand"
    document = answer(capsys, *words, status=1)
    assert document["agree"] is False
    assert {m["method"]: m["agrees"] for m in document["methods"]} == {
        "forward": True,
        "reverse": True,
        "2-point": True,
        "by hand": False,
    }


def test_compare_takes_a_problem_of_the_zoo_with_its_jacobian(capsys):
    document = answer(capsys, "compare", "roe-flux", *COMPARING)
    assert document["agree"] is True
    assert (document["outputs"], document["inputs"]) == (3, 6)


def test_explain_names_the_ways_and_the_choice(curve, capsys):
    assert run("explain", f"{curve}:decay", *POINT) == 0
    sys.path.insert(0, str(curve.parent))
    import curve as module

    assert capsys.readouterr().out == f"{dd.jacobian(module.decay).explain(B)}\n"
    document = answer(capsys, "explain", f"{curve}:decay", *POINT, "--mode", "reverse", "--measure")
    assert document["chosen"] == "reverse"
    assert all(way["measured"] > 0 for way in document["ways"])


def test_explain_takes_all_arguments_or_those_asked_for(curve, capsys):
    assert answer(capsys, "explain", f"{curve}:scaled", "--at", "1,2,3", "4")["inputs"] == 4
    assert answer(capsys, "explain", f"{curve}:scaled", "--at", "1,2,3", "4", "--argnums", "scale")["inputs"] == 1


def test_check_says_whether_a_jacobian_is_right(curve, capsys):
    assert run("check", f"{curve}:decay", *POINT, "--jacobian", "by_hand") == 0
    assert capsys.readouterr().out.endswith("verdict: agree\n")
    assert run("check", f"{curve}:decay", *POINT, "--jacobian", f"{curve}:by_mistake") == 1
    printed = capsys.readouterr()
    assert printed.out == "verdict: disagree\n"
    assert "by_mistake" in printed.err
    document = answer(capsys, "check", f"{curve}:decay", *POINT, "--jacobian", "by_mistake", status=1)
    assert document["verdict"] == "disagree"
    assert "by_mistake" in document["message"]


def test_check_hands_its_options_on(curve, capsys, monkeypatch):
    from dualdiff.lab.cli import check as command

    taken: list[dict[str, Any]] = []
    for name in ("check", "check_jacobian"):
        right = getattr(command, name)

        def recorded(*args, right=right, rtol=0.0, max_evaluations=None, seed=0, **options):
            taken.append({**options, "rtol": rtol, "max_evaluations": max_evaluations, "seed": seed})
            return right(*args)

        monkeypatch.setattr(command, name, recorded)
    words = ("check", f"{curve}:decay", *POINT, "--rtol", "1e-6", "--max-evaluations", "40", "--seed", "-1")
    assert run(*words, "--jacobian", "by_hand") == 0
    assert taken == [{"argnum": 0, "rtol": 1e-6, "max_evaluations": 40, "seed": -1}]
    taken.clear()
    assert run("check", f"{curve}:decay", *POINT) == 0
    assert taken == [{"rtol": 0.0, "max_evaluations": None, "seed": 0}]


def test_check_without_a_jacobian_checks_the_librarys_own(curve, capsys):
    assert answer(capsys, "check", f"{curve}:scaled", "--at", "1,2,3", "0.5")["verdict"] == "agree"


def test_check_that_cannot_decide_has_a_status_of_its_own(curve, capsys):
    assert answer(capsys, "check", f"{curve}:kinked", "--at", "0,1", status=3)["verdict"] == "inconclusive"


def test_trace_prints_the_tables_of_show(curve, capsys):
    assert run("trace", f"{curve}:scaled", "--at", "-1,2,3", "0.5", "--rows", "1") == 0
    printed = capsys.readouterr().out
    sys.path.insert(0, str(curve.parent))
    import curve as module

    assert printed == f"{dd.show(module.scaled, np.array([-1.0, 2.0, 3.0]), 0.5, rows=1)}\n"
    assert "y         np.sin(v1)" in printed
    document = answer(
        capsys, "trace", f"{curve}:scaled", "--at", "-1,2,3", "0.5", "--columns", "0", "3", "--digits", "2"
    )
    assert document["columns"] == [0, 3]
    assert document["agree"] is True


def test_trace_fails_where_rows_and_columns_differ(curve, capsys, monkeypatch):
    from dualdiff.lab.trace import Trace

    monkeypatch.setattr(Trace, "agree", False)
    assert run("trace", f"{curve}:scaled", "--at", "1,2,3", "0.5") == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("rows and columns differ where they cross")


def test_sweep_goes_over_the_sizes(curve, capsys):
    words = ("sweep", f"{curve}:through", "--sizes", "2", "4", "8", "--seconds", "3", "--rounds", "1")
    document = answer(capsys, *words, "--methods", "forward", "reverse")
    assert document["sizes"] == [2, 4, 8]
    assert {row["method"] for row in document["rows"]} == {"forward", "reverse"}
    assert run(*words) == 0
    assert "time grows as" in capsys.readouterr().out


def test_sweep_fails_where_methods_disagree(curve, capsys, monkeypatch):
    from dualdiff.lab.sweeps import Sweep

    monkeypatch.setattr(Sweep, "agree", False)
    words = ("--sizes", "2", "--seconds", "1", "--rounds", "1", "--methods", "forward")
    assert run("sweep", f"{curve}:through", *words) == 1
    assert "not what the oracle says" in capsys.readouterr().err


def test_problems_lists_the_zoo(capsys):
    document = answer(capsys, "problems", "--scale", "medium")
    assert [p["name"] for p in document["problems"]] == [case.name for case in zoo("medium")]
    assert run("problems") == 0
    printed = capsys.readouterr().out
    assert all(case.name in printed for case in zoo("small"))
    found = [p["name"] for p in answer(capsys, "problems", "ROBOT")["problems"]]
    assert found == [c.name for c in zoo("small") if "robot" in f"{c.name} {c.title}".lower()]
    assert 0 < len(found) < 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trace", "nowhere.py:f", "--at", "1"), "there is no file nowhere.py"),
        (("trace", "{curve}:nothing", "--at", "1"), "has no function 'nothing'; it has decay, by_hand, by_mistake"),
        (("trace", "{curve}", "--at", "1"), "name one"),
        (("trace", "{curve}:TIMES", "--at", "1"), "is not a function but a 'ndarray'"),
        (("trace", "{curve}:decay"), "needs a point"),
        (("trace", "{curve}:scaled", "--at", "1,2,3"), "takes (x, scale), and --at gives 1 argument"),
        (("trace", "{curve}:decay", "--at", "1,two"), "'1,two' is no value"),
        (("trace", "{curve}:decay", "--at", "x.npy"), "x.npy cannot be read: No such file or directory"),
        (("trace", "{curve}:decay", "--at", "1,2,3", "--rows", "7"), "there is no number 7, the Jacobian has 5 rows"),
        (("trace", "{curve}:failing", "--at", "1"), "curve.py, line 45: ValueError: no such thing"),
        (("trace", "{curve}:refused", "--at", "1,2"), "curve.py, line 49: np.save cannot be differentiated"),
        (("trace", "{broken}:f", "--at", "1"), "cannot be imported: ModuleNotFoundError"),
        (("trace", "no.such.module:f", "--at", "1"), "no.such.module cannot be imported"),
        (("explain", "roe-flax"), "there is no problem 'roe-flax'"),
        (("explain", "{curve}:decay", "--at", "1,2,3", "--mode", "sideways"), "sideways"),
        (("compare", "{curve}:decay", "--at", "1,2,3", "--methods", "sideways"), "sideways"),
        (("compare", "{curve}:decay", "--at", "1,2,3", "--jacobian", "nothing"), "has no function 'nothing'"),
        (("check", "{curve}:decay", "--at", "1,2,3", "--argnums", "0"), "leave --argnums out"),
        (
            ("check", "{curve}:decay", "--at", "1,2,3", "--max-evaluations", "9"),
            "--max-evaluations is for a Jacobian by hand",
        ),
        (("check", "{curve}:decay", "--at", "1,2,3", "--argnums", "b", "--jacobian", "by_hand"), "takes one position"),
        (("check", "roe-flux", "--jacobian", "by_hand"), "names no file"),
        (("problems", "perpetuum"), "no small problem has 'perpetuum' in its name"),
        (("sweep", "{curve}:through", "--sizes", "4", "2"), "in increasing order"),
        (("sweep", "{curve}:decay", "--sizes", "4"), "TypeError"),
        (("sweep", "roe-flux", "--sizes", "4"), "names no file"),
        (("explain", "{curve}:decay", "--at", "1,2,3", "--plot", "picture.doc"), "Matplotlib writes"),
        (("explain", "{curve}:decay", "--at", "1,2,3", "--plot", "no/such/folder.svg"), "cannot be written"),
        (("explain", "{curve}:decay", "--at", "1,2,3", "--html", "no/such/folder.html"), "cannot be written"),
    ],
)
def test_a_misuse_is_answered_in_a_sentence(curve, capsys, words, message):
    given = [w.format(curve=curve, broken=curve.with_name("broken.py")) for w in words]
    assert run(*given) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    *_, last = printed.err.splitlines()
    assert last.startswith(f"dualdiff {words[0]}: ")
    assert message in last
    assert "Traceback" not in printed.err


def test_traceback_shows_where_an_error_arose(curve):
    with pytest.raises(ValueError, match="no such thing"):
        run("trace", f"{curve}:failing", "--at", "1", "--traceback")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("3", 3),
        ("-1.5", -1.5),
        ("1e-3", 1e-3),
        ("inf", np.inf),
        ("1,2", np.array([1.0, 2.0])),
        ("-1,2", np.array([-1.0, 2.0])),
        ("[[1, 2], [3, -inf]]", np.array([[1.0, 2.0], [3.0, -np.inf]])),
        ("{'a': [1, 2], 'b': (1.0, [2])}", {"a": np.array([1.0, 2.0]), "b": (1.0, np.array([2.0]))}),
        ("'text'", "text"),
    ],
)
def test_values_are_literals(word, value):
    found = argument(word)
    assert type(found) is type(value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize("word", ["", "x", "1 +", "open('x')", "__import__('os')", "[1, x]", "1;2", "lambda: 1"])
def test_what_is_no_literal_is_no_value(word):
    with pytest.raises(Misuse, match="is no value"):
        argument(word)


def test_structures_and_methods_can_be_named(curve, capsys):
    document = answer(capsys, "trace", f"{curve}:nested", "--at", "{'a': 2.0, 'b': [1, 3]}")
    assert document["inputs"] == ["p['a']", "p['b'][0]", "p['b'][1]"]
    assert answer(capsys, "trace", f"{curve}:Model.run", "--at", "1,2,3")["pushed"] == [
        [2.0, 0.0, 0.0],
        [0.0, 4.0, 0.0],
    ]
    assert answer(capsys, "trace", "numpy:sin", "--at", "0.0")["pushed"] == [[1.0]]


def test_a_file_may_have_the_name_of_a_module_in_use(curve, capsys):
    import random

    (curve.parent / "random.py").write_text("def f(x):\n    return x[:1] * x[1]\n")
    assert answer(capsys, "trace", f"{curve.parent / 'random.py'}:f", "--at", "2,3")["pushed"] == [[3.0, 2.0]]
    assert sys.modules["random"] is random


def test_arrays_come_from_files(curve, capsys):
    x, scale = np.array([1.0, 2.0, 3.0]), np.array(0.5)
    at = curve.parent
    np.save(at / "x.npy", x)
    np.savez(at / "named.npz", scale=scale, x=x)
    np.savez(at / "plain.npz", x, scale)
    np.savez(at / "other.npz", x=x, y=scale)
    wanted = answer(capsys, "trace", f"{curve}:scaled", "--at", "1,2,3", "0.5")["pushed"]
    for words in ((at / "x.npy", "0.5"), (at / "named.npz",), (at / "plain.npz",), (f"{at / 'named.npz'}:x", "0.5")):
        assert answer(capsys, "trace", f"{curve}:scaled", "--at", *map(str, words))["pushed"] == wanted
    for words, message in (
        ((at / "other.npz",), "has the arrays x, y, and"),
        ((f"{at / 'named.npz'}:z", "0.5"), "has no array 'z'; it has scale, x"),
        ((at / "named.npz", "0.5"), "beside other values name one array"),
    ):
        assert run("trace", f"{curve}:scaled", "--at", *map(str, words)) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "{curve}:decay", *POINT, *COMPARING),
        ("explain", "{curve}:decay", *POINT, "--measure"),
        ("trace", "{curve}:decay", *POINT),
        ("sweep", "{curve}:through", "--sizes", "2", "4", "--methods", "forward", "--rounds", "1", "--seconds", "1"),
    ],
)
def test_pictures_and_pages_are_written(curve, capsys, words):
    pytest.importorskip("matplotlib")
    picture, page = curve.with_name("picture.svg"), curve.with_name("report.html")
    given = [w.format(curve=curve) for w in words]
    assert run(*given, "--plot", str(picture), "--html", str(page)) == 0
    assert "<svg" in picture.read_text()
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert text.count("<svg") == 1
    assert "NumPy" in text
    for elsewhere in ("<script", "<link", "@import", "src="):
        assert elsewhere not in text
    assert not re.search(r"url\((?!#)", text)


@pytest.mark.parametrize("words", [("check", "{curve}:decay", *POINT), ("problems",)])
def test_pages_without_a_picture_are_written(curve, capsys, words):
    page = curve.with_name("report.html")
    assert run(*[w.format(curve=curve) for w in words], "--html", str(page)) == 0
    shown = html.unescape(re.sub("<[^>]+>", " ", page.read_text()))
    for word in capsys.readouterr().out.split():
        assert word in shown or set(word) <= {"-"}


def test_without_matplotlib_a_page_says_what_to_install_and_a_picture_is_refused(curve, capsys, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    page = curve.with_name("report.html")
    assert run("trace", f"{curve}:decay", *POINT, "--html", str(page)) == 0
    assert "pip install 'dualdiff[plot]'" in page.read_text()
    capsys.readouterr()
    assert run("trace", f"{curve}:decay", *POINT, "--plot", "picture.svg") == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("pip install 'dualdiff[plot]'")


def test_a_page_names_a_disagreement(curve, capsys):
    page = curve.with_name("report.html")
    assert run("check", f"{curve}:decay", *POINT, "--jacobian", "by_mistake", "--html", str(page)) == 1
    assert "by_mistake" in page.read_text()


def test_the_console_script_is_this_program():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"dualdiff": "dualdiff.lab.cli:main"}


# --------------------------------------------------------------------------------------------------
# tables

TABLE = Table("Sizes", ("name", "size"), (("one [b]", "1"), ("two", "20000")))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_aligned_text():
    stream = io.StringIO()
    show(TABLE, stream)
    assert stream.getvalue() == plain(TABLE) + "\n"
    assert stream.getvalue().splitlines()[-1] == "two      20000"


def test_a_terminal_gets_aligned_text_without_rich(monkeypatch):
    monkeypatch.setattr(tables, "rich", None)
    stream = _Terminal()
    show(TABLE, stream)
    assert stream.getvalue() == plain(TABLE) + "\n"


def test_a_terminal_gets_every_cell_with_rich():
    pytest.importorskip("rich")
    stream = _Terminal()
    show(TABLE, stream)
    assert stream.getvalue() != plain(TABLE) + "\n"
    for cell in (TABLE.title, *TABLE.columns, *(cell for row in TABLE.rows for cell in row)):
        assert cell in stream.getvalue()


def test_a_table_without_rows_is_its_headings():
    assert plain(Table("None", ("a", "b"), ())).splitlines() == ["None", "a  b", "-  -"]
