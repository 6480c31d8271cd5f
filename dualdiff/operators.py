"""The operators: functions of functions, in both modes, nesting in any order to any depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import WRAPPER_ASSIGNMENTS
from typing import Any, Literal

import numpy as np

from dualdiff.errors import InputError, NonScalarError
from dualdiff.jacobians import Decisions, Explanation, Options, Problem, evaluate, explain
from dualdiff.jacobians.choice import Cost
from dualdiff.jacobians.ways import apart, pull_rows, record, run_duals
from dualdiff.passes import push
from dualdiff.primitive import Discrete, Traced
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tracer import check_input, is_finite_everywhere, plain
from dualdiff.trees import flatten, paths

Mode = Literal["auto", "forward", "reverse", "mixed", "elimination", "finite-differences", "complex-step"]

__all__ = [
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linearize",
    "stop_gradient",
    "value_and_grad",
    "value_and_jacobian",
    "vjp",
]


# --------------------------------------------------------------------------------------------------
# structure on, structure off


class _Call:
    """One call of an operator: the differentiated arguments as flat leaves, and the way back to structure."""

    __slots__ = (
        "args",
        "argnums",
        "aux",
        "build_inputs",
        "build_outputs",
        "f",
        "has_aux",
        "kwargs",
        "leaves",
        "single",
    )

    def __init__(
        self,
        f: Callable[..., Any],
        argnums: int | Sequence[int],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        has_aux: bool,
    ) -> None:
        self.f = f
        self.args = args
        self.kwargs = kwargs
        self.has_aux = has_aux
        self.aux: Any = None
        self.build_outputs: Any = None
        self.single = isinstance(argnums, int)
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        n = len(args)
        for a in numbers:
            if not -n <= a < n:
                raise InputError(
                    f"argnums={argnums!r} asks for positional argument {a}, but the function was called with {n}"
                    + (" (pass it by position, not by keyword)" if kwargs else "")
                )
        self.argnums = tuple([a % n for a in numbers])
        if len(set(self.argnums)) != len(self.argnums):
            raise InputError(f"argnums={argnums!r} names an argument twice")
        leaves, self.build_inputs = flatten(
            args[self.argnums[0]] if self.single else tuple([args[a] for a in self.argnums])
        )
        try:
            self.leaves = [check_input(plain(x), "an argument") for x in leaves]
        except InputError:
            names = paths(tuple(args[a] for a in self.argnums))
            for x, name in zip(leaves, names):
                check_input(plain(x), f"argument {name}")
            raise

    def __call__(self, leaves: list[Any]) -> list[Any]:
        built = self.build_inputs(leaves)
        args = list(self.args)
        for a, v in zip(self.argnums, (built,) if self.single else built):
            args[a] = v
        result = self.f(*args, **self.kwargs)
        if self.has_aux:
            try:
                result, self.aux = result
            except (TypeError, ValueError):
                raise InputError("with has_aux=True the function must return a pair (value, auxiliary data)") from None
        outputs, self.build_outputs = flatten(result)
        return outputs

    def problem(self, chunk: int | None = None, holomorphic: bool = False) -> Problem:
        return Problem(self, self.leaves, chunk, holomorphic)

    def plain_aux(self, run: Any) -> Any:
        """Return the auxiliary data with this operator's level taken off."""
        leaves, build = flatten(self.aux)
        return build([_strip(v, run) for v in leaves])


def _strip(v: Any, run: Any) -> Any:
    v = plain(v)
    if isinstance(v, Traced) and (run is None or v.run is run or not getattr(v.run, "open", True)):
        return v.value
    return v


