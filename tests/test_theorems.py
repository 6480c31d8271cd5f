"""Theorems over random programs: every way to a derivative is the same derivative."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dualdiff as dd
from dualdiff.errors import NonDifferentiablePointError
from dualdiff.testing import LAWS, Subject, judge
from dualdiff.testing.laws import same, same_all
from dualdiff.testing.strategies import Program, programs
from tests.test_laws import steps_may_leave_the_domain

many = settings(max_examples=max(120, settings().max_examples))
some = settings(max_examples=max(60, settings().max_examples))
SEEDS = st.integers(0, 2**16)


def flat(program: Program) -> Any:
    """The same program with its results joined to one tuple."""
    return lambda *args: (found,) if not isinstance(found := program(*args), tuple) else found


def meets_a_kink(program: Program) -> bool:
    """Whether a program is evaluated exactly at a kink or a tie, where the conventions choose and the chain rule need not hold."""
    try:
        with dd.kinks("raise"):
            dd.jacobian(flat(program), tuple(range(len(program.point))))(*program.point)
    except NonDifferentiablePointError:
        return True
    return False


@many
@given(programs(), SEEDS)
def test_dual_is_push_is_pull_is_replay_is_differences(program: Program, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for law in ("value", "adjoint", "replay") if meets_a_kink(program) else ("value", "adjoint", "truth", "replay"):
        takes = {"rng": rng} if law in ("adjoint", "truth") else {}
        with steps_may_leave_the_domain():
            LAWS[law](program, *program.point, **takes)


@many
@given(programs())
def test_every_way_to_a_jacobian_gives_the_same(program: Program) -> None:
    argnums = tuple(range(len(program.point)))
    f = flat(program)
    expected = dd.jacfwd(f, argnums)(*program.point)
    ways = {
        "reverse": dd.jacrev(f, argnums),
        "auto": dd.jacobian(f, argnums),
        "forward, one at a time": dd.jacfwd(f, argnums, chunk=1),
        "forward, two at a time": dd.jacfwd(f, argnums, chunk=2),
        "reverse, one at a time": dd.jacrev(f, argnums, chunk=1),
        "reverse, two at a time": dd.jacrev(f, argnums, chunk=2),
    }
    values = f(*program.point)
    for name, way in ways.items():
        for row, wanted, v in zip(way(*program.point), expected, values, strict=True):
            for x, block, _other in zip(program.point, row, wanted, strict=True):
                assert np.shape(block) == np.shape(v) + np.shape(x), name
            same_all(name, row, wanted)


def _cancelling(x: Any, y: Any) -> Any:
    """Two equal products, one of which is summed in another order: every derivative is zero, up to rounding."""
    v = np.cos(np.sin(np.sin(np.sum(x, keepdims=True))))
    return x @ v - np.where(v > x, v * x, x)


def _nearly_cancelling(x: Any, y: Any) -> Any:
    """What is left of x·tanh(s²) beside x where tanh is nearly 1."""
    v = np.tanh(np.square(np.sum(x, keepdims=True)))
    return np.sin(x @ v - np.where(np.sin(v) > x, np.sin(v) * x, x))


def test_batches_and_sums_of_what_cancels() -> None:
    point = (np.array([[-1.2191387], [-0.63165874], [-0.26555764]]), np.array(1.66040892))
    LAWS["batch"](_cancelling, *point, rng=np.random.default_rng(0))
    point = (np.array([[0.94255004], [1.20400436], [1.46523194]]), np.array(1.04820554))
    LAWS["push"](_nearly_cancelling, *point, rng=np.random.default_rng(0))


@some
@given(programs(), SEEDS)
def test_batches_zeros_purity_and_linearity(program: Program, seed: int) -> None:
    rng = np.random.default_rng(seed)
    LAWS["push"](program, *program.point, rng=rng)
    LAWS["batch"](program, *program.point, rng=rng)
    LAWS["zero"](program, *program.point)
    LAWS["purity"](program, *program.point, rng=rng)


@some
@given(programs(scalar=True, max_ops=7), SEEDS)
def test_hessians_are_symmetric_and_agree(program: Program, seed: int) -> None:
    n = len(program.point)
    argnums = tuple(range(n))
    blocks = dd.hessian(program, argnums)(*program.point)
    other = dd.jacrev(dd.jacfwd(program, argnums), argnums)(*program.point)
    for i in range(n):
        for j in range(n):
            a, b = np.asarray(blocks[i][j]), np.asarray(blocks[j][i])
            across = np.moveaxis(b, range(np.ndim(program.point[j])), range(-np.ndim(program.point[j]), 0))
            scale = max(
                1e-8,  # what cancels to less than this has lost its digits on the way
                1e-4 * abs(program(*program.point)),
                *(float(np.max(np.abs(h), initial=0.0)) for row in blocks for h in row),
            )
            same("symmetry", a, across, scale=10 * scale)
            same("forward over reverse, reverse over forward", a, np.asarray(other[i][j]), scale=10 * scale)
    if meets_a_kink(program):  # sin(|x|)² has none, its slope through |x| has
        return
    rng = np.random.default_rng(seed)
    s = Subject(lambda *xs: dd.grad(program, argnums)(*xs), program.point)
    v = s.direction(rng)
    with steps_may_leave_the_domain():
        truth = s.truth(v)
    for i, d in enumerate(dd.jvp(dd.grad(program, argnums), program.point, tuple(v))[1]):
        assert judge(d, truth, i) != "disagree"


@some
@given(programs(max_ops=6), SEEDS)
def test_a_recording_replayed_elsewhere_is_the_function_there(program: Program, seed: int) -> None:
    from dualdiff.passes.replay import BranchChangedError

    rng = np.random.default_rng(seed)
    s = Subject(program, program.point)
    near = [x * (1 + 1e-3 * rng.standard_normal(np.shape(x))) for x in s.inputs]
    try:
        found = s.replay(near)
    except BranchChangedError:
        assert program.features & {"branch", "assignment"}  # only a decision can have changed
        return
    same_all("replay elsewhere", found, s.plain(near), factor=1e-3)


def test_the_programs_have_every_feature() -> None:
    """The theorems hold of what the strategy draws, so it must draw all of it."""
    seen: Counter[str] = Counter()

    @settings(max_examples=300, derandomize=True, database=None)
    @given(programs())
    def look(program: Program) -> None:
        seen.update(program.features)
        value = program(*program.point)
        assert all(
            np.isfinite(v).all() and np.max(np.abs(v), initial=0) < 100
            for v in (value if isinstance(value, tuple) else (value,))
        )

    look()
    wanted = {
        "broadcasting",
        "reduction",
        "indexing",
        "assignment",
        "view",
        "branch",
        "loop",
        "matmul",
        "movement",
        "packing",
        "two results",
    }
    assert {f for f in wanted if seen[f] < 5} == set()


__all__ = ["example"]
