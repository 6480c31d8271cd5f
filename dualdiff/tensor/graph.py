"""The graph: equations that hold equations, the memory that tensors share, and the run that computes at once.

An equation (a :class:`Node`) holds the equations and values of its operands, never tensors. So there are no cycles, and a
graph that nobody holds is freed at once.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any

import numpy as np

from dualdiff.callers import takes_objects
from dualdiff.containers import plain
from dualdiff.errors import InPlaceError, InputError, line_of, user_frame, where
from dualdiff.kinds import Elementwise, Primitive
from dualdiff.rules.indexing import setitem
from dualdiff.shapes import aval, dtype_of, shape_of
from dualdiff.tape import brief, frozen
from dualdiff.tracer import Run
from dualdiff.values import LEVELS, NOTHING, Traced, bind, set_class
from dualdiff.views import Link, become, is_view, note_root, note_view

ndarray = np.ndarray
SERIAL = itertools.count()
ADDING = threading.RLock()
"""Held while what a node keeps from sweep to sweep (gradient, hooks) is changed: several threads may share a leaf."""
ENABLED: ContextVar[bool] = ContextVar("dualdiff_grad_enabled", default=True)
SWEEPING: ContextVar[bool] = ContextVar("dualdiff_sweeping", default=False)
"""Whether a sweep is being recorded: it then writes into buffers of its own, except where equations keep their values."""


class Node:
    """One equation of the eager graph, or a leaf (``row`` None), where gradients are kept."""

    __slots__ = (
        "__weakref__",
        "args",
        "forms",
        "form",
        "grad",
        "hooks",
        "ins",
        "out",
        "params",
        "parents",
        "place",
        "retain",
        "row",
        "saved",
        "serial",
    )

    def __init__(
        self, row: Any, parents: tuple[Any, ...], args: Any, params: Any, out: Any, forms: Any, form: Any, saved: Any
    ) -> None:
        self.row = row
        self.parents = parents  # per operand its node, None for a constant
        self.args = args
        self.params = params
        self.out = out
        self.forms = forms
        self.form = form
        self.saved = saved  # (counter, version, what, operand or -1) of the memory its values live in
        self.serial = next(SERIAL)
        self.grad: Any = None
        self.hooks: dict[int, Callable[[Any], Any]] | None = None
        self.retain = False
        self.place: Any = None

    @property
    def name(self) -> str:
        """What is computed here, for messages."""
        return "leaf" if self.row is None else self.row.name

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def next_functions(self) -> tuple[Any, ...]:
        """The equations of the operands (None for constants), for walking a graph."""
        return tuple(self.parents)

    def at(self) -> str:
        """Say where the user's code was."""
        return line_of(*self.place) if self.place else "an unknown line"


class Counter:
    """How often the memory that some tensors share was written in place, and where last."""

    __slots__ = ("given", "kept", "last", "n")

    def __init__(self) -> None:
        self.n = 0
        self.given = False  # whether an object array may hold a 0-d tensor with this memory
        self.kept = False  # whether an equation keeps values in this memory
        self.last = ""


class Memory(Link):
    """The link of a tensor: a version counter shared by all that share its memory (views, detached tensors)."""

    __slots__ = ("counter", "leaf", "number", "unrecorded")

    def __init__(self, counter: Counter | None = None) -> None:
        self.counter = counter or Counter()
        self.base = self.root = self.primitive = self.params = self.places = self.held = self.under = None
        self.seen = 0
        self.leaf = False  # whether requires_grad_() made a leaf of this view
        self.entry = False
        self.unrecorded = False  # whether no_grad() kept the equation of this view from being noted
        self.number = False  # whether it is a number in an object array, which other arrays may hold as well
        self.born = LEVELS.current

    @property
    def version(self) -> int:
        """How often the memory was written."""
        return self.counter.n

    @version.setter
    def version(self, n: int) -> None:
        self.counter.n = n

    def is_stale(self) -> bool:
        """Whether the memory was written since this view was read from it."""
        return self.base is not None and self.counter.n != self.seen

    def refresh(self, x: Traced) -> None:
        """Give a view the equation that its base has now (the memory is shared, the value is right already)."""
        if not self.is_stale():
            return
        stale = [x]
        while (base := stale[-1].link.base).link is not None and base.link.is_stale():
            stale.append(base)
        token = ENABLED.set(True)  # what was recorded stays so, even if a view is first looked at under no_grad
        try:
            for view in reversed(stale):
                link = view.link
                if type(link) is not Memory:
                    link.refresh(view)
                    continue
                link.seen = link.counter.n
                new = bind(link.primitive, (link.base,), link.params)
                if type(new) is not EAGER.tensor:  # a functional operator's value was stored in the base
                    become(view, new)
                elif new.mark is not None or view.mark is None or view.mark.row is not None:
                    _hand_on(view.mark, new.mark)
                    view.mark = new.mark
                    link.leaf = link.unrecorded = False
        finally:
            ENABLED.reset(token)

    def place(self, index: Any) -> Any:
        """As for any view, but a view that is a leaf refuses writes as a leaf does, and so does one not recorded."""
        if ENABLED.get():
            if self.leaf:
                raise InPlaceError(_WRITES_INTO_LEAF.format(where()))
            if self.unrecorded:
                raise InPlaceError(
                    f"{where()}: this writes into a view that was made inside dd.no_grad(), of a tensor that is recorded: the "
                    "write would be recorded with the view as a constant, and a gradient be lost. Make the view outside "
                    "dd.no_grad(), or write inside it."
                )
        return super().place(index)


