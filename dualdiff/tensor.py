"""The eager face: tensors that remember how they were computed, and ``backward``.

A tensor holds its own equation (a :class:`Node`); an equation holds the equations and values of its operands,
never tensors. So there are no cycles, and a graph that nobody holds is freed at once. ``backward`` collects the
equations it can reach, orders them by serial number and reads them backwards with the same ``pull`` as the
functional face: one reverse mode, two faces.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any

import numpy as np

from dualdiff.containers import plain
from dualdiff.errors import (
    GraphFreedError,
    InPlaceError,
    InputError,
    NonScalarError,
    TracedConversionError,
    line_of,
    stores_item,
    user_frame,
    where,
)
from dualdiff.kinds import CAREFUL, Elementwise, Primitive
from dualdiff.passes.pull import pull
from dualdiff.reach import redone_if_not_finite
from dualdiff.rules.indexing import getitem, setitem
from dualdiff.shapes import aval, dtype_of, fit, shape_of
from dualdiff.tape import Tape, brief, frozen
from dualdiff.tracer import Tracer
from dualdiff.values import LEVELS, PACKING, Traced, bind, native, operand, raw
from dualdiff.views import Link, become, is_view, note_root, note_view, shown

__all__ = [
    "Tensor",
    "arange",
    "empty",
    "eye",
    "full",
    "gradients",
    "is_grad_enabled",
    "linspace",
    "no_grad",
    "ones",
    "tensor",
    "zeros",
]

ndarray = np.ndarray
_NUMBERS = (
    float,
    complex,
    np.float64,
    np.float32,
    np.float16,
    np.longdouble,
    np.complex128,
    np.complex64,
    np.clongdouble,
)
NOTHING: dict[str, Any] = {}
_serial = itertools.count()
_adding = threading.RLock()
"""Held while what a node keeps from sweep to sweep (gradient, hooks) is changed: several threads may share a leaf."""
_enabled: ContextVar[bool] = ContextVar("dualdiff_grad_enabled", default=True)
_sweeping: ContextVar[bool] = ContextVar("dualdiff_sweeping", default=False)
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
        self.serial = next(_serial)
        self.grad: Any = None
        self.hooks: dict[int, Callable[[Any], Any]] | None = None
        self.retain = False
        self.place: Any = None

    @property
    def name(self) -> str:
        return "leaf" if self.row is None else self.row.name

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def next_functions(self) -> tuple[Any, ...]:
        """The equations of the operands (None for constants), for walking a graph."""
        return tuple(self.parents)

    def at(self) -> str:
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
        return self.counter.n

    @version.setter
    def version(self, n: int) -> None:
        self.counter.n = n

    def is_stale(self) -> bool:
        return self.base is not None and self.counter.n != self.seen

    def refresh(self, x: Traced) -> None:
        """Give a view the equation that its base has now (the memory is shared, the value is right already)."""
        if not self.is_stale():
            return
        stale = [x]
        while (base := stale[-1].link.base).link is not None and base.link.is_stale():
            stale.append(base)
        token = _enabled.set(True)  # what was recorded stays so, even if a view is first looked at under no_grad
        try:
            for view in reversed(stale):
                link = view.link
                if type(link) is not Memory:
                    link.refresh(view)
                    continue
                link.seen = link.counter.n
                new = bind(link.primitive, (link.base,), link.params)
                if type(new) is not Tensor:  # a functional operator's value was stored in the base
                    become(view, new)
                elif new.mark is not None or view.mark is None or view.mark.row is not None:
                    _hand_on(view.mark, new.mark)
                    view.mark = new.mark
                    link.leaf = link.unrecorded = False
        finally:
            _enabled.reset(token)

    def place(self, index: Any) -> Any:
        """As for any view, but a view that is a leaf refuses writes as a leaf does, and so does one not recorded."""
        if _enabled.get():
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


class Tensor(Tracer):
    """An array that remembers how it was computed, so that ``backward`` can differentiate it.

    Made by :func:`tensor`, :func:`zeros` and their kin, and by every NumPy function of a tensor.
    """

    __slots__ = ()

    def __init__(self, value: Any, node: Node | None, memory: Memory | None = None) -> None:
        self.value = value
        self.mark = node
        self.run = EAGER
        self.link = memory or Memory()

    @property
    def _cell(self) -> bool:  # type: ignore[override]
        return not self.link.number

    def __hash__(self) -> int:
        """Hash by identity, as PyTorch does; what NumPy would have as a number refuses, as no look-up would find it."""
        if not self.shape and (self.mark is None or not self.is_leaf):
            raise TypeError(
                f"{where()}: a 0-d tensor is no key of a dictionary or set: it would be looked up by identity, not by its "
                "value. Use .item() for the value, or id(t) for the identity."
            )
        return id(self)

    # -- state ---------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        self.link.refresh(self)
        return self.mark is not None

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user, not computed from one that requires a gradient."""
        self.link.refresh(self)
        return self.mark is None or self.mark.row is None

    @property
    def grad_fn(self) -> Node | None:
        """The equation that computed the tensor; None for a leaf."""
        return None if self.is_leaf else self.mark

    @property
    def grad(self) -> Any:
        """The gradient accumulated so far (a tensor), or None. Kept at leaves, and where ``retain_grad()`` was asked."""
        return self.mark.grad if self.mark is not None else None

    @grad.setter
    def grad(self, g: Any) -> None:
        if self.mark is None:
            raise InputError(f"{where()}: this tensor does not require a gradient")
        if g is not None and (not isinstance(g, Tensor) or g.dtype.kind in "biu"):
            g = tensor(g, dtype=self.dtype)
        if g is not None and g.shape != self.shape:
            raise InputError(f"{where()}: a gradient of shape {g.shape} does not fit a tensor of shape {self.shape}")
        with _adding:
            self.mark.grad = g

    @property
    def data(self) -> Any:
        """The same memory without the recording (as :meth:`detach`)."""
        return self.detach()

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Start (or stop) recording operations on this leaf; return it."""
        if requires_grad:
            if self.mark is None:
                _check_float(self.value)
                self.mark = _leaf(self.value)
                self.link.leaf = True
        elif self.mark is not None:
            if self.mark.row is not None:
                raise InputError(
                    f"{where()}: only a leaf can stop requiring its gradient; use .detach() for a computed tensor"
                )
            self.mark = None
            self.link.leaf = False
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor as well when ``backward`` passes it."""
        if not self.requires_grad:
            raise InputError(f"{where()}: this tensor does not require a gradient")
        self.mark.retain = True

    def register_hook(self, hook: Callable[[Any], Any]) -> Any:
        """Call ``hook(gradient)`` when ``backward`` passes this tensor; what it returns, if not None, replaces the gradient.

        Returns
        -------
        handle
            Its ``remove()`` takes the hook away.
        """
        if not self.requires_grad:
            raise InputError(f"{where()}: this tensor does not require a gradient")
        key = next(_serial)
        with _adding:
            self.mark.hooks = {**(self.mark.hooks or {}), key: hook}  # a new one: a sweep may be going over the old
        return _Handle(self.mark, key)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the accumulated gradient (or fill it with zeros)."""
        with _adding:
            if self.mark is not None and self.mark.grad is not None:
                if set_to_none:
                    self.mark.grad = None
                else:
                    self.mark.grad.zero_()

    def zero_(self) -> Any:
        """Fill with zeros in place; return the tensor."""
        self[...] = 0.0
        return self

    def cell(self) -> Any:
        """Return the memory that views of this tensor show: a number computed by NumPy gets one when first asked for."""
        if isinstance(self.value, (np.generic, int, float, complex)):
            self.value = np.array(self.value)
        return self.value

    def detach(self) -> Any:
        """Return a tensor with the same memory that derivatives take for a constant."""
        return Tensor(self.cell(), None, Memory(self.link.counter))

    def clone(self) -> Any:
        """Return a recorded copy."""
        return self.copy()

    def numpy(self) -> Any:
        """Return the tensor's own memory as a plain array, read-only, since a write would go unrecorded.

        Plain numbers written into the tensor show in it. A value with a gradient may be written into the tensor only when
        nobody holds such an array any more, which cannot carry that gradient.

        Raises
        ------
        TracedConversionError
            If the tensor requires a gradient: use ``.detach().numpy()``.
        """
        if self.requires_grad:
            raise TracedConversionError(
                f"{where()}: this tensor requires a gradient, which a plain array cannot carry; use .detach().numpy()"
            )
        return self._shown()

    def _shown(self) -> Any:
        """Return the tensor's own memory for NumPy to hold, read-only."""
        return shown(self, self.cell())

    def _reaches_held(self, v: Any) -> bool:
        recorded = _enabled.get() and (self.mark is not None or getattr(v, "mark", None) is not None)
        return (
            not recorded
            and (type(v) is Tensor or not isinstance(plain(v), Traced))
            and type(self.value) is ndarray
            and self.value.flags.writeable
            and not (self.link.counter.kept and _sweeping.get())
        )

    def item(self, *index: Any) -> Any:
        """Return one entry as a Python number: the explicit way out of the recording."""
        return np.asarray(self.value).item(*index)

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
        return np.asarray(self.value).tolist()

    def __repr__(self) -> str:
        body = np.array2string(np.asarray(self.value), separator=", ", prefix="tensor(")
        extra = "" if self.mark is None else ", requires_grad=True" if self.is_leaf else f", grad_fn=<{self.mark.name}>"
        return f"tensor({body}{extra})"

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        if self.requires_grad:
            self._refuse(f"formatting with {spec!r}", "format x.item() or x.detach()")
        return format(self.item() if self.size == 1 else self.value, spec)

    def _refuse(self, what: str, fix: str) -> Any:
        return super()._refuse(
            what, f"use .item() for the plain number of an eager tensor, .detach() for a constant; otherwise {fix}"
        )

    def __float__(self) -> float:
        return super().__float__() if self.requires_grad else float(self.value)

    def __complex__(self) -> complex:
        return super().__complex__() if self.requires_grad else complex(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.requires_grad:
            if not self.shape and (dtype is None or np.dtype(dtype) == np.dtype(object)):
                cell = np.empty((), dtype=object)
                cell[()] = self._number()
                if not copy:
                    self._given()
                    cell.flags.writeable = False  # a write would not reach the tensor
                return cell
            return super().__array__(dtype, copy)
        if not (copy or self.shape):
            self._given()
        if copy or (dtype is not None and np.dtype(dtype) != self.dtype):
            return np.array(self.value, dtype=dtype)
        return self._shown()

    def _number(self) -> Any:
        if self.link.number:
            return self
        new = self.copy()
        if type(new.value) is ndarray:
            new.value = new.value[()]  # which += rebinds
        new.link.number = True
        return new

    def _given(self) -> None:
        if not (self.link.number or PACKING.get() or stores_item()):
            self.link.counter.given = True

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise InputError(f"{where()}: a computed tensor cannot be pickled with its graph; pickle .detach()")
        return _rebuild, (np.asarray(self.value), self.mark is not None, self.grad)

    def __deepcopy__(self, memo: Any) -> Any:
        if not self.is_leaf:
            raise InputError(
                f"{where()}: only leaves can be deep-copied; use .detach() or .clone() of a computed tensor"
            )
        return _rebuild(
            np.asarray(self.value), self.mark is not None, None if self.grad is None else self.grad.__deepcopy__(memo)
        )

    # -- differentiation -----------------------------------------------------------------------------
    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        r"""Add the gradient of this tensor to ``.grad`` of every leaf it was computed from.

        For a vector-valued tensor :math:`y(x)` this adds :math:`J^T v`, with ``gradient`` the covector :math:`v`.

        Parameters
        ----------
        gradient : array_like, optional
            The covector, of this tensor's shape; 1 for a scalar.
        retain_graph : bool, optional
            Keep the saved values, so that ``backward`` can be called again. By default what ``create_graph`` says.
        create_graph : bool
            Record the derivative itself, so that it can be differentiated again.

        Raises
        ------
        NonScalarError
            If the tensor is not a scalar and no gradient is given.
        GraphFreedError
            If an earlier ``backward`` freed the graph.
        InPlaceError
            If a value that is needed was overwritten in place since.

        Examples
        --------
        >>> import dualdiff as dd
        >>> x = dd.tensor([[3.0, 4.0]], requires_grad=True)
        >>> y = dd.zeros((1, 2))
        >>> y[0, 0] = x[0, 0] ** 2 + x[0, 1]
        >>> y[0, 1] = x[0, 1] ** 3 + x[0, 0]
        >>> out = 2 * y
        >>> out.backward([[1.0, 1.0]])
        >>> x.grad
        tensor([[14., 98.]])
        """
        if not self.requires_grad:
            raise InputError(
                f"{where()}: this tensor does not require a gradient: nothing it was computed from has requires_grad=True"
            )
        seed = _seed(self, gradient)
        keep = create_graph if retain_graph is None else retain_graph
        found = _sweep([(self.mark, seed)], keep, create_graph, None)
        with _adding:
            for node, g in found:
                _accumulate(node, g, create_graph)


def _rebuild(value: Any, requires_grad: bool, grad: Any) -> Tensor:
    new = Tensor(np.array(value), None)
    if requires_grad:
        new.mark = _leaf(new.value)
        new.mark.grad = grad
    return new


class _Handle:
    __slots__ = ("key", "node")

    def __init__(self, node: Node, key: int) -> None:
        self.node, self.key = node, key

    def remove(self) -> None:
        with _adding:
            self.node.hooks = {k: h for k, h in (self.node.hooks or {}).items() if k != self.key}


def _leaf(value: Any) -> Node:
    return Node(None, (), (), NOTHING, None, None, aval(value), ())


def _check_float(value: Any) -> None:
    if dtype_of(value).kind not in "fc":
        raise InputError(
            f"{where()}: only floating-point tensors can require a gradient, not {dtype_of(value)}; pass dtype=float"
        )


# --------------------------------------------------------------------------------------------------
# recording


class _EagerRun:
    """The run of the eager face: it computes at once, and links equations where a gradient is required."""

    level = 1
    open = True
    keys = None

    def process(self, row: Primitive, args: Sequence[Any], params: Any) -> Any:
        values, parents, memories = [], [], []
        for a in args:
            if type(a) is Tensor:
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
        if row.differentiable and _enabled.get() and any(p is not None for p in parents) and dtype_of(out).kind in "fc":
            node = self.note(row, parents, values, memories, params, out)
        new = Tensor(out, node)
        if row.view and is_view(out, values[0]):
            link, base = new.link, args[0]
            link.counter = base.link.counter
            link.base, link.primitive, link.params, link.seen = base, row, params, link.counter.n
            link.unrecorded = base.mark is not None and not _enabled.get()
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

    def unary(self, row: Primitive, x: Any) -> Any:
        return bind(row, (operand(x),), NOTHING)

    def binary(self, row: Primitive, x: Any, y: Any) -> Any:
        return bind(row, (operand(x), operand(y)), NOTHING)

    def item(self, x: Any, i: int) -> Any:
        return bind(getitem, (x,), {"index": i})

    def leave(self, x: Any) -> Any:
        return x.value

    def duplicate(self, x: Any) -> Any:
        x.link.refresh(x)
        value = np.array(x.value) if type(x.value) is ndarray else x.value
        if x.mark is None or not _enabled.get():
            return Tensor(value, None)
        return bind(_clone, (x,), NOTHING)

    def write(self, x: Any, index: Any, v: Any) -> None:
        """Carry out ``x[index] = v`` in the tensor's own memory, and record it where a gradient is required."""
        if type(x) is not Tensor:  # a container, such as np.zeros_like(tensor)
            memory = Memory()
            memory.counter.n = x.link.version
            object.__dict__["__class__"].__set__(x, Tensor)
            x.mark, x.run, x.link = None, self, memory
        x.link.refresh(x)
        if x.link.number:
            raise TypeError(
                f"{where()}: this writes into a number that an object array holds, which NumPy cannot either; write into the array"
            )
        other = v.mark if type(v) is Tensor else None
        recording = _enabled.get() and (x.mark is not None or other is not None)
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
        value = v.value if type(v) is Tensor else plain(v)
        if recording and other is not None:
            _check_float(x.value)
        before = aval(x.value)
        if other is not None:
            _set_aside(other, x.link.counter)
        if x.link.counter.kept and _sweeping.get():
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


# --------------------------------------------------------------------------------------------------
# backward


def _seed(y: Tensor, gradient: Any) -> Any:
    if gradient is None:
        if y.size != 1:
            raise NonScalarError(
                f"{where()}: backward() of a tensor of shape {y.shape} needs gradient=, a covector of that shape: it gives one "
                "combination of the rows of the Jacobian. For the whole Jacobian in one call use dd.jacobian(f)(x)."
            )
        return np.ones(y.shape, y.dtype)[()]
    try:
        g = gradient if isinstance(gradient, Tensor) else np.asarray(gradient)
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


def _sweep(
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
    token, sweeping = _enabled.set(create_graph), _sweeping.set(create_graph)
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
        _enabled.reset(token)
        _sweeping.reset(sweeping)
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
    return Tensor(a, node, Memory(counter))


def _as_tensor(g: Any) -> Tensor:
    return g if isinstance(g, Tensor) else Tensor(g, None)


def _own(g: Any) -> Tensor:
    """Return a gradient that stays differentiable in memory that it shares with nobody."""
    token = _enabled.set(True)
    try:
        return _as_tensor(g).copy()
    finally:
        _enabled.reset(token)


def _watcher(node: Node, results: dict[int, tuple[Node, Any]]) -> Callable[[Any], Any]:
    def look(g: Any) -> Any:
        for hook in list((node.hooks or {}).values()):
            handed = g if isinstance(g, Tensor) else Tensor(np.array(g) if type(g) is ndarray else g, None)
            token = _sweeping.set(False)
            try:
                new = hook(handed)
            finally:
                _sweeping.reset(token)
            if new is not None:
                if shape_of(new) != shape_of(g):
                    raise InputError(
                        f"a hook returned a gradient of shape {shape_of(new)} where {shape_of(g)} is needed"
                    )
                g = new if isinstance(g, Tensor) else fit(raw(new), (), shape_of(g), dtype_of(g))
        results[id(node)] = (node, g)
        return g

    return look


def _accumulate(node: Node, g: Any, create_graph: bool) -> None:
    if node.row is not None and not node.retain:
        return
    if node.grad is None:
        if create_graph:
            node.grad = _own(g)
        else:
            node.grad = Tensor(np.array(raw(g)), None)
    elif create_graph or node.grad.mark is not None:
        token = _enabled.set(create_graph or _enabled.get())
        try:
            node.grad = node.grad + g
        finally:
            _enabled.reset(token)
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
    if type(inputs) is Tensor:
        inputs = (inputs,)
    if type(outputs) is not Tensor or not outputs.requires_grad:
        raise InputError(f"{where()}: the output does not require a gradient")
    for x in inputs:
        if type(x) is not Tensor or not x.requires_grad:
            raise InputError(f"{where()}: every input must be a tensor that requires a gradient")
    reach = {id(n) for n in _collect([outputs.mark])}
    for n, x in enumerate(inputs):
        if strict and id(x.mark) not in reach:
            raise InputError(
                f"{where()}: input {n} does not reach the output; pass strict=False for a gradient of zeros"
            )
    keep = create_graph if retain_graph is None else retain_graph
    wanted = [x.mark for x in inputs]
    found = {id(n): g for n, g in _sweep([(outputs.mark, _seed(outputs, gradient))], keep, create_graph, wanted)}
    out = []
    for x in inputs:
        g = found.get(id(x.mark))
        out.append(
            Tensor(np.zeros(x.shape, x.dtype), None)
            if g is None
            else _own(g)
            if isinstance(g, Tensor)
            else Tensor(np.array(g), None)
        )
    return tuple(out)


# --------------------------------------------------------------------------------------------------
# making tensors, and switching the recording off


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
        self._tokens.setdefault(threading.get_ident(), []).append(_enabled.set(False))

    def __exit__(self, *exc: Any) -> None:
        _enabled.reset(self._tokens[threading.get_ident()].pop())


def is_grad_enabled() -> bool:
    """Return whether operations on tensors that require a gradient are being recorded."""
    return _enabled.get()


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor with a copy of some data.

    Parameters
    ----------
    data : array_like
        Numbers, nested lists of them, or an array; not a value that is being differentiated.
    dtype : dtype, optional
        By default that of the data.
    requires_grad : bool
        Whether operations on the tensor are recorded, so that ``backward`` finds its gradient.

    Returns
    -------
    Tensor

    Raises
    ------
    InputError
        If an integer tensor is to require a gradient, or the data is a value under differentiation.

    Examples
    --------
    >>> import dualdiff as dd
    >>> x = dd.tensor([0.0, 1.0, 2.0], requires_grad=True)
    >>> (x**2 + 2 * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """
    if type(data) is Tensor:
        data = data.detach().value
    elif isinstance(data, Traced) and isinstance(plain(data), Traced):
        raise InputError(
            f"{where()}: dd.tensor of a value that is being differentiated would cut its derivative off; use the value itself, "
            "or dd.stop_gradient(x) to cut it off on purpose"
        )
    value = np.array(plain(native(data)), dtype=dtype)
    if value.dtype.kind not in "biufc":
        raise InputError(f"{where()}: a tensor holds numbers, not {value.dtype}")
    out = Tensor(value, None)
    return out.requires_grad_() if requires_grad else out


def _creator(name: str, example: str) -> Callable[..., Tensor]:
    make = getattr(np, name)

    def create(*args: Any, dtype: Any = float, requires_grad: bool = False, **kwargs: Any) -> Tensor:
        out = Tensor(make(*args, dtype=dtype, **kwargs), None)
        return out.requires_grad_() if requires_grad else out

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"""Return a tensor made by ``np.{name}``, float64 by default; arguments are NumPy's, and ``requires_grad``.

    Examples
    --------
    >>> import dualdiff as dd
    >>> {example}
    """
    return create


zeros = _creator("zeros", "dd.zeros((1, 2))\n    tensor([[0., 0.]])")
ones = _creator("ones", "dd.ones(2, requires_grad=True)\n    tensor([1., 1.], requires_grad=True)")
empty = _creator("empty", "dd.empty((0, 2)).shape\n    (0, 2)")
full = _creator("full", "dd.full(2, 7.0)\n    tensor([7., 7.])")
eye = _creator("eye", "dd.eye(2)\n    tensor([[1., 0.],\n            [0., 1.]])")
arange = _creator("arange", "dd.arange(0, 3, requires_grad=True)\n    tensor([0., 1., 2.], requires_grad=True)")
linspace = _creator("linspace", "dd.linspace(0, 1, 3)\n    tensor([0. , 0.5, 1. ])")
