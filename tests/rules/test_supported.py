"""What :func:`dualdiff.support` says is so: each fact of a record is held against what its samples do."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.optimize
import scipy.sparse.linalg
from scipy import special

import dualdiff as dd
from dualdiff.kinds.kinks import JUMP, Kink
from dualdiff.passes.diagnosis import kinks_of
from dualdiff.register import PHASES, REGISTER, Entry
from dualdiff.rules.supported import DIFFERENTIATED, MEANING, NO, YES, Support, entries
from dualdiff.testing import LAWS, Subject
from dualdiff.ways.problem import record
from tests.catalogue.base import Sample
from tests.catalogue.collection import at_complex_points, of_function, point_of, samples
from tests.test_laws import steps_may_leave_the_domain

ALL = dd.support()
OF = of_function()


def carrying() -> list[Entry]:
    """Return every row of the register that carries derivatives and has samples."""
    return [e for e in REGISTER.values() if e.status in DIFFERENTIATED and e.function in OF]


def each(rows: list[Entry]) -> Any:
    return pytest.mark.parametrize("entry", rows, ids=[e.name for e in rows])


# --------------------------------------------------------------------------------------------------
# the records


def test_there_is_one_record_for_every_function() -> None:
    names = [s.name for s in ALL]
    assert len(ALL) > 700
    assert names == sorted(set(names))
    assert set(names) == {e.name for e in entries() if "._" not in e.name}
    assert {s.kind for s in ALL} == set(MEANING)


def test_a_record_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ALL[0].second = False  # type: ignore[misc]


@pytest.mark.parametrize(
    "asked",
    ["np.linalg.slogdet", "numpy.linalg.slogdet", "slogdet", np.linalg.slogdet],
)
def test_one_function_is_asked_by_name_or_itself(asked: Any) -> None:
    found = dd.support(asked)
    assert (found.name, found.kind, found.complex) == ("np.linalg.slogdet", "general", YES)


def test_a_function_of_several_names_is_found_by_each() -> None:
    assert dd.support("np.abs") == dd.support("np.absolute") == dd.support(np.abs)
    assert dd.support("scipy.special.sinc").name == "np.sinc"


@pytest.mark.parametrize(
    ("name", "near"),
    [("np.eigh", "np.linalg.eigh"), ("np.cumprood", "np.cumprod"), ("einsun", "np.einsum"), ("zzz", "dd.support()")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(dd.errors.InputError, match="is known here") as raised:
        dd.support(name)
    assert near in str(raised.value)
    assert name in str(raised.value)


def test_a_name_that_two_libraries_have_is_not_guessed() -> None:
    with pytest.raises(dd.errors.InputError, match=r"np\.linalg\.norm|np\.log1p"):
        dd.support("log1p")


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(dd.errors.InputError, match="rosen"):
        dd.support(scipy.optimize.rosen)


def test_records_print() -> None:
    told = str(dd.support("scipy.special.jv"))
    assert "no derivative by v: no closed form" in told
    assert "forward: yes, reverse: yes, second order: yes" in told
    assert "taken at kinks and ties: one half to each operand" in str(dd.support(np.maximum))
    assert "Where a bracket ends is a choice" in str(dd.support("scipy.optimize.bracket"))
    table = str(ALL).splitlines()
    assert table[0].startswith(f"{len(ALL)} functions")
    assert len(table) == len(MEANING) + 3
    assert repr(ALL) == str(ALL)


def test_the_rooms_beside_the_register_are_told() -> None:
    assert dd.support(scipy.fft.dct).kind == "linear"
    assert dd.support("scipy.fft.rfft").complex == NO
    assert dd.support("scipy.sparse: S @ x").kind == "linear"
    assert dd.support(scipy.optimize.minimize).forward
    assert dd.support(scipy.sparse.linalg.onenormest).kind == "refused"
    assert dd.support(scipy.linalg.cho_solve).second


def test_what_carries_no_derivative_claims_none() -> None:
    for s in ALL:
        carries = s.kind in DIFFERENTIATED
        assert s.forward is carries, s.name
        assert s.reverse is carries, s.name
        assert bool(s.complex) is carries, s.name
        assert carries or not s.second, s.name
        assert bool(s.instead) is (s.kind == "refused"), s.name


# --------------------------------------------------------------------------------------------------
# complex points


def of(entry: Entry) -> Support:
    return dd.support(entry.function)


AT_COMPLEX_POINTS = {s.function for s in at_complex_points()}
SYMBOLS = {"remainder": "for %"}
"""How Python names what numbers do by an operator."""
REAL = [e for e in carrying() if of(e).complex == NO]


def test_what_claims_complex_points_is_held_to_the_laws_there() -> None:
    lacking = [e.name for e in carrying() if of(e).complex == YES and e.function not in AT_COMPLEX_POINTS]
    assert not lacking
    beyond = [e.name for e in carrying() if of(e).complex == NO and e.function in AT_COMPLEX_POINTS]
    assert not beyond
    assert len(AT_COMPLEX_POINTS) > 250


@each(REAL)
def test_what_claims_real_points_alone_refuses_complex_ones_by_name(entry: Entry) -> None:
    sample = OF[entry.function][0]
    point = [np.asarray(x + 0.25j)[()] for x in point_of(sample)]
    with steps_may_leave_the_domain():
        for operator in (dd.vjp, lambda f, *xs: dd.jvp(f, xs, xs)):
            with pytest.raises(TypeError) as raised:
                operator(sample.call, *point)
            name = entry.name.rpartition(".")[2]
            assert name in str(raised.value) or SYMBOLS.get(name, name) in str(raised.value)


VECTORS = {
    "np.linalg.eigh": lambda a: np.linalg.eigh(a + np.conjugate(a.T))[1],
    "np.linalg.eig": lambda a: np.linalg.eig(a)[1],
    "np.linalg.svd": lambda a: np.linalg.svd(a)[0],
    "scipy.linalg.eigh": lambda a: scipy.linalg.eigh(a + np.conjugate(a.T))[1],
    "scipy.linalg.eig": lambda a: scipy.linalg.eig(a)[1],
    "scipy.linalg.eig_banded": lambda a: scipy.linalg.eig_banded(a)[1],
    "scipy.linalg.svd": lambda a: scipy.linalg.svd(a)[0],
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_are_differentiated_where_nothing_hangs_on_their_phases(name: str) -> None:
    assert {s.name for s in ALL if s.complex == PHASES} == set(VECTORS)
    vectors = VECTORS[name]

    def of_vectors(a: Any) -> Any:
        return np.abs(vectors(a)) ** 2

    rng = np.random.default_rng(3)
    a, v = (rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3)) for _ in range(2))
    value, found = dd.jvp(of_vectors, (a,), (v,))
    h = 1e-6
    slope = (of_vectors(a + h * v) - of_vectors(a - h * v)) / (2 * h)
    np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-8)
    w = rng.standard_normal(value.shape)
    (g,) = dd.vjp(of_vectors, a)[1](w)
    np.testing.assert_allclose(np.sum(np.real(np.conjugate(g) * v)), np.sum(w * slope), rtol=1e-6)
    with pytest.raises(dd.errors.DegenerateError, match="phase"):
        dd.jvp(vectors, (a,), (v,))
    with pytest.raises(dd.errors.DegenerateError, match="phase"):
        dd.vjp(vectors, a)[1](w.astype(complex))


# --------------------------------------------------------------------------------------------------
# second derivatives


def test_what_claims_a_second_derivative_is_held_to_the_law_of_it() -> None:
    lacking = [e.name for e in carrying() if of(e).second and not any(s.second for s in OF[e.function])]
    assert not lacking


def test_what_claims_none_refuses_by_name() -> None:
    once = [e for e in carrying() if not of(e).second]
    assert {e.name for e in once} == {"scipy.special.mathieu_a", "scipy.special.mathieu_b"}
    for e in once:
        sample = OF[e.function][0]
        assert not sample.second
        with pytest.raises(dd.errors.UnsupportedFunctionError, match="mathieu"):
            LAWS["second"](sample.call, *point_of(sample), rng=np.random.default_rng(0))


# --------------------------------------------------------------------------------------------------
# kinks


def conventions(entry: Entry) -> set[str]:
    """Return the conventions of a row, those of the functions whose kinks it shares among them."""
    found = {entry.primitive.kink.convention} if entry.primitive is not None and entry.primitive.kink else set()
    for k in entry.facts.kinks:
        found |= {k.convention} if isinstance(k, Kink) else conventions(REGISTER[k])
    return found


def met(sample: Sample) -> set[str]:
    """Return the conventions of all rows with kinks through which a sample's result depends on its operands."""
    with steps_may_leave_the_domain():
        tape, _ = record(Subject(sample.call, point_of(sample)).problem, replayable=True)
        return {found.convention for found in kinks_of(tape, np.inf)}