@dataclass(frozen=True)
class _Operator:
    """A differentiated function. It pickles where the function does, and carries its name and docstring."""

    f: Callable[..., Any]
    argnums: int | tuple[int, ...] = 0

    def __post_init__(self) -> None:
        if not callable(self.f):
            raise InputError(f"the first argument must be a function, not {type(self.f).__name__!r}")
        if isinstance(self.argnums, list):
            object.__setattr__(self, "argnums", tuple(self.argnums))
        self._wear_name()

    def _wear_name(self) -> None:
        for name in WRAPPER_ASSIGNMENTS:
            if hasattr(self.f, name):
                object.__setattr__(self, name, getattr(self.f, name))
        object.__setattr__(self, "__wrapped__", self.f)

    def __getstate__(self) -> dict[str, Any]:
        return {
            k: v
            for k, v in self.__dict__.items()
            if k in self.__dataclass_fields__ and k not in ("_decisions", "_options")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for k, v in state.items():
            object.__setattr__(self, k, v)
        self.__post_init__()

    def __repr__(self) -> str:
        return f"{type(self).__name__.strip('_')}({getattr(self.f, '__name__', self.f)})"


# --------------------------------------------------------------------------------------------------
# jvp, linearize, vjp


def _match(name: str, tree: Any, leaves: Sequence[Any], dtypes_of: Sequence[Any]) -> list[Any]:
    """Flatten tangents or cotangents and check them against the values they belong to."""
    found, _ = flatten(tree)
    if len(found) != len(leaves):
        raise InputError(f"{name} has {len(found)} arrays where {len(leaves)} are needed")
    out = []
    for t, x in zip(found, leaves):
        t = plain(t)
        if shape_of(t) != shape_of(x) and not isinstance(t, (list,)):
            raise InputError(f"{name} has shape {shape_of(t)} where the value has shape {shape_of(x)}")
        kind = dtype_of(t).kind
        if kind not in "biufc":
            raise InputError(f"{name} has dtype {dtype_of(t)}; it must be numeric")
        if kind == "c" and dtype_of(x).kind != "c":
            raise InputError(f"{name} is complex where the value is real")
        want = dtype_of(x)
        if dtype_of(t) != want:
            t = t.astype(want) if hasattr(t, "astype") else want.type(t)
        out.append(t)
    return out


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False) -> Any:
    r"""Compute a function and its derivative along one direction, :math:`(f(x), J(x)\,v)`, in one forward run.

    Parameters
    ----------
    f : callable
        A function of ``len(primals)`` positional arguments; nested tuples, lists, dicts and dataclasses are fine.
    primals : sequence
        The point :math:`x`, one entry per argument.
    tangents : sequence
        The direction :math:`v`: the structure and shapes of ``primals``.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data); a third item is then returned.

    Returns
    -------
    tuple
        The value and the directional derivative, both of the structure and shapes of ``f``'s result.

    Raises
    ------
    InputError
        If a tangent does not fit its primal.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.1, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import dualdiff as dd
    >>> dd.jvp(lambda x: x**2, (3.0,), (1.0,))
    (9.0, 6.0)
    """
    primals = tuple(primals)
    call = _Call(f, tuple(range(len(primals))), primals, {}, has_aux)
    directions = _match("a tangent", tuple(tangents), call.leaves, call.leaves)
    values, found = run_duals(call.problem(), directions, ())
    found = apart(found, directions)
    found = [np.zeros_like(v) if t is None else t for t, v in zip(found, values)]
    out = (call.build_outputs(values), call.build_outputs([_as(t, v) for t, v in zip(found, values)]))
    return (*out, call.plain_aux(None)) if has_aux else out


def _own(v: Any) -> Any:
    """Return a value that shares no memory with a tape that lives on: users may write into what they get."""
    return v.copy() if type(v) is np.ndarray else v


