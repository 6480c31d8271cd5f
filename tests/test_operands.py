"""Every function with operands of every sort: 0-d, without entries, broadcast, small, of many directions.

What NumPy accepts has derivatives that obey the laws; what it refuses is refused in both modes. How operands lie in memory,
and that they are not written to, are laws of their own (``layout``, ``purity``), and so are float32 (``precision``) and 0, 1
and 3 directions at once (``batch``): every row has samples under each of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.testing import LAWS, Subject
from tests.catalogue.base import Sample
from tests.catalogue.collection import in_turn, of_function, point_of, some_of_each
from tests.catalogue.exempt import OPERANDS, ROWS
from tests.rules.test_supported import carrying
from tests.test_laws import AT_COMPLEX_POINTS, QUICK, named, steps_may_leave_the_domain


def zero_dimensional(x: Any) -> Any:
    x = np.asarray(x)
    return x.reshape(-1)[:1].reshape(()) if x.size else x


def broadcast(x: Any) -> Any:
    x = np.asarray(x)
    return np.broadcast_to(x[:1], x.shape) if x.ndim else x


SORTS: dict[str, Callable[[Any], Any]] = {
    "0-d": zero_dimensional,
    "no entries in rows": lambda x: np.asarray(x)[..., :0] if np.ndim(x) else x,
    "no rows": lambda x: np.asarray(x)[:0] if np.ndim(x) else x,
    "broadcast": broadcast,
}
APPLIED = ("value", "push", "adjoint", "batch", "zero", "second", "purity")
FEW = some_of_each(2)
"""Some samples of every function."""


def held(sample: Sample, sort: str) -> None:
    """Hold a sample to the laws with operands of a sort."""
    operands = [SORTS[sort](x) for x in point_of(sample)]
    try:
        sample.call(*[np.array(x) if type(x) is np.ndarray else x for x in operands])
    except Exception:  # whatever NumPy says of it
        for operator in (dd.vjp, lambda f, *xs: dd.jvp(f, xs, xs)):
            with pytest.raises(Exception):  # noqa: B017
                operator(sample.call, *operands)
        return
    subject = Subject(sample.call, operands)
    for name in APPLIED:
        if name != "second" or (
            sample.second and sample.truth and not sort.startswith("no ")
        ):  # nothing, differentiated twice
            law = LAWS[name]
            takes = {"rng": np.random.default_rng(0)} if "rng" in inspect.signature(law).parameters else {}
            law(subject, *operands, **takes)


# Of no entries nothing depends on anything, and a run says so.
nothing_depends = pytest.mark.filterwarnings("ignore::dualdiff.errors.NoDerivativeWarning")


GROUPS = in_turn(some_of_each(1) if QUICK else FEW)


@nothing_depends
@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_operands_of_every_sort(group: list[Sample]) -> None:
    for sample in group:
        for sort in SORTS:
            if sample.name not in OPERANDS[sort]:
                with steps_may_leave_the_domain(), named(sample):
                    held(sample, sort)


EXEMPT = [(s, sort) for sort, names in OPERANDS.items() for s in FEW if s.name in names]


@nothing_depends
@pytest.mark.parametrize(("sample", "sort"), EXEMPT, ids=[f"{s.name}: {sort}" for s, sort in EXEMPT])
def test_exemptions_are_not_stale(sample: Sample, sort: str) -> None:
    with steps_may_leave_the_domain(), pytest.raises((Exception, pytest.fail.Exception)):
        held(sample, sort)


def test_exemptions_name_samples_and_say_why() -> None:
    names = {s.name for s in FEW}
    assert set(OPERANDS) == set(SORTS)
    for exempt in OPERANDS.values():
        assert set(exempt) <= names, set(exempt) - names
        assert all(len(reason) > 15 for reason in exempt.values())


# --------------------------------------------------------------------------------------------------
# every row under every law

ALWAYS = ("value", "push", "adjoint", "batch", "zero", "purity", "layout", "replay", "pattern", "terms", "forecast")
UNDER: dict[str, Callable[[Sample], bool]] = {
    **{law: lambda s: True for law in ALWAYS},
    "second": lambda s: s.second,
    "precision": lambda s: s.float32,
    "truth": lambda s: s.truth,
    "alias": lambda s: s.truth,
}
"""Which samples a law is applied to by the tests of the laws."""


def test_every_law_is_told_of() -> None:
    assert set(UNDER) == set(LAWS)
    assert len(AT_COMPLEX_POINTS) > 500


@pytest.mark.parametrize("law", UNDER)
def test_every_row_is_under_every_law_or_exempt_with_a_reason(law: str) -> None:
    of = of_function()
    missed = {e.name for e in carrying() if not any(map(UNDER[law], of[e.function]))}
    assert missed == set(ROWS.get(law, {})), sorted(missed ^ set(ROWS.get(law, {})))
    assert all(len(reason) > 15 for reason in ROWS.get(law, {}).values())
