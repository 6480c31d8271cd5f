"""The laws that every derivative obeys, as functions: each raises :class:`LawError` with the numbers.

They know nothing of rules. A law takes a function and a point (flat positional arrays) and a source of
random directions; a wrong rule breaks at least one of them. Laws that are held one after the other at one point may be given its
:class:`Subject` in place of the function: then the function is recorded once for all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.dual import Pushing
from dualdiff.kinds import Primitive, Sweep
from dualdiff.kinds.base import Asked
from dualdiff.labels import written
from dualdiff.operators import jvp, vjp
from dualdiff.passes.costs import form_of_result
from dualdiff.reach import numbers, pushed
from dualdiff.shapes import aval, dtype_of, fit, shape_of, size_of
from dualdiff.tangents import INSTEAD, ONE, Map, Terms, whole
from dualdiff.testing.steps import (
    Seeds,
    Step,
    form_of,
    is_at_most,
    pushes,
    seeds_of,
    steps_of,
    told,
    written_out,
)
from dualdiff.testing.subject import Subject, random_like, scale_of
from dualdiff.testing.tolerances import tolerance
from dualdiff.testing.verdict import LawError, demand, judge
from dualdiff.testing.witness import Estimate
from dualdiff.trees import flatten

Function = Callable[..., Any] | Subject

CANCELLED = 1e-5
"""What of the tolerance holds for terms that cancelled.

A tolerance is relative to the size of the terms that were added up. Where they cancel, the result does not tell it. What came
in does: a term is a direction (going up) or a covector (going down) times partials, and the value's own terms times a change in
proportion. So a law allows, beside the part of the result, this part of the tolerance times the size of what came in: 1e-15
of it in double precision, five roundings of one such term. A wrong rule is off by a share of a term, not by its last digit.
"""


def _at(f: Function, args: Sequence[Any]) -> Subject:
    """Return the subject of a function at a point; one that is given stands at it already."""
    return f if isinstance(f, Subject) else Subject(f, args)


def same(what: str, a: Any, b: Any, scale: float | None = None, factor: float = 1.0, coarse: Any = np.float64) -> None:
    """Raise unless two arrays have one shape and agree within the tolerance of their precision.

    ``scale`` is the size of the terms the entries were added up from; by default the largest entry.
    ``coarse`` is a precision that took part in the computation.
    """
    if shape_of(a) != shape_of(b):
        raise LawError(f"{what}: the shapes are {shape_of(a)} and {shape_of(b)}")
    tol = max(tolerance(a, b), tolerance(np.dtype(coarse)) if coarse is not np.float64 else 0.0) * factor
    a, b = np.asarray(a), np.asarray(b)
    if np.array_equal(a, b):
        return
    least = float(np.finfo(coarse).tiny)  # below it numbers lose their digits one by one
    if scale is None:
        both = np.concatenate([abs(a).ravel(), abs(b).ravel()])
        scale = float(np.max(both[np.isfinite(both)], initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        equal = (a == b) | (np.isnan(a) & np.isnan(b)) | (abs(a - b) <= tol * scale + least)
    if not equal.all():
        at = tuple(int(i) for i in np.argwhere(~equal)[0])
        raise LawError(
            f"{what}: entry {at} is {a[at]!r} on one side, {b[at]!r} on the other (allowed: {tol * scale:.2g})"
        )


def same_all(
    what: str,
    first: Sequence[Any],
    second: Sequence[Any],
    factor: float = 1.0,
    coarse: Any = np.float64,
    left_behind: Sequence[float] | None = None,
) -> None:
    """Raise unless two lists of arrays agree one by one.

    ``left_behind`` is, array by array, the size of the terms that may have cancelled on the way: they left their rounding behind.
    """
    if len(first) != len(second):
        raise LawError(f"{what}: {len(first)} arrays on one side and {len(second)} on the other")
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        scale = None if left_behind is None else max(_finite(a), _finite(b)) + CANCELLED * left_behind[i]
        same(what if len(first) == 1 else f"{what}, array {i}", a, b, scale, factor, coarse)


def inner(a: Sequence[Any], b: Sequence[Any]) -> tuple[float, float]:
    """Return the real inner product Re Σ conj(a)·b of two lists of arrays, and the sum of its terms' magnitudes."""
    total = size = 0.0
    for x, y in zip(a, b, strict=True):
        terms = np.real(np.conjugate(x) * y)
        total += float(np.sum(terms))
        size += float(np.sum(np.abs(x) * np.abs(y)))
    return total, size


