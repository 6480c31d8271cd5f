"""Checkpoints: a function that is run again in the reverse sweep, so that its own steps need not be kept.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 12, doi:10.1137/1.9780898717761.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.capture import captures_of
from dualdiff.capture.closures import Fresh, lifted
from dualdiff.custom.function import CustomFunction, is_traced
from dualdiff.custom.layout import Layout
from dualdiff.custom.rows import function_of
from dualdiff.errors import RuleError, where
from dualdiff.kinds import General, Sweep
from dualdiff.shapes import Aval, dtype_of, shape_of, size_of
from dualdiff.trees import flatten
from dualdiff.values import bind, raw
from dualdiff.ways.problem import Problem, pull_rows, record, run_duals


class Body:
    """What one call of a checkpoint runs: the function, with what it closes over as an argument of its own.

    ``seen`` holds marks of the operands and of the results when it ran first.
    """

    __slots__ = ("f", "run", "seen")

    def __init__(self, f: Callable[..., Any], run: Callable[..., Any]) -> None:
        self.f, self.run = f, run
        self.seen: tuple[list[Any], tuple[float, float]] | None = None

    def __eq__(self, other: object) -> bool:
        # One program wherever the code is one: nothing is known of what goes on inside but that all depends on all.
        return type(other) is Body and _code(self.f) is _code(other.f)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Body({getattr(self.f, '__name__', self.f)})"

    def note(self, leaves: Sequence[Any], out: Any) -> None:
        """Remember what the first run took and returned, in two numbers each."""
        if self.seen is None:
            self.seen = [_mark([x]) for x in leaves], _mark([out])

    def check(self, name: str, args: Sequence[Any], values: Sequence[Any]) -> None:
        """Raise if a later run at the same operands returned other values, so that its derivative is another function's."""
        if self.seen is None or [_mark([x]) for x in args] != self.seen[0]:
            return
        (then, size), (now, _) = self.seen[1], _mark(values)
        coarse = max([float(np.finfo(dtype_of(v)).eps) for v in values], default=0.0) ** 0.5
        if np.isfinite(size) and not abs(now - then) <= coarse * size:
            raise RuleError(
                f"{where()}: the checkpoint {name} returned other values when it was run again for its derivative: it depends on more "
                "than its arguments (random numbers, a counter, an array that was changed since). Draw random numbers outside and "
                "pass them in."
            )


def _mark(xs: Sequence[Any]) -> tuple[float, float]:
    """Return a sum that changes with any entry and with their order, and the size of its terms."""
    total = size = 0.0
    at = 1
    with np.errstate(all="ignore"):
        for x in xs:
            flat = np.reshape(raw(x), (-1,))
            if type(flat) is not np.ndarray:  # an array of another kind, whose numbers may be far away
                return np.nan, np.nan
            weights = 1.0 + np.modf(0.6180339887498949 * np.arange(at, at + flat.size))[0]
            if flat.dtype.kind == "c":
                flat = np.real(flat) + 0.5 * np.imag(flat)
            total += float(flat @ weights)
            size += float(np.abs(flat) @ weights)
            at += flat.size
    return total, size


def _code(f: Any) -> Any:
    return getattr(f, "__code__", f)


