"""Functions whose results are integers, booleans or piecewise constant: recorded, but without derivative.

Questions about shape and dtype are answered at once and not recorded: the answer cannot change with the values.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from dualdiff.kinds import Discrete
from dualdiff.kinds.kinks import JUMP, Kink, integer
from dualdiff.register import REGISTER, composite, discrete, name_of, register
from dualdiff.rules.elementwise import into, unsupported
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import TRACED, bind, note_equal, operand

# --------------------------------------------------------------------------------------------------
# ufuncs

discrete(np.floor, np.ceil, np.rint, np.trunc, np.spacing, np.floor_divide)
discrete(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
discrete(np.logical_and, np.logical_or, np.logical_xor, np.logical_not)
discrete(np.isfinite, np.isinf, np.isnan, np.isnat, np.signbit)
discrete(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, getattr(np, "bitwise_count", None))
discrete(np.left_shift, np.right_shift, np.gcd, np.lcm)

for _whole in (np.floor, np.ceil, np.trunc):
    REGISTER[_whole].primitive.kink = Kink(integer, JUMP, "leave the rounding out of what is differentiated")  # type: ignore[union-attr]
REGISTER[np.rint].primitive.kink = Kink(  # type: ignore[union-attr]
    lambda _y, x: integer(None, x - 0.5), JUMP, "leave the rounding out of what is differentiated"
)

# --------------------------------------------------------------------------------------------------
# functions of array operands and settings


def left(x: Any) -> Any:
    """Return the plain value of a setting; a traced one leaves to Python, which records the value it had."""
    if type(x) in TRACED:
        x = x.run.leave(x)
    return x.copy() if type(x) is np.ndarray else x


def asks(n: int, *functions: Any) -> None:
    """Add discrete functions of ``n`` leading array operands; what follows is settings, ``out=`` among them."""
    for function in functions:
        if function is not None:
            register(function, "discrete", _question(n, function), primitive=_row(function))


_ROWS: dict[Any, Discrete] = {}


def _row(function: Any) -> Discrete:
    return _ROWS.setdefault(function, Discrete(name_of(function), function))


_EQUAL = (np.isclose, np.allclose, np.array_equal, np.array_equiv)
"""Whether two arrays have equal entries."""


def _question(n: int, function: Any) -> Any:
    row = _row(function)
    signature = inspect.signature(function)
    names = list(signature.parameters)

    def handler(*args: Any, **kwargs: Any) -> Any:
        if len(args) < n or len(args) > n or kwargs:
            given = signature.bind(*args, **kwargs).arguments
            args = tuple([given.pop(name) for name in names[:n]])
            kwargs = {k: left(v) if k != "out" else v for k, v in given.items() if v is not np._NoValue}
        out = kwargs.pop("out", None)
        found = bind(row, [operand(a) for a in args], kwargs)
        if function in _EQUAL:
            note_equal(args[0], args[1], found)
        return into(found, out, row.name)

    return handler


asks(1, np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.argwhere, np.flatnonzero)
asks(1, np.any, np.all, np.count_nonzero)
asks(1, np.isreal, np.iscomplex, np.isposinf, np.isneginf, np.round, np.around, np.fix)
asks(2, np.searchsorted, np.digitize)
asks(2, np.isin, getattr(np, "in1d", None))
asks(2, *_EQUAL)

_lexsort_row = Discrete("np.lexsort", lambda *keys, axis: np.lexsort(keys, axis))


@composite(np.lexsort, status="discrete")
def _lexsort(keys: Any, axis: int = -1) -> Any:
    return bind(_lexsort_row, tuple([operand(key) for key in keys]), {"axis": axis})


@composite(np.nonzero, status="discrete")
def _nonzero(a: Any) -> Any:
    rank = len(shape_of(a))
    if rank == 0:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead.")
    if rank == 1:
        return (bind(_row(np.flatnonzero), (a,), {}),)
    found = bind(_row(np.argwhere), (a,), {})
    return tuple([found[:, i] for i in range(rank)])


# --------------------------------------------------------------------------------------------------
# questions about shape and dtype


def _bare(x: Any) -> Any:
    """Return the value under all levels."""
    while type(x) in TRACED:
        x = x.value
    return x


def _metadata(function: Any) -> None:
    def handler(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_bare, args), **{k: _bare(v) for k, v in kwargs.items()})

    register(function, "discrete", handler)


for _function in (
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type, np.iscomplexobj, np.isrealobj, np.isfortran
):  # fmt: skip
    _metadata(_function)


@composite(np.min_scalar_type, status="discrete")
def _min_scalar_type(a: Any) -> Any:
    return np.min_scalar_type(left(a))


def owner(x: Any) -> Any:
    """Return the array whose memory ``x`` is a part of."""
    while type(x) in TRACED and x.link is not None and x.link.base is not None:
        x = x.link.base
    return x


@composite(np.may_share_memory, status="discrete")
def _may_share_memory(a: Any, b: Any, /, max_work: Any = 0) -> bool:
    a, b = owner(a), owner(b)
    if a is b or (type(a) in TRACED and type(b) in TRACED):
        return a is b
    # What np.asarray(…) gave of a traced array is an array of its entries, or shows its plain value.
    if np.result_type(b if type(a) in TRACED else a).char == "O":
        return True
    return bool(np.may_share_memory(_plain(a), _plain(b)))


def _plain(x: Any) -> Any:
    while type(x) in TRACED:
        x = x.value
    return x


@composite(np.shares_memory, status="discrete")
def _shares_memory(a: Any, b: Any, /, max_work: Any = -1) -> bool:
    if a is not b and owner(a) is owner(b):
        raise unsupported("np.shares_memory", ["a", "b"], "np.may_share_memory")
    return a is b


__all__ = ["dtype_of", "left", "owner"]
