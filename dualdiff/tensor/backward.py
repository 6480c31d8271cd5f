"""Backward: the equations that a tensor reaches, in the order they ran, read backwards with the ``pull`` of the functional face.

Nothing is changed before the sweep has succeeded. Hooks look at a gradient as the sweep passes their tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import GraphFreedError, InPlaceError, InputError, NonScalarError, where
from dualdiff.kinds import CAREFUL
from dualdiff.passes import kinks
from dualdiff.passes.pull import pull
from dualdiff.reach import redone_if_not_finite
from dualdiff.shapes import dtype_of, fit, shape_of
from dualdiff.tape import Tape
from dualdiff.tensor.graph import ADDING, EAGER, ENABLED, SWEEPING, Counter, Memory, Node, no_grad
from dualdiff.values import raw

ndarray = np.ndarray


def seed_of(y: Any, gradient: Any) -> Any:
    """Return the covector that a sweep from a tensor starts with: what was given, checked, or 1 for a scalar."""
    if gradient is None:
        if y.size != 1:
            raise NonScalarError(
                f"{where()}: backward() of a tensor of shape {y.shape} needs gradient=, a covector of that shape: it gives one "
                "combination of the rows of the Jacobian. For the whole Jacobian in one call use dd.jacobian(f)(x)."
            )
        return np.ones(y.shape, y.dtype)[()]
    try:
        g = gradient if isinstance(gradient, EAGER.tensor) else np.asarray(gradient)
    except (TypeError, ValueError) as e:
        raise InputError(f"{where()}: gradient= must be an array of shape {y.shape}: {e}") from None
    if shape_of(g) != y.shape:
        raise InputError(f"{where()}: gradient= has shape {shape_of(g)}, but the tensor has shape {y.shape}")
    if dtype_of(g).kind not in "biufc" or (dtype_of(g).kind == "c" and y.dtype.kind != "c"):
        raise InputError(f"{where()}: gradient= has dtype {dtype_of(g)}, which does not fit a tensor of {y.dtype}")
    return g.astype(y.dtype)


def _collect(roots: Sequence[Node]) -> list[Node]:
    """Return every node that the roots were computed from, in the order they ran."""
    seen: dict[int, Node] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            stack.extend(p for p in node.parents if p is not None)
    return sorted(seen.values(), key=lambda n: n.serial)


def sweep(
    seeds: Sequence[tuple[Node, Any]], retain_graph: bool, create_graph: bool, wanted: Sequence[Node] | None
) -> list[tuple[Node, Any]]:
    """Pull from the seeded nodes; return (node, gradient) for leaves, retained and wanted nodes. Nothing is changed on error."""
    nodes = _collect([n for n, _ in seeds])
    leaves = [n for n in nodes if n.row is None]
    inner = [n for n in nodes if n.row is not None]
    held = []
    for node in inner:
        out, args = node.out, node.args  # read once, and in this order: another thread may free the graph now
        held.append((args, out))
        if args is None:
            raise GraphFreedError(
                f"{where()}: the graph was freed by an earlier backward() (first met at the operation {node.name}, {node.at()}). "
                "Pass retain_graph=True to the earlier call to sweep it again."
            )
        for counter, version, what, _ in node.saved:
            if counter.n != version:
                raise InPlaceError(
                    f"{where()}: a value needed by backward was overwritten in place: {what} of {node.name} ({node.at()}), "
                    f"written since {counter.n - version} time(s), last at {counter.last or 'an unknown line'}. "
                    "Compute a new array instead of writing into this one, or write into a .clone()."
                )
    slots = {id(n): s for s, n in enumerate([*leaves, *inner])}
    tape = Tape()
    tape.inputs = [n.form for n in leaves]
    for n, (args, out) in zip(inner, held, strict=True):
        ins = tuple([None if p is None else slots[id(p)] for p in n.parents])
        if create_graph:
            counters = {i: counter for counter, _, _, i in n.saved}
            args = tuple([_live(a, p, counters.get(i)) for i, (a, p) in enumerate(zip(args, n.parents, strict=True))])
            out = _live(out, n, counters.get(-1))
        tape.append((n.row, ins, args, n.params, out, n.forms))
    if kinks.raises():
        tape.lines, tape.outputs = [n.place for n in inner], [slots[id(n)] for n, _ in seeds]
        kinks.check(tape)
    token, sweeping = ENABLED.set(create_graph), SWEEPING.set(create_graph)
    results: dict[int, tuple[Node, Any]] = {}
    try:
        watch = {}
        asked = {id(n) for n in wanted or ()}
        for n in nodes:
            if n.hooks or n.retain or id(n) in asked:
                watch[slots[id(n)]] = _watcher(n, results)
        start = [(slots[id(n)], _as_tensor(g) if create_graph else raw(g)) for n, g in seeds]
        found = _careful_pull(tape, start, watch)
        for n, g in zip(leaves, found, strict=True):
            if g is None:
                continue
            if slots[id(n)] in watch:
                g = watch[slots[id(n)]](g)
            results[id(n)] = (n, g)
    finally:
        ENABLED.reset(token)
        SWEEPING.reset(sweeping)
    tape.close()
    if not retain_graph:
        for n in inner:
            n.args = n.out = None
            n.saved = ()
    return list(results.values())


def _careful_pull(tape: Tape, seeds: Any, watch: Any) -> list[Any]:
    """Pull, and pull again the careful way if the result is not finite; watchers look at one sweep only."""
    careful: list[bool] = []

    def compute() -> list[Any]:
        careful.append(CAREFUL.get())
        return pull(tape, seeds, watch=watch if careful[-1] else None)

    found = redone_if_not_finite(compute)
    return pull(tape, seeds, watch=watch) if watch and not careful[-1] else found


def _live(a: Any, node: Node | None, counter: Counter | None) -> Any:
    """Return a saved value as the tensor it was, memory and all, so that the derivative computed from it is recorded."""
    if node is None or not (type(a) is ndarray or np.isscalar(a)):
        return a
    return EAGER.tensor(a, node, Memory(counter))


def _as_tensor(g: Any) -> Any:
    return g if isinstance(g, EAGER.tensor) else EAGER.tensor(g, None)


def _own(g: Any) -> Any:
    """Return a gradient that stays differentiable in memory that it shares with nobody."""
    token = ENABLED.set(True)
    try:
        return _as_tensor(g).copy()
    finally:
        ENABLED.reset(token)


def _watcher(node: Node, results: dict[int, tuple[Node, Any]]) -> Callable[[Any], Any]:
    def look(g: Any) -> Any:
        for hook in list((node.hooks or {}).values()):
            handed = g if isinstance(g, EAGER.tensor) else EAGER.tensor(np.array(g) if type(g) is ndarray else g, None)
            token = SWEEPING.set(False)
            try:
                new = hook(handed)
            finally:
                SWEEPING.reset(token)
            if new is not None:
                if shape_of(new) != shape_of(g):
                    raise InputError(
                        f"a hook returned a gradient of shape {shape_of(new)} where {shape_of(g)} is needed"
                    )
                g = new if isinstance(g, EAGER.tensor) else fit(raw(new), (), shape_of(g), dtype_of(g))
        results[id(node)] = (node, g)
        return g

    return look


def accumulate(node: Node, g: Any, create_graph: bool) -> None:
    """Add a gradient to that of a leaf, or of a tensor that was asked to keep its own."""
    if node.row is not None and not node.retain:
        return
    if node.grad is None:
        if create_graph:
            node.grad = _own(g)
        else:
            node.grad = EAGER.tensor(np.array(raw(g)), None)
    elif create_graph or node.grad.mark is not None:
        token = ENABLED.set(create_graph or ENABLED.get())
        try:
            node.grad = node.grad + g
        finally:
            ENABLED.reset(token)
    else:
        with no_grad():
            node.grad += raw(g)


def gradients(
    outputs: Any,
    inputs: Any,
    gradient: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    strict: bool = True,
) -> tuple[Any, ...]:
    """Return the gradients of a tensor with respect to some others, without touching any ``.grad``.

    Parameters
    ----------
    outputs : Tensor
        The tensor to differentiate.
    inputs : sequence of Tensor
        Leaves or computed tensors.
    gradient : array_like, optional
        The covector, of the shape of ``outputs``; 1 for a scalar.
    retain_graph, create_graph : bool
        As for :meth:`Tensor.backward`.
    strict : bool
        Raise where an input does not reach the output; otherwise its gradient is zeros.

    Returns
    -------
    tuple of Tensor
        One per input.

    Raises
    ------
    InputError
        If an input does not reach the output and ``strict`` is true.

    Examples
    --------
    >>> import dualdiff as dd
    >>> x = dd.tensor(3.0, requires_grad=True)
    >>> (g,) = dd.gradients(x**3, [x], create_graph=True)
    >>> dd.gradients(g, [x])
    (tensor(18.),)
    """
    if type(inputs) is EAGER.tensor:
        inputs = (inputs,)
    if type(outputs) is not EAGER.tensor or not outputs.requires_grad:
        raise InputError(f"{where()}: the output does not require a gradient")
    for x in inputs:
        if type(x) is not EAGER.tensor or not x.requires_grad:
            raise InputError(f"{where()}: every input must be a tensor that requires a gradient")
    reach = {id(n) for n in _collect([outputs.mark])}
    for n, x in enumerate(inputs):
        if strict and id(x.mark) not in reach:
            raise InputError(
                f"{where()}: input {n} does not reach the output; pass strict=False for a gradient of zeros"
            )
    keep = create_graph if retain_graph is None else retain_graph
    wanted = [x.mark for x in inputs]
    found = {id(n): g for n, g in sweep([(outputs.mark, seed_of(outputs, gradient))], keep, create_graph, wanted)}
    out = []
    for x in inputs:
        g = found.get(id(x.mark))
        out.append(
            EAGER.tensor(np.zeros(x.shape, x.dtype), None)
            if g is None
            else _own(g)
            if isinstance(g, EAGER.tensor)
            else EAGER.tensor(np.array(g), None)
        )
    return tuple(out)


class Handle:
    """A hook that was set at a tensor, for taking it away."""

    __slots__ = ("key", "node")

    def __init__(self, node: Node, key: int) -> None:
        self.node, self.key = node, key

    def remove(self) -> None:
        """Take the hook away."""
        with ADDING:
            self.node.hooks = {k: h for k, h in (self.node.hooks or {}).items() if k != self.key}
