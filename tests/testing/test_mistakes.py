"""The four numbers of the corpus: what is caught, what is called wrong, what is left undecided, and what is noticed."""

from __future__ import annotations

from functools import cache

import pytest

from tests.testing.mistakes.case import Case
from tests.testing.mistakes.classics import CLASSICS, MISTAKEN, ZOO, minima
from tests.testing.mistakes.judged import DISTORTED, Judged, distorted, judged
from tests.testing.mistakes.nasty import NASTY
from tests.testing.mistakes.peers import by_scipy, verdict_of
from tests.testing.mistakes.wrong import WRONG

UNDECIDED = 8
"""Cases that lie at no kink and that no witness can decide: noise, jumps and edges nearer than any step, cancellation, and an argument
of 3e-17 beside others of 1."""


def names(cases: list[Case]) -> list[str]:
    return [c.name for c in cases]


def said(found: list[Judged]) -> str:
    return "\n\n".join(f"{j.case.name}: {j.verdict}\n{j.said}" for j in found)


@cache
def right() -> list[Judged]:
    # Fewer points than the command takes, so that the suite stays quick.
    return [judged(c, points=min(c.options.get("points", 20), 8)) for c in (*NASTY, *CLASSICS, *ZOO, *minima())]


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len(WRONG) + len(MISTAKEN) >= 100
    assert len(right()) >= 120
    for cases in ([*WRONG, *MISTAKEN], [*NASTY, *CLASSICS, *ZOO, *minima()]):
        assert len(set(names(cases))) == len(cases)
    assert len(CLASSICS) == len(minima()) == 35


def test_every_mistake_is_caught():
    missed = [j for j in (judged(c) for c in (*WRONG, *MISTAKEN)) if j.verdict != "disagree"]
    assert not missed, said(missed)


def test_nothing_that_is_right_is_called_wrong_and_nothing_crashes():
    wrongly = [j for j in right() if j.verdict in ("disagree", "crash")]
    assert not wrongly, said(wrongly)


def test_few_are_undecided_but_those_at_kinks_all_are():
    undecided = [j for j in right() if j.verdict == "inconclusive" and not j.case.kink]
    assert len(undecided) <= UNDECIDED, said(undecided)
    assert all(j.verdict == "inconclusive" for j in right() if j.case.kink)


@pytest.mark.parametrize(("how", "share"), [("doubled", 1.0), ("1 % off", 0.95), ("one entry doubled", 0.95)])
def test_a_derivative_made_wrong_is_noticed(how, share):
    assert how in DISTORTED
    cases = list(distorted(NASTY, how))
    found = [judged(c, points=0) for c in cases]
    unnoticed = [j for j in found if j.verdict != "disagree"]
    assert len(cases) > 60
    assert len(unnoticed) <= (1 - share) * len(cases), said(unnoticed)


def test_one_point_catches_less_than_points_that_are_drawn():
    alone = [judged(c, points=0) for c in WRONG]
    missed = [j.case.name for j in alone if j.verdict != "disagree"]
    assert "huber: straight branch keeps x" in missed
    assert "matrix product: pullback right for square ones only" in missed
    assert len(missed) > 10


def test_a_checker_with_one_step_and_one_bar_calls_right_ones_wrong():
    asked = [verdict_of(by_scipy, c) for c in NASTY if c.form in ("jacobian", "gradient")]
    assert asked.count("disagree") > 15
