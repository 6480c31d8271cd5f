"""Digital filters, and convolution of arrays of any rank: rows whose values are SciPy's own.

A filter y of x satisfies a*y = b*x + z, with the state z it begins in. So it is linear in x and z; a change of b sends x, and one of
a sends -y, through 1/a and a polynomial; and its transpose is the filter of the signal turned round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.signal

from dualdiff.kinds import General, Multilinear, Sweep
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind

# --------------------------------------------------------------------------------------------------
# recursive filters, along the last axis


def filtered(b: Any, a: Any, x: Any, state: Any = None) -> Any:
    """Filter along the last axis, from a state (of rest by default) that is shaped as ``x`` but for the last axis; a[0] must be 1."""
    order = max(shape_of(a)[0], shape_of(b)[0]) - 1
    if state is None:
        state = np.zeros_like(x, shape=(*shape_of(x)[:-1], order))
    return bind(filter_, (b, a, x, state), {})


def _value(b: Any, a: Any, x: Any, state: Any) -> Any:
    shape = (*x.shape[:-1], state.shape[-1])
    if 0 in x.shape[:-1]:  # SciPy's filter needs a signal
        return np.zeros(x.shape, np.result_type(b, a, x, state))
    state = np.ascontiguousarray(np.broadcast_to(state, shape))
    return scipy.signal.lfilter(b, a, x, zi=state)[0]


def _one(a: Any) -> Any:
    return np.ones_like(a, shape=(1,))


def _conj(x: Any) -> Any:
    return np.conjugate(x) if dtype_of(x).kind == "c" else x


def _shifted(x: Any, count: int) -> Any:
    """Return a signal that begins 0, 1, 2 … samples later, along a new first axis."""
    n = shape_of(x)[-1]
    wide = np.concatenate([np.zeros_like(x, shape=(*shape_of(x)[:-1], count)), x], axis=-1)
    return np.stack([wide[..., count - j : count - j + n] for j in range(count)])


def _push(sweep: Sweep, ts: Any, out: Any, b: Any, a: Any, x: Any, state: Any) -> Any:
    db, da, dx, dz = ts
    total: Any = 0.0
    if dx is not None or dz is not None:
        if dx is None:
            dx = np.zeros_like(dz, shape=(*sweep.lead, *shape_of(x)))
        if dz is None:
            dz = np.zeros_like(dx, shape=(*sweep.lead, *shape_of(state)))
        total = bind(filter_, (b, a, dx, dz), {})
    if db is not None:
        total = total + np.tensordot(db, _shifted(filtered(_one(a), a, x), shape_of(b)[0]), 1)
    if da is not None:
        total = total - np.tensordot(da, _shifted(filtered(_one(a), a, out), shape_of(a)[0]), 1)
    return total


def _products(g: Any, w: Any, lead: tuple[int, ...]) -> Any:
    """Return the inner products of covectors with signals."""
    count, *rest = shape_of(w)
    size = size_of(tuple(rest))
    return np.reshape(g, (*lead, size)) @ np.transpose(_conj(np.reshape(w, (count, size))))


class _Filter(General):
    """Filters: the cotangents of those operands only that are asked for, since each is a filter in turn."""

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        b, a, x, state = args

        def backwards(numerator: Any) -> Any:
            return filtered(_conj(numerator), _conj(a), g[..., ::-1])[..., ::-1]

        def to_b() -> Any:
            return _products(g, _shifted(filtered(_one(a), a, x), shape_of(b)[0]), sweep.lead)

        def to_a() -> Any:
            return -_products(g, _shifted(filtered(_one(a), a, out), shape_of(a)[0]), sweep.lead)

        def to_state() -> Any:
            order, n = shape_of(state)[-1], shape_of(x)[-1]
            found = backwards(_one(a))[..., :order]
            if n < order:
                late = np.zeros_like(found, shape=(*shape_of(found)[:-1], order - n))
                found = np.concatenate([found, late], axis=-1)
            return found

        rules: list[Callable[[], Any]] = [to_b, to_a, lambda: backwards(b), to_state]
        return [rule() if i is not None and i >= 0 else None for i, rule in zip(ins, rules, strict=True)]


filter_ = _Filter("scipy.signal.lfilter", _value, _push, lambda *_: ())


def remaining(b: Any, a: Any, x: Any, y: Any, state: Any) -> Any:
    """Return the state that a filter is left in."""
    order, n = shape_of(state)[-1], shape_of(x)[-1]

    def tail(c: Any, u: Any) -> Any:
        """Return the convolution of a polynomial with a signal after the signal's end."""
        last = u[..., max(n - order, 0) :]
        if n < order:
            last = np.concatenate([np.zeros_like(u, shape=(*shape_of(u)[:-1], order - n)), last], axis=-1)
        taps = shape_of(c)[0]
        rows = [
            np.sum(c[i + 1 :] * last[..., ::-1][..., : taps - i - 1], axis=-1) if i + 1 < taps else 0 * last[..., 0]
            for i in range(order)
        ]
        return np.stack(rows, axis=-1)

    left = tail(b, x) - tail(a, y)
    if n < order:  # a part of the first state has not come out yet
        rest = state[..., n:]
        left = left + np.concatenate([rest, np.zeros_like(rest, shape=(*shape_of(rest)[:-1], n))], axis=-1)
    return left


