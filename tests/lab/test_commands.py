"""The command line: what it prints, and the status it leaves."""

import io
import json
import runpy
import sys

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.lab import commands, tables
from dualdiff.lab.problems import PROBLEMS
from dualdiff.lab.tables import Table, plain, show

QUICK = ("--problem", "BoxBOD", "--rounds", "1")


def run(*words: str) -> int:
    return commands.main(list(words))


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
    "words", [("--problem", "Longley"), ("--rounds", "0"), ("--rounds", "many"), ("frobnicate",), ("--frobnicate",)]
)
def test_status_is_two_if_the_arguments_make_no_sense(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--help")
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name, *_ in commands.COMMANDS)


def test_the_package_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dualdiff", *QUICK, "--json"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("dualdiff", run_name="__main__")
    assert stopped.value.code == 0
    assert json.loads(capsys.readouterr().out)["agree"] is True


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
