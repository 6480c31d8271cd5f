"""Jacobians and Hessians, dense and sparse, by the way that was chosen or asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dualdiff.capture import asked
from dualdiff.errors import InputError
from dualdiff.operators.calls import Argnums, Call, Operator, as_given
from dualdiff.operators.gradients import Grad
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.trees import Columns
from dualdiff.values import Traced
from dualdiff.ways import Cost, Decisions, Explanation, Options, evaluate, explain

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True, repr=False)
class Jacobian(Operator):
    """See :func:`jacobian`."""

    mode: str = "auto"
    sparse: bool = False
    chunk: int | None = None
    max_bytes: int | None = None
    cost: Any = None
    coloring: Any = None
    flat: bool = False
    has_aux: bool = False
    holomorphic: bool = False
    with_value: bool = False
    symmetric: bool = False
    order: Any = None
    _decisions: Decisions = field(default_factory=Decisions, compare=False)
    options: Any = field(default=None, compare=False, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        options = Options(
            self.mode,
            self.sparse,
            self.chunk,
            self.max_bytes,
            self.cost,
            self.coloring,
            self.holomorphic,
            self.symmetric,
            self.order,
        )
        object.__setattr__(self, "options", options)
        if not hasattr(self, "_decisions"):  # unpickled: what was decided elsewhere is decided again
            object.__setattr__(self, "_decisions", Decisions())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the Jacobian at the arguments."""
        call = Call(self.f, self.argnums, args, kwargs, self.has_aux)
        answer = evaluate(call.problem(self.check, self.strict), self.options, self._decisions)
        return self._result(call, answer)

    def _result(self, call: Call, answer: Any) -> Any:
        jacobian = self.assemble(call, answer)
        aux = call.plain_aux() if self.has_aux else None
        if self.with_value:
            value = call.build_outputs(answer.values)
            return ((value, aux), jacobian) if self.has_aux else (value, jacobian)
        return (jacobian, aux) if self.has_aux else jacobian

    def assemble(self, call: Call, answer: Any) -> Any:
        """Give a computed Jacobian the structure it was asked for in."""
        if self.sparse or (self.flat and answer.whole is not None):
            return answer.whole
        values, blocks = answer.values, answer.blocks
        if blocks is None:
            blocks = blocks_of(answer.whole, values, call.leaves)
        if self.flat:
            if (
                len(values) == 1
                and len(call.leaves) == 1
                and type(blocks[0][0]) is np.ndarray
                and len(shape_of(values[0])) == len(shape_of(call.leaves[0])) == 1
            ):
                return blocks[0][0]  # a vector of a vector
            rows = [
                [np.reshape(b, (size_of(shape_of(v)), size_of(shape_of(x)))) for b, x in zip(row, call.leaves)]
                for v, row in zip(values, blocks)
            ]
            wide = [r[0] if len(r) == 1 else np.concatenate(r, axis=1) for r in rows]
            if not wide:
                return np.zeros((0, sum(size_of(shape_of(x)) for x in call.leaves)))
            return wide[0] if len(wide) == 1 else np.concatenate(wide, axis=0)
        if len(values) == 1 and len(call.leaves) == 1 and call.single:
            ((block,),) = blocks
            if type(block) is np.ndarray and block.ndim:  # the common case, an array in and an array out
                return call.build_outputs([call.build_inputs([block])])
        found = call.build_outputs(
            [
                call.build_inputs([as_scalar(b, v, x) for b, x in zip(row, call.leaves)])
                for v, row in zip(values, blocks)
            ]
        )
        if type(found) is tuple and not call.single and len(values) == 1:
            shape = shape_of(values[0])
            if shape and all(type(b) is np.ndarray and b.shape == shape for b in found):
                return Columns(found)
        return found

    def explain(self, *args: Any, measure: bool = False, **kwargs: Any) -> Explanation:
        """Record the function once and return the ways to its Jacobian with their costs, and the choice.

        Parameters
        ----------
        *args, **kwargs
            The function's arguments.
        measure : bool
            Also time every way, three runs each.

        Returns
        -------
        Explanation
            It prints as a table; ``.ways``, ``.chosen`` and ``.reason`` hold the same for programs.
        """
        call = Call(self.f, self.argnums, args, kwargs, self.has_aux)
        return explain(call.problem(), self.options, measure)


