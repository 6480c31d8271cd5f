"""Print what the checks make of the corpus, and what other libraries' checkers do: ``python -m tests.testing.mistakes``."""

from __future__ import annotations

import argparse
from collections import Counter

from tests.testing.mistakes.case import Case
from tests.testing.mistakes.classics import CLASSICS, MISTAKEN, ZOO, minima
from tests.testing.mistakes.judged import DISTORTED, Judged, judged, powered
from tests.testing.mistakes.nasty import NASTY
from tests.testing.mistakes.peers import flattened, peers, verdict_of
from tests.testing.mistakes.wrong import WRONG


def listed(found: list[Judged], good: str, wordy: bool) -> None:
    """Print what was not as it should be."""
    for j in found:
        if j.verdict != good and not (j.case.kink and j.verdict == "inconclusive"):
            print(f"  {j.verdict}: {j.case.name}")
        if wordy:
            print("    " + j.said.replace("\n", "\n    "))


def shares(cases: list[Case]) -> None:
    """Print how much of what right derivatives are distorted by is noticed."""
    print("power: right derivatives of nasty functions made wrong, noticed at their own points")
    for how in DISTORTED:
        found = powered(cases, how)
        count = Counter(j.verdict for j in found)
        print(f"  {how}: {count['disagree']} of {len(found)} ({100 * count['disagree'] / len(found):.0f} %)")
        listed(found, "disagree", False)


def main() -> None:
    """Run the corpus."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.mistakes", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="cases whose name holds this")
    parser.add_argument("--messages", action="store_true", help="print everything that was said")
    parser.add_argument(
        "--peers", action="store_true", help="ask other libraries' checkers as well, those that are installed"
    )
    asked = parser.parse_args()
    wrong = [c for c in (*WRONG, *MISTAKEN) if asked.only in c.name]
    right = [c for c in (*NASTY, *CLASSICS, *minima(), *ZOO) if asked.only in c.name]

    alone = [judged(c, points=0) for c in wrong]
    caught = [judged(c) for c in wrong]
    print(f"caught: {sum(j.verdict == 'disagree' for j in caught)} of {len(wrong)} wrong derivatives; ", end="")
    print(f"{sum(j.verdict == 'disagree' for j in alone)} at the first point alone")
    listed(caught, "disagree", asked.messages)
    fine = [judged(c) for c in right]
    count = Counter(j.verdict for j in fine)
    kinks = sum(c.kink for c in right)
    unsure = sum(j.verdict == "inconclusive" and not j.case.kink for j in fine)
    print(f"called wrong: {count['disagree']} of {len(right)} right ones; crashes: {count['crash']}")
    print(
        f"inconclusive: {unsure} of {len(right) - kinks} that lie at no kink, {count['inconclusive'] - unsure} of {kinks} at kinks"
    )
    listed(fine, "agree", asked.messages)
    shares([c for c in NASTY if asked.only in c.name])
    if asked.peers:
        shown = [j for j in alone if flattened(j.case) is not None]
        fair = [j for j in fine if flattened(j.case) is not None]
        print(
            "of what the checkers below can be shown, dualdiff: caught "
            f"{sum(j.verdict == 'disagree' for j in shown)} of {len(shown)} at the first "
            f"point, called wrong {sum(j.verdict == 'disagree' for j in fair)} of {len(fair)}"
        )
        for name, check in peers().items():
            bad, good = ([verdict_of(check, c) for c in cases] for cases in (wrong, right))
            print(
                f"{name}: caught {bad.count('disagree')} of {len(wrong)} at the first point ({bad.count('not shown')} cannot be shown), "
                f"called wrong {good.count('disagree')} of {len(right)} ({good.count('not shown')} cannot be shown), "
                f"crashes {bad.count('crash') + good.count('crash')}"
            )


main()
