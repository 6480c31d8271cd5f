"""StrictDuck: an array type that speaks NumPy's two protocols and refuses to become a plain array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class CoercionError(TypeError):
    """Somebody asked a duck for its feathers."""


def wrap(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)):
        return StrictDuck(x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(wrap, x))
    if isinstance(x, (list, tuple)):
        return type(x)(map(wrap, x))
    return x


def unwrap(x: Any) -> Any:
    if isinstance(x, StrictDuck):
        return x._array
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(unwrap, x))
    if isinstance(x, (list, tuple)):
        return type(x)(map(unwrap, x))
    if isinstance(x, dict):
        return {k: unwrap(v) for k, v in x.items()}
    if isinstance(x, slice):
        return slice(unwrap(x.start), unwrap(x.stop), unwrap(x.step))
    return x


class StrictDuck(NDArrayOperatorsMixin):
    """An array elsewhere (on a device, on another machine): every way to a plain one raises."""

    __array_priority__ = 500

    def __init__(self, array: Any) -> None:
        assert not isinstance(array, StrictDuck)
        self._array = np.asarray(array)

    # -- the refusals ------------------------------------------------------------------------------
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise CoercionError("a StrictDuck does not become a plain array")

    def __float__(self) -> float:
        raise CoercionError("a StrictDuck does not become a float")

    def __complex__(self) -> complex:
        raise CoercionError("a StrictDuck does not become a complex")

    def __int__(self) -> int:
        raise CoercionError("a StrictDuck does not become an int")

    # -- what it is willing to do ------------------------------------------------------------------
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is not None:
            if not all(o is None or isinstance(o, StrictDuck) for o in out):
                raise CoercionError("a StrictDuck does not write into a plain array")
            kwargs["out"] = unwrap(out)
        if method == "at":
            if not isinstance(inputs[0], StrictDuck):
                raise CoercionError("a StrictDuck does not write into a plain array")
            return getattr(ufunc, method)(*unwrap(inputs), **unwrap(kwargs))
        found = getattr(ufunc, method)(*unwrap(inputs), **unwrap(kwargs))
        return out[0] if out is not None and len(out) == 1 else wrap(found)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return wrap(function(*unwrap(args), **unwrap(kwargs)))

    def __getitem__(self, index: Any) -> Any:
        return wrap(self._array[unwrap(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array[unwrap(index)] = unwrap(value)

    def __bool__(self) -> bool:
        return bool(self._array)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"StrictDuck({self._array!r})"

    __hash__ = None  # type: ignore[assignment]

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> Any:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    @property
    def flags(self) -> Any:
        return self._array.flags

    @property
    def strides(self) -> tuple[int, ...]:
        return self._array.strides

    @property
    def T(self) -> Any:
        return wrap(self._array.T)

    @property
    def mT(self) -> Any:
        return wrap(self._array.mT)

    @property
    def real(self) -> Any:
        return wrap(self._array.real)

    @property
    def imag(self) -> Any:
        return wrap(self._array.imag)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        return wrap(self._array.reshape(*shape, **kwargs))

    def transpose(self, *axes: Any) -> Any:
        return wrap(self._array.transpose(*axes))

    def astype(self, dtype: Any, **kwargs: Any) -> Any:
        return wrap(self._array.astype(dtype, **kwargs))

    def copy(self, **kwargs: Any) -> Any:
        return wrap(self._array.copy(**kwargs))

    def conj(self) -> Any:
        return wrap(self._array.conj())

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        return wrap(self._array.sum(*args, **kwargs))

    def all(self, *args: Any, **kwargs: Any) -> Any:
        return wrap(self._array.all(*args, **kwargs))

    def any(self, *args: Any, **kwargs: Any) -> Any:
        return wrap(self._array.any(*args, **kwargs))

    def max(self, *args: Any, **kwargs: Any) -> Any:
        return wrap(self._array.max(*args, **kwargs))

    def min(self, *args: Any, **kwargs: Any) -> Any:
        return wrap(self._array.min(*args, **kwargs))
