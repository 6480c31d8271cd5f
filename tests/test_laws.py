"""Every law, for every sample of every catalogue."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy import special

import dualdiff as dd
from dualdiff.testing import LAWS, Subject
from dualdiff.testing.steps import steps_of
from dualdiff.trees import flatten, tree_map
from tests.catalogue.base import Sample
from tests.catalogue.collection import at_complex_points, complex_points, grouped, samples, some_of_each
from tests.catalogue.fourier import filtered
from tests.duck import StrictDuck, unwrap, wrap
from tests.thresholds import thresholds

SAMPLES = samples()
AT_COMPLEX_POINTS = at_complex_points()
FOR_DUCKS = [s for s in SAMPLES if s.duck]
SEEDS = st.integers(0, 2**16)
DIFFERENCED = {"truth", "second", "alias"}
"""The laws that hold a derivative against differences of the function's own values."""
DRAWS = {law for law in LAWS.values() if "rng" in inspect.signature(law).parameters}
QUICK = settings().max_examples <= 100
# Thousands of samples: the quick profiles look at two points each, and leave the shrinking to "deep", which looks at a hundred.
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
points = settings(max_examples=2, phases=NO_SHRINKING) if QUICK else settings(max_examples=100)
SELDOM = {
    "second": 5,
    **dict.fromkeys(("batch", "purity", "layout", "precision", "replay", "pattern", "forecast", "terms", "alias"), 10),
}
"""In the deep profile, at one point in how many a law is held: two cores hold all in about an hour and a half.

These ask for how operands lie, what shares memory, which entries can depend on which: of shapes and options, which a sample has
fixed, more than of numbers. Nor are second derivatives, the dearest of all laws, needed at each of a hundred points.
"""


def left_out(seed: int) -> set[str]:
    """Return the laws that are not held at a point: by what was drawn, so that a failure comes back when it is drawn again."""
    # Zero is drawn far more often than others: it is not among those that hold all.
    return set() if QUICK else {law for law, every in SELDOM.items() if seed % every != every // 2}


@contextmanager
def named(sample: Sample) -> Iterator[None]:
    """Say of an error at which sample of a group it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"sample: {sample.name}")
        raise


@contextmanager
def steps_may_leave_the_domain() -> Iterator[None]:
    """Silence NumPy's warnings: a step of the differences may leave the domain, and the witness says so itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        warnings.filterwarnings("ignore", category=np.exceptions.ComplexWarning)
        yield


def apply(names: Iterable[str], call: Any, operands: tuple[Any, ...], seed: int) -> None:
    with steps_may_leave_the_domain():
        subject = Subject(call, operands)
        for name in sorted(names, key=list(LAWS).index):
            law = LAWS[name]
            law(subject, *operands, **({"rng": np.random.default_rng(seed)} if law in DRAWS else {}))


# --------------------------------------------------------------------------------------------------
# tangents that are not one array

FORMS = ("terms", "forecast")
THRESHOLDS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "always terms": {
        "DENSE": 0,
        "SMALL": 0,
        "LOCAL": 10_000,
        "MERGED_FROM": 1000,
        "MOST_TERMS": 1000,
        "MOST_COLUMNS": 1000,
        "MOST_COLUMNS_OF_SCALARS": 1000,
        "WORTH_AN_ARRAY": 0,
        "WORTH_AN_ARRAY_OF_PRODUCTS": 0,
    },
    "soon merged": {"DENSE": 0, "SMALL": 0, "LOCAL": 4, "MERGED_FROM": 2, "MOST_TERMS": 8, "MOST_COLUMNS": 1},
}
"""Under these, arrays as small as the samples' go every way that terms have."""
SEEN: dict[Any, set[Any]] = {}
"""The steps that were looked at: samples share most of theirs."""


def apply_forms(call: Any, operands: tuple[Any, ...], seed: int, which: Iterable[str], names: Iterable[str]) -> None:
    # A few directions, of which terms are most; or many, of which they are a handful.
    with steps_may_leave_the_domain():
        subject = Subject(call, operands)
        keys = {step.key for step in steps_of(subject.problem, max(subject.problem.n, 2))}
        for case in which:
            ks = (100, 300) if case == "as they are" else (0,)
            with pytest.MonkeyPatch.context() as patch:
                thresholds(patch, **THRESHOLDS[case])
                for name in names:
                    seen = SEEN.setdefault((name, case), set())
                    own_way = name == "forecast" and case == "as they are"
                    if own_way or not seen.issuperset(keys):
                        few = ks if name == "forecast" else ks[-1:]
                        LAWS[name](subject, *operands, rng=np.random.default_rng(seed), ks=few, seen=seen)
                        seen |= keys


def hold_forms(sample: Sample, operands: tuple[Any, ...], seed: int) -> None:
    apply_forms(sample.call, operands, seed, ("as they are", "always terms"), FORMS)
    apply_forms(sample.call, operands, seed, ("soon merged",), ("forecast",))
    if sample.float32:
        small = tuple([np.asarray(x, np.float32)[()] for x in operands])
        apply_forms(sample.call, small, seed, ("always terms",), ("terms",))
    if sample.complex:
        places = sample.complex if isinstance(sample.complex, tuple) else range(len(operands))
        turned = tuple([(1 + 0.5j) * x if i in places else x for i, x in enumerate(operands)])
        apply_forms(sample.call, turned, seed, ("always terms",), FORMS)