_WRITES_INTO_LEAF = (
    "{}: this writes into a leaf that requires a gradient, whose old value its gradient belongs to. "
    "Write into a copy (y = x.clone()), or inside dd.no_grad() if a new starting value is meant."
)


def _set_aside(node: Node, counter: Counter) -> None:
    """Copy the operands of an equation whose memory its own result will overwrite (``y *= w``)."""
    taken = [i for c, n, _, i in node.saved if c is counter and n == c.n and i >= 0]
    if taken:
        node.args = tuple([a.copy("K") if i in taken else a for i, a in enumerate(node.args)])
        node.saved = [entry for entry in node.saved if entry[3] not in taken]


def _hand_on(old: Node | None, new: Node | None) -> None:
    """Let a tensor that keeps its gradient keep it when a write gives it another equation."""
    if old is not None and new is not None and old.retain:
        new.retain, old.retain = True, False
        new.grad, old.grad = old.grad, None


def leaf_of(value: Any) -> Node:
    """Return the node of a leaf with such a value."""
    return Node(None, (), (), NOTHING, None, None, aval(value), ())


def check_float(value: Any) -> None:
    """Refuse a value that cannot require a gradient."""
    if dtype_of(value).kind not in "fc":
        raise InputError(
            f"{where()}: only floating-point tensors can require a gradient, not {dtype_of(value)}; pass dtype=float"
        )


# --------------------------------------------------------------------------------------------------
# recording


