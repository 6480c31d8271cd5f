"""NumPy's names, with new arrays that can come to hold differentiated values.

Plain NumPy code is differentiated as it stands, with one exception: an array from ``np.zeros`` is plain memory, in
which a derivative would be lost, so storing a differentiated value there raises. ``np.zeros_like(x)`` of a
differentiated ``x`` needs no other import. Where there is no such ``x`` at hand, import this module instead of
NumPy: arrays it makes take differentiated values, and every other name is NumPy's own.

>>> import dualdiff as dd
>>> import dualdiff.numpy as np
>>> def f(x):
...     y = np.zeros(2)
...     y[0] = x[0] ** 2
...     y[1] = np.sin(x[1])
...     return y
>>> dd.jacobian(f)(np.array([3.0, 0.0]))
array([[6., 0.],
       [0., 1.]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np  # noqa: ICN001  (the names of this module are those of NumPy)

from dualdiff.rules import creation as _creation
from dualdiff.values import Traced, container

__all__ = [
    "arange",
    "array",
    "asanyarray",
    "asarray",
    "ascontiguousarray",
    "copy",
    "empty",
    "empty_like",
    "eye",
    "frombuffer",
    "fromfunction",
    "fromiter",
    "full",
    "full_like",
    "geomspace",
    "identity",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "tri",
    "zeros",
    "zeros_like",
]


def _maker(name: str, example: str) -> Callable[..., Any]:
    function = getattr(_np, name)

    def make(*args: Any, **kwargs: Any) -> Any:
        return container(function(*args, **kwargs))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""Return what ``numpy.{name}`` returns, able to hold differentiated values. Arguments are NumPy's.

    Examples
    --------
    >>> import dualdiff.numpy as np
    >>> {example}
    """
    return make


zeros = _maker("zeros", "np.zeros(2)\n    array([0., 0.])")
ones = _maker("ones", "np.ones((1, 2))\n    array([[1., 1.]])")
empty = _maker("empty", "np.empty((0, 3)).shape\n    (0, 3)")
eye = _maker("eye", "np.eye(2)\n    array([[1., 0.],\n           [0., 1.]])")
identity = _maker("identity", "np.identity(1)\n    array([[1.]])")
tri = _maker("tri", "np.tri(2)\n    array([[1., 0.],\n           [1., 1.]])")
zeros_like = _maker("zeros_like", "np.zeros_like([1.0, 2.0])\n    array([0., 0.])")
ones_like = _maker("ones_like", "np.ones_like([1.0, 2.0])\n    array([1., 1.])")
empty_like = _maker("empty_like", "np.empty_like([1.0, 2.0]).shape\n    (2,)")
linspace = _maker("linspace", "np.linspace(0, 1, 3)\n    array([0. , 0.5, 1. ])")
logspace = _maker("logspace", "np.logspace(0, 2, 3)\n    array([  1.,  10., 100.])")
geomspace = _maker("geomspace", "np.geomspace(1, 4, 3)\n    array([1., 2., 4.])")
fromfunction = _maker("fromfunction", "np.fromfunction(lambda i: i * 2.0, (3,))\n    array([0., 2., 4.])")
fromiter = _maker("fromiter", "np.fromiter([1.0, 2.0], float)\n    array([1., 2.])")
frombuffer = _maker("frombuffer", 'np.frombuffer(b"ab", dtype=np.uint8)\n    array([97, 98], dtype=uint8)')
copy = _maker("copy", "np.copy([1.0, 2.0])\n    array([1., 2.])")


def arange(*args: Any, **kwargs: Any) -> Any:
    """Return ``start, start + step, …``, differentiable in ``start`` and ``step``. Arguments are NumPy's.

    Examples
    --------
    >>> import dualdiff as dd
    >>> import dualdiff.numpy as np
    >>> dd.jvp(lambda a: np.arange(a, a + 2.5), (1.0,), (1.0,))
    (array([1., 2., 3.]), array([1., 1., 1.]))
    """
    return _creation.arange(*args, **kwargs)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C") -> Any:
    """Return an array filled with a value, which may be a differentiated one.

    Examples
    --------
    >>> import dualdiff as dd
    >>> import dualdiff.numpy as np
    >>> dd.grad(lambda a: np.full(3, a).sum())(2.0)
    3.0
    """
    return _creation.full(shape, fill_value, dtype, order)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None
) -> Any:
    """Return an array shaped like another and filled with a value, which may be a differentiated one.

    Examples
    --------
    >>> import dualdiff.numpy as np
    >>> np.full_like([1.0, 2.0], 7)
    array([7., 7.])
    """
    out = empty_like(a, dtype=dtype, order=order, subok=subok, shape=shape)
    out[...] = fill_value
    return out


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, order: Any = "K", ndmin: int = 0) -> Any:
    """Return an array of numbers, arrays and differentiated values, nested in lists.

    Examples
    --------
    >>> import dualdiff as dd
    >>> import dualdiff.numpy as np
    >>> dd.jvp(lambda a: np.array([[a, 1.0], [0.0, a * a]]), (3.0,), (1.0,))[1]
    array([[1., 0.],
           [0., 6.]])
    """
    return _creation.array(object, dtype, copy=copy, order=order, ndmin=ndmin)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None) -> Any:
    """Return the argument as an array: an array as it is, a nested list as :func:`array` would.

    Examples
    --------
    >>> import dualdiff.numpy as np
    >>> np.asarray([1.0, 2.0])
    array([1., 2.])
    """
    return _creation.asarray(a, dtype, order, copy=copy)


asanyarray = asarray


def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    """Return the argument as an array laid out in C order.

    Examples
    --------
    >>> import dualdiff.numpy as np
    >>> np.ascontiguousarray([1.0, 2.0])
    array([1., 2.])
    """
    return asarray(a, dtype) if isinstance(a, Traced) else container(_np.ascontiguousarray(a, dtype))


def __getattr__(name: str) -> Any:
    return getattr(_np, name)


def __dir__() -> list[str]:
    return sorted({*dir(_np), *__all__})
