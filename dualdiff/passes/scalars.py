"""A small program as scalar operations: every array is an array of nodes, and what only moves entries takes no operation.

The rows of the program are carried out once on NumPy arrays of *nodes*. Equal operations on equal operands are one node
(hash-consing: Ershov, "On programming of arithmetic operations", Comm. ACM 1 (1958), doi:10.1145/368892.368907), so writing an
entry and reading it again leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.kinds import Elementwise
from dualdiff.passes.program import Form, Program, Step

__all__ = ["Node", "NotScalarError", "Scalars", "expanded", "name_of"]

MOST = 4096
"""Operations beyond which a program is none of scalars."""
_BOOL = np.dtype(bool)
_FLOAT = np.dtype(float)
_PREDICATES = frozenset((
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_xor", "logical_not",
    "isfinite", "isnan", "isinf", "signbit",
))  # fmt: skip


class NotScalarError(Exception):
    """Inside the engine: a program has steps that are none of scalars, or too many."""


class Node:
    """A number that is known once the program runs; arithmetic with it makes further ones."""

    __slots__ = ("graph", "number")

    def __init__(self, graph: _Graph, number: int) -> None:
        self.graph = graph
        self.number = number

    def __add__(self, other: Any) -> Node:
        return self.graph.made("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return self.graph.made("add", other, self)

    def __mul__(self, other: Any) -> Node:
        return self.graph.made("multiply", self, other)

    def __rmul__(self, other: Any) -> Node:
        return self.graph.made("multiply", other, self)

    def __sub__(self, other: Any) -> Node:
        return self.graph.made("subtract", self, other)

    def __rsub__(self, other: Any) -> Node:
        return self.graph.made("subtract", other, self)

    def __truediv__(self, other: Any) -> Node:
        return self.graph.made("divide", self, other)

    def __neg__(self) -> Node:
        return self.graph.made("negative", self)

    def __bool__(self) -> bool:
        raise NotScalarError("a decision inside a step")


@dataclass(frozen=True, slots=True)
class Scalars:
    """Operations on numbers.

    Attributes
    ----------
    operations : list of tuple
        By node: ``("input", i, k)`` for entry k of input i, ``("constant", x)``, or the name of an operation and its operands'
        nodes. A name is that of a NumPy function, or the function itself where it is not one of those known by name.
    outputs : list
        For each output its form, and its nodes in the order of its entries.
    checks : list
        The node (or nodes) of each check of the program, in its order.
    count : int
        How many are operations.
    calls : int
        How many of these call a function.
    """

    operations: list[tuple[Any, ...]]
    outputs: list[tuple[Form, tuple[int, ...]]]
    checks: list[tuple[int, ...]]
    count: int
    calls: int


ARITHMETIC = frozenset((
    "add", "subtract", "multiply", "divide", "reciprocal", "negative", "positive", "square", "absolute", "fabs", "maximum", "minimum",
    "fmax", "fmin", "where", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or",
    "logical_not",
))  # fmt: skip
"""What takes no call of a function."""


class _Graph:
    """The nodes made so far."""

    def __init__(self) -> None:
        self.operations: list[tuple[Any, ...]] = []
        self.known: dict[tuple[Any, ...], Node] = {}

    def node(self, *key: Any) -> Node:
        found = self.known.get(key)
        if found is None:
            if len(self.operations) >= MOST:
                raise NotScalarError("too many operations")
            found = self.known[key] = Node(self, len(self.operations))
            self.operations.append(key)
        return found

    def of(self, x: Any) -> Node:
        """Return a node for a node or a number."""
        if type(x) is Node:
            return x
        if isinstance(x, (bool, np.bool_)):
            return self.node("constant", bool(x), "bool")
        if isinstance(x, (int, float, np.integer, np.floating)) and float(x) == x:
            x = float(x)
            return self.node("constant", x, x.hex())  # -0.0 is not 0.0
        raise NotScalarError(f"a constant {x!r}")

    def made(self, name: Any, *operands: Any) -> Node:
        nodes = [self.of(o) for o in operands]
        if name == "square":
            name, nodes = "multiply", [nodes[0], nodes[0]]
        elif name == "power":
            exponent = self.operations[nodes[1].number]
            if exponent[0] == "constant" and exponent[1] == 2:
                name, nodes = "multiply", [nodes[0], nodes[0]]
        elif name == "positive":
            return nodes[0]
        if name == "multiply":
            for a, b in (nodes, nodes[::-1]):
                constant = self.operations[a.number]
                if constant[0] == "constant" and constant[1] == 1:
                    return b
        return self.node(name, *[n.number for n in nodes])


def expanded(program: Program) -> Scalars:
    """Return a program as operations on numbers.

    Raises
    ------
    NotScalarError
        Inside the engine, if a step has no such form, or there are too many operations.
    """
    graph = _Graph()
    values: dict[int, Any] = {}
    for i in range(program.inputs):
        form = program.forms[i]
        _check_form(form)
        values[i] = _array([graph.node("input", i, k) for k in range(_size(form))], form.shape)
    for i, x in program.constants.items():
        _check_form(program.forms[i])
        values[i] = _each(graph.of, np.asarray(x).astype(object))
    for step in program.steps:
        form = program.forms[step.result]
        _check_form(form)
        integers = any(np.asarray(program.constants.get(i, 0.0)).dtype.kind in "iu" for i in step.operands)
        found = _carried_out(graph, step, [values[i] for i in step.operands], form, integers)
        if found.shape != form.shape:
            raise NotScalarError(f"{step.row.name} of nodes has another shape")
        values[step.result] = found

    def numbers(i: int) -> tuple[int, ...]:
        return tuple([n.number for n in values[i].flat])

    outputs = [(form, numbers(i)) for form, i in zip(program.results, program.outputs, strict=True)]
    checks = [numbers(c.value) for c in program.checks]
    needed = {n for _, ns in outputs for n in ns} | {n for ns in checks for n in ns}
    count = calls = 0
    for n in range(len(graph.operations) - 1, -1, -1):
        name, *operands = graph.operations[n]
        if n not in needed:
            graph.operations[n] = ("unused",)
        elif name not in ("input", "constant"):
            needed.update(operands)
            count += 1
            calls += name not in ARITHMETIC
    return Scalars(graph.operations, outputs, checks, count, calls)


def _check_form(form: Form) -> None:
    if form.kind == "other":
        raise NotScalarError("what is no number")
    if form.dtype != _FLOAT and form.dtype != _BOOL and not (form.kind == "float" and form.dtype.kind == "i"):
        raise NotScalarError(f"numbers of {form.dtype}")
    if _size(form) > MOST:
        raise NotScalarError("an array that large")


def _size(form: Form) -> int:
    return int(np.prod(form.shape, dtype=int))


def _array(nodes: Sequence[Node], shape: tuple[int, ...]) -> Any:
    found = np.empty(len(nodes), dtype=object)
    found[:] = nodes
    return found.reshape(shape)


def _each(function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a function entry by entry, with broadcasting; the result is always an array."""
    together = np.broadcast(*arrays)
    found = np.empty(together.shape, dtype=object)
    for k, entries in enumerate(together):
        found.flat[k] = function(*entries)
    return found


