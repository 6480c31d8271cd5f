"""Terms whose coefficients are traced, as in a recorded Hessian: the same terms, as arrays of the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from dualdiff.dual import Pushing
from dualdiff.errors import DerivativeError
from dualdiff.shapes import dtype_of
from dualdiff.tangents import ONE, Scaled
from dualdiff.tape import Recording
from dualdiff.testing import Subject
from dualdiff.testing.laws import same
from dualdiff.testing.steps import Seeds, Step, form_of, seeds_of, steps_of, told
from dualdiff.values import raw
from tests.catalogue.collection import samples
from tests.test_laws import THRESHOLDS, steps_may_leave_the_domain
from tests.thresholds import thresholds

SEEN: set[Any] = set()


def pushed(step: Step, seeds: Seeds, k: int, tape: Any = None) -> tuple[Any, Any]:
    """Push terms through a step, values and coefficients traced by a recording if there is one; return form and numbers."""

    def given_to(x: Any) -> Any:
        if type(x) is Scaled:
            x = x.array * x.factor
        return x if tape is None or x is ONE or dtype_of(x).kind != "f" else tape.add_input(x)

    values = [given_to(v) if on else v for v, on in zip(step.values, step.active, strict=True)]
    tangents = [t and type(t)([(key, given_to(c)) for key, c in t.items()]) for t in seeds.tangents]
    run = Pushing((k,))
    out = step.out if tape is None else step.row(*values, **step.params)
    found = run.push(step.row, tangents, values, step.params, out)
    return form_of(found), None if found is None else np.asarray(raw(run.dense(found, out)))


EVERY = settings().max_examples > 100


@pytest.mark.parametrize("sample", samples()[:: 1 if EVERY else 6], ids=lambda s: s.name)
def test_the_same_as_with_plain_coefficients(sample: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    @settings(max_examples=2, phases=(Phase.explicit, Phase.reuse, Phase.generate))
    @given(sample.operands)
    def draw(operands: Any) -> None:
        drawn.append(operands)

    draw()
    thresholds(monkeypatch, **THRESHOLDS["always terms"])
    rng = np.random.default_rng(0)
    with steps_may_leave_the_domain(), np.errstate(all="ignore"):
        problem = Subject(sample.call, drawn[-1]).problem
        for step in steps_of(problem, max(problem.n, 2)):
            if step.key in SEEN:
                continue
            SEEN.add(step.key)
            for seeds in seeds_of(step, rng):
                k = max(seeds.directions, 1)
                form, expected = pushed(step, seeds, k)
                tape = Recording()
                try:
                    traced, found = pushed(step, seeds, k, tape)
                except (DerivativeError, TypeError):  # the rule's own derivative, which some rules have not
                    if sample.second:
                        raise
                    continue
                finally:
                    tape.close()
                what = f"{seeds.name} through {step.row}"
                if expected is None or found is None:
                    assert expected is found is None, what
                    continue
                assert traced == form, f"{what}: {told(traced)}, not {told(form)}"
                if np.isfinite(expected).all():
                    same(what, found, expected)
