"""The maker of mutants: what it changes, what it leaves alone, and what it keeps of the lines."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.__main__ import EQUIVALENT, equivalents
from tests.mutation.mutants import mutants_of


def changes(line: str, around: str = "{}") -> set[str]:
    """Return what becomes of one line."""
    text = around.format(line)
    found = [m for m in mutants_of("file.py", text) if m.source.strip() == line.strip()]
    return {m.changed.strip() for m in found}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x = a < b", {"x = a <= b"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = a not in b", {"x = a in b"}),
        ("x = (a) + (b)", {"x = (a) - (b)"}),
        ("x = a @ b", {"x = a * b"}),
        ("x = -a", {"x = a"}),
        ("x = not a", {"x = a"}),
        ("x = a and b and c", {"x = a or b and c", "x = a and b or c"}),
        ("x = True", {"x = False"}),
        ("x = a[3]", {"x = a[4]", "x = a[2]"}),
        ("x += a", {"x -= a"}),
        ("f(a, b=c, d=e)", {"f(a, d=e)", "f(a, b=c)"}),
        ("f(b=c)", {"f()"}),
        ("x = a if b else c", {"x = a if not b else c"}),
        ("α = β * γ  # μ", {"α = β + γ  # μ"}),
        ("f(*a, **b)", set()),
        ("x: int | None = a", set()),
        ("'a < 3 and not True'", set()),
        ("x = f'{a < b}'", set()),
    ],
)
def test_one_token_of_a_line_changes(line: str, expected: set[str]) -> None:
    assert changes(line) == expected


def test_loops_end_early_or_late() -> None:
    assert changes("break", "for i in a:\n    {}\n") == {"continue"}
    assert changes("continue", "for i in a:\n    {}\n") == {"break"}


def test_only_the_line_named_differs() -> None:
    text = '"""A text."""\n\n\ndef f(a, b):\n    return a < b and a + 1 == b\n'
    found = mutants_of("file.py", text)
    assert len(found) == 6
    for mutant in found:
        ast.parse(mutant.applied(text))
        differing = [
            i for i, (a, b) in enumerate(zip(text.split("\n"), mutant.applied(text).split("\n"), strict=True)) if a != b
        ]
        assert differing == [mutant.line - 1]


def test_a_mutant_known_to_be_equivalent_needs_a_reason() -> None:
    text = "# a comment\nfile.py: a < b => a <= b\n    they never meet\n    at all\n"
    assert equivalents(text) == {"file.py: a < b => a <= b": "they never meet at all"}
    with pytest.raises(ValueError, match="no reason"):
        equivalents("file.py: a < b => a <= b\n")
    with pytest.raises(ValueError, match="without a mutant"):
        equivalents("    a reason\n")


def test_the_list_of_mutants_that_change_nothing_can_be_read() -> None:
    found = equivalents(EQUIVALENT.read_text(encoding="utf-8"))
    assert all(" => " in key or key.endswith(" =>") for key in found)
    assert all(mutant.key == mutant.key.strip() for mutant in mutants_of("file.py", "x = f(\n    a=1,\n)\n"))