class _EagerRun(Run):
    """The run of the eager face: it computes at once, and links equations where a gradient is required."""

    level = 1
    #: the class of its values, which stands above the graph: the face says it
    tensor: Any = None

    def objects(self) -> bool:
        """Whether the caller is code that may have tensors as Python objects."""
        return takes_objects()

    def process(self, row: Primitive, args: Sequence[Any], params: Any) -> Any:
        tensor = self.tensor
        values, parents, memories = [], [], []
        for a in args:
            if type(a) is tensor:
                a.link.refresh(a)
                values.append(a.value if not row.view else a.cell())
                parents.append(a.mark)
                memories.append(a.link.counter)
            else:
                values.append(plain(a))
                parents.append(None)
                memories.append(None)
        out = row.fn(*values, **params)
        node = None
        if row.differentiable and ENABLED.get() and any(p is not None for p in parents) and dtype_of(out).kind in "fc":
            node = self.note(row, parents, values, memories, params, out)
        new = tensor(out, node)
        if row.view and is_view(out, values[0]):
            link, base = new.link, args[0]
            link.counter = base.link.counter
            link.base, link.primitive, link.params, link.seen = base, row, params, link.counter.n
            link.unrecorded = base.mark is not None and not ENABLED.get()
            if base.link.under is not None:
                note_view(new, base, row, params)
        elif node is not None and row.under is not None and not row.plain:
            note_root(row, new, args, params)
        if node is not None and node.saved and node.saved[-1][0] is None:
            node.saved[-1] = (new.link.counter, new.link.counter.n, "its result", -1)
            new.link.counter.kept = True
        return new

    def note(self, row: Any, parents: Any, values: Any, memories: Any, params: Any, out: Any) -> Node:
        keep_out, keep_args = row.keep(tuple([p is not None for p in parents]))
        kept, saved = [], []
        for i, (a, c, k) in enumerate(zip(values, memories, keep_args, strict=True)):
            if not k:
                kept.append(brief(a))
            elif c is None:
                kept.append(frozen(a))
            else:
                kept.append(a)
                if type(a) is ndarray:
                    saved.append((c, c.n, "an operand", i))
                    c.kept = True
        shape, dtype = shape_of(out), dtype_of(out)
        forms = None
        for a, p in zip(values, parents, strict=True):
            if p is not None and (dtype.kind != "f" or shape_of(a) != shape or dtype_of(a) != dtype):
                forms = tuple([(shape_of(v), dtype_of(v)) for v in values])
                break
        if keep_out and type(out) is ndarray:
            saved.append((None, 0, "its result", -1))
        node = Node(row, tuple(parents), tuple(kept), params, out if keep_out else brief(out), forms, aval(out), saved)
        frame = user_frame()
        if frame is not None:
            node.place = (frame.f_code, frame.f_lasti)
        return node

    def leave(self, x: Any) -> Any:
        return x.value

    def duplicate(self, x: Any) -> Any:
        x.link.refresh(x)
        value = np.array(x.value) if type(x.value) is ndarray else x.value
        if x.mark is None or not ENABLED.get():
            return self.tensor(value, None)
        return bind(_clone, (x,), NOTHING)

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out ``x[index] = v`` in the tensor's own memory, and record it where a gradient is required."""
        if type(x) is not self.tensor:  # a container, such as np.zeros_like(tensor)
            memory = Memory()
            memory.counter.n = x.link.version
            set_class(x, self.tensor)
            x.mark, x.run, x.link = None, self, memory
        x.link.refresh(x)
        if x.link.number:
            raise TypeError(
                f"{where()}: this writes into a number that an object array holds, which NumPy cannot either; write into the array"
            )
        other = v.mark if type(v) is self.tensor else None
        recording = ENABLED.get() and (x.mark is not None or other is not None)
        if x.link.counter.given and (recording or x.mark is not None):
            raise InPlaceError(
                f"{where()}: this writes into a 0-d tensor of which np.array([…]) made an entry, or into the tensor that it is "
                "a view of: the array, which in NumPy keeps the value of that time, would change with it. Compute a new "
                "tensor (s = s + 1), put s.clone() into the list, or make the array with np.stack([…])."
            )
        if recording and x.mark is not None:
            root = x
            while root.link.base is not None:
                root = root.link.base
            if root.mark is not None and root.mark.row is None:
                raise InPlaceError(_WRITES_INTO_LEAF.format(where()))
        value = v.value if type(v) is self.tensor else plain(v)
        if recording and other is not None:
            check_float(x.value)
        before = aval(x.value)
        if other is not None:
            _set_aside(other, x.link.counter)
        if x.link.counter.kept and SWEEPING.get():
            x.value, x.link.counter = _copy(x.value), Counter()
        if type(x.value) is ndarray:
            if not x.value.flags.writeable:
                x.value = x.value.copy()
            x.value[index] = value
        else:
            x.value = np.array(x.value)
            x.value[index] = value
        x.link.counter.last = where()
        if recording:
            parents = (x.mark, other)
            forms = ((before.shape, before.dtype), (shape_of(value), dtype_of(value)))
            args = (before, aval(value))
            node = Node(setitem, parents, args, {"index": index}, before, forms, before, ())
            frame = user_frame()
            if frame is not None:
                node.place = (frame.f_code, frame.f_lasti)
            _hand_on(x.mark, node)
            x.mark = node


EAGER = _EagerRun()


def _copy(x: Any) -> Any:
    return np.array(x) if type(x) is ndarray else x


_clone = Elementwise("clone", _copy, 1, domain="real")


class no_grad(ContextDecorator):  # noqa: N801  (the name users know)
    """A context (and decorator) in which operations on tensors are not recorded.

    Examples
    --------
    >>> import dualdiff as dd
    >>> x = dd.tensor(1.0, requires_grad=True)
    >>> with dd.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self) -> None:
        self._tokens: dict[int, list[Token[bool]]] = {}

    def __enter__(self) -> None:
        # By thread: a decorated function, and so this one object, may run in several at once.
        self._tokens.setdefault(threading.get_ident(), []).append(ENABLED.set(False))

    def __exit__(self, *exc: Any) -> None:
        ENABLED.reset(self._tokens[threading.get_ident()].pop())


def is_grad_enabled() -> bool:
    """Return whether operations on tensors that require a gradient are being recorded."""
    return ENABLED.get()
