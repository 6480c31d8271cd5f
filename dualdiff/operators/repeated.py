"""One operator at one point after another, as a solver asks for it: what does not change is looked at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from dualdiff.capture import asked, captures_of
from dualdiff.capture.active import ACTIVE
from dualdiff.dual import Dual, Pushing
from dualdiff.errors import NOTES
from dualdiff.kinds.base import CAREFUL, SUSPECTS
from dualdiff.operators.calls import Call
from dualdiff.operators.gradients import ValueAndGrad
from dualdiff.operators.jacobian import Jacobian, jacobian
from dualdiff.passes import kinks
from dualdiff.reach import is_finite_everywhere
from dualdiff.shapes import FLOAT64
from dualdiff.tangents import ONE, Columns, Terms, scattered, seed
from dualdiff.values import packed
from dualdiff.ways import Problem, evaluate
from dualdiff.ways.forward import FEW, SOME
from dualdiff.ways.problem import directions

__all__ = ["Repeated", "RepeatedGradient"]


class _Short:
    """A function of a vector, its first argument, whose derivative one run of dual numbers gives at once, if the vector is short.

    That serves where what the function returns is of the usual kind, with a derivative, and finite. Whatever else happens in a run,
    the operator runs again, looks closer, and says what is wrong.
    """

    __slots__ = ("captures", "f", "is_short", "separate")

    most: ClassVar[int] = SOME
    """Entries of a short vector."""

    def __init__(self, f: Callable[..., Any], separate: Callable[..., Any] | None = None) -> None:
        self.f = asked(f, "auto")
        self.separate = None if separate is None else asked(separate, "auto")
        self.captures = captures_of(self.f)
        self.is_short = True

    def _read(self, y: Any, run: Pushing) -> Any:
        """Return a result's derivative, with whatever goes with it; None of a result of another kind."""
        raise NotImplementedError

    def _at_once(self, args: Any, kwargs: Any) -> Any:
        """Return what is read of one run of dual numbers; None where the operator has to look closer."""
        x, captures = args[0], self.captures
        if type(x) is not np.ndarray or x.dtype is not FLOAT64 or not (x.ndim == 1 and 0 < x.size <= self.most):
            self.is_short = False
            return None
        exchanged = captures if captures is not None and captures.anything else None
        if exchanged is not None and not exchanged.checked:
            return None
        if CAREFUL.get() or ACTIVE.get() or NOTES.get() is not None or kinks.raises():
            return None
        k = x.size
        run = Pushing((k,))
        token = NOTES.set(run.notes)
        try:
            if self.separate is None:
                f, given = self.f, (Dual(x.copy(), seed(directions(0, (k,))), run), *args[1:])
            else:
                f, given = self.separate, (*args[1:], *[Dual(v, Columns(((n, ONE),)), run) for n, v in enumerate(x)])
            run_of = lambda given: f(*given, **kwargs)  # noqa: E731
            y = run_of(given) if exchanged is None else exchanged.call(self.f, run_of, given)
            found = None if run.notes or run.keys is not None or SUSPECTS.found else self._read(y, run)
        except Exception:
            found = None
        finally:
            NOTES.reset(token)
            run.close()
        if found is None:
            self.is_short = bool(run.notes)  # what a run stumbles in is captured in the next
        elif not is_finite_everywhere(found[-1]):
            return None
        elif captures is not None:
            captures.examined = True  # every result carries a derivative
        return found


class Repeated(_Short):
    """The Jacobian of a function by a vector, its first argument, for a solver that goes from point to point.

    The points are vectors of one length, in memory of their own, and the other arguments are the same all along: so how they are
    built, whether they share memory and what is captured is found out at the first one. Of few parameters, one run of dual numbers
    gives the matrix of an array, or of a list of numbers, at least as many as they are.

    Parameters
    ----------
    f : callable
        The function.
    separate : callable, optional
        The same function with the entries of the vector as separate arguments, behind the other ones.
    sparse : bool
        Whether the matrix is sparse.
    """

    __slots__ = ("call", "operator", "sparse")

    def __init__(self, f: Callable[..., Any], separate: Callable[..., Any] | None = None, sparse: bool = False) -> None:
        super().__init__(f, separate)
        self.sparse = sparse
        self.operator: Jacobian | None = None
        self.call: Call | None = None
        self.is_short = not sparse

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the matrix at a point."""
        if self.is_short:
            found = self._at_once(args, kwargs)
            if found is not None:
                return found[0]
        operator, call = self.operator, self.call
        if operator is None:
            operator = self.operator = jacobian(self.f, sparse=self.sparse, flat=not self.sparse)
        if call is None:
            call = self.call = Call(operator.f, 0, args, kwargs, False)
        else:
            call.move(args, kwargs)
        problem = Problem(call, call.leaves, operator.f, self.captures, operator.check)
        answer = evaluate(problem, operator.options, operator._decisions)
        return operator.assemble(call, answer)

    def _read(self, y: Any, run: Pushing) -> Any:
        """Return the Jacobian, whose columns lie one behind the other."""
        (k,) = run.lead
        if type(y) is np.ndarray:  # of objects, as np.array makes it of numbers
            y = packed(y)
        if type(y) is Dual and y.run is run:
            if y.link is not None:
                y.link.refresh(y)
            v, t = y.value, y.mark
            if type(v) is not np.ndarray or v.dtype is not FLOAT64 or v.size < k:
                return None
            return (scattered(t, v.shape, k, FLOAT64) if isinstance(t, Terms) else t.reshape(k, -1).T,)
        if type(y) not in (list, tuple) or len(y) < k:
            return None
        columns = np.zeros((k, len(y)))
        for n, v in enumerate(y):
            if (
                type(v) is not Dual
                or v.run is not run
                or type(v.value) is not np.float64
                or type(v.mark) is not Columns
            ):
                return None
            for d, c in v.mark.items():
                columns[d, n] = c
        return (columns.T,)


class RepeatedGradient(_Short):
    """The value and the gradient of a function by a vector, its first argument, for a solver that goes from point to point.

    Parameters
    ----------
    f : callable
        The function, of which one run of dual numbers gives both where the parameters are very few; else one reverse sweep.
    """

    __slots__ = ("operator",)

    most = FEW

    def __init__(self, f: Callable[..., Any]) -> None:
        super().__init__(f)
        self.operator = ValueAndGrad(self.f)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value and the gradient at a point."""
        found = self._at_once(args, kwargs) if self.is_short else None
        return self.operator(*args, **kwargs) if found is None else found

    def _read(self, y: Any, run: Pushing) -> Any:
        """Return the value and the gradient."""
        if type(y) is not Dual or y.run is not run or type(y.value) is not np.float64:
            return None
        if type(y.mark) is not Columns:
            return y.value, run.dense(y.mark, y.value)
        gradient = np.zeros(run.lead)
        for d, c in y.mark.items():
            gradient[d] = c
        return y.value, gradient