def name_of(ufunc: np.ufunc) -> Any:
    """Return the name of one of NumPy's ufuncs; the function itself if it is of another library."""
    name = str(ufunc.__name__)
    return name if getattr(np, name, None) is ufunc else ufunc


def _carried_out(graph: _Graph, step: Step, args: list[Any], form: Form, integers: bool) -> Any:
    """Carry out a step on arrays of nodes; some functions take integers otherwise than other numbers."""
    row, params = step.row, step.params
    fn: Any = row.fn
    if row.access == "write":
        found = args[0].copy()
        found[params["index"]] = args[1] if args[1].shape else args[1].item()
        return found
    if row.access == "read":
        read = args[0][params["index"]]
        return read if type(read) is np.ndarray else _array([read], ())
    if isinstance(fn, np.ufunc) and not params and fn.nout == 1:
        if form.dtype == _BOOL and str(name_of(fn)) not in _PREDICATES:
            raise NotScalarError(row.name)
        name = name_of(fn)
        if integers and name not in ARITHMETIC and name != "power":
            raise NotScalarError(f"{row.name} of integers")
        return _each(lambda *entries: graph.made(name, *entries), *args)
    if fn is np.where:
        return _each(lambda *entries: graph.made("where", *entries), *args)
    if fn in (np.all, np.any) and params.get("axis") is None and not params.get("keepdims"):
        nodes = [n.number for n in args[0].flat]
        return _array([graph.node(fn.__name__, *nodes)], ())
    if isinstance(row, Elementwise):
        if row.name == "astype" and form.dtype == _FLOAT:
            return _each(lambda n: graph.made("number", n), args[0])
        if row.on_objects and form.dtype == _FLOAT and not params:
            return _each(lambda *entries: graph.made(fn, *entries), *args)
    elif row.on_objects:
        try:
            return _each(graph.of, np.asarray(fn(*args, **params), dtype=object))
        except NotScalarError:
            raise
        except Exception as error:
            raise NotScalarError(f"{row.name} of nodes: {error}") from error
    raise NotScalarError(row.name)
