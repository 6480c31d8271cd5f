"""A function at a point, as methods see it: nested for those that take it as it is, flat for those that take vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse

from dualdiff.errors import InputError
from dualdiff.operators.calls import Argnums, Call
from dualdiff.passes.elimination import Graph, linearized
from dualdiff.passes.multiplications import edges, nonlinear
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.trees import flatten
from dualdiff.ways import Explanation, Options, Program, explain
from dualdiff.ways.decisions import recorded

__all__ = ["Subject"]


class Subject:
    """A real function whose Jacobian is wanted at a point.

    Parameters
    ----------
    f : callable
        A function of NumPy code; arguments and results may be nested.
    args : sequence
        The point.
    argnums : int, str or sequence of them, optional
        Which arguments to differentiate by; all of them by default.

    Raises
    ------
    InputError
        If there is nothing to differentiate by, or a number is complex.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], argnums: Argnums | None = None) -> None:
        if not args:
            raise InputError("there is no point: give the function's arguments after it, compare(f, x)")
        self.argnums: Argnums = argnums if argnums is not None else 0 if len(args) == 1 else tuple(range(len(args)))
        self.name = str(getattr(f, "__name__", "") or getattr(getattr(f, "func", None), "__name__", "") or "f")
        self.f, self.args = f, tuple(args)
        self._call = Call(f, self.argnums, args, {}, False)
        self.leaves = self._call.leaves
        with np.errstate(all="ignore"):
            self.values = [np.asarray(v) for v in self.run([_copy(x) for x in self.leaves])]
        if any(dtype_of(v).kind == "c" for v in (*self.leaves, *self.values)):
            raise InputError(
                "the lab compares methods for real functions, and this one has complex arguments or results; give it "
                "real and imaginary parts as arguments and results of their own"
            )
        if any(v.dtype.kind not in "biuf" for v in self.values):
            raise InputError("the function must return numbers, or nested structures of them")
        self.n = sum([size_of(shape_of(x)) for x in self.leaves])
        self.m = sum([v.size for v in self.values])
        self.dtype: Any = np.result_type(np.float16, *[dtype_of(x) for x in (*self.leaves, *self.values)])

    def run(self, leaves: Sequence[Any]) -> list[Any]:
        """Run the function on flat leaves; return its flat results."""
        return self._call(list(leaves))

    @property
    def differentiated(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function of those arguments alone that it is differentiated by, and these."""
        call = self._call
        if call.argnums == tuple(range(len(self.args))):
            return self.f, self.args
        return Closed(self.f, self.args, call.argnums), tuple([self.args[a] for a in call.argnums])  # type: ignore[index]

    # -- flat ------------------------------------------------------------------------------------
    @cached_property
    def point(self) -> Any:
        """The point as one vector."""
        parts = [np.reshape(x, -1) for x in self.leaves]
        found: Any = np.concatenate(parts) if parts else np.zeros(0)
        return found.astype(np.result_type(found, np.float32), copy=False)

    @cached_property
    def value(self) -> Any:
        """The function's results as one vector."""
        return np.concatenate([v.reshape(-1) for v in self.values]) if self.values else np.zeros(0)

    @cached_property
    def is_vector(self) -> bool:
        """Whether the function takes one vector and returns one."""
        return (
            len(self.leaves) == len(self.args) == 1
            and type(self.args[0]) is np.ndarray
            and self.args[0].ndim == 1
            and self.args[0].dtype == self.point.dtype
            and [v.ndim for v in self.values] == [1]
            and isinstance(self.f(self.args[0].copy()), np.ndarray)
        )

    def flat(self, x: Any) -> Any:
        """Run the function on one vector; return one."""
        found = [np.reshape(v, -1) for v in self.run(self.split(x))]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def split(self, x: Any) -> list[Any]:
        """Cut a vector into the leaves, each of its own shape and dtype."""
        parts, at = [], 0
        for leaf in self.leaves:
            size, shape = size_of(shape_of(leaf)), shape_of(leaf)
            part = x[at : at + size].astype(dtype_of(leaf)).reshape(shape)
            parts.append(part if isinstance(leaf, np.ndarray) else part.item() if type(leaf) is float else part[()])
            at += size
        return parts

    def matrix(self, jacobian: Any) -> Any:
        """Return a Jacobian in any of its usual forms as one matrix (m, n).

        Raises
        ------
        InputError
            If its shape is not one of them.
        """
        if scipy.sparse.issparse(jacobian):
            jacobian = jacobian.toarray()
        parts = [_dense(part) for part in flatten(jacobian)[0]]
        outputs, inputs = [v.shape for v in self.values], [shape_of(x) for x in self.leaves]
        if len(parts) == len(outputs) * len(inputs):
            rows = [parts[i : i + len(inputs)] for i in range(0, len(parts), len(inputs) or 1)]
            if all(_fits(b, s, t) for row, s in zip(rows, outputs) for b, t in zip(row, inputs)):
                blocks = [
                    [b.reshape(size_of(s), size_of(t)) for b, t in zip(row, inputs)] for row, s in zip(rows, outputs)
                ]
                return np.block(blocks) if blocks else np.zeros((self.m, self.n))
        if len(parts) != 1:
            try:  # nested lists of numbers are an array as well
                parts = [np.asarray(jacobian, dtype=np.result_type(*parts))]
            except (TypeError, ValueError):
                parts = []
        if len(parts) == 1 and (parts[0].shape == (self.m, self.n) or (self.m == 1 and parts[0].shape == (self.n,))):
            return parts[0].reshape(self.m, self.n)
        wanted = f"an array of shape ({self.m}, {self.n}), or for each result and argument one of their shapes together"
        got = " and ".join(["x".join(map(str, p.shape)) or "one number" for p in parts[:4]]) or "no array"
        raise InputError(f"it returned {got}; a Jacobian here is {wanted}")

    # -- recorded --------------------------------------------------------------------------------
    @cached_property
    def program(self) -> Program:
        """A recording of the function at the point."""
        return recorded(self._call.problem(check=False), Options())

    def problem(self) -> Any:
        """Return the function as ways take it."""
        return self._call.problem(check=False)

    @cached_property
    def plan(self) -> Explanation:
        """The ways to a dense Jacobian with their costs, and the choice."""
        return explain(self.problem(), Options(), program=self.program)

    @cached_property
    def sparse_plan(self) -> Explanation:
        """The same for a sparse one."""
        return explain(self.problem(), Options(sparse=True), program=self.program)

    @cached_property
    def graph(self) -> Graph:
        """The linearised graph of the recording."""
        return linearized(self.program.tape, [v.shape for v in self.values])

    @cached_property
    def edges(self) -> int:
        """No fewer edges than that graph has, found without it."""
        return edges(self.program.tape)

    @cached_property
    def nonlinear(self) -> int:
        """The nonlinear evaluations of one run."""
        return nonlinear(self.program.tape)


class Closed:
    """A function of some of another's arguments, the others being fixed."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], argnums: Sequence[Any]) -> None:
        self.f, self.args, self.argnums = f, args, tuple(argnums)
        self.__wrapped__ = f
        self.__name__ = str(getattr(f, "__name__", "f"))

    def __call__(self, *given: Any) -> Any:
        """Return the function's result."""
        args = list(self.args)
        for a, v in zip(self.argnums, given, strict=True):
            args[a] = v
        return self.f(*args)


def _copy(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x


def _dense(part: Any) -> Any:
    if scipy.sparse.issparse(part):
        return part.toarray()
    found = np.asarray(part)
    if found.dtype.kind not in "biufc":
        raise InputError(f"it returned {type(part).__name__!r}, where numbers were expected")
    return found


def _fits(block: Any, output: tuple[int, ...], argument: tuple[int, ...]) -> bool:
    return block.shape in (output + argument, (size_of(output), size_of(argument)))