def blocks_of(whole: Any, values: Sequence[Any], leaves: Sequence[Any]) -> list[list[Any]]:
    """Cut a whole Jacobian into a block per output and input."""
    blocks, top = [], 0
    for v in values:
        bottom = top + size_of(shape_of(v))
        row, left = [], 0
        for x in leaves:
            right = left + size_of(shape_of(x))
            part = whole[top:bottom, left:right]
            if part.dtype.kind == "c" and dtype_of(v).kind != "c":  # a real result beside a complex one
                part = part.real
            if len(leaves) > 1 or len(values) > 1:
                part = part.astype(dtype_of(v))  # blocks share no memory
            row.append(part.reshape(shape_of(v) + shape_of(x)))
            left = right
        blocks.append(row)
        top = bottom
    return blocks


def as_scalar(block: Any, v: Any, x: Any) -> Any:
    """Return a block of shape () as a scalar: a Python number where the argument is one."""
    if isinstance(block, Traced) or shape_of(block) != ():
        return block
    return as_given(block[()] if hasattr(block, "dtype") else block, x)


def jacobian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    mode: str = "auto",
    sparse: bool = False,
    chunk: int | None = None,
    max_bytes: int | None = None,
    cost: Cost | None = None,
    coloring: Any = None,
    order: Any = None,
    flat: bool = False,
    has_aux: bool = False,
    holomorphic: bool = False,
    executor: Executor | None = None,
    capture: Any = "auto",
    check: bool | str = "auto",
    strict: bool = False,
) -> Jacobian:
    r"""Return the Jacobian :math:`J_{ij} = \partial f_i / \partial x_j`, computed by the cheapest way.

    The first call for each input structure records the function and works out, equation by equation, what each way
    would cost: pushing ``n`` columns, pulling ``m`` rows, or a product of both through a place where the program
    narrows. Later calls reuse the decision (never a value), held against the new run where it depends on the program.
    With very few inputs dual numbers run at once, and a small function goes by the shape of its Jacobian until it is
    called again.

    Parameters
    ----------
    f : callable
        A function of NumPy code. Arguments and results may be nested tuples, lists, dicts and dataclasses.
    argnums : int, str, or sequence of them
        Which arguments to differentiate with respect to, by position or by name; by name they may be keyword arguments.
    mode : {"auto", "forward", "reverse", "mixed", "elimination", "finite-differences", "complex-step"}
        By which way. ``"mixed"`` is both modes together: a product through the program's narrow places, or, if
        sparse, colours for rows and columns. ``"elimination"`` eliminates the vertices of the linearised graph of a
        scalar program one by one. Finite differences and the complex step are never chosen by ``"auto"``.
    sparse : bool
        Return a ``scipy.sparse.csr_array`` of shape (m, n) over all results and arguments, whatever their structure. It
        holds the structural nonzeros: entries that can be nonzero at some point, or at this one. Inside another operator its numbers
        are differentiated in their turn, and its pattern is constant: it has ``J @ x``, ``x @ J``, ``J.T``, multiples, ``J.toarray()``
        and its nonzeros ``J.data``; the function must return one of these, not ``J`` itself.
    chunk : int, optional
        How many directions travel at once; by default as many as stay in the cache and within ``max_bytes``.
    max_bytes : int, optional
        The most memory in bytes that the call may take beside the function's own values, the result included;
        predicted before it runs. By default half of the machine's memory.
    cost : callable, optional
        Another model of what a way takes, ``(program, way) -> seconds``, in place of
        :func:`dualdiff.passes.costs.seconds`; ``program.tape`` is the recorded run.
    coloring : {"columns", "rows", "both"} or colours, optional
        Only the coloured sparse way of that name, or with these colours (``dualdiff.coloring``).
    order : str or sequence of int, optional
        The order in which ``mode="elimination"`` takes the vertices of the linearised graph: a rule, as for
        :func:`dualdiff.passes.elimination.counts` (by default ``"markowitz"``), or all intermediate vertices, as a search
        on the graph returns them. These belong to one program and are held against every later run.
    flat : bool
        Return one 2-D array (m, n) over all results and arguments.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data).
    holomorphic : bool
        Return the complex derivative ∂f/∂z of a holomorphic function; Cauchy–Riemann is checked.
    executor : concurrent.futures.Executor, optional
        Whose workers take blocks of the columns, rows or colours where that pays: threads, processes, or a cluster's
        (``client.get_executor()`` of a Dask client). What a task costs is measured once an executor. Processes are sent
        ``f`` once, by cloudpickle if it is installed, and again when what it holds has changed; after that points and results alone
        travel. With ``chunk`` a block is that many directions, and the result has the same bits as without an executor.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.
    check : {"auto", True, False}
        Hold one random direction against differences of the function: where the recording looks suspicious, always, or never.
    strict : bool
        Raise :class:`~dualdiff.errors.NoDerivativeError` where a result depends on no argument, or an argument reaches no result.

    Returns
    -------
    callable
        It takes ``f``'s arguments and returns an array of shape ``f(x).shape + x.shape``, never squeezed; for
        nested results the structure of the result, and inside it that of the argument; with ``sparse=True`` a sparse
        matrix. Of an array by several numbers (``argnums=(1, 2, 3)``, of one ``(1,)``) it is the tuple of the columns, which SciPy's
        ``curve_fit`` takes as ``jac``: it gets the matrix (m, n). The type never depends on the choice. Its
        method ``explain`` takes the same arguments and returns the costs of all ways as a table.

    Raises
    ------
    InputError
        If an argument or result is not numeric, or an argument complex without ``holomorphic=True``; if the mode does not
        apply; if ``max_bytes`` is too small for one direction; if ``order`` is none of this program's; if ``f`` or an argument cannot
        be sent to another process.
    ExecutorError
        If a block of directions did not come back from an executor (a worker died, a task was cancelled), or ``f`` gave another
        value there than here. What ``f`` raises there is raised here as it is, with a note that names the block.

    References
    ----------
    Curtis, Powell & Reid, "On the estimation of sparse Jacobian matrices", IMA Journal of Applied Mathematics 13
    (1974), doi:10.1093/imamat/13.1.117.
    Gebremedhin, Manne & Pothen, "What color is your Jacobian?", SIAM Review 47 (2005),
    doi:10.1137/S0036144504444711.
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> def f(x):
    ...     y = np.zeros_like(x)
    ...     y[0] = x[0] ** 2 + x[1]
    ...     y[1] = x[1] ** 3 + x[0]
    ...     return 2 * y
    >>> dd.jacobian(f)(np.array([3.0, 4.0]))
    array([[12.,  2.],
           [ 2., 96.]])
    >>> J = dd.jacobian(lambda x: x[1:] * x[:-1], sparse=True)(np.arange(1.0, 100_001.0))
    >>> J.shape, J.nnz
    ((99999, 100000), 199998)
    """
    return spread(
        Jacobian(
            asked(f, capture),
            argnums,  # type: ignore[arg-type]
            mode,
            sparse,
            chunk,
            max_bytes,
            cost,
            coloring,
            flat,
            has_aux,
            holomorphic,
            check=check,
            strict=strict,
            order=order,
        ),
        executor,
    )