def value_law(f: Function, *args: Any) -> None:
    """A traced run returns the values and dtypes of the plain one, in both modes."""
    s = _at(f, args)
    expected = s.plain()
    for mode, values in (
        ("forward", s.push(s.direction(np.random.default_rng(0)))[0]),
        ("batched forward", s.push(s.direction(np.random.default_rng(0), (2,)), (2,))[0]),
        ("reverse", s.push_tape(s.direction(np.random.default_rng(0)))[0]),
    ):
        same_all(f"value ({mode} mode)", values, expected, factor=1e-3)
        for v, e in zip(values, expected, strict=True):
            if dtype_of(v) != dtype_of(e) and dtype_of(e).kind in "fc":
                raise LawError(f"value ({mode} mode): the dtype is {dtype_of(v)}, NumPy's {dtype_of(e)}")


def push_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """Push is linear: J(a·u + b·v) = a·Ju + b·Jv; and so is pull."""
    s = _at(f, args)
    a, b = 0.75, -1.25
    u, v = s.direction(rng), s.direction(rng)
    (values, ju), (_, jv) = s.push(u), s.push(v)
    _, both = s.push([_mix(a, p, b, q) for p, q in zip(u, v, strict=True)])
    least = largest(u) + largest(v)
    for got, p, q, y in zip(both, ju, jv, values, strict=True):
        same("push is linear", got, _mix(a, p, b, q), scale=_size(p) + _size(q) + CANCELLED * (_size(y) + least))
    w, z = s.covector(rng, values), s.covector(rng, values)
    (_, jw), (_, jz) = s.pull(w), s.pull(z)
    _, both = s.pull([_mix(a, p, b, q) for p, q in zip(w, z, strict=True)])
    least = CANCELLED * sum(_size(c) for c in (*w, *z))
    for got, p, q in zip(both, jw, jz, strict=True):
        same("pull is linear", got, _mix(a, p, b, q), scale=_size(p) + _size(q) + least)


def largest(arrays: Sequence[Any]) -> float:
    """Return the largest magnitude among the entries of some arrays."""
    return max((float(np.max(abs(np.asarray(a)), initial=0.0)) for a in arrays), default=0.0)


def _within_reach(d: Any) -> Any:
    """Return a direction along which sums of products are numbers: it is as large as the point, which may be near to infinity."""
    size = largest([d])
    return d / size if dtype_of(d).kind in "fc" and size > np.sqrt(np.finfo(dtype_of(d)).max) else d


def adjoint_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """Pull is the adjoint of push, ⟨w, Jv⟩ = ⟨Jᵀw, v⟩, and push through the tape equals push by dual numbers."""
    s = _at(f, args)
    v = [_within_reach(d) for d in s.direction(rng)]
    values, jv = s.push(v)
    same_all("dual numbers against push through the tape", jv, s.push_tape(v)[1])
    w = s.covector(rng, values)
    _, jw = s.pull(w)
    for c, x in zip(jw, s.inputs, strict=True):
        if shape_of(c) != shape_of(x):
            raise LawError(f"a cotangent has shape {shape_of(c)}, its operand {shape_of(x)}")
        if dtype_of(c) != dtype_of(x):
            raise LawError(f"a cotangent has dtype {dtype_of(c)}, its operand {dtype_of(x)}")
    # One operand at a time, so that errors in two of them cannot cancel.
    for i, x in enumerate(s.inputs):
        only = [d if j == i else np.zeros_like(d) for j, d in enumerate(v)]
        left, size = inner(w, s.push(only)[1] if len(v) > 1 else jv)
        right, other = inner([jw[i]], [v[i]])
        # Terms of the size of w times v may have cancelled on the way: their rounding is all that is left of them.
        through = largest(w) * largest([v[i]])
        scale = size + other + through
        same(f"⟨w, Jv⟩ = ⟨Jᵀw, v⟩ in operand {i}", left, right, scale=scale * tolerance(x) / tolerance(1.0))


