"""A program as scalar operations: every array is a list of nodes, and what only moves entries takes no operation.

The rows of the program are carried out once on *nodes*, which are numbered. Equal operations on equal operands are one node
(hash-consing: Ershov, "On programming of arithmetic operations", Comm. ACM 1 (1958), doi:10.1145/368892.368907), so writing an
entry and reading it again leaves nothing behind. What a step makes of the nodes of its operands depends on its row, its
parameters and shapes alone, and is found once for the thousands of times that a loop repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np

from dualdiff.garbage import uncollected
from dualdiff.kinds import Elementwise
from dualdiff.passes.program import Form, Program, Step

__all__ = ["ARITHMETIC", "MOST", "PREDICATES", "Node", "NotScalarError", "Scalars", "expanded", "name_of", "needed"]

MOST = 4096
"""Operations beyond which a program is none of scalars for Python's code."""
_BOOL = np.dtype(bool)
_FLOAT = np.dtype(float)
_LOGIC = frozenset(("logical_and", "logical_or", "logical_xor", "logical_not"))
_OF_BITS = {
    "bitwise_and": "logical_and", "bitwise_or": "logical_or", "bitwise_xor": "logical_xor", "invert": "logical_not",
}  # fmt: skip
"""What operations on bits are where these are truth values."""
PREDICATES = frozenset((
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", *_LOGIC, "isfinite", "isnan", "isinf", "signbit",
    "all", "any",
))  # fmt: skip
"""Operations whose results are truth values; those of all others are numbers."""
ARITHMETIC = frozenset((
    "add", "subtract", "multiply", "divide", "reciprocal", "negative", "positive", "square", "absolute", "fabs", "maximum", "minimum",
    "fmax", "fmin", "where", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or",
    "logical_not", "number",
))  # fmt: skip
"""What takes no call of a function."""


class NotScalarError(Exception):
    """Inside the engine: a program has steps that are none of scalars, or too many."""