def spread(operator: Jacobian, executor: Executor | None) -> Jacobian:
    """Return an operator whose directions are carried by an executor; itself where there is none."""
    if executor is None:
        return operator
    from dualdiff.operators.spread import spread_by

    return spread_by(operator, executor)


def value_and_jacobian(f: Callable[..., Any], argnums: Argnums = 0, **options: Any) -> Callable[..., Any]:
    """Return a function that computes ``(f(x), J(x))`` in one run. Options are those of :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.value_and_jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    (array([1., 4.]), array([[2., 0.],
           [0., 4.]]))
    """
    return replace(jacobian(f, argnums, **options), with_value=True)


def jacfwd(f: Callable[..., Any], argnums: Argnums = 0, **options: Any) -> Callable[..., Any]:
    """Return the Jacobian by columns: dual numbers, no tape. Options are those of :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.jacfwd(np.sin)(np.zeros(2))
    array([[1., 0.],
           [0., 1.]])
    """
    return jacobian(f, argnums, mode="forward", **options)


def jacrev(f: Callable[..., Any], argnums: Argnums = 0, **options: Any) -> Callable[..., Any]:
    """Return the Jacobian by rows: one recording, one reverse sweep. Options are those of :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.jacrev(np.sin)(np.zeros(2))
    array([[1., 0.],
           [0., 1.]])
    """
    return jacobian(f, argnums, mode="reverse", **options)