def _as(t: Any, v: Any) -> Any:
    """Return a scalar derivative as a scalar where the value is one (a Python float for a Python float)."""
    if isinstance(t, Traced):
        return t
    if type(v) is float:
        return float(t)
    return t[()] if type(t) is np.ndarray and not t.shape and type(v) is not np.ndarray else t


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    r"""Compute a function and keep its linearisation: :math:`(f(x),\; v \mapsto J(x)\,v)`.

    The run is recorded once; each call of the second item pushes one direction through the tape.

    Parameters
    ----------
    f : callable
        A function of ``len(primals)`` positional arguments.
    *primals
        The point.

    Returns
    -------
    value : any
        ``f(*primals)``.
    push : callable
        It takes as many tangents as there are primals, of their structure and shapes.

    Examples
    --------
    >>> import dualdiff as dd
    >>> y, push = dd.linearize(lambda x: x**3, 2.0)
    >>> y, push(1.0), push(10.0)
    (8.0, 12.0, 120.0)
    """
    call = _Call(f, tuple(range(len(primals))), primals, {}, False)
    tape, values = record(call.problem(), replayable=True)

    def push_direction(*tangents: Any) -> Any:
        directions = _match("a tangent", tangents, call.leaves, call.leaves)
        try:
            found = push(tape, directions, tape.outputs)
        except Exception:  # once more with the user's lines, for the message
            push(record(call.problem(), replayable=True, lines=True)[0], directions, tape.outputs)
            raise
        if not all(t is None or is_finite_everywhere(t) for t in found):
            found = push(tape, directions, tape.outputs, careful=True)
        found = apart(found, directions)
        return call.build_outputs([np.zeros_like(v) if t is None else _as(t, v) for t, v in zip(found, values)])

    return call.build_outputs([_own(v) for v in values]), push_direction


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    r"""Compute a function and its pullback, :math:`(f(x),\; w \mapsto J(x)^T w)`.

    The run is recorded once; each call of the second item reads the tape backwards once. The pullback is
    the adjoint under the real inner product :math:`\operatorname{Re}\sum \bar a b`, so complex values work.

    Parameters
    ----------
    f : callable
        A function of ``len(primals)`` positional arguments.
    *primals
        The point.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data); a third item is then returned.

    Returns
    -------
    value : any
        ``f(*primals)``.
    pullback : callable
        It takes a cotangent of the structure and shapes of ``value`` and returns a tuple, one entry per primal.

    Raises
    ------
    InputError
        If a cotangent does not fit the value.

    Examples
    --------
    >>> import dualdiff as dd
    >>> y, pullback = dd.vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> y, pullback(1.0)
    (12.0, (4.0, 3.0))
    """
    call = _Call(f, tuple(range(len(primals))), primals, {}, has_aux)
    problem = call.problem()
    tape, values = record(problem)

    def pullback(cotangent: Any) -> Any:
        seeds = _match("a cotangent", cotangent, values, values)
        found = apart(pull_rows(problem, tape, list(zip(tape.outputs, seeds)), ()), seeds)
        return call.build_inputs([np.zeros_like(x) if c is None else _as(c, x) for c, x in zip(found, call.leaves)])

    out = (call.build_outputs([_own(v) for v in values]), pullback)
    return (*out, call.plain_aux(tape)) if has_aux else out


# --------------------------------------------------------------------------------------------------
# gradients


@dataclass(frozen=True, repr=False)
class _ValueAndGrad(_Operator):
    has_aux: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = _Call(self.f, self.argnums, args, kwargs, self.has_aux)
        problem = call.problem()
        tape, values = record(problem)
        name = getattr(self.f, "__name__", "the function")
        if len(values) != 1 or shape_of(values[0]) != ():
            shapes = ", ".join(str(shape_of(v)) for v in values)
            raise NonScalarError(
                f"{name} returned shape {shapes}; a gradient needs one scalar. Use dd.jacobian for all derivatives, "
                "or take the gradient of a sum: dd.grad(lambda x: f(x).sum())."
            )
        (v,) = values
        if dtype_of(v).kind == "c":
            raise NonScalarError(
                f"{name} returned a complex number; a gradient needs a real one (np.real or np.abs of it)"
            )
        one = 1.0 if type(v) is float else dtype_of(v).type(1)
        found = apart(pull_rows(problem, tape, [(tape.outputs[0], one)], ()), ())
        gradient = call.build_inputs([np.zeros_like(x) if c is None else _as(c, x) for c, x in zip(found, call.leaves)])
        value = call.build_outputs(values)
        return ((value, call.plain_aux(tape)), gradient) if self.has_aux else (value, gradient)