def truth_law(f: Function, *args: Any, rng: np.random.Generator) -> str:
    """Push agrees with the complex step, or with extrapolated differences within their error; return the verdict."""
    s = _at(f, args)
    found = "agree"
    for i in range(len(s.inputs)):
        v = [d if j == i else np.zeros_like(d) for j, d in enumerate(s.direction(rng))]
        tangents = s.push(v)[1]
        truth = _truth(s, v, tangents)
        for n, d in enumerate(tangents):
            if demand(f"derivative of output {n} by operand {i}", d, truth, n) != "agree":
                found = "inconclusive"
    return found


def _truth(s: Subject, v: Sequence[Any], claims: Sequence[Any]) -> Estimate:
    """Ask the witness about a derivative until it agrees, or has said all it knows."""

    def settled(truth: Estimate) -> bool:
        return all(shape_of(d) == t.shape for d, t in zip(claims, truth.values, strict=True)) and all(
            judge(d, truth, n) == "agree" for n, d in enumerate(claims)
        )

    return s.truth(v, settled)


def batch_law(f: Function, *args: Any, rng: np.random.Generator, ks: Sequence[int] = (0, 1, 3)) -> None:
    """``k`` directions at once give what ``k`` passes with one give, in push (both ways) and pull."""
    s = _at(f, args)
    values = s.plain()
    most = max(ks)
    directions, covectors = s.direction(rng, (most,)), s.covector(rng, values, (most,))
    rows = [s.push([d[i] for d in directions])[1] for i in range(most)]
    columns = [s.pull([c[i] for c in covectors])[1] for i in range(most)]
    for k in ks:
        v, w = [d[:k] for d in directions], [c[:k] for c in covectors]
        stacked = _stacked(rows[:k], values, k)
        least = [_finite(y) + largest(v) for y in values]
        same_all(f"push of {k} directions at once", s.push(v, (k,))[1], stacked, left_behind=least)
        same_all(
            f"push of {k} directions at once through the tape", s.push_tape(v, (k,))[1], stacked, left_behind=least
        )
        least = [sum(_finite(c) for c in w)] * len(s.inputs)
        stacked = _stacked(columns[:k], s.inputs, k)
        same_all(f"pull of {k} covectors at once", s.pull(w, (k,))[1], stacked, left_behind=least)


def zero_law(f: Function, *args: Any) -> None:
    """A zero seed gives exactly zero, in push and pull."""
    s = _at(f, args)
    values, found = s.push([np.zeros_like(x) for x in s.inputs])
    for t in found:
        if np.any(np.asarray(t) != 0):
            raise LawError(f"push of a zero direction gives {t!r}")
    _, found = s.pull([np.zeros_like(v) for v in values])
    for c in found:
        if np.any(np.asarray(c) != 0):
            raise LawError(f"pull of a zero covector gives {c!r}")


def second_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """Second derivatives agree: forward over reverse, reverse over forward, symmetry, differences of the gradient."""
    s = _at(f, args)
    values = s.plain()
    w, u, v = s.covector(rng, values), s.direction(rng), s.direction(rng)

    def flat(*xs: Any) -> Any:
        return tuple(s.call(list(xs)))

    def gradient(*xs: Any) -> Any:
        return vjp(flat, *xs)[1](tuple(w))

    def slope(*xs: Any) -> Any:
        return jvp(flat, xs, tuple(v))[1]

    over_reverse = jvp(gradient, s.inputs, tuple(v))[1]
    over_forward = vjp(slope, *s.inputs)[1](tuple(w))
    value = inner(w, values)[1]
    for n, (a, b, x) in enumerate(zip(over_reverse, over_forward, s.inputs, strict=True)):
        # Terms as large as the gradient's may cancel.
        scale = max(_finite(a), _finite(b), 1e-4 * value / (_size(x) or 1.0))
        same(f"forward over reverse against reverse over forward, operand {n}", a, b, scale=10 * scale)
    left, a = inner(u, over_reverse)
    right, b = inner(v, jvp(gradient, s.inputs, tuple(u))[1])
    same(
        "the Hessian is symmetric",
        left,
        right,
        scale=(a + b + 1e-4 * value) * 10 * tolerance(*s.inputs) / tolerance(1.0),
    )

    def analytic(*xs: Any) -> Any:
        # A pull is the adjoint, which conjugates: of a real function the complex step is to see the derivative itself.
        found = gradient(*xs)
        return tuple([np.conjugate(c) for c in found]) if is_real else found

    is_real = all(dtype_of(x).kind == "f" for x in s.inputs)
    truth = _truth(Subject(analytic, s.inputs), v, over_reverse)
    for n, d in enumerate(over_reverse):
        demand(f"second derivative by operand {n}", d, truth, n)


