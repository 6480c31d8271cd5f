"""The face: tensors as users hold them, and the functions that make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dualdiff.callers import stores_item, takes_objects
from dualdiff.containers import plain
from dualdiff.errors import InputError, TracedConversionError, where
from dualdiff.rules.sparse import is_factor
from dualdiff.tensor.backward import Handle, accumulate, seed_of, sweep
from dualdiff.tensor.graph import ADDING, EAGER, ENABLED, SERIAL, SWEEPING, Memory, Node, check_float, leaf_of
from dualdiff.tracer import Tracer
from dualdiff.values import PACKING, Traced, join, native
from dualdiff.views import shown

ndarray = np.ndarray


class Tensor(Tracer):
    """An array that remembers how it was computed, so that ``backward`` can differentiate it.

    Made by :func:`tensor`, :func:`zeros` and their kin, and by every NumPy function of a tensor.
    """

    __slots__ = ()
    _opt_out = "For the plain number of an eager tensor: x.item(); for a constant: x.detach()."

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
        with ADDING:
            self.mark.grad = g

    @property
    def data(self) -> Any:
        """The same memory without the recording (as :meth:`detach`)."""
        return self.detach()

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Start (or stop) recording operations on this leaf; return it."""
        if requires_grad:
            if self.mark is None:
                check_float(self.value)
                self.mark = leaf_of(self.value)
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
        key = next(SERIAL)
        with ADDING:
            self.mark.hooks = {**(self.mark.hooks or {}), key: hook}  # a new one: a sweep may be going over the old
        return Handle(self.mark, key)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the accumulated gradient (or fill it with zeros)."""
        with ADDING:
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
        recorded = ENABLED.get() and (self.mark is not None or getattr(v, "mark", None) is not None)
        return (
            not recorded
            and (type(v) is Tensor or not isinstance(plain(v), Traced))
            and type(self.value) is ndarray
            and self.value.flags.writeable
            and not (self.link.counter.kept and SWEEPING.get())
        )

    def item(self, *index: Any) -> Any:
        """Return one entry as a Python number: the explicit way out of the recording."""
        return np.asarray(self.value).item(*index)

    def tolist(self) -> Any:
        """Return the values as nested lists of Python numbers."""
        return np.asarray(self.value).tolist()

    __str__ = object.__str__  # which shows the representation

    def __repr__(self) -> str:
        body = np.array2string(np.asarray(self.value), separator=", ", prefix="tensor(")
        extra = "" if self.mark is None else ", requires_grad=True" if self.is_leaf else f", grad_fn=<{self.mark.name}>"
        return f"tensor({body}{extra})"

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        return format(self.item() if self.size == 1 else self.value, spec)

    def _compared(self, asks: Any) -> None:
        if self.requires_grad:
            super()._compared(asks)

    def __float__(self) -> float:
        return super().__float__() if self.requires_grad and stores_item() else float(self.item())

    def __complex__(self) -> complex:
        return super().__complex__() if self.requires_grad and stores_item() else complex(self.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if is_factor():
            return self._as_object()
        if self.requires_grad:
            if (
                not self.shape
                and (dtype is None or np.dtype(dtype) == np.dtype(object))
                and (PACKING.get() or takes_objects())
            ):
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
        seed = seed_of(self, gradient)
        keep = create_graph if retain_graph is None else retain_graph
        found = sweep([(self.mark, seed)], keep, create_graph, None)
        with ADDING:
            for node, g in found:
                accumulate(node, g, create_graph)


EAGER.tensor = Tensor


def _rebuild(value: Any, requires_grad: bool, grad: Any) -> Tensor:
    new = Tensor(np.array(value), None)
    if requires_grad:
        new.mark = leaf_of(new.value)
        new.mark.grad = grad
    return new


# --------------------------------------------------------------------------------------------------
# making tensors


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
    join()
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
