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

import dualdiff as dd
from dualdiff.testing import LAWS
from dualdiff.trees import flatten, tree_map
from tests.catalogue.base import Sample
from tests.catalogue.collection import samples
from tests.duck import StrictDuck, unwrap, wrap

SAMPLES = samples()
SEEDS = st.integers(0, 2**16)
DRAWS = {law for law in LAWS.values() if "rng" in inspect.signature(law).parameters}
# Thousands of tests: the quick profiles look at two points each, and leave the shrinking to "deep".
points = (
    settings()
    if settings().max_examples > 100
    else settings(max_examples=2, phases=(Phase.explicit, Phase.reuse, Phase.generate))
)


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


def test_names_are_unique() -> None:
    assert len(SAMPLES) > 500  # a catalogue that came up empty would make every law true
    names = [s.name for s in SAMPLES]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})


@each(*SAMPLES)
def test_laws(sample: Sample) -> None:
    # One test for all laws of a sample: drawing points costs more than most laws.
    out = {name for name, applies in (("second", sample.second), ("precision", sample.float32)) if not applies}

    @points
    @given(sample.operands, SEEDS)
    def hold(operands: tuple[Any, ...], seed: int) -> None:
        apply(LAWS.keys() - out, sample.call, operands, seed)

    hold()


@each(*[s for s in SAMPLES if s.complex])
def test_laws_at_complex_points(sample: Sample) -> None:
    out = {"precision", "replay"} | ({"second"} if not sample.second else set())

    @points
    @given(sample.operands, sample.operands, SEEDS)
    def hold(real: tuple[Any, ...], imaginary: tuple[Any, ...], seed: int) -> None:
        apply(LAWS.keys() - out, sample.call, tuple([x + 0.5j * y for x, y in zip(real, imaginary, strict=True)]), seed)

    hold()


@each(*[s for s in SAMPLES if s.duck])
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