def purity_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """Read-only points and seeds are enough, nothing is written, and twice is the same."""
    function = _at(f, args).f
    s, again = (Subject(function, [_locked(x) for x in args]) for _ in range(2))
    values = s.plain()
    v, w = [_locked(t) for t in s.direction(rng)], [_locked(t) for t in s.covector(rng, values)]
    before = [np.array(t) for t in (*s.inputs, *v, *w)]
    for way, anew, seeds in ((s.push, again.push, v), (s.push_tape, again.push_tape, v), (s.pull, again.pull, w)):
        (_, once), (_, twice) = way(seeds), anew(seeds)
        for a, b in zip(once, twice, strict=True):
            if not np.array_equal(a, b, equal_nan=True):
                raise LawError(f"{way.__name__} twice gives {a!r} and then {b!r}")
    for a, b in zip(before, (*s.inputs, *v, *w), strict=True):
        if not np.array_equal(a, b, equal_nan=True):
            raise LawError("an input or a seed was written to")


def layout_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """How an array lies in memory does not matter: with gaps, backwards, by columns, one number standing for many entries.

    Points and seeds lie so by turns, and are read-only.
    """
    s = _at(f, args)
    values, v = s.plain(), s.direction(rng)
    w = s.covector(rng, values)
    pushed, pulled = s.push(v)[1], s.pull(w)[1]
    # A product may add in another order where its operand lies otherwise.
    rounding = [_finite(y) + largest(v) for y in values], [largest(w)] * len(s.inputs)
    for name, lies in LAYOUTS.items():
        other = Subject(s.f, [lies(x) for x in args])
        there, seeds, covectors = other.call(other.inputs), [lies(t) for t in v], [lies(c) for c in w]
        if not _is_indifferent(s, v, lies):
            continue
        values, tangents = other.push(seeds)
        # What cancelled in a value shows in its tangents, whose terms are of one size with its own.
        same_all(f"values ({name})", values, there, factor=1e-3, left_behind=[1e3 * _finite(t) for t in tangents])
        same_all(f"push ({name})", tangents, pushed, left_behind=rounding[0])
        same_all(f"push through the tape ({name})", other.push_tape(seeds)[1], pushed, left_behind=rounding[0])
        same_all(f"pull ({name})", other.pull(covectors)[1], pulled, left_behind=rounding[1])
    ones = [np.ones(shape_of(x), dtype_of(x))[()] for x in v], [np.ones(shape_of(c), dtype_of(c))[()] for c in w]
    spread = [[np.broadcast_to(one.dtype.type(1), shape_of(one))[()] for one in each] for each in ones]
    same_all("push (one number spread out)", s.push(spread[0])[1], s.push(ones[0])[1], left_behind=rounding[0])
    same_all("pull (one number spread out)", s.pull(spread[1])[1], s.pull(ones[1])[1], left_behind=rounding[1])


def _is_indifferent(s: Subject, v: Sequence[Any], lies: Callable[[Any], Any]) -> bool:
    """Whether NumPy returns the same however its operands lie.

    Not where it reads them in the order of memory, or makes a view of one and a copy of the other, and that is written into.
    """
    # So that no two entries are equal by chance, and none is too small to be missed where it is lost.
    beside = [x + 0.02 * t / scale_of(x) for x, t in zip(s.inputs, v, strict=True)]
    values, there = s.call(beside), s.call([lies(x) for x in beside])
    return all(
        np.allclose(y, z, rtol=1e-9, atol=1e-9 * _size(y), equal_nan=True) for y, z in zip(values, there, strict=True)
    )


