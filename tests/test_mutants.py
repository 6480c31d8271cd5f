"""Wrong rules, at least one per kind and per law: the laws must catch each of them, and pass their right twins."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from dualdiff.kinds import Discrete, Elementwise, General, Linear, Movement, Multilinear
from dualdiff.kinds.base import ALL
from dualdiff.labels import ALIGNED, OWN, common_letters, lanes
from dualdiff.tangents import INSTEAD, Columns, Map, Terms
from dualdiff.testing import LAWS, CheckError, LawError, check
from dualdiff.values import Traced, bind, raw
from tests.thresholds import thresholds

X = np.array([[0.5, 1.25, -2.0], [1.5, -0.75, 0.25]])
Y = np.array([[1.0], [-0.5]])
A = np.array([[2.0, 0.5], [-0.25, 1.5]])
B = np.array([[1.0, -1.0, 0.5], [0.75, 2.0, -0.5]])


def mT(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def run(law: str, f: Callable[..., Any], point: tuple[Any, ...]) -> None:
    found = LAWS[law]
    if law in ("terms", "forecast"):
        with pytest.MonkeyPatch.context() as patch:  # so that the little arrays here have terms
            thresholds(patch, DENSE=0, SMALL=0)
            found(f, *point, rng=np.random.default_rng(5))
        return
    draws = {"rng": np.random.default_rng(5)} if "rng" in inspect.signature(found).parameters else {}
    found(f, *point, **draws)


# --------------------------------------------------------------------------------------------------
# rules that are right, one or more of each kind: the laws pass them all


def _sum(x: Any) -> Any:
    return np.add.reduce(x, axis=-1) if type(x) is np.ndarray else np.sum(x, axis=-1)


def _spread(g: Any, x: Any) -> Any:
    return g.reshape((*g.shape, 1)) * np.ones(x.shape[-1:], g.dtype)


def _softmax_like_push(sweep: Any, tangents: Any, out: Any, x: Any) -> Any:
    return -out * tangents[0] * out if tangents[0] is not None else None


RIGHT: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "elementwise, one operand": (Elementwise("cube", lambda x: x * x * x, lambda _y, x: 3 * x * x), (X,)),
    "elementwise, two operands": (
        Elementwise("quotient", lambda x, y: x / y, lambda _z, _x, y: 1 / y, lambda z, _x, y: -z / y),
        (X, Y),
    ),
    "linear": (Linear("scale", lambda x: 3 * x, pull=lambda g, x: 3 * g), (X,)),
    "linear, fewer axes": (Linear("sum", _sum, pull=_spread), (X,)),
    "linear, with terms of its own": (lambda x: Termed()(x), (X,)),
    "movement": (Movement("reverse", lambda x: x[..., ::-1].copy()), (X,)),
    "movement that puts zeros between": (
        Movement("apart", lambda x: np.concatenate([np.zeros_like(x[..., :1]), x], axis=-1)),
        (X,),
    ),
    "multilinear": (
        Multilinear("matmul", lambda x, y: x @ y, lambda g, x, y: g @ mT(y), lambda g, x, y: mT(x) @ g),
        (A, B),
    ),
    "general": (
        General(
            "reciprocal",
            lambda x: 1 / x,
            push=_softmax_like_push,
            pull=lambda sweep, g, out, x: (-out * g * out,),
        ),
        (X,),
    ),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_pass(name: str, law: str) -> None:
    f, point = RIGHT[name]
    run(law, f, point)


# --------------------------------------------------------------------------------------------------
# rules that are wrong


class Mutant(NamedTuple):
    name: str
    law: str
    f: Callable[..., Any]
    point: tuple[Any, ...]


def mistyped(x: Any) -> Any:
    """A handler that computes in another precision than the function it stands for."""
    return (x * 2).astype(np.float32) if isinstance(x, Traced) else x * 2


def inexact(x: Any) -> Any:
    """A handler that computes something else than the function it stands for."""
    return x * 2.0000001 if isinstance(x, Traced) else x * 2.0


class Counting:
    """A primitive's function that is another one every time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return x + float(self.calls)