def is_itself(sample: Sample) -> bool:
    """Whether a sample calls its function and nothing else."""
    return getattr(sample.call, "func", sample.call) is sample.function


@each([e for e in carrying() if e.status != "discrete"])
def test_a_row_states_the_kinks_it_has(entry: Entry) -> None:
    stated = conventions(entry)
    found = set().union(*[met(s) for s in OF[entry.function] if stated or is_itself(s)])
    if stated and stated != {JUMP}:  # through what is constant nothing depends on anything
        assert stated & found, f"it states {stated}, and meets {found}"
    elif not stated:
        assert not found


def test_conventions_are_told_once_and_shared_by_name() -> None:
    assert dd.support(np.median).kinks == "as np.sort"
    assert dd.support(np.sort).kinks == "shared evenly among equal entries"
    assert dd.support(np.floor).kinks.startswith("0")


# --------------------------------------------------------------------------------------------------
# arguments without a derivative


def test_an_argument_without_a_derivative_is_refused_by_its_name() -> None:
    with pytest.raises(dd.errors.UnsupportedFunctionError, match="'v'"):
        dd.grad(special.jv)(1.5, 2.0)
    assert [name for name, _ in dd.support("scipy.special.jv").without] == ["v"]
    assert sum(bool(s.without) for s in ALL) > 50


def test_every_sample_stands_for_a_function_that_is_told() -> None:
    for s in samples():
        if s.function is not None:
            assert dd.support(s.function).kind in (*DIFFERENTIATED, "discrete"), s.name