# --------------------------------------------------------------------------------------------------
# convolution over the last axes


def _convolution(x: Any, y: Any, *, rank: int, mode: str) -> Any:
    lead = np.broadcast_shapes(x.shape[: x.ndim - rank], y.shape[: y.ndim - rank])
    x, y = (np.broadcast_to(v, (*lead, *v.shape[v.ndim - rank :])) for v in (x, y))

    def one(x: Any, y: Any) -> Any:
        return scipy.signal.convolve2d(x, y, mode) if rank == 2 else scipy.signal.convolve(x, y, mode, method="direct")

    if not lead:
        return one(x, y)
    found = [one(x[at], y[at]) for at in np.ndindex(*lead)]
    if not found:
        sizes = [m + n - 1 if mode == "full" else m - n + 1 for m, n in zip(x.shape[-rank:], y.shape[-rank:])]
        return np.zeros((*lead, *sizes), np.result_type(x, y))
    return np.reshape(np.stack(found), (*lead, *found[0].shape))


def _turned(x: Any, rank: int) -> Any:
    return _conj(np.flip(x, tuple(range(-rank, 0))))


def _pull_first(g: Any, x: Any, y: Any, *, rank: int, mode: str) -> Any:
    return convolved(g, _turned(y, rank), rank, "valid" if mode == "full" else "full")


def _pull_second(g: Any, x: Any, y: Any, *, rank: int, mode: str) -> Any:
    if mode == "full":
        return convolved(g, _turned(x, rank), rank, "valid")
    return convolved(_turned(x, rank), g, rank, "valid")


convolution_ = Multilinear("scipy.signal.convolve", _convolution, _pull_first, _pull_second)
"""The full convolution, or its valid part where the first operand is the larger one along every axis."""


def convolved(x: Any, y: Any, rank: int, mode: str) -> Any:
    """Convolve over the last ``rank`` axes; ``mode`` is "full", or "valid" where ``x`` is at least as long along each of them."""
    return bind(convolution_, (x, y), {"rank": rank, "mode": mode})


# --------------------------------------------------------------------------------------------------
# filters between an upsampling and a downsampling, along the last axis


def _resampled(x: Any, h: Any, *, up: int, down: int) -> Any:
    return scipy.signal.upfirdn(h, x, up, down)


def _pull_signal(g: Any, x: Any, h: Any, *, up: int, down: int) -> Any:
    n, offset = shape_of(x)[-1], shape_of(h)[0] - 1
    early = -offset % up
    turned = np.concatenate([np.zeros_like(h, shape=(early,)), _conj(h[::-1])])
    first = (offset + early) // up
    found = bind(resampling_, (g, turned), {"up": down, "down": up})[..., first : first + n]
    late = n - shape_of(found)[-1]
    if late:
        found = np.concatenate([found, np.zeros_like(found, shape=(*shape_of(found)[:-1], late))], axis=-1)
    return found


def _pull_taps(g: Any, x: Any, h: Any, *, up: int, down: int) -> Any:
    taps, every = shape_of(h)[0], spread_out(x, up)
    dense = spread_out(g, down)
    length = shape_of(every)[-1] + taps - 1
    short = length - shape_of(dense)[-1]
    if short > 0:
        dense = np.concatenate([dense, np.zeros_like(dense, shape=(*shape_of(dense)[:-1], short))], axis=-1)
    found = convolved(dense[..., :length], _turned(every, 1), 1, "valid")
    lead = len(shape_of(g)) - len(shape_of(x))
    return np.sum(found, axis=tuple(range(lead, len(shape_of(found)) - 1)))


def spread_out(x: Any, up: int) -> Any:
    """Put so many less one zeros between the samples of a signal."""
    if up == 1:
        return x
    shape = shape_of(x)
    wide = np.concatenate([x[..., None], np.zeros_like(x, shape=(*shape, up - 1))], axis=-1)
    return np.reshape(wide, (*shape[:-1], shape[-1] * up))[..., : (shape[-1] - 1) * up + 1]


def _resampling_push(i: int, t: Any, args: Any, lead: Any, *, up: int, down: int) -> Any:
    x, h = args
    if i == 0:
        return bind(resampling_, (t, h), {"up": up, "down": down})
    every = spread_out(x, up)
    t = np.reshape(t, (*lead, *[1] * (len(shape_of(every)) - 1), shape_of(t)[-1]))
    return convolved(every, t, 1, "full")[..., ::down]


resampling_ = Multilinear("scipy.signal.upfirdn", _resampled, _pull_signal, _pull_taps, push=_resampling_push)


__all__ = ["convolved", "filtered", "remaining", "resampling_", "spread_out"]