class Recomputed(General):
    """A function whose steps are not kept: each sweep runs it again."""

    def __init__(self, name: str) -> None:
        super().__init__(name, self._value, self._pushed, self._pulled)

    def needs(self, active: tuple[bool, ...]) -> tuple[bool, tuple[bool, ...]]:
        return False, (True,) * len(active)

    def _value(self, *leaves: Any, call: Layout, body: Body) -> Any:
        out = function_of(self.name, body.run)(*leaves, call=call)
        body.note(leaves, out)
        return out

    def _problem(self, active: Sequence[bool], args: Sequence[Any], call: Layout, body: Body) -> Problem:
        """Return the function of those operands that have derivatives."""

        def run(leaves: list[Any]) -> list[Any]:
            own = iter(leaves)
            return flatten(body.run(*call.arguments([next(own) if on else a for a, on in zip(args, active)])))[0]

        # Its modules are captured in the sweep as they were when it ran.
        return Problem(run, [a for a, on in zip(args, active) if on], body.f, captures_of(body.f), inner=True)

    def _pushed(self, sweep: Sweep, tangents: Sequence[Any], out: Any, *args: Any, call: Layout, body: Body) -> Any:
        active = [t is not None for t in tangents]
        live = [t for t in tangents if t is not None]
        values, found = run_duals(self._problem(active, args, call, body), live, sweep.lead)
        body.check(self.name, args, values)
        results = call.results or ()
        parts = [
            np.zeros(sweep.lead + f.shape, f.dtype) if t is None else t for t, f in zip(found, results, strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.reshape(t, (*sweep.lead, size_of(f.shape))) for t, f in zip(parts, results)], axis=-1)

    def pull(
        self, sweep: Sweep, g: Any, ins: Sequence[int | None], args: Sequence[Any], params: dict[str, Any], out: Any
    ) -> Sequence[Any]:
        """Run the function again, writing its steps down, and read them backwards."""
        active = [i is not None and i >= 0 for i in ins]
        problem = self._problem(active, args, **params)
        tape, values = record(problem)
        params["body"].check(self.name, args, values)
        parts = _parts(g, params["call"].results, sweep.lead)
        seeds = [(s, c) for s, c in zip(tape.outputs, parts, strict=True) if s >= 0]
        found = iter(pull_rows(problem, tape, seeds, sweep.lead))
        return [next(found) if on else None for on in active]

    def _pulled(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("a checkpoint is pulled whole")


def _parts(g: Any, results: Sequence[Aval], lead: tuple[int, ...]) -> list[Any]:
    """Return the covectors of all results, the batch axis in front."""
    if len(results) == 1:
        return [g]
    out, at = [], 0
    for form in results:
        n = size_of(form.shape)
        c = np.reshape(g[..., at : at + n], lead + form.shape)
        if dtype_of(c) != form.dtype:
            c = (np.real(c) if form.dtype.kind != "c" else c).astype(form.dtype)
        out.append(c if shape_of(c) else c[()])
        at += n
    return out


class Checkpoint(CustomFunction):
    """See :func:`checkpoint`."""

    trusted = True

    def __init__(self, f: Callable[..., Any]) -> None:
        super().__init__(f)
        self.take(Recomputed(self.__name__))

    def __getstate__(self) -> Any:
        return self.f

    def __setstate__(self, state: Any) -> None:
        Checkpoint.__init__(self, state)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the function's value; under differentiation only its arguments are kept."""
        caught: list[Any] = []
        again = lifted(self.f, caught)
        if not caught and not is_traced(args) and not is_traced(kwargs.values()):
            return self.f(*args, **kwargs)
        operands: list[Any] = []
        layout = Layout((tuple(caught), args, kwargs), {}, operands)
        body = Body(self.f, lambda caught, args, kwargs: again(Fresh(caught))(*args, **kwargs))
        return layout.give(bind(self.rows[0], operands, {"call": layout, "body": body}))


def checkpoint(f: Callable[..., Any]) -> Any:
    r"""Return a function that keeps nothing of its own steps for the reverse sweep, and runs again there instead.

    Reverse mode keeps the values of every step until it is read backwards. Of a checkpoint it keeps the arguments alone;
    when the sweep comes to it, the function is run once more, written down, and pulled. Memory is traded for one evaluation: a
    chain of n steps cut into :math:`\sqrt n` checkpoints takes memory for :math:`2\sqrt n` of them. Values and
    derivatives are the same. Checkpoints nest, and work in both modes, at every order, and on tensors.

    Parameters
    ----------
    f : callable
        The function. All of its arguments are differentiated, keywords too, and so are values it closes over. It must do
        the same each time it is run: random numbers are drawn outside and passed in.

    Returns
    -------
    callable
        The function; called on plain values it is ``f`` itself.

    Raises
    ------
    RuleError
        If its result depends on a differentiated value that is neither an argument nor closed over (a global, an attribute
        of an object that is one), it writes into an argument, or it returns other values when it is run again.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 12, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> @dd.checkpoint
    ... def ten_steps(x):
    ...     for _ in range(10):
    ...         x = x + 0.1 * np.sin(x)
    ...     return x
    >>> x = np.linspace(0.0, 1.0, 5)
    >>> g = dd.grad(lambda x: ten_steps(ten_steps(x)).sum())(x)
    >>> bool(np.allclose(g, dd.grad(lambda x: ten_steps.f(ten_steps.f(x)).sum())(x), rtol=1e-14))
    True
    """
    return Checkpoint(f)