@dataclass(frozen=True, slots=True)
class Scalars:
    """Operations on numbers.

    Attributes
    ----------
    operations : list of tuple
        By node: ``("input", i, k)`` for entry k of input i, ``("constant", x, its bits)``, ``("unused",)``, or the name of an
        operation and its operands' nodes. A name is that of a NumPy function, or the function itself where it is not one of those
        known by name. Operands of logic are truth values, those of everything else are numbers; ``number`` makes one of the other.
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


class _Graph:
    """The nodes made so far."""

    __slots__ = ("known", "most", "ones", "operations")

    def __init__(self, most: int) -> None:
        self.most = most
        self.operations: list[tuple[Any, ...]] = []
        self.known: dict[tuple[Any, ...], int] = {}
        self.ones: set[int] = set()

    def new(self, key: tuple[Any, ...]) -> int:
        """Make a node that is not there yet."""
        n = len(self.operations)
        if n >= self.most:
            raise NotScalarError("too many operations")
        self.known[key] = n
        self.operations.append(key)
        return n

    def node(self, *key: Any) -> int:
        found = self.known.get(key)
        return self.new(key) if found is None else found

    def constant(self, x: Any) -> int:
        """Return the node of a number, or of a truth value."""
        if isinstance(x, (bool, np.bool_)):
            return self.node("constant", bool(x), "bool")
        if isinstance(x, (int, float, np.integer, np.floating)) and float(x) == x:
            x = float(x)
            n = self.node("constant", x, x.hex())  # -0.0 is not 0.0
            if x == 1:
                self.ones.add(n)
            return n
        raise NotScalarError(f"a constant {x!r}")

    def made(self, name: Any, *nodes: int) -> int:
        """Return the node of an operation."""
        if name == "multiply":
            a, b = nodes
            if a in self.ones:
                return b
            if b in self.ones:
                return a
        elif name == "power":
            exponent = self.operations[nodes[1]]
            if exponent[0] == "constant" and exponent[1] == 2:
                return self.made("multiply", nodes[0], nodes[0])
        elif name == "square":
            return self.made("multiply", nodes[0], nodes[0])
        elif name == "positive":
            return nodes[0]
        return self.node(name, *nodes)


class Node:
    """A number that is known once the program runs; arithmetic with it makes further ones."""

    __slots__ = ("graph", "number")

    def __init__(self, graph: _Graph, number: int) -> None:
        self.graph = graph
        self.number = number

    def made(self, name: str, *operands: Any) -> Node:
        """Return the node of an operation on nodes and numbers."""
        graph = self.graph
        nodes = [o.number if type(o) is Node else graph.constant(o) for o in operands]
        return Node(graph, graph.made(name, *nodes))

    def __add__(self, other: Any) -> Node:
        return self.made("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return self.made("add", other, self)

    def __mul__(self, other: Any) -> Node:
        return self.made("multiply", self, other)

    def __rmul__(self, other: Any) -> Node:
        return self.made("multiply", other, self)

    def __sub__(self, other: Any) -> Node:
        return self.made("subtract", self, other)

    def __rsub__(self, other: Any) -> Node:
        return self.made("subtract", other, self)

    def __truediv__(self, other: Any) -> Node:
        return self.made("divide", self, other)

    def __neg__(self) -> Node:
        return self.made("negative", self)

    def __bool__(self) -> bool:
        raise NotScalarError("a decision inside a step")


def expanded(program: Program, most: int = MOST) -> Scalars:
    """Return a program as operations on numbers.

    Parameters
    ----------
    program : Program
        The program.
    most : int
        How many nodes it may take.

    Raises
    ------
    NotScalarError
        Inside the engine, if a step has no such form, or there are too many operations.
    """
    with uncollected():
        return _expanded(program, most)


def _expanded(program: Program, most: int) -> Scalars:
    graph, forms = _Graph(most), program.forms
    values: dict[int, Sequence[int]] = {}
    plans: dict[Any, _Plan] = {}
    for i in range(program.inputs):
        _check_form(forms[i], most)
        values[i] = [graph.node("input", i, k) for k in range(_size(forms[i].shape))]
    for i, x in program.constants.items():
        _check_form(forms[i], most)
        values[i] = [graph.constant(v) for v in np.asarray(x).astype(object).flat]
    for step in program.steps:
        row, operands, params, result, _ = step
        form = forms[result]
        # Forms and parameters live as long as the program: which they are says what they are.
        key = (row, id(params), id(form), *[id(forms[i]) for i in operands])
        plan = plans.get(key)
        if plan is None:
            _check_form(form, most)
            plan = plans[key] = _plan(step, [forms[i] for i in operands], form)
        values[result] = plan(graph, [values[i] for i in operands])
    outputs = [(form, tuple(values[i])) for form, i in zip(program.results, program.outputs, strict=True)]
    checks = [tuple(values[c.value]) for c in program.checks]
    return needed(graph.operations, outputs, checks)


def needed(operations: list[tuple[Any, ...]], outputs: list[Any], checks: list[tuple[int, ...]]) -> Scalars:
    """Leave out what no output and no check needs."""
    needed = bytearray(len(operations))
    for nodes in (*[nodes for _, nodes in outputs], *checks):
        for n in nodes:
            needed[n] = 1
    count = calls = 0
    for n in range(len(operations) - 1, -1, -1):
        operation = operations[n]
        name = operation[0]
        if not needed[n]:
            operations[n] = ("unused",)
        elif name != "input" and name != "constant":
            for m in operation[1:]:
                needed[m] = 1
            count += 1
            if name not in ARITHMETIC:
                calls += 1
    return Scalars(operations, outputs, checks, count, calls)


def _check_form(form: Form, most: int) -> None:
    if form.kind == "other":
        raise NotScalarError("what is no number")
    if form.dtype != _FLOAT and form.dtype != _BOOL and not (form.kind == "float" and form.dtype.kind == "i"):
        raise NotScalarError(f"numbers of {form.dtype}")
    if _size(form.shape) > most:
        raise NotScalarError("an array that large")


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=int))


def name_of(ufunc: np.ufunc) -> Any:
    """Return the name of one of NumPy's ufuncs; the function itself if it is of another library."""
    name = str(ufunc.__name__)
    return name if getattr(np, name, None) is ufunc else ufunc


# --------------------------------------------------------------------------------------------------
# what a step makes of nodes