@dataclass(frozen=True, repr=False)
class _Grad(_ValueAndGrad):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value, gradient = super().__call__(*args, **kwargs)
        return (gradient, value[1]) if self.has_aux else gradient


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    r"""Return the gradient :math:`\nabla f` of a scalar function, by one reverse sweep.

    Parameters
    ----------
    f : callable
        A function that returns one real scalar (shape ``()``).
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data); the gradient then comes with the data.

    Returns
    -------
    callable
        It takes ``f``'s arguments and returns the gradient: the structure, shapes and dtypes of the argument
        (a tuple of them if ``argnums`` is a sequence). For a complex argument it is the adjoint of 1 under the
        real inner product, ∂f/∂x + i ∂f/∂y.

    Raises
    ------
    NonScalarError
        If ``f`` does not return a real scalar.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0, 3.0]))
    array([2., 4., 6.])
    >>> dd.grad(dd.grad(np.sin))(0.5) == -np.sin(0.5)
    np.True_
    """
    return _Grad(f, argnums, has_aux)  # type: ignore[arg-type]


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that computes a scalar function and its gradient in one recording.

    Parameters, errors and conventions are those of :func:`grad`.

    Returns
    -------
    callable
        It returns ``(value, gradient)``; with ``has_aux=True``, ``((value, aux), gradient)``.

    Examples
    --------
    >>> import dualdiff as dd
    >>> dd.value_and_grad(lambda x: x**2)(3.0)
    (9.0, 6.0)
    """
    return _ValueAndGrad(f, argnums, has_aux)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------
# Jacobians


@dataclass(frozen=True, repr=False)
class _Jacobian(_Operator):
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
    _decisions: Decisions = field(default_factory=Decisions, compare=False)
    _options: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        options = Options(
            self.mode, self.sparse, self.chunk, self.max_bytes, self.cost, self.coloring, self.holomorphic
        )
        object.__setattr__(self, "_options", options)
        if not hasattr(self, "_decisions"):  # unpickled: what was decided elsewhere is decided again
            object.__setattr__(self, "_decisions", Decisions())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = _Call(self.f, self.argnums, args, kwargs, self.has_aux)
        answer = evaluate(call.problem(self.chunk, self.holomorphic), self._options, self._decisions)
        return self._result(call, answer)

    def _result(self, call: _Call, answer: Any) -> Any:
        jacobian = self._assemble(call, answer)
        aux = call.plain_aux(None) if self.has_aux else None
        if self.with_value:
            value = call.build_outputs(answer.values)
            return ((value, aux), jacobian) if self.has_aux else (value, jacobian)
        return (jacobian, aux) if self.has_aux else jacobian

    def _assemble(self, call: _Call, answer: Any) -> Any:
        if self.sparse or (self.flat and answer.whole is not None):
            return answer.whole
        values, blocks = answer.values, answer.blocks
        if blocks is None:
            blocks = _blocks(answer.whole, values, call.leaves)
        if self.flat:
            rows = [
                [np.reshape(b, (size_of(shape_of(v)), size_of(shape_of(x)))) for b, x in zip(row, call.leaves)]
                for v, row in zip(values, blocks)
            ]
            wide = [r[0] if len(r) == 1 else np.concatenate(r, axis=1) for r in rows]
            if not wide:
                return np.zeros((0, sum(size_of(shape_of(x)) for x in call.leaves)))
            return wide[0] if len(wide) == 1 else np.concatenate(wide, axis=0)
        if len(values) == 1 and len(call.leaves) == 1:
            ((block,),) = blocks
            if type(block) is np.ndarray and block.ndim:  # the common case, an array in and an array out
                return call.build_outputs([call.build_inputs([block])])
        return call.build_outputs(
            [
                call.build_inputs([_as_scalar(b, v, x) for b, x in zip(row, call.leaves)])
                for v, row in zip(values, blocks)
            ]
        )

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
        call = _Call(self.f, self.argnums, args, kwargs, self.has_aux)
        return explain(call.problem(self.chunk, self.holomorphic), self._options, measure)


def _blocks(whole: Any, values: Sequence[Any], leaves: Sequence[Any]) -> list[list[Any]]:
    """Cut a whole Jacobian into a block per output and input."""
    blocks, top = [], 0
    for v in values:
        bottom = top + size_of(shape_of(v))
        row, left = [], 0
        for x in leaves:
            right = left + size_of(shape_of(x))
            part = whole[top:bottom, left:right]
            if len(leaves) > 1 or len(values) > 1:
                part = part.astype(dtype_of(v))  # blocks share no memory
            row.append(part.reshape(shape_of(v) + shape_of(x)))
            left = right
        blocks.append(row)
        top = bottom
    return blocks


def _as_scalar(block: Any, v: Any, x: Any) -> Any:
    """Return a block of shape () as a scalar: a Python float between Python floats."""
    if isinstance(block, Traced) or shape_of(block) != ():
        return block
    return _as(block[()] if hasattr(block, "dtype") else block, x)


def jacobian(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    mode: Mode = "auto",
    sparse: bool = False,
    chunk: int | None = None,
    max_bytes: int | None = None,
    cost: Cost | None = None,
    coloring: Any = None,
    flat: bool = False,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> _Jacobian:
    r"""Return the Jacobian :math:`J_{ij} = \partial f_i / \partial x_j`, computed by the cheapest way.

    The first call for each input structure records the function and works out, equation by equation, what each way
    would cost: pushing ``n`` columns, pulling ``m`` rows, or a product of both through a place where the program
    narrows. Later calls reuse the decision (never a value), held against the new run where it depends on the program.
    With very few inputs dual numbers run at once.

    Parameters
    ----------
    f : callable
        A function of NumPy code. Arguments and results may be nested tuples, lists, dicts and dataclasses.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    mode : {"auto", "forward", "reverse", "mixed", "elimination", "finite-differences", "complex-step"}
        By which way. ``"mixed"`` is both modes together: a product through the program's narrow places, or, if
        sparse, colours for rows and columns. ``"elimination"`` eliminates the vertices of the linearised graph of a
        scalar program one by one. Finite differences and the complex step are never chosen by ``"auto"``.
    sparse : bool
        Return a ``scipy.sparse.csr_array`` of shape (m, n) over all results and arguments, whatever their structure. It
        holds the structural nonzeros: entries that can be nonzero at some point, or at this one.
    chunk : int, optional
        How many directions travel at once; by default as many as stay in the cache and within ``max_bytes``.
    max_bytes : int, optional
        The most memory in bytes that the call may take beside the function's own values, the result included;
        predicted before it runs. By default half of the machine's memory.
    cost : callable, optional
        Another model of what a way takes, ``(tape, way) -> seconds``, in place of
        :func:`dualdiff.passes.costs.seconds`.
    coloring : {"columns", "rows", "both"} or colours, optional
        Only the coloured sparse way of that name, or with these colours (``dualdiff.coloring``).
    flat : bool
        Return one 2-D array (m, n) over all results and arguments.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data).
    holomorphic : bool
        Return the complex derivative ∂f/∂z of a holomorphic function; Cauchy–Riemann is checked.

    Returns
    -------
    callable
        It takes ``f``'s arguments and returns an array of shape ``f(x).shape + x.shape``, never squeezed; for
        nested results the structure of the result, and inside it that of the argument; with ``sparse=True`` a sparse
        matrix. The type never depends on the choice. Its method ``explain`` takes the same arguments and returns the
        costs of all ways as a table.

    Raises
    ------
    InputError
        If an argument or result is not numeric, or complex without ``holomorphic=True``; if the mode does not apply; if
        ``max_bytes`` is too small for one direction.

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
    return _Jacobian(f, argnums, mode, sparse, chunk, max_bytes, cost, coloring, flat, has_aux, holomorphic)  # type: ignore[arg-type]