class Restless:
    """A push that is another one every time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, sweep: Any, tangents: Any, out: Any, x: Any) -> Any:
        self.calls += 1
        return tangents[0] * self.calls


def scribble(sweep: Any, tangents: Any, out: Any, x: Any) -> Any:
    """A push that works in the tangent it was handed, which may be the user's."""
    t = tangents[0]
    t *= 2
    return t


def scribble_pull(sweep: Any, g: Any, out: Any, x: Any) -> Any:
    """A pull that works in the covector it was handed."""
    g *= 2
    return (g,)


def overwrite(sweep: Any, tangents: Any, out: Any, x: Any) -> Any:
    """A push that tidies the operand up."""
    x[...] = np.abs(x)
    return 2 * tangents[0]


class Misplaced(Movement):
    """A movement whose own push is right and whose positions are those of another one."""

    def push(self, sweep: Any, tangents: Any, args: Any, params: Any, out: Any) -> Any:
        return tangents[0][..., ::-1]

    def positions(self, shape: Any, params: Any) -> Any:
        return np.arange(1, 1 + np.prod(shape)).reshape(shape)


class Shared(Movement):
    """A movement whose result is a view that one may write into."""

    view = True


def _locked_reverse(x: Any) -> Any:
    y = x[..., ::-1]
    y.flags.writeable = False
    return y