_Plan = Callable[[_Graph, list[Sequence[int]]], Sequence[int]]
"""From the nodes of the operands' entries to those of the result's, both in the order of the entries."""


def _plan(step: Step, operands: list[Form], form: Form) -> _Plan:
    """Find out what a step makes of nodes; some functions take integers otherwise than other numbers."""
    row, params = step.row, step.params
    fn: Any = row.fn
    if isinstance(fn, np.ufunc) and not params and fn.nout == 1:
        name = name_of(fn)
        if form.dtype == _BOOL:
            name = _OF_BITS.get(name, name)
        if form.dtype == _BOOL and (not isinstance(name, str) or name not in PREDICATES):
            raise NotScalarError(row.name)
        if name not in ARITHMETIC and name != "power" and any(f.dtype.kind == "i" for f in operands):
            raise NotScalarError(f"{row.name} of integers")
        return _prepared(_entries(name), operands, form.shape, "truth" if name in _LOGIC else "number")
    if fn is np.where:
        kind = "truth" if form.dtype == _BOOL else "number"
        return _prepared(_chosen if kind == "truth" else _entries("where"), operands, form.shape, "truth", kind, kind)
    if fn in (np.all, np.any) and params.get("axis") is None and not params.get("keepdims"):
        whole = fn.__name__
        return _prepared(lambda graph, given: [graph.node(whole, *given[0])], operands, None, "truth")
    kind = "truth" if form.dtype == _BOOL else "number"
    if row.access or row.kind == "movement":
        return _prepared(_moves(step, operands, form), operands, None, kind)
    if form.dtype == _FLOAT:
        if row.name == "astype":
            return _prepared(_entries("positive"), operands, form.shape, kind)
        if row.lower is not None and not params:
            return _prepared(_pattern(row.lower, [()] * len(operands), {}, (), row.name), operands, form.shape, kind)
        if isinstance(row, Elementwise) and row.on_objects and not params:
            return _prepared(_entries(fn), operands, form.shape, kind)
        if row.on_objects and not isinstance(row, Elementwise):
            shapes = [f.shape for f in operands]
            return _prepared(_pattern(fn, shapes, params, form.shape, row.name), operands, None, kind)
    raise NotScalarError(row.name)


def _prepared(plan: _Plan, operands: list[Form], shape: tuple[int, ...] | None, *kinds: str) -> _Plan:
    """Let operands become what a plan takes: numbers or truth values (of each, or of all), broadcast to a shape."""
    changes: list[tuple[int, str, Callable[[Sequence[int]], Sequence[int]] | None]] = []
    for k, form in enumerate(operands):
        convert = kinds[min(k, len(kinds) - 1)]
        if (form.dtype == _BOOL) == (convert == "truth"):
            convert = ""
        take = None
        if shape is not None and form.shape != shape:
            take = _taken(np.broadcast_to(np.arange(_size(form.shape)).reshape(form.shape), shape).ravel().tolist())
        if convert or take is not None:
            changes.append((k, convert, take))
    if not changes:
        return plan

    def prepared(graph: _Graph, given: list[Sequence[int]]) -> Sequence[int]:
        for k, convert, take in changes:
            x = given[k]
            if convert == "number":
                x = [graph.node("number", n) for n in x]
            elif convert:
                zero = graph.constant(0.0)
                x = [graph.node("not_equal", n, zero) for n in x]
            given[k] = x if take is None else take(x)
        return plan(graph, given)

    return prepared


def _entries(name: Any) -> _Plan:
    """Return the plan of an operation entry by entry."""
    if name == "positive":
        return lambda graph, given: given[0]
    if name == "multiply":
        return _products
    if name == "square":
        return lambda graph, given: _products(graph, [given[0], given[0]])
    if name == "power":
        return lambda graph, given: [graph.made("power", a, b) for a, b in zip(*given, strict=True)]

    def entries(graph: _Graph, given: list[Sequence[int]]) -> list[int]:
        known, new, found = graph.known, graph.new, []
        for key in zip(repeat(name), *given, strict=False):
            n = known.get(key)
            found.append(new(key) if n is None else n)
        return found

    return entries


