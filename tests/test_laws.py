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
from tests.catalogue.collection import at_complex_points, complex_points, samples, some_of_each
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
# Thousands of tests: the quick profiles look at two points each, and leave the shrinking to "deep".
points = settings() if not QUICK else settings(max_examples=2, phases=(Phase.explicit, Phase.reuse, Phase.generate))


def each(*wanted: Sample) -> Any:
    return pytest.mark.parametrize("sample", wanted, ids=[s.name for s in wanted])


@contextmanager
def steps_may_leave_the_domain() -> Iterator[None]:
    """Silence NumPy's warnings: a step of the differences may leave the domain, and the witness says so itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        warnings.filterwarnings("ignore", category=np.exceptions.ComplexWarning)
        yield


def apply(names: Iterable[str], call: Any, operands: tuple[Any, ...], seed: int) -> None:
    with steps_may_leave_the_domain():
        for name in sorted(names, key=list(LAWS).index):
            law = LAWS[name]
            law(call, *operands, **({"rng": np.random.default_rng(seed)} if law in DRAWS else {}))


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
        problem = Subject(call, operands).problem
        keys = {step.key for step in steps_of(problem, max(problem.n, 2))}
        for case in which:
            ks = (100, 300) if case == "as they are" else (0,)
            with pytest.MonkeyPatch.context() as patch:
                thresholds(patch, **THRESHOLDS[case])
                for name in names:
                    seen = SEEN.setdefault((name, case), set())
                    own_way = name == "forecast" and case == "as they are"
                    if own_way or not seen.issuperset(keys):
                        few = ks if name == "forecast" else ks[-1:]
                        LAWS[name](call, *operands, rng=np.random.default_rng(seed), ks=few, seen=seen)
                        seen |= keys


# All samples of a function have its row: the quick profiles look at a few of each.
@each(*(some_of_each(2) if QUICK else SAMPLES))
def test_laws_of_terms(sample: Sample) -> None:
    drawn: list[tuple[Any, int]] = []

    @points
    @given(sample.operands, SEEDS)
    def draw(operands: tuple[Any, ...], seed: int) -> None:
        drawn.append((operands, seed))

    draw()
    for operands, seed in drawn[1:]:  # the first point is the simplest: zeros, which hide what stands where
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


@each(*SAMPLES)
def test_laws(sample: Sample) -> None:
    # One test for all laws of a sample: drawing points costs more than most laws.
    out = {name for name, applies in (("second", sample.second), ("precision", sample.float32)) if not applies}
    out |= set() if sample.truth else DIFFERENCED
    seen: list[int] = []

    @points
    @given(sample.operands, SEEDS)
    def hold(operands: tuple[Any, ...], seed: int) -> None:
        seen.append(seed)
        # The first point is the simplest: zeros, where the quick profiles leave differences to the tests of kinks.
        less = DIFFERENCED if QUICK and len(seen) == 1 else set()
        apply(LAWS.keys() - out - set(FORMS) - less, sample.call, operands, seed)

    hold()
    assert len(seen) > 1


@each(*(some_of_each(2, AT_COMPLEX_POINTS) if QUICK else AT_COMPLEX_POINTS))
def test_laws_at_complex_points(sample: Sample) -> None:
    out = {"precision", "replay", *FORMS} | ({"second"} if not sample.second else set())
    out |= set() if sample.truth else DIFFERENCED
    seen: list[int] = []

    @points
    @given(sample.operands, sample.operands, SEEDS)
    def hold(real: tuple[Any, ...], imaginary: tuple[Any, ...], seed: int) -> None:
        seen.append(seed)
        if len(seen) > 1:  # the first point is the simplest: zeros, which are real ones
            apply(LAWS.keys() - out, sample.call, complex_points(sample, real, imaginary), seed)

    hold()
    assert len(seen) > 1


@each(*(some_of_each(2, FOR_DUCKS) if QUICK else FOR_DUCKS))
def test_flows_through_arrays_that_refuse_coercion(sample: Sample) -> None:
    @points
    @given(sample.operands, SEEDS)
    def holds(operands: tuple[Any, ...], seed: int) -> None:
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

    holds()


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