class Termed(Linear):
    """Each entry plus its neighbour to the left; of terms it takes other neighbours, or forgets, or claims too much."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__(
            "neighbours",
            lambda x: x + np.roll(x, 1, -1),
            pull=lambda g, x: g + np.roll(g, -1, -1),
            joins=lambda k, args, params, out: lanes(args[0].shape, out.shape, (-1,)),
        )
        self.wrong = wrong

    def terms(self, run: Any, tangents: Any, values: Any, params: Any, out: Any) -> Any:
        if type(tangents[0]) is Columns:
            return INSTEAD
        found = Terms()
        for key, c in tangents[0].items():
            q = np.broadcast_to(c, out.shape)
            if type(key) is int:
                found[key] = q + np.roll(q, 1, -1)
                continue
            found[key] = q
            found[Map(np.roll(key.positions, -1 if self.wrong == "place" else 1, -1))] = np.roll(q, 1, -1)
        return Terms() if self.wrong == "nothing" else found

    def pull_terms(self, g: Any, ins: Any, args: Any, params: Any, out: Any, aligned: bool) -> Any:
        if self.wrong != "covectors":
            return INSTEAD
        return [g]

    def forecast(self, asked: Any) -> Any:
        if self.wrong == "an array forecast":
            return ALL
        if self.wrong == "too few forecast":
            return asked.new(len(asked.live[0]))
        if asked.is_columns:
            return ALL
        columns = [t for t in asked.live[0] if type(t) is int]
        return asked.new(2 * (len(asked.live[0]) - len(columns)), columns)


def aligned(k: int, args: Any, params: Any, out: Any) -> Any:
    """A pattern of too little: entry by entry, for a row that mixes them."""
    return ALIGNED


def double_pull(sweep, g, out, x):
    return (2 * g,)


def double_push(sweep, tangents, out, x):
    return 2 * tangents[0]


MUTANTS = [
    # value
    Mutant("another value", "value", inexact, (X,)),
    Mutant("another dtype", "value", mistyped, (X,)),
    # push is linear
    Mutant(
        "general: a push that squares",
        "push",
        General("f", lambda x: 2 * x, push=lambda sweep, tangents, out, x: 2 * tangents[0] ** 2, pull=double_pull),
        (X,),
    ),
    Mutant(
        "general: a pull that takes magnitudes",
        "push",
        General("f", lambda x: 2 * x, push=double_push, pull=lambda sweep, g, out, x: (2 * abs(g),)),
        (X,),
    ),
    Mutant("linear: a push with an offset", "push", Linear("f", lambda x: x + 1.0, pull=lambda g, x: g), (X,)),
    # pull is the adjoint of push
    Mutant(
        "linear: a transpose of another size", "adjoint", Linear("f", lambda x: 3 * x, pull=lambda g, x: 2 * g), (X,)
    ),
    Mutant(
        "linear: a transpose not reversed",
        "adjoint",
        Linear("f", lambda x: 2 * x[..., ::-1], pull=lambda g, x: 2 * g),
        (X,),
    ),
    Mutant(
        "multilinear: a transpose left out",
        "adjoint",
        Multilinear("f", lambda x, y: x @ y, lambda g, x, y: g @ mT(y), lambda g, x, y: x @ g),
        (A, B),
    ),
    Mutant(
        "multilinear: transposes exchanged",
        "adjoint",
        Multilinear("f", lambda x, y: x @ y, lambda g, x, y: mT(x) @ g, lambda g, x, y: g @ mT(y)),
        (A, A + 1),
    ),
    Mutant(
        "general: a pull with another sign",
        "adjoint",
        General("f", lambda x: 2 * x, push=double_push, pull=lambda sweep, g, out, x: (-2 * g,)),
        (X,),
    ),
    Mutant(
        "general: a pull of another shape",
        "adjoint",
        General("f", lambda x: 2 * x, push=double_push, pull=lambda sweep, g, out, x: (2 * mT(g),)),
        (X,),
    ),
    Mutant(
        "general: a pull of another dtype",
        "adjoint",
        General("f", lambda x: 2 * x, push=double_push, pull=lambda sweep, g, out, x: ((2 * g).astype(np.float32),)),
        (X,),
    ),
    # truth
    Mutant("elementwise: a factor missing", "truth", Elementwise("f", lambda x: x * x, lambda _y, x: x), (X,)),
    Mutant("elementwise: a sign", "truth", Elementwise("f", np.cos, lambda _y, x: np.sin(x)), (X,)),
    Mutant("elementwise: nearly right", "truth", Elementwise("f", lambda x: x * x, lambda _y, x: 2.000001 * x), (X,)),
    Mutant("elementwise: an operand forgotten", "truth", Elementwise("f", np.multiply, lambda _z, _x, y: y, 0), (X, Y)),
    Mutant(
        "elementwise: partials exchanged",
        "truth",
        Elementwise("f", np.multiply, lambda _z, x, _y: x, lambda _z, _x, y: y),
        (X, Y),
    ),
    Mutant(
        "movement: another permutation in the push",
        "truth",
        General(
            "f",
            lambda x: x[..., ::-1],
            push=lambda sweep, tangents, out, x: tangents[0],
            pull=lambda sweep, g, out, x: (g,),
        ),
        (X,),
    ),
    Mutant(
        "linear: a function that is not linear", "truth", Linear("f", lambda x: x * abs(x), pull=lambda g, x: g), (X,)
    ),
    Mutant(
        "multilinear: a function that is quadratic in an operand",
        "truth",
        Multilinear("f", lambda x, y: x * x * y, lambda g, x, y: g * x * y, lambda g, x, y: g * x * x),
        (X, X + 3),
    ),
    Mutant(
        "general: a derivative lost",
        "truth",
        General(
            "f",
            lambda x: 2 * x,
            push=lambda sweep, tangents, out, x: 0 * tangents[0],
            pull=lambda sweep, g, out, x: (0 * g,),
        ),
        (X,),
    ),
    Mutant("discrete: a function that is not", "truth", Discrete("f", lambda x: np.sin(x)), (X,)),
    # k directions at once
    Mutant(
        "linear: an axis counted from the front",
        "batch",
        Linear("f", lambda x: np.flip(x, 0), pull=lambda g, x: np.flip(g, 0)),
        (X,),
    ),
    Mutant(
        "linear: a transpose with an axis counted from the front",
        "batch",
        Linear("f", lambda x: x[..., ::-1, :], pull=lambda g, x: np.flip(g, 0)),
        (X,),
    ),
    Mutant(
        "general: the batch averaged away",
        "batch",
        General(
            "f",
            lambda x: 2 * x,
            push=lambda sweep, tangents, out, x: (
                2 * np.add.reduce(tangents[0], axis=0) if sweep.lead else 2 * tangents[0]
            ),
            pull=double_pull,
        ),
        (X,),
    ),
    Mutant(
        "general: operands not aligned under the batch",
        "batch",
        General(
            "f",
            lambda x, y: x * y,
            push=lambda sweep, tangents, out, x, y: sum(
                t * o for t, o in zip(tangents, (y, x), strict=True) if t is not None
            ),
            pull=lambda sweep, g, out, x, y: (g * y, np.sum(g * x, axis=0)),
        ),
        (X, X[0]),
    ),
    # zero in, zero out
    Mutant(
        "general: a push that is never zero",
        "zero",
        General("f", lambda x: 2 * x, push=lambda sweep, tangents, out, x: 2 * tangents[0] + 1e-30, pull=double_pull),
        (X,),
    ),
    Mutant(
        "general: a pull that is never zero",
        "zero",
        General("f", lambda x: 2 * x, push=double_push, pull=lambda sweep, g, out, x: (2 * g + 1e-30,)),
        (X,),
    ),
    # second derivatives
    Mutant(
        "elementwise: a partial that freezes",
        "second",
        Elementwise("f", lambda x: x * x, lambda _y, x: 2 * raw(x)),
        (X,),
    ),
    Mutant(
        "multilinear: a transpose that freezes",
        "second",
        Multilinear("f", lambda x, y: x * y, lambda g, x, y: g * raw(y), lambda g, x, y: g * x),
        (X, X + 1),
    ),
    Mutant(
        "general: a pull that freezes, a push that does not",
        "second",
        General(
            "f",
            lambda x: x * x,
            push=lambda sweep, t, out, x: 2 * t[0] * x,
            pull=lambda sweep, g, out, x: (2 * g * raw(x),),
        ),
        (X,),
    ),
    Mutant(
        "general: both freeze",
        "second",
        General(
            "f",
            lambda x: x * x,
            push=lambda sweep, t, out, x: 2 * t[0] * raw(x),
            pull=lambda sweep, g, out, x: (2 * g * raw(x),),
        ),
        (X,),
    ),
    # purity
    Mutant(
        "general: a push that writes into its seed",
        "purity",
        General("f", lambda x: 2 * x, push=scribble, pull=double_pull),
        (X,),
    ),
    Mutant(
        "general: a pull that writes into its seed",
        "purity",
        General("f", lambda x: 2 * x, push=double_push, pull=scribble_pull),
        (X,),
    ),
    Mutant(
        "general: a push that writes into its operand",
        "purity",
        General("f", lambda x: 2 * x, push=overwrite, pull=double_pull),
        (X,),
    ),
    Mutant(
        "general: a push that changes", "purity", General("f", lambda x: 2 * x, push=Restless(), pull=double_pull), (X,)
    ),
    # layout
    Mutant(
        "elementwise: a partial in the order of memory",
        "layout",
        Elementwise("f", lambda x: x * x, lambda _y, x: 2 * x.ravel("K").reshape(x.shape)),
        (X,),
    ),
    # precision
    Mutant(
        "elementwise: a partial in double precision",
        "precision",
        Elementwise("f", lambda x: 2 * x, lambda _y, x: np.full(x.shape, 2.0)),
        (X,),
    ),
    Mutant(
        "general: a pull in double precision",
        "precision",
        General("f", lambda x: 2 * x, push=double_push, pull=lambda sweep, g, out, x: (g * np.float64(2),)),
        (X,),
    ),
    Mutant(
        "general: a pull that rounds",
        "precision",
        General(
            "f",
            lambda x: x / 3,
            push=lambda sweep, t, out, x: t[0] / 3,
            pull=lambda sweep, g, out, x: ((np.round(g, 3) if g.dtype == np.float32 else g) / 3,),
        ),
        (X,),
    ),
    # replay
    Mutant(
        "general: a function with a memory",
        "replay",
        General("f", Counting(), push=double_push, pull=double_pull),
        (X,),
    ),
    # pattern
    Mutant(
        "linear: a sum that says it is entry by entry",
        "pattern",
        Linear("f", lambda x: x + x[..., ::-1], pull=lambda g, x: g + g[..., ::-1], joins=aligned),
        (X,),
    ),
    Mutant(
        "linear: lanes of another axis",
        "pattern",
        Linear("f", _sum, pull=_spread, joins=lambda k, args, params, out: lanes(args[0].shape, out.shape, (-2,))),
        (A,),
    ),
    Mutant(
        "linear: labels for too few entries",
        "pattern",
        Linear("f", lambda x: 2 * x, pull=lambda g, x: 2 * g, joins=lambda k, args, params, out: (OWN, np.arange(2))),
        (X,),
    ),
    Mutant("movement: positions of another movement", "pattern", Misplaced("f", lambda x: x[..., ::-1]), (X,)),
    Mutant(
        "multilinear: the letters of the other operand",
        "pattern",
        Multilinear(
            "f",
            lambda x, y: x @ y,
            lambda g, x, y: g @ mT(y),
            lambda g, x, y: mT(x) @ g,
            joins=lambda k, args, params, out: common_letters(((1, 2), (0, 1))[k], args[k].shape, (0, 2), out.shape),
        ),
        (A, A + 1),
    ),
    Mutant(
        "general: a product of two entries that says it is entry by entry",
        "pattern",
        General(
            "f",
            lambda x: np.flip(x, -1) * x,
            push=lambda sweep, t, out, x: np.flip(t[0], -1) * x + t[0] * np.flip(x, -1),
            pull=lambda sweep, g, out, x: (np.flip(g * x, -1) + g * np.flip(x, -1),),
            joins=aligned,
        ),
        (X,),
    ),
    Mutant(
        "general: an entry that says it depends on nothing",
        "pattern",
        General(
            "f",
            lambda x: 2 * x,
            push=double_push,
            pull=double_pull,
            joins=lambda k, args, params, out: (np.where(np.arange(6) == 4, -1, np.arange(6)), OWN),
        ),
        (X,),
    ),
    # terms
    Mutant("linear: terms of the other neighbour", "terms", Termed("place"), (X,)),
    Mutant("linear: terms that are lost", "terms", Termed("nothing"), (X,)),
    Mutant("linear: covectors as terms that stay where they are", "terms", Termed("covectors"), (X,)),
    # forecast
    Mutant("linear: an array forecast where terms are made", "forecast", Termed("an array forecast"), (X,)),
    Mutant("linear: too few terms forecast", "forecast", Termed("too few forecast"), (X,)),
    # alias
    Mutant("movement: a view that does not say so", "alias", Movement("f", lambda x: x[..., ::-1]), (X,)),
    Mutant("movement: a read-only view that takes writes", "alias", Shared("f", _locked_reverse), (X,)),
    Mutant(
        "linear: the operand itself where NumPy gives a copy",
        "alias",
        lambda x: x if isinstance(x, Traced) else x.copy(),
        (X,),
    ),
    Mutant(
        "general: a number where NumPy gives an array",
        "alias",
        lambda x: np.sum(x) if isinstance(x, Traced) else np.array(np.sum(x)),
        (X,),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{m.law}: {m.name}" for m in MUTANTS])
def test_the_law_catches(mutant: Mutant) -> None:
    # A rule that writes where it must not meets a read-only array: NumPy's own error will do.
    also = (ValueError,) if mutant.law in ("purity", "batch") else ()
    with pytest.raises((LawError, *also)):
        run(mutant.law, mutant.f, mutant.point)


def test_every_law_has_a_mutant() -> None:
    assert {m.law for m in MUTANTS} == set(LAWS)


def test_every_kind_has_a_mutant() -> None:
    kinds = {type(m.f) for m in MUTANTS} | {Movement}  # a movement has no rule to get wrong: its function is the rule
    assert kinds >= {Elementwise, Linear, Multilinear, General, Discrete}


def test_a_wrong_movement_of_positions() -> None:
    # A movement that computes is not one: its position map says something else than its values.
    row = Movement("f", lambda x: np.roll(x, 1, axis=-1) if x.dtype.kind in "iu" else x[..., ::-1])
    with pytest.raises(LawError):
        run("adjoint", row, (X,))


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.law in ("value", "adjoint", "truth")], ids=lambda m: m.name)
def test_check_catches_it_too(mutant: Mutant) -> None:
    with pytest.raises(CheckError):
        check(mutant.f, *mutant.point)


def test_bind_is_what_the_rows_are_called_through() -> None:
    f, (x,) = RIGHT["movement"]
    assert np.array_equal(bind(f, (x,), {}), x[..., ::-1])  # type: ignore[arg-type]
