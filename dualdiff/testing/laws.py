"""The laws that every derivative obeys, as functions: each raises :class:`LawError` with the numbers.

They know nothing of rules. A law takes a function and a point (flat positional arrays) and a source of
random directions; a wrong rule breaks at least one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import DerivativeError
from dualdiff.labels import written
from dualdiff.operators import jvp, vjp
from dualdiff.primitive import Primitive, Sweep
from dualdiff.shapes import aval, dtype_of, shape_of, size_of
from dualdiff.testing.differences import Estimate, judge_entries
from dualdiff.testing.subject import Subject, random_like
from dualdiff.testing.tolerances import tolerance
from dualdiff.ways.problem import record

Function = Callable[..., Any]


class LawError(DerivativeError, AssertionError):
    """A derivative broke a law."""


def same(what: str, a: Any, b: Any, scale: float | None = None, factor: float = 1.0, coarse: Any = np.float64) -> None:
    """Raise unless two arrays have one shape and agree within the tolerance of their precision.

    ``scale`` is the size of the terms the entries were added up from; by default the largest entry.
    ``coarse`` is a precision that took part in the computation.
    """
    if shape_of(a) != shape_of(b):
        raise LawError(f"{what}: the shapes are {shape_of(a)} and {shape_of(b)}")
    tol = max(tolerance(a, b), tolerance(np.dtype(coarse)) if coarse is not np.float64 else 0.0) * factor
    a, b = np.asarray(a), np.asarray(b)
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
    what: str, first: Sequence[Any], second: Sequence[Any], factor: float = 1.0, coarse: Any = np.float64
) -> None:
    """Raise unless two lists of arrays agree one by one."""
    if len(first) != len(second):
        raise LawError(f"{what}: {len(first)} arrays on one side and {len(second)} on the other")
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        same(what if len(first) == 1 else f"{what}, array {i}", a, b, factor=factor, coarse=coarse)


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
    s = Subject(f, args)
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
    s = Subject(f, args)
    a, b = 0.75, -1.25
    u, v = s.direction(rng), s.direction(rng)
    (values, ju), (_, jv) = s.push(u), s.push(v)
    _, both = s.push([_mix(a, p, b, q) for p, q in zip(u, v, strict=True)])
    for got, p, q, y in zip(both, ju, jv, values, strict=True):
        # Directions are in proportion to the point, so the value's own rounding is the least there is.
        same("push is linear", got, _mix(a, p, b, q), scale=_size(p) + _size(q) + 1e-5 * _size(y))
    w, z = s.covector(rng, values), s.covector(rng, values)
    (_, jw), (_, jz) = s.pull(w), s.pull(z)
    _, both = s.pull([_mix(a, p, b, q) for p, q in zip(w, z, strict=True)])
    # What cancels on the way down has left its rounding behind, in proportion to the covectors.
    least = 1e-5 * sum(_size(c) for c in (*w, *z))
    for got, p, q in zip(both, jw, jz, strict=True):
        same("pull is linear", got, _mix(a, p, b, q), scale=_size(p) + _size(q) + least)


def largest(arrays: Sequence[Any]) -> float:
    """Return the largest magnitude among the entries of some arrays."""
    return max((float(np.max(abs(np.asarray(a)), initial=0.0)) for a in arrays), default=0.0)


def adjoint_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """Pull is the adjoint of push, ⟨w, Jv⟩ = ⟨Jᵀw, v⟩, and push through the tape equals push by dual numbers."""
    s = Subject(f, args)
    v = s.direction(rng)
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
        left, size = inner(w, s.push(only)[1])
        right, other = inner([jw[i]], [v[i]])
        # Terms of the size of w times v may have cancelled on the way: their rounding is all that is left of them.
        through = largest(w) * largest([v[i]])
        scale = size + other + through
        same(f"⟨w, Jv⟩ = ⟨Jᵀw, v⟩ in operand {i}", left, right, scale=scale * tolerance(x) / tolerance(1.0))


def truth_law(f: Function, *args: Any, rng: np.random.Generator) -> str:
    """Push agrees with the complex step, or with extrapolated differences within their error; return the verdict."""
    s = Subject(f, args)
    found = "agree"
    for i in range(len(s.inputs)):
        v = [d if j == i else np.zeros_like(d) for j, d in enumerate(s.direction(rng))]
        truth = s.truth(v)
        for n, d in enumerate(s.push(v)[1]):
            if demand(f"derivative of output {n} by operand {i}", d, truth, n) != "agree":
                found = "inconclusive"
    return found


def demand(what: str, derivative: Any, truth: Estimate, output: int) -> str:
    """Raise if a derivative lies outside the error bar of an estimate; return "agree" or "inconclusive"."""
    if shape_of(derivative) != truth.values[output].shape:
        raise LawError(f"{what}: its shape is {shape_of(derivative)}, the value's {truth.values[output].shape}")
    verdicts = judge_entries(derivative, truth, output)
    if (verdicts == "disagree").any():
        at = tuple(int(i) for i in np.argwhere(verdicts == "disagree")[0])
        raise LawError(
            f"{what}: entry {at} is {np.asarray(derivative)[at]!r}, "
            f"by {truth.method} {truth.values[output][at]!r} ± {truth.errors[output][at]:.1g}"
        )
    return "inconclusive" if (verdicts == "inconclusive").any() else "agree"


def batch_law(f: Function, *args: Any, rng: np.random.Generator, ks: Sequence[int] = (0, 1, 3)) -> None:
    """``k`` directions at once give what ``k`` passes with one give, in push (both ways) and pull."""
    s = Subject(f, args)
    values = s.plain()
    for k in ks:
        v = s.direction(rng, (k,))
        rows = [s.push([d[i] for d in v])[1] for i in range(k)]
        stacked = _stacked(rows, values, k)
        same_all(f"push of {k} directions at once", s.push(v, (k,))[1], stacked)
        same_all(f"push of {k} directions at once through the tape", s.push_tape(v, (k,))[1], stacked)
        w = s.covector(rng, values, (k,))
        columns = [s.pull([c[i] for c in w])[1] for i in range(k)]
        same_all(f"pull of {k} covectors at once", s.pull(w, (k,))[1], _stacked(columns, s.inputs, k))


def zero_law(f: Function, *args: Any) -> None:
    """A zero seed gives exactly zero, in push and pull."""
    s = Subject(f, args)
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
    s = Subject(f, args)
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
        scale = max(_size(a), _size(b), 1e-4 * value / (_size(x) or 1.0))
        same(f"forward over reverse against reverse over forward, operand {n}", a, b, scale=10 * scale)
    left, a = inner(u, over_reverse)
    right, b = inner(v, jvp(gradient, s.inputs, tuple(u))[1])
    same(
        "the Hessian is symmetric",
        left,
        right,
        scale=(a + b + 1e-4 * value) * 10 * tolerance(*s.inputs) / tolerance(1.0),
    )
    truth = Subject(gradient, s.inputs).truth(v)
    for n, d in enumerate(over_reverse):
        demand(f"second derivative by operand {n}", d, truth, n)


def purity_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """Read-only points and seeds are enough, nothing is written, and twice is the same."""
    s = Subject(f, [_locked(x) for x in args])
    values = s.plain()
    v, w = [_locked(t) for t in s.direction(rng)], [_locked(t) for t in s.covector(rng, values)]
    before = [np.array(t) for t in (*s.inputs, *v, *w)]
    for way, seeds in ((s.push, v), (s.push_tape, v), (s.pull, w)):
        (_, once), (_, twice) = way(seeds), way(seeds)
        for a, b in zip(once, twice, strict=True):
            if not np.array_equal(a, b, equal_nan=True):
                raise LawError(f"{way.__name__} twice gives {a!r} and then {b!r}")
    for a, b in zip(before, (*s.inputs, *v, *w), strict=True):
        if not np.array_equal(a, b, equal_nan=True):
            raise LawError("an input or a seed was written to")


def precision_law(f: Function, *args: Any, rng: np.random.Generator) -> None:
    """float32 in, float32 out: values as NumPy types them, derivatives as their values; and they agree with float64."""
    small = [np.asarray(x, np.float32)[()] for x in args]
    s = Subject(f, small)
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
    big = Subject(f, [x.astype(np.float64) for x in small])
    # What cancels leaves the rounding of its terms behind, which are of the size of the values and covectors.
    exact = big.push([t.astype(np.float64) for t in v])[1]
    for got, e, y in zip(tangents, exact, values, strict=True):
        scale = max(_size(got), _size(e)) + 1e-2 * _size(y)
        same("float32 against float64, push", got, e, scale=scale, factor=10, coarse=np.float32)
    _, exact = big.pull([np.asarray(c).astype(np.result_type(dtype_of(c), np.float64))[()] for c in w])
    least = 1e-2 * sum(_size(c) for c in w)
    for got, e in zip(cotangents, exact, strict=True):
        scale = max(_size(got), _size(e)) + least
        same("float32 against float64, pull", got, e, scale=scale, factor=10, coarse=np.float32)


def replay_law(f: Function, *args: Any) -> None:
    """The tape run again at the same point returns the same values."""
    s = Subject(f, args)
    same_all("replay", s.replay(s.inputs), s.plain(), factor=1e-3)


def pattern_law(f: Function, *args: Any) -> None:
    """Every nonzero of every step's Jacobian is in the pattern that the step's row declares.

    Step by step, so that no later step can hide what an earlier one lost. The labels see shapes and parameters alone;
    the links that a product with a constant declares beside them are that step's Jacobian itself.
    """
    tape, _ = record(Subject(f, args).problem, replayable=True)
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
            outside = depends & ~((a[:, None] == b) & (a[:, None] >= 0))
            if outside.any():
                m, n = (int(j) for j in np.argwhere(outside)[0])
                raise LawError(
                    f"pattern of {row}: entry {m} of the result depends on entry {n} of operand {k} ({forms[k]}), "
                    f"but their labels are {a[m]} and {b[n]}"
                )


def local_jacobian(row: Primitive, k: int, args: Sequence[Any], params: dict[str, Any], out: Any) -> Any:
    """Return the magnitudes of one step's Jacobian in operand ``k``, result entries by operand entries."""
    x = aval(args[k])
    unit = np.eye(x.size, dtype=x.dtype).reshape((x.size, *x.shape))
    found = np.zeros((x.size, size_of(shape_of(out))))
    for seed in (unit, 1j * unit) if x.dtype.kind == "c" else (unit,):
        # The careful product, so that an infinite partial of one entry does not make all others NaN.
        sweep = Sweep((x.size,), careful=True)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            t = row.push(sweep, [seed.astype(x.dtype) if j == k else None for j in range(len(args))], args, params, out)
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
    "precision": precision_law,
    "replay": replay_law,
    "pattern": pattern_law,
}
"""Every law by name. Those that draw directions take ``rng``."""


def _mix(a: float, p: Any, b: float, q: Any) -> Any:
    return (a * p + b * q).astype(dtype_of(p)) if hasattr(p, "astype") else a * p + b * q


def _size(x: Any) -> float:
    return float(np.max(np.abs(x), initial=0.0))


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