def value_and_jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, **options: Any) -> Callable[..., Any]:
    """Return a function that computes ``(f(x), J(x))`` in one run. Options are those of :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.value_and_jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    (array([1., 4.]), array([[2., 0.],
           [0., 4.]]))
    """
    return _Jacobian(f, argnums, with_value=True, **options)  # type: ignore[arg-type]


def jacfwd(f: Callable[..., Any], argnums: int | Sequence[int] = 0, **options: Any) -> Callable[..., Any]:
    """Return the Jacobian by columns: dual numbers, no tape. Options are those of :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.jacfwd(np.sin)(np.zeros(2))
    array([[1., 0.],
           [0., 1.]])
    """
    return _Jacobian(f, argnums, mode="forward", **options)  # type: ignore[arg-type]


def jacrev(f: Callable[..., Any], argnums: int | Sequence[int] = 0, **options: Any) -> Callable[..., Any]:
    """Return the Jacobian by rows: one recording, one reverse sweep. Options are those of :func:`jacobian`.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.jacrev(np.sin)(np.zeros(2))
    array([[1., 0.],
           [0., 1.]])
    """
    return _Jacobian(f, argnums, mode="reverse", **options)  # type: ignore[arg-type]


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, **options: Any) -> Callable[..., Any]:
    r"""Return the second derivatives :math:`H_{ij} = \partial^2 f / \partial x_i \partial x_j`, forward over reverse.

    Parameters
    ----------
    f : callable
        A function; of a scalar result the Hessian has shape ``x.shape + x.shape``, of others ``f(x).shape`` in front.
    argnums : int or sequence of int
        Which positional arguments to differentiate with respect to.
    **options
        ``chunk`` and ``has_aux`` as for :func:`jacobian`.

    Returns
    -------
    callable
        It takes ``f``'s arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    inner = _Jacobian(f, argnums, mode="reverse", has_aux=options.get("has_aux", False))  # type: ignore[arg-type]
    return _Jacobian(inner, argnums, mode="forward", **options)  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class _HessianVector(_Operator):
    def __call__(self, x: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
        gradient = _Grad(self.f, 0)
        return jvp(lambda p: gradient(p, *args, **kwargs), (x,), (v,))[1]


def hvp(f: Callable[..., Any]) -> Callable[..., Any]:
    r"""Return Hessian-vector products :math:`(x, v) \mapsto H(x)\,v` of a scalar function, forward over reverse.

    The signature ``(x, v, *args)`` is the one ``scipy.optimize.minimize`` wants for ``hessp``.

    Parameters
    ----------
    f : callable
        A scalar function; its first argument is differentiated.

    Returns
    -------
    callable
        ``h(x, v, *args, **kwargs)``; ``v`` and the result have the structure and shapes of ``x``.

    References
    ----------
    Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994), doi:10.1162/neco.1994.6.1.147.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    return _HessianVector(f)


def _identity(x: Any) -> Any:
    return x


_stop = Discrete("stop_gradient", _identity)


def stop_gradient(x: Any) -> Any:
    """Return a value that derivatives take for a constant, on purpose and at every level.

    Parameters
    ----------
    x : array or nested structure
        Traced or plain values.

    Returns
    -------
    same structure
        The same values; their derivative is zero.

    Examples
    --------
    >>> import dualdiff as dd
    >>> dd.grad(lambda x: x * dd.stop_gradient(x))(3.0)
    3.0
    """
    leaves, build = flatten(x)
    return build([_stop(v) if isinstance(v, Traced) else v for v in leaves])


__all__ += ["Explanation"]