def hessian(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    sparse: bool = False,
    coloring: Any = None,
    **options: Any,
) -> Callable[..., Any]:
    r"""Return the second derivatives :math:`H_{ij} = \partial^2 f / \partial x_i \partial x_j`, forward over reverse.

    A sparse Hessian is one run of row-sparse duals over the gradient, or products of the Hessian with few seeds: its pattern
    is symmetric, so a star colouring reads every entry from one of two products, and an acyclic colouring, with fewer
    seeds, by substitution.

    Parameters
    ----------
    f : callable
        A function; of a scalar result the Hessian has shape ``x.shape + x.shape``, of others ``f(x).shape`` in front.
    argnums : int, str, or sequence of them
        Which arguments to differentiate with respect to, by position or by name; by name they may be keyword arguments.
    sparse : bool
        Return a ``scipy.sparse.csr_array`` of shape (n, n) over all arguments; ``f`` must return a scalar.
    coloring : {"star", "acyclic", "columns"} or colours, optional
        Only this coloured sparse way, or with these colours.
    **options
        ``chunk``, ``has_aux``, ``executor``, ``cost`` and ``capture`` as for :func:`jacobian`; for sparse ones also ``mode`` and
        ``max_bytes``.

    Returns
    -------
    callable
        It takes ``f``'s arguments.

    References
    ----------
    Gebremedhin, Tarafdar, Manne & Pothen, "New acyclic and star coloring algorithms with application to computing
    Hessians", SIAM Journal on Scientific Computing 29 (2007), doi:10.1137/050639879.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    >>> H = dd.hessian(lambda x: np.sum((x[1:] - x[:-1]) ** 4), sparse=True)(np.arange(10_000.0))
    >>> H.shape, H.nnz
    ((10000, 10000), 29998)
    """
    known = {"mode", "chunk", "max_bytes", "cost", "flat", "has_aux", "holomorphic", "executor", "capture", "check"}
    if unknown := sorted(options.keys() - known):
        raise TypeError(
            f"dd.hessian has no option {unknown[0]!r}; there are {', '.join(sorted(known))}, sparse and coloring"
        )
    f = asked(f, options.pop("capture", "auto"))
    executor = options.pop("executor", None)
    if sparse:
        has_aux = options.pop("has_aux", False)
        if options.pop("flat", False) or options.pop("holomorphic", False):
            raise InputError(
                "flat= and holomorphic= are for dense Hessians; a sparse one is a real matrix (n, n) already"
            )
        inner = Grad(f, argnums, has_aux)  # type: ignore[arg-type]
        whole = Jacobian(
            inner,
            argnums,  # type: ignore[arg-type]
            sparse=True,
            coloring=coloring,
            has_aux=has_aux,
            symmetric=True,
            **options,
        )
        return spread(whole, executor)
    if "mode" in options:
        raise InputError("mode= is for sparse Hessians (sparse=True); a dense one is forward over reverse")
    rows = Jacobian(f, argnums, mode="reverse", has_aux=options.get("has_aux", False))  # type: ignore[arg-type]
    columns = Jacobian(rows, argnums, mode="forward", coloring=coloring, **options)  # type: ignore[arg-type]
    return spread(columns, executor)