def test_names_are_unique() -> None:
    assert len(SAMPLES) > 500  # a catalogue that came up empty would make every law true
    names = [s.name for s in SAMPLES]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})


def hold_laws(sample: Sample, operands: tuple[Any, ...], seed: int, less: Iterable[str] = ()) -> None:
    out = {name for name, applies in (("second", sample.second), ("precision", sample.float32)) if not applies}
    out |= set() if sample.truth else DIFFERENCED
    apply(LAWS.keys() - out - set(FORMS) - set(less) - left_out(seed), sample.call, operands, seed)


def hold_through_arrays_that_refuse_coercion(sample: Sample, operands: tuple[Any, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    v = tuple([rng.standard_normal(np.shape(x)) for x in operands])
    with steps_may_leave_the_domain():
        value, tangent = dd.jvp(sample.call, operands, v)
        w = tree_map(lambda y: rng.standard_normal(np.shape(y)).astype(y.dtype), value)
        _, pull = dd.vjp(sample.call, *operands)
        ducks = tuple([StrictDuck(x) for x in operands])
        same(dd.jvp(sample.call, ducks, tuple([StrictDuck(t) for t in v])), (value, tangent))
        got, pull_duck = dd.vjp(sample.call, *ducks)
        same(got, value)
        same(pull_duck(tree_map(wrap, w)), pull(w))


def same(got: Any, expected: Any) -> None:
    found, wanted = flatten(got)[0], flatten(expected)[0]
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert isinstance(a, StrictDuck), f"{type(a).__name__}, not a StrictDuck"
        np.testing.assert_allclose(unwrap(a), b, rtol=1e-10, atol=1e-12)


# Of terms, at complex points and through other arrays all samples of a function go the way of its row: the quick profiles look at
# a few of each.
HAVE_TERMS = {s.name for s in (some_of_each(2) if QUICK else SAMPLES)}
COMPLEX = {s.name for s in (some_of_each(2, AT_COMPLEX_POINTS) if QUICK else AT_COMPLEX_POINTS)}
DUCKS = {s.name for s in (some_of_each(2, FOR_DUCKS) if QUICK else FOR_DUCKS)}
GROUPS = grouped(SAMPLES)


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_laws(group: list[Sample]) -> None:
    # One test for all laws of a function's samples: drawing points costs more than most laws.
    seen: list[int] = []
    imaginary_parts = st.tuples(*[s.operands if s.name in COMPLEX else st.none() for s in group])

    @points
    @given(st.tuples(*[s.operands for s in group]), imaginary_parts, SEEDS)
    def hold(operands: tuple[Any, ...], imaginary: tuple[Any, ...], seed: int) -> None:
        seen.append(seed)
        # The first point is the simplest: zeros, which are real, and hide what stands where. There the quick profiles leave
        # differences to the tests of kinks.
        first = len(seen) == 1
        forms_too = not first and not left_out(seed).intersection(FORMS)
        for sample, xs, ys in zip(group, operands, imaginary, strict=True):
            with named(sample):
                hold_laws(sample, xs, seed, less=DIFFERENCED if QUICK and first else ())
                if sample.name in DUCKS and "layout" not in left_out(seed):
                    hold_through_arrays_that_refuse_coercion(sample, xs, seed)
                if sample.name in HAVE_TERMS and forms_too:
                    hold_forms(sample, xs, seed)
                if sample.name in COMPLEX and not first:
                    hold_laws(sample, complex_points(sample, xs, ys), seed, less=("precision", "replay"))

    hold()
    assert len(seen) > 1


def test_a_result_may_have_more_entries_on_either_side_of_a_point() -> None:
    x = np.array([0.0, -1.5, -0.0, 2.25, 1.0])  # one more where a zero is pushed up, on one side or on the other
    for seed in range(8):
        LAWS["alias"](lambda x: np.extract(x > 0, x), x, rng=np.random.default_rng(seed))


def test_what_a_layout_changes_is_seen_beside_entries_that_are_tiny() -> None:
    def stored(x: np.ndarray) -> np.ndarray:
        y = x * 1.0
        y.reshape(-1)[-1] = x[0, 0] ** 2  # a view of rows, a copy of columns
        return y * 2.0

    for seed in range(4):
        LAWS["layout"](stored, np.array([[0.0, 1.0, 2.0], [-3.0, 3.0, -1e-20]]), rng=np.random.default_rng(seed))


def test_a_sum_that_cancels_may_be_added_up_in_another_order_where_its_operands_lie_otherwise() -> None:
    x = np.array([[1.00000005e-03, 3.0, -2.99999976], [1e-45, 1.00000001e-07, -1.00000005e-03]])
    y = np.array([-1e-20, 3.0, 3.0, 2.99999976, -1.0, 1.00000005e-03])
    for seed in range(4):
        LAWS["layout"](np.vdot, x, y, rng=np.random.default_rng(seed))


def test_beside_an_entry_without_a_second_derivative_the_others_may_be_rounded() -> None:
    x = np.array([0.875, 0.25, 0.30286738])  # in the second the inverse is 1/2, where the density has its kink
    for seed in (74, *range(4)):
        LAWS["second"](lambda p: special.smirnovi(2, p), x, rng=np.random.default_rng(seed))


def test_single_precision_may_round_what_a_direction_loses_by_cancelling() -> None:
    x = np.array([-1e-16, -1e-13, 1e-5, 1e-5, 1.0])
    for seed in range(8):
        LAWS["precision"](filtered, x, rng=np.random.default_rng(seed))