def _with_gaps(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    gaps = np.full([2 * n + 1 for n in x.shape], -77, x.dtype)
    inside: Any = (*[slice(1, None, 2)] * x.ndim, ...)
    found = gaps[inside]
    found[...] = x
    found.flags.writeable = False
    return found


def _backwards(x: Any) -> Any:
    turn = (slice(None, None, -1),) * np.ndim(x)
    return _locked(x[turn])[turn] if isinstance(x, np.ndarray) else x


def _by_columns(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    x = x.copy("F")
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "with gaps": _with_gaps,
    "backwards": _backwards,
    "by columns": _by_columns,
}
"""How the same entries may lie in memory."""


def precision_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """float32 in, float32 out: values as NumPy types them, derivatives as their values; and they agree with float64."""
    small = [np.asarray(x, np.float32)[()] for x in args]
    function = _at(f, args).f
    s = Subject(function, small)
    expected = [dtype_of(v) for v in s.plain()]
    v = s.direction(rng)
    values, tangents = s.push(v)
    w = s.covector(rng, values)
    recorded, cotangents = s.pull(w)
    for what, found, dtypes in (
        ("a value", values, expected),
        ("a value (reverse mode)", recorded, expected),
        ("a tangent", tangents, expected),
        ("a cotangent", cotangents, [np.dtype(np.float32)] * len(small)),
    ):
        for a, dtype in zip(found, dtypes, strict=True):
            if dtype_of(a) != dtype:
                raise LawError(f"{what} has dtype {dtype_of(a)} where {dtype} is due")
    big = Subject(function, [x.astype(np.float64) for x in small])
    # What cancels leaves the rounding of its terms behind, which are of the size of the values, directions and covectors.
    exact = big.push([t.astype(np.float64) for t in v])[1]
    for got, e, y in zip(tangents, exact, values, strict=True):
        scale = max(_size(got), _size(e)) + 1e-2 * (_size(y) + largest(v))
        same("float32 against float64, push", got, e, scale=scale, factor=10, coarse=np.float32)
    _, exact = big.pull([np.asarray(c).astype(np.result_type(dtype_of(c), np.float64))[()] for c in w])
    least = 1e-2 * sum(_size(c) for c in w)
    for got, e in zip(cotangents, exact, strict=True):
        scale = max(_size(got), _size(e)) + least
        same("float32 against float64, pull", got, e, scale=scale, factor=10, coarse=np.float32)


def replay_law(f: Function, *args: Any) -> None:
    """The tape run again at the same point returns the same values."""
    s = _at(f, args)
    same_all("replay", s.replay(s.inputs), s.plain(), factor=1e-3)


def pattern_law(f: Function, *args: Any) -> None:
    """Every nonzero of every step's Jacobian is in the pattern that the step's row declares.

    Step by step, so that no later step can hide what an earlier one lost. The labels see shapes and parameters alone;
    the links that a product with a constant declares beside them are that step's Jacobian itself.
    """
    tape, _ = _at(f, args).record(replayable=True)
    for row, ins, values, params, out, _ in tape.equations:
        if not row.differentiable or dtype_of(out).kind not in "fc":
            continue
        forms = [aval(a) for a in values]
        for k, i in enumerate(ins):
            if i is None or i < 0 or dtype_of(values[k]).kind not in "fc":
                continue
            result, operand = row.labels(k, forms, params, aval(out))
            a, b = written(result, size_of(shape_of(out))), written(operand, forms[k].size)
            if a.shape != (size_of(shape_of(out)),) or b.shape != (forms[k].size,):
                raise LawError(
                    f"pattern of {row}: labels of shapes {a.shape} and {b.shape} for operand {k}, {forms[k]}"
                )
            local = local_jacobian(row, k, values, params, out)
            depends = local != 0
            links = row.links(k, values, params, out) if row.constants(ins, values) else None
            if links is not None:
                weights = links.toarray()
                outside = depends & (weights == 0)
                if outside.any():
                    m, n = (int(j) for j in np.argwhere(outside)[0])
                    raise LawError(f"pattern of {row}: entry {m} of the result and {n} of operand {k} are not linked")
                if dtype_of(out).char == dtype_of(values[k]).char == "d" and np.isfinite(local).all():
                    same(f"pattern of {row}: links of operand {k}", np.abs(weights), local)
            declared = row.entries(k, forms, params, aval(out)) if row.patterned else None
            if declared is not None and (outside := depends & ~declared.toarray()).any():
                m, n = (int(j) for j in np.argwhere(outside)[0])
                raise LawError(
                    f"pattern of {row}: entry {m} of the result depends on entry {n} of operand {k}, and the pattern says it does not"
                )
            outside = depends & ~((a[:, None] == b) & (a[:, None] >= 0))
            if outside.any():
                m, n = (int(j) for j in np.argwhere(outside)[0])
                raise LawError(
                    f"pattern of {row}: entry {m} of the result depends on entry {n} of operand {k} ({forms[k]}), "
                    f"but their labels are {a[m]} and {b[n]}"
                )


def terms_law(f: Function, *args: Any, rng: np.random.Generator, ks: Sequence[int] = (0, 300), seen: Any = ()) -> None:
    """Tangents and cotangents given as terms become what arrays of all directions become, in value, shape and dtype.

    Step by step: the identity, sparse as it is where a Jacobian starts, and other terms of every form, with so many
    directions as they have, and with at least as many as ``ks`` says. Steps whose key is in ``seen`` are left out.
    """
    for step in _distinct_steps(_at(f, args), seen):
        _pull_as_terms(step, rng)
        for seeds in seeds_of(step, rng):
            for k in {max(k, seeds.directions, 1) for k in ks}:
                _push_as_terms(step, seeds, k)


def _distinct_steps(s: Subject, seen: Any) -> list[Step]:
    """Return the steps of a function that differ in more than numbers."""
    with np.errstate(all="ignore"):
        found = {step.key: step for step in steps_of(s.problem, max(s.problem.n, 2))}
    return [step for key, step in found.items() if key not in seen]


def _push_as_terms(step: Step, seeds: Seeds, k: int) -> None:
    what = f"{seeds.name} through {step.row}, {k} directions"
    out, want = step.out, (k, *shape_of(step.out))
    dense = [written_out(t, v, k) for t, v in zip(seeds.tangents, step.values, strict=True)]
    with np.errstate(all="ignore"):
        expected = step.row.push(Sweep((k,)), dense, step.values, step.params, out)
        if expected is None:
            expected = np.zeros(want, dtype_of(out))
        if not np.isfinite(expected).all():
            return  # a run of dual numbers is redone then
        run = Pushing((k,))
        for way, found in pushes(step, seeds.tangents, run):
            t = np.zeros(want, dtype_of(out)) if found is None else run.dense(found, out)
            if dtype_of(t) != dtype_of(out):
                raise LawError(f"{what} ({way}): the tangent has dtype {dtype_of(t)}, the value {dtype_of(out)}")
            if not np.array_equal(t, expected):
                scale = _size(expected) + CANCELLED * _size(out)
                same(f"{what} ({way})", t, expected, scale=scale, coarse=_coarsest(step.values))


def _pull_as_terms(step: Step, rng: np.random.Generator) -> None:
    row, out = step.row, step.out
    shape, size = shape_of(out), size_of(shape_of(out))
    if not shape or dtype_of(out).kind != "f":
        return
    ins = [0 if on and dtype_of(v).kind in "fc" else None for on, v in zip(step.active, step.values, strict=True)]
    forms = [(shape_of(v), dtype_of(v)) for v in step.values]
    aligned = all(form == (shape, dtype_of(out)) for form, i in zip(forms, ins, strict=True) if i is not None)
    numbers = rng.uniform(0.5, 1.5, shape).astype(dtype_of(out))
    rows = np.arange(1, size + 1, dtype=np.int32).reshape(shape)
    holes = np.where(rows % 3 == 1, 0, rows).astype(np.int32)
    for g in (
        Terms({Map(rows): ONE}),
        Terms({Map(rows): numbers, Map(rows[..., ::-1].copy()): dtype_of(out).type(0.75)}),
        Terms({Map(holes): numbers, 0: numbers[::-1].copy()}),
    ):
        k = max(size, 1)
        with np.errstate(all="ignore"):
            found = row.pull_terms(g, ins, step.values, step.params, out, aligned)
            if found is INSTEAD:
                continue
            expected = row.pull(Sweep((k,)), written_out(g, out, k), ins, step.values, step.params, out)
        for n, (i, c, e) in enumerate(zip(ins, found, expected, strict=True)):
            if i is None or c is INSTEAD:
                continue
            e = np.zeros((k, *forms[n][0]), forms[n][1]) if e is None else fit(e, (k,), *forms[n])
            c = np.zeros_like(e) if c is None else whole(c, k, *forms[n]) if type(c) is Terms else c
            if np.isfinite(e).all():
                same(f"covectors as terms through {row}, operand {n}", c, e, coarse=_coarsest(step.values))


def _coarsest(values: Sequence[Any]) -> Any:
    """Return the least precise type of numbers among some values."""
    return np.float32 if any(dtype_of(v).char in "fF" for v in values) else np.float64


def forecast_law(
    f: Function, *args: Any, rng: np.random.Generator, ks: Sequence[int] = (0, 100, 300), seen: Any = ()
) -> None:
    """What a row says that a tangent will be is what a run of dual numbers makes: nothing, so many terms, or an array.

    Exactly so for terms whose maps stay different and name every direction once. Maps that turn out equal are one term,
    which no shape tells: for them, as on the function's own way, the forecast is a bound from above.
    """
    s = _at(f, args)
    n = max(s.problem.n, 2)
    with np.errstate(all="ignore"):
        for k in {max(k, n) for k in ks}:
            for step in steps_of(s.problem, k):
                if not is_at_most(step.made, step.said):
                    raise LawError(
                        f"{step.row} with {k} directions makes {told(step.made)}; its forecast is {told(step.said)}"
                    )
        for step in _distinct_steps(s, seen):
            for seeds in seeds_of(step, rng):
                for k in {max(k, seeds.directions, 1) for k in ks}:
                    _made_as_said(step, seeds, k)


def _made_as_said(step: Step, seeds: Seeds, k: int) -> None:
    sets = [form_of(t) for t in seeds.tangents]
    asked = Asked(sets, step.values, step.params, step.out, k, 0)
    said = form_of_result(step.row, [None if s is None else 0 for s in sets], asked)
    for way, found in pushes(step, seeds.tangents, Pushing((k,))):
        made = form_of(found)
        if not is_at_most(made, said) or (seeds.generic and size_of(shape_of(step.out)) and told(made) != told(said)):
            raise LawError(
                f"{seeds.name} through {step.row} with {k} directions ({way}) makes {told(made)}; its forecast is {told(said)}"
            )


def alias_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """A result shares memory exactly where NumPy's does, and is a number, an array without axes or an array as NumPy's.

    Each operand is written into after the call, and so is each result: values, derivatives and refusals must be those of
    the same writes in NumPy, in both modes.
    """
    at, leaves = _at(f, args), flatten(args)[0]
    for place in (None, *range(len(leaves))):
        program = Written(at.f, args, place, "F" if rng.random() < 0.5 else "C")
        what = f"after a write into {'the result' if place is None else f'operand {place}'} (order {program.order})"
        s = Subject(program, args)
        expected, facts = s.plain(), program.facts
        v, w = s.direction(rng), s.covector(rng, expected)
        values, jv = s.push(v)
        _same_facts(f"forward mode, {what}", program.facts, facts)
        same_all(f"values of forward mode {what}", values, expected, factor=1e-3)
        values, jw = s.pull(w)
        _same_facts(f"reverse mode, {what}", program.facts, facts)
        same_all(f"values of reverse mode {what}", values, expected, factor=1e-3)
        (left, a), (right, b) = inner(w, jv), inner(jw, v)
        scale = (a + b + largest(w) * largest(v)) * tolerance(*s.inputs) / tolerance(1.0)
        same(f"⟨w, Jv⟩ = ⟨Jᵀw, v⟩ {what}", left, right, scale=scale)
        if not _agrees_with_a_difference(s, v, jv):
            truth = _truth(s, v, jv)
            for n, d in enumerate(jv):
                demand(f"derivative of output {n} {what}", d, truth, n)


def _agrees_with_a_difference(s: Subject, v: Sequence[Any], jv: Sequence[Any]) -> bool:
    """Compare with one central difference, which shows a term that is missing or stale and costs next to nothing."""
    h = 1e-6
    ahead, behind = (s.plain([x + step * t for x, t in zip(s.inputs, v, strict=True)]) for step in (h, -h))
    return all(
        shape_of(a) == shape_of(b) == shape_of(d)
        and np.allclose(d, (a - b) / (2 * h), rtol=1e-4, atol=1e-4 * (1 + largest([a])))
        for d, a, b in zip(jv, ahead, behind, strict=True)
    )


class Written:
    """A function of copies of its arguments, one of which, or the result, is then written into; it tells what it met.

    ``place`` says which argument, None the result; ``facts`` of the last run say of each result whether it is a number,
    an array or an argument itself, and whether it could be written into.
    """

    def __init__(self, f: Callable[..., Any], args: Any, place: int | None, order: Any) -> None:
        self.f = f
        self.is_array = [isinstance(x, np.ndarray) for x in flatten(args)[0]]
        self.place = place
        self.order = order
        self.facts: list[tuple[str, ...]] = []

    def __call__(self, *args: Any) -> list[Any]:
        """Return what the results and the arguments hold after the write."""
        leaves: list[Any]
        leaves, build = flatten(args)
        # A step of a difference makes a number of an array without axes: it becomes an array again.
        xs = [
            x.copy(self.order) if isinstance(x, np.ndarray) else np.array(x) if is_array else x
            for x, is_array in zip(leaves, self.is_array, strict=True)
        ]
        found: list[Any] = [
            y
            for y in flatten(self.f(*build(xs)))[0]
            if isinstance(y, (np.ndarray, np.generic, float, complex)) and dtype_of(y).kind in "fc"
        ]
        self.facts = [(_standing(y, xs),) for y in found]
        if self.place is None:
            self.facts = [(*fact, _written_into(y)) for fact, y in zip(self.facts, found, strict=True)]
        elif isinstance(xs[self.place], np.ndarray):
            xs[self.place][...] = 3.0 * xs[self.place] + 0.25
        return [y * 1.0 for y in (*found, *xs)]


def _standing(y: Any, xs: Sequence[Any]) -> str:
    """Say what a result is."""
    if not isinstance(y, np.ndarray):
        return "a number"
    same_one = [k for k, x in enumerate(xs) if y is x]
    return f"operand {same_one[0]} itself" if same_one else "an array"


def _written_into(y: Any) -> str:
    """Write into a result; say whether it could be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # what NumPy will refuse one day is refused already
            y[...] = 2.0 * y + 0.5
    except (ValueError, TypeError, DeprecationWarning):
        return "read-only"
    return "writeable"


def _same_facts(what: str, found: Sequence[Any], expected: Sequence[Any]) -> None:
    if found != expected:
        raise LawError(f"{what}: the results are {found}, NumPy's {expected}")


def local_jacobian(row: Primitive, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
    """Return the magnitudes of one step's Jacobian in operand ``k``, result entries by operand entries."""
    x = aval(args[k])
    unit = np.eye(x.size, dtype=x.dtype).reshape((x.size, *x.shape))
    found = np.zeros((x.size, size_of(shape_of(out))))
    for seed in (unit, 1j * unit) if x.dtype.kind == "c" else (unit,):
        # The careful way, so that an infinite partial of one entry does not make all others NaN.
        t = numbers(pushed(row, k, seed.astype(x.dtype), args, params, out))
        if t is not None:
            found += np.abs(np.reshape(t, found.shape))
    return found.T


LAWS: dict[str, Callable[..., Any]] = {
    "value": value_law,
    "push": push_law,
    "adjoint": adjoint_law,
    "truth": truth_law,
    "batch": batch_law,
    "zero": zero_law,
    "second": second_law,
    "purity": purity_law,
    "layout": layout_law,
    "precision": precision_law,
    "replay": replay_law,
    "pattern": pattern_law,
    "terms": terms_law,
    "forecast": forecast_law,
    "alias": alias_law,
}
"""Every law by name. Those that draw directions take ``rng``."""


def _mix(a: float, p: Any, b: float, q: Any) -> Any:
    return (a * p + b * q).astype(dtype_of(p)) if hasattr(p, "astype") else a * p + b * q


def _size(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _finite(x: Any) -> float:
    size = np.abs(x)
    return float(np.max(size, initial=0.0, where=np.isfinite(size)))


def _stacked(rows: Sequence[Sequence[Any]], like: Sequence[Any], k: int) -> list[Any]:
    if k == 0:
        return [np.zeros((0, *shape_of(v)), dtype_of(v)) for v in like]
    return [np.stack(group) for group in zip(*rows, strict=True)]


def _locked(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        x = x.copy()
        x.flags.writeable = False
    return x


__all__ = ["LAWS", "LawError", "random_like", *(law.__name__ for law in LAWS.values())]