def _products(graph: _Graph, given: list[Sequence[int]]) -> list[int]:
    known, new, ones, found = graph.known, graph.new, graph.ones, []
    for a, b in zip(*given, strict=True):
        if a in ones:
            found.append(b)
        elif b in ones:
            found.append(a)
        else:
            key = ("multiply", a, b)
            n = known.get(key)
            found.append(new(key) if n is None else n)
    return found


def _chosen(graph: _Graph, given: list[Sequence[int]]) -> list[int]:
    """Choose between truth values."""
    return [
        graph.node(
            "logical_or", graph.node("logical_and", c, a), graph.node("logical_and", graph.node("logical_not", c), b)
        )
        for c, a, b in zip(*given, strict=True)
    ]


def _moves(step: Step, operands: list[Form], form: Form) -> _Plan:
    """Return the plan of a row that only moves entries: carried out on their positions, it says which entry stands where."""
    row, params = step.row, step.params
    starts = np.cumsum([1, *[_size(f.shape) for f in operands]]).tolist()
    places: list[Any] = [
        np.arange(a, a + _size(f.shape)).reshape(f.shape) for a, f in zip(starts[:-1], operands, strict=True)
    ]  # 0 is no entry
    if row.access == "write":
        found = places[0]
        found[params["index"]] = places[1] if places[1].shape else places[1].item()
    elif row.access == "read":
        found = np.asarray(places[0][params["index"]])
    else:
        fn: Any = row.fn
        try:
            found = np.asarray(fn(*places, **params))
        except Exception as error:
            raise NotScalarError(f"{row.name} of nodes: {error}") from error
    if found.shape != form.shape or found.dtype.kind != "i":
        raise NotScalarError(f"{row.name} of nodes has another shape")
    found = found.ravel()
    padded = not found.all()
    nothing: Any = False if form.dtype == _BOOL else 0.0
    take = _taken((found - (not padded)).tolist())
    if len(operands) == 1 and not padded:
        if np.array_equal(found, np.arange(1, starts[1])):
            return lambda graph, given: given[0]
        return lambda graph, given: take(given[0])

    def moved(graph: _Graph, given: list[Sequence[int]]) -> Sequence[int]:
        entries = [graph.constant(nothing)] if padded else []
        for x in given:
            entries += x
        return take(entries)

    return moved


def _taken(index: list[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """Return a function that takes these of some nodes."""
    if not any(index):
        count = len(index)
        return lambda nodes: [nodes[0]] * count if count else []
    if len(index) == 1:
        (i,) = index
        return lambda nodes: (nodes[i],)
    return itemgetter(*index)


def _pattern(
    fn: Callable[..., Any], shapes: list[tuple[int, ...]], params: dict[str, Any], shape: tuple[int, ...], name: str
) -> _Plan:
    """Return the plan of a function that adds and multiplies: carried out once on nodes of its own, it says what it does.

    Its operands of no shape stand for entries, and it is done entry by entry.
    """
    own = _Graph(1 << 20)
    given: list[Any] = []
    for k, s in enumerate(shapes):
        nodes = np.empty(_size(s), dtype=object)
        nodes[:] = [Node(own, own.node("input", k, j)) for j in range(len(nodes))]
        given.append(nodes.reshape(s) if s else nodes[0])
    try:
        results = np.asarray(fn(*given, **params), dtype=object)
        if results.shape != shape:
            raise NotScalarError(f"{name} of nodes has another shape")
        last = [n.number if type(n) is Node else own.constant(n) for n in results.flat]
    except NotScalarError:
        raise
    except Exception as error:
        raise NotScalarError(f"{name} of nodes: {error}") from error
    operations = own.operations
    each = not shape and not any(shapes)

    def once(graph: _Graph, entries: Sequence[Sequence[int]]) -> list[int]:
        nodes: list[int] = []
        for operation, *of in operations:
            if operation == "input":
                nodes.append(entries[of[0]][of[1]])
            elif operation == "constant":
                nodes.append(graph.constant(of[0]))
            else:
                nodes.append(graph.made(operation, *[nodes[n] for n in of]))
        return [nodes[n] for n in last]

    if not each:
        return once
    return lambda graph, given: [once(graph, [(n,) for n in entries])[0] for entries in zip(*given, strict=True)]
