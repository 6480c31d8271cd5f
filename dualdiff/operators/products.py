"""The Jacobian as a linear operator, and per-sample Jacobians of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dualdiff.capture import asked
from dualdiff.errors import InputError
from dualdiff.operators.calls import Call, Operator
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import TRACED
from dualdiff.ways import Answer, Decisions, Options, Problem, Program, Way
from dualdiff.ways.choice import price
from dualdiff.ways.decisions import key_of
from dualdiff.ways.options import listed
from dualdiff.ways.problem import record
from dualdiff.ways.samples import PER_SAMPLE, check_samples, results_of, samples_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from scipy.sparse.linalg import LinearOperator

ALONE = Options()
"""The options of a Jacobian of samples: it has none but its mode."""


def linear_operator(f: Callable[..., Any], *args: Any, capture: Any = "auto") -> LinearOperator:
    r"""Return the Jacobian at a point as a linear operator; the matrix is never formed.

    The function is recorded once. A product :math:`J v` is one push through the tape, :math:`J^T w` one pull.

    Parameters
    ----------
    f : callable
        A real function; all its positional arguments are differentiated, in the order they are given.
    *args
        The point: arrays, or nested structures of arrays.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        Of shape (m, n), over all results and arguments flattened; with ``matvec``, ``rmatvec``, ``matmat`` and
        ``rmatmat``.

    Raises
    ------
    InputError
        If an argument or result is complex, or is being differentiated by an outer operator.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, sections 3.1 and 3.2,
    doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> J = dd.linear_operator(lambda x: np.cumsum(x**2), np.array([1.0, 2.0, 3.0]))
    >>> J.shape
    (3, 3)
    >>> J.matvec(np.array([1.0, 0.0, 0.0])), J.rmatvec(np.array([0.0, 0.0, 1.0]))
    (array([2., 2., 2.]), array([2., 4., 6.]))
    """
    if not callable(f):
        raise InputError(f"the first argument must be a function, not {type(f).__name__!r}")
    if not args:
        raise InputError("dd.linear_operator(f, x) needs the point x")
    call = Call(asked(f, capture), tuple(range(len(args))), args, {}, False)
    if any(type(x) in TRACED for x in call.leaves):
        raise InputError(
            "a linear operator is made of plain numbers: dd.linear_operator cannot be differentiated itself"
        )
    problem = call.problem()
    tape, values = record(problem, replayable=True)
    if any(dtype_of(x).kind == "c" for x in (*problem.inputs, *values)):
        raise InputError("dd.linear_operator is for real functions; use dd.jvp and dd.vjp for complex ones")
    from dualdiff.operators.matrixfree import JacobianOperator  # with scipy.sparse.linalg, which few programs need

    return JacobianOperator(problem, tape, values)


@dataclass(frozen=True, repr=False)
class BatchJacobian(Operator):
    """See :func:`batch_jacobian`."""

    mode: str = "auto"
    _decisions: Decisions = field(default_factory=Decisions, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = dict.fromkeys(m for kind in PER_SAMPLE for m in kind.asked["sparse"])
        if self.mode not in known:
            raise InputError(f"mode={self.mode!r} must be {listed(tuple(known))}")
        if not hasattr(self, "_decisions"):
            object.__setattr__(self, "_decisions", Decisions())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the per-sample Jacobians at the arguments."""
        problem = self._problem(args, kwargs)
        batch, n = samples_of(problem)
        tape, values = record(problem, replayable=True)
        m = results_of(values, batch)
        program = Program(tape, values)
        key = key_of(problem)
        known = self._decisions.known.get(key, ())
        way = next((w for w in known if w.structure is not None and w.structure.holds(tape)), None)
        if way is None:
            way = self._chosen(program, batch, n, m)
            self._decisions.put(key, way, *known)
        (x,), (v,) = problem.inputs, values
        shape = shape_of(v) + shape_of(x)[1:]
        if tape.outputs[0] < 0 or 0 in shape:
            return np.zeros(shape, dtype_of(v))
        (side,) = way.sides
        _, product = way.block(problem, ALONE, program, side.pulled, 0, side.count)
        return of_samples(way.gathered(problem, ALONE, values, [product]))

    def _problem(self, args: Any, kwargs: Any) -> Problem:
        problem = Call(self.f, self.argnums, args, kwargs, False).problem()
        samples_of(problem)
        (x,) = problem.inputs
        if type(x) in TRACED or dtype_of(x).kind == "c":
            raise InputError("dd.batch_jacobian takes one plain real array; use dd.jacobian inside other operators")
        return problem

    def _chosen(self, program: Program, batch: int, n: int, m: int, options: Options = ALONE) -> Way:
        """Return the cheaper way that the mode allows: a sample's columns, or its rows, for all samples together."""
        check_samples(program, batch, n, m)
        ways: list[Way] = [
            kind(outputs=batch * m, inputs=batch * n, entries=batch * m * n, columns=columns, rows=rows)
            for kind, columns, rows in zip(PER_SAMPLE, (n, 0), (0, m), strict=True)
            if self.mode in kind.asked["sparse"]
        ]
        return min(ways, key=lambda w: price(program, w, options)).made_for(program)


def of_samples(answer: Answer) -> Any:
    """Return the one block of an answer."""
    ((block,),) = answer.blocks  # type: ignore[misc]
    return block


def batch_jacobian(
    f: Callable[..., Any],
    argnums: int | str = 0,
    *,
    mode: str = "auto",
    executor: Executor | None = None,
    capture: Any = "auto",
) -> Callable[..., Any]:
    r"""Return per-sample Jacobians, :math:`J_{b} = \partial f(x)_b / \partial x_b`, for the price of one sample's.

    Where no sample of the result depends on another sample of the argument, one seed serves all samples: the Jacobian
    is block diagonal, and as many directions do as one sample has inputs (or outputs). That it is so is read off
    the tape, not assumed.

    Parameters
    ----------
    f : callable
        A function from (B, \*s) to (B, \*t), sample by sample.
    argnums : int or str
        Which argument to differentiate with respect to, by position or by name.
    mode : {"auto", "forward", "reverse"}
        Push a sample's columns, pull a sample's rows, or whichever costs less.
    executor : concurrent.futures.Executor, optional
        Whose workers take blocks of these directions, where that pays: see :func:`jacobian`.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.

    Returns
    -------
    callable
        It takes ``f``'s arguments and returns an array of shape (B, \*t, \*s).

    Raises
    ------
    InputError
        If the function mixes its samples, or returns no array with the samples on its first axis.
    ExecutorError
        As :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> dd.batch_jacobian(lambda x: np.prod(x, axis=1))(X)
    array([[2., 1.],
           [4., 3.],
           [6., 5.]])
    """
    f = asked(f, capture)
    if executor is None:
        return BatchJacobian(f, argnums, mode)
    from dualdiff.operators.spread import SpreadBatchJacobian

    return SpreadBatchJacobian(f, argnums, mode, executor=executor)
