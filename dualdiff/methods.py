"""Methods: the methods and attributes of ``ndarray`` that a traced value has, each by the function of NumPy that does the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dualdiff import rules
from dualdiff.errors import InPlaceError, UnsupportedFunctionError, where
from dualdiff.rules.indexing import is_basic
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import Traced, is_number, raw
from dualdiff.views import write

ndarray = np.ndarray
_class = type


class Flat:
    """``x.flat`` of a traced array: the entries in order, readable and writable."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return size_of(shape_of(self.array))

    @property
    def base(self) -> Any:
        """The array whose entries these are."""
        return self.array

    def copy(self) -> Any:
        """Return the entries in an array of their own."""
        return np.ravel(self.array).copy()

    def __iter__(self) -> Iterator[Any]:
        shape = shape_of(self.array)
        return (self.array[at] for at in np.ndindex(shape))  # read when they are asked for, as NumPy's

    def __getitem__(self, index: Any) -> Any:
        entries = np.reshape(self.array, -1)[index]
        return entries.copy() if shape_of(entries) and is_basic(index) else entries  # never a view

    def __setitem__(self, index: Any, v: Any) -> None:
        rules.destinations.store_flat(self.array, index, v)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.reshape(self.array, -1).__array__(dtype)


class Methods(Traced):
    """What is written with a dot behind an array."""

    __slots__ = ()

    # what the classes above this one bring
    __array__: Any
    __getitem__: Any
    __iter__: Any
    _may_leave: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.value)

    @shape.setter
    def shape(self, shape: Any) -> None:
        raise InPlaceError(
            f"{where()}: x.shape = … would give another shape to an array that is being differentiated, which others may hold. "
            "Write x = x.reshape(shape)."
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        return dtype_of(self.value)

    @property
    def ndim(self) -> int:
        return len(shape_of(self.value))

    @property
    def size(self) -> int:
        return size_of(shape_of(self.value))

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def T(self) -> Any:
        return rules.movement.transposing.transposed(self)

    @property
    def mT(self) -> Any:
        return rules.movement.transposing.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return np.real(self)

    @real.setter
    def real(self, v: Any) -> None:
        write(self.real, Ellipsis, v)

    @property
    def imag(self) -> Any:
        return np.imag(self)

    @imag.setter
    def imag(self, v: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError(f"{where()}: array does not have imaginary part to set")
        write(self.imag, Ellipsis, v)

    @property
    def flat(self) -> Any:
        return Flat(self)

    @flat.setter
    def flat(self, v: Any) -> None:
        Flat(self)[:] = v

    @property
    def flags(self) -> Any:
        return getattr(raw(self), "flags", None) or np.empty(self.shape, self.dtype).flags

    @property
    def strides(self) -> tuple[int, ...]:
        return getattr(raw(self), "strides", None) or np.empty(self.shape, self.dtype).strides

    @property
    def base(self) -> Any:
        """The array whose memory this shows, if it is a view."""
        return None if self.link is None else self.link.base

    @property
    def device(self) -> str:
        """Where the array is, in the words of the array API."""
        return getattr(raw(self), "device", "cpu")

    def to_device(self, device: Any, /, *, stream: Any = None) -> Any:
        """Return the array itself: there is nowhere else to go."""
        if stream is not None:
            raise ValueError("The stream argument in to_device() is not supported")
        if device != self.device:
            raise ValueError(f"Unsupported device: {device}.")
        return self

    def copy(self, order: str = "C") -> Any:
        if self.link is not None:
            self.link.refresh(self)
        new = self.run.duplicate(self)
        # How a copy lies in memory decides which of its reshapes are views: it must lie as NumPy's would.
        inner = new
        while isinstance(inner.value, Traced):
            inner = inner.value
        if type(inner.value) is ndarray and inner.value.ndim:
            if order != "K":
                inner.value = np.asarray(inner.value, order=order)  # type: ignore[call-overload]
            elif not inner.value.flags.forc:
                inner.value = inner.value.copy("K")
        return new

    def item(self, *index: Any) -> Any:
        if not index:
            if self.size != 1:
                raise ValueError("can only convert an array of size 1 to a Python scalar")
            return np.reshape(self, ())
        if len(index) == 1 and not isinstance(index[0], tuple):
            return np.reshape(self, -1)[index[0]]
        return self[index[0] if len(index) == 1 else index]

    def tolist(self) -> Any:
        return [v.tolist() for v in self] if self.ndim else self

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        return rules.elementwise.cast(self, dtype, *args, **kwargs)

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """Show the same memory: as it is, or as the parts of its complex numbers, or the other way round."""
        whole = self if is_number(self) else None
        for asked in (dtype, type):
            if asked is None or asked is ndarray:
                continue
            if isinstance(asked, _class) and issubclass(asked, ndarray):
                raise UnsupportedFunctionError(
                    f"{where()}: view({asked.__name__}) makes an array of a class of its own, whose rules a derivative "
                    "would not follow; work with the array itself."
                )
            shown_as = rules.reinterpreted.view_as(self, asked)
            if shown_as is not None:
                return shown_as
        return self[...] if whole is None else whole

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        return rules.movement.layout.reshape_as(self, shape[0] if len(shape) == 1 else shape, **kwargs)

    def transpose(self, *axes: Any) -> Any:
        return rules.movement.transposing.transposed(self, (axes[0] if len(axes) == 1 else axes) or None)

    def flatten(self, order: Any = "C") -> Any:
        return np.ravel(self, order=order).copy()

    def fill(self, value: Any) -> None:
        write(self, Ellipsis, value)

    def sort(self, axis: int = -1, **kwargs: Any) -> None:
        write(self, Ellipsis, np.sort(self, axis=axis, **kwargs))

    def partition(self, kth: Any, axis: int = -1, **kwargs: Any) -> None:
        write(self, Ellipsis, np.partition(self, kth, axis=axis, **kwargs))

    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(self, other) if out is None else np.dot(self, other, out=out)

    def conj(self) -> Any:
        return np.conjugate(self) if self.dtype.kind == "c" else self  # itself, not a copy, as NumPy's

    conjugate = conj

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)

    def clip(self, min: Any = None, max: Any = None, out: Any = None, **kwargs: Any) -> Any:
        return np.clip(self, min, max, out=out, **kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        return np.max(self, *args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        return np.min(self, *args, **kwargs)


def _method(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Call ``np.{name}`` on this array."
    return method


for _name in (
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "choose",
    "cumprod",
    "cumsum",
    "diagonal",
    "mean",
    "nonzero",
    "prod",
    "ptp",
    "put",
    "ravel",
    "repeat",
    "round",
    "searchsorted",
    "squeeze",
    "std",
    "sum",
    "swapaxes",
    "take",
    "trace",
    "var",
):
    setattr(Methods, _name, _method(_name))


def _ufunc_method(ufunc: Any) -> Callable[..., Any]:
    def method(self: Any, *args: Any) -> Any:
        return ufunc(self, *args)

    return method


_BYTES = "shows or copies the bytes of plain numbers; use dd.stop_gradient(x).{name} where no derivative is meant"
_WITHOUT_DERIVATIVE = {
    **dict.fromkeys(
        ("data", "ctypes", "dump", "dumps", "tobytes", "tofile", "tostring", "byteswap", "getfield", "setfield"), _BYTES
    ),
    "resize": "changes an array's memory in place; write x = np.resize(x, shape), or np.pad to fill up with zeros",
    "setflags": "changes what may be done with memory that a differentiated value does not have; leave it out",
}
"""What an array can do, and a value that is being differentiated cannot, with what to write instead."""


def _refused_method(name: str) -> Any:
    reason = _WITHOUT_DERIVATIVE[name].format(name=name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._may_leave():
            return getattr(np.asarray(self.run.leave(self)), name)(*args, **kwargs)
        raise UnsupportedFunctionError(f"{where()}: ndarray.{name} of a value that is being differentiated {reason}.")

    if name not in ("data", "ctypes"):
        return method

    def attribute(self: Any) -> Any:
        if self._may_leave():
            return getattr(np.asarray(self.run.leave(self)), name)
        return method(self)

    return property(attribute)


def _eager_only(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(
            f"{where()}: .{name} belongs to eager tensors; this value is being differentiated by an operator. "
            "Use dd.stop_gradient(x) to cut it off, and the operators (dd.grad, dd.jacobian) for derivatives."
        )

    return method


for _name in ("backward", "detach", "numpy", "register_hook", "requires_grad_", "retain_grad", "zero_", "zero_grad"):
    setattr(Methods, _name, _eager_only(_name))
# Object arrays call a ufunc's name as a method of their entries (x.sin(), x.hypot(y)).
for _name in dir(np):
    if isinstance(getattr(np, _name), np.ufunc) and not hasattr(Methods, _name):
        setattr(Methods, _name, _ufunc_method(getattr(np, _name)))
for _name in _WITHOUT_DERIVATIVE:
    setattr(Methods, _name, _refused_method(_name))


__all__ = ["Flat", "Methods"]
