"""Calls that read and write entries, and that make arrays to write into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.catalogue.base import Sample, arrays, distinct

SAMPLES: list[Sample] = []


def add(function: Any, name: str, call: Callable[..., Any], *shapes: Any, domain: str = "real", **options: Any) -> None:
    """Add one sample; operands are drawn of the shapes given (or from the strategies given)."""
    operands = st.tuples(*[s if isinstance(s, st.SearchStrategy) else arrays(s, domain) for s in shapes])
    SAMPLES.append(Sample(name, function, call, operands, **options))


# reading --------------------------------------------------------------------------------------------

I = np.array([0, 2, 0])  # noqa: E741
J = np.array([[1, -1, 1]])
MASK = np.array([True, False, True])
INDICES: dict[str, tuple[tuple[int, ...], Any]] = {
    "int": ((3,), 1),
    "negative int": ((3, 2), -1),
    "np.int64": ((3, 2), np.int64(2)),
    "slice": ((4, 2), slice(1, 3)),
    "backward slice": ((5,), slice(None, None, -2)),
    "backward part": ((6, 2), slice(4, 1, -1)),
    "empty slice": ((3,), slice(2, 2)),
    "ellipsis": ((2, 3), Ellipsis),
    "nothing": ((2, 3), ()),
    "scalar by ellipsis": ((3,), (1, Ellipsis)),
    "last": ((2, 3, 4), (Ellipsis, -1)),
    "None": ((3,), None),
    "Nones": ((2, 3), (None, slice(None), None, 1)),
    "ints": ((2, 3), (1, 2)),
    "0-d": ((), ()),
    "0-d None": ((), None),
    "0-d ellipsis": ((), Ellipsis),
    "0-d True": ((), True),
    "list": ((3,), [0, 2]),
    "empty list": ((3, 2), []),
    "repeats": ((3,), I),
    "rows": ((3, 2), I),
    "grid": ((3, 2), np.array([[0, 1], [2, 2]])),
    "columns": ((2, 3), (slice(None), I)),
    "pairs": ((3, 3), (I, [0, 1, 1])),
    "broadcast pairs": ((3, 2), (I[:, None], J[0] % 2)),
    "middle": ((2, 3, 2), (slice(None), I)),
    "adjacent": ((2, 3, 2), (slice(None), I, [0, 1, 1])),
    "set apart": ((3, 2, 2), (I, slice(None), [0, 1, 1])),
    "set apart by ellipsis": ((3, 2, 3), (I, Ellipsis, J)),
    "set apart by None": ((3, 2), (I, None, [0, 1, 1])),
    "int and array": ((3, 2, 3), (1, slice(None), I)),
    "array and int": ((3, 2, 2), (I, slice(None), -1)),
    "array then int": ((2, 3, 2), (slice(None), I, 0)),
    "0-d array": ((3, 2), np.array(1)),
    "0-d arrays apart": ((3, 2, 3), (np.array(1), slice(None), np.array(2))),
    "mask": ((3,), MASK),
    "mask of rows": ((3, 2), MASK),
    "mask of columns": ((2, 3), (slice(None), MASK)),
    "mask of entries": ((3, 2), np.array([[True, False], [True, True], [False, False]])),
    "mask and int": ((3, 2), (MASK, 1)),
    "mask and array": ((3, 3), (MASK, [0, 2])),
    "mask set apart": ((3, 2, 2), (MASK, slice(None), [0, 1])),
    "2-D mask inside": ((2, 2, 2), (slice(None), np.array([[True, False], [True, True]]))),
    "nothing true": ((3, 2), np.zeros(3, dtype=bool)),
    "True": ((3,), True),
    "False": ((3,), np.False_),
    "True and int": ((3, 2), (True, 1)),
    "int apart from True": ((3, 2), (1, slice(None), True)),
    "no entries": ((0, 3), slice(None)),
    "uint8": ((3,), np.array([2, 0], dtype=np.uint8)),
    "tuple inside": ((3, 2), ((0, 2),)),
    "range": ((4,), (range(1, 3),)),
    "a slice of numpy ints": ((4,), slice(np.int64(1), np.int32(3))),
}
for _name, (_shape, _index) in INDICES.items():
    add(None, f"x[{_name}]", lambda x, i=_index: x[i], _shape, complex=_name in ("columns", "set apart", "mask"))
add(None, "x[i][j]", lambda x: x[1:][::2][:, 1], (4, 3))
add(None, "x[x > 0]", lambda x: np.sum(x[x > 0]) + np.sum(x[:1]), (5,), domain="nonzero", float32=False, duck=False)
add(None, "x[argmax]", lambda x: x[np.argmax(x)] * x[: np.argmin(x) + 1].sum(), distinct((5,)), duck=False)
add(None, "iteration", lambda x: sum(a * a[0] for a in x), (3, 2))

# writing --------------------------------------------------------------------------------------------


def written(index: Any, shape: tuple[int, ...]) -> Callable[..., Any]:
    def call(x: Any, v: Any) -> Any:
        y = np.reshape(2.0 * x, (1, *shape))[0, ...]
        y[index] = v
        return y * y

    return call


def placed(index: Any, shape: tuple[int, ...]) -> Callable[..., Any]:
    def call(v: Any) -> Any:
        y = np.zeros_like(v, shape=shape)
        y[index] = v
        return y

    return call


def added(index: Any, shape: tuple[int, ...]) -> Callable[..., Any]:
    def call(x: Any, v: Any) -> Any:
        y = np.reshape(x * 1.0, (1, *shape))[0, ...]
        y[index] += v
        y[index] *= v
        return y

    return call


for _name, (_shape, _index) in INDICES.items():
    _target = np.empty(_shape)[_index if not isinstance(_index, list) or _index else np.zeros(0, int)].shape
    add(None, f"y[{_name}] = v", written(_index, _shape), _shape, _target, complex=_name in ("columns", "mask"))
    add(None, f"y[{_name}] = number", written(_index, _shape), _shape, ())
    add(None, f"zeros[{_name}] = v", placed(_index, _shape), _target)
    add(None, f"y[{_name}] += v", added(_index, _shape), _shape, _target[-1:])
add(None, "leading unit axes", written(slice(1, 3), (4,)), (4,), (1, 1, 2))
add(None, "broadcast rows", written((slice(None), slice(0, 2)), (3, 4)), (3, 4), (2,))
add(None, "broadcast columns", written((slice(None), [2, 0]), (3, 4)), (3, 4), (3, 1))
add(None, "repeats broadcast", written(([0, 0, 1], slice(None)), (3, 4)), (3, 4), (3, 1))
add(None, "repeats set apart", written((I, slice(None), [0, 1, 0]), (3, 2, 2)), (3, 2, 2), (3, 2))


def _overlapping(x: Any) -> Any:
    y = x * x
    y[1:] = y[:-1]
    y[:-1] = 2.0 * y[1:] * x[0]
    y[::-1] = y
    return y


def _recurrence(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[0]
    for i in range(1, len(x)):
        y[i] = y[i - 1] * x[i] + y[0]
    return y


def _through_views(x: Any) -> Any:
    y = x * 1.0
    row = y[1]
    row[0] = x[0, 0] ** 2
    row[1:] *= x[0, 1:]
    flat = y.reshape(-1)
    flat[-1] = row[0] * x[1, 0]
    y.T[0] += row[1]
    y[0, ::-1][:1] = 3.0 * x[0, 1]
    return y * row


def _after_views(x: Any) -> Any:
    y = x * 1.0
    views = [y.T, y[::-1], np.ravel(y), y[None], np.swapaxes(y, 0, 1), np.diagonal(y), np.broadcast_to(y, (2, 2, 3))]
    y[0, 1] = x[1, 1] * x[0, 0]
    y *= x
    return [v * 2.0 for v in views]


add(None, "overlapping", _overlapping, (4,))
add(None, "recurrence", _recurrence, (5,))
add(None, "written through views", _through_views, (2, 3))
add(None, "views of what is written", _after_views, (2, 3))


def _flat(x: Any) -> Any:
    y = x * 1.0
    y.flat[[0, 3]] = x[0, :2]
    y.flat[4] = y.flat[0] * 2.0
    return y


add(None, "flat", _flat, (2, 3), duck=False)

# storing functions ----------------------------------------------------------------------------------


def storing(store: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, *v: Any) -> Any:
        y = x * 1.0
        store(y, *v)
        return y

    return call


add(np.copyto, "np.copyto", storing(lambda y, v: np.copyto(y, v)), (2, 3), (3,))
add(np.copyto, "np.copyto where", storing(lambda y, v: np.copyto(y, v, where=[True, False, True])), (2, 3), (2, 1))
add(np.put, "np.put", storing(lambda y, v: np.put(y, [0, -1, 2, 0], v)), (2, 3), (2,), duck=False)
add(np.put, "np.put wrap", storing(lambda y, v: y.put([7, 1], v, mode="wrap")), (2, 3), (), duck=False)
add(
    np.put_along_axis,
    "np.put_along_axis",
    storing(lambda y, v: np.put_along_axis(y, np.array([[1], [2]]), v, axis=1)),
    (2, 3),
    (2, 1),
)
add(np.place, "np.place", storing(lambda y, v: np.place(y, np.array([[1, 0, 1], [1, 1, 0]]) > 0, v)), (2, 3), (3,))
add(
    np.putmask, "np.putmask", storing(lambda y, v: np.putmask(y, np.array([[1, 0, 1], [1, 1, 0]]) > 0, v)), (2, 3), (2,)
)
add(np.fill_diagonal, "np.fill_diagonal", storing(lambda y, v: np.fill_diagonal(y, v)), (3, 4), ())
add(
    np.fill_diagonal,
    "np.fill_diagonal wrap",
    storing(lambda y, v: np.fill_diagonal(y, v, wrap=True)),
    (5, 2),
    (2,),
    duck=False,
)
add(np.fill_diagonal, "np.fill_diagonal 3-D", storing(lambda y, v: np.fill_diagonal(y, v)), (2, 2, 2), (2,), duck=False)

# making arrays --------------------------------------------------------------------------------------

add(np.full_like, "np.full_like", lambda x, v: np.full_like(x, v) * x, (2, 3), ())
add(np.full_like, "np.full_like row", lambda x, v: np.full_like(x, v, shape=(2, 3)), (4,), (3,))
add(np.full, "np.full", lambda v: np.full((2, 3), v, like=v), (3,), duck=False)
add(np.array, "np.array", lambda x: np.array([x[0] * x[1], x[2], x[0]], like=x), (3,), duck=False)
add(np.array, "np.array of arrays", lambda x: np.array([x, 2.0 * x], like=x, ndmin=3), (3,), duck=False)
for _f in (np.asarray, np.asanyarray, np.asfortranarray, np.require):
    add(_f, f"{_f.__name__}", lambda x, f=_f: f(x, like=x) * 1.0, (2, 3), duck=False)
add(
    np.arange,
    "np.arange",
    lambda a: np.arange(a[0], a[0] + 2.6, 0.5 + 0 * a[1], like=a),
    (2,),
    duck=False,
    float32=False,
)
for _f in (np.linspace, np.geomspace):
    _name = _f.__name__
    _domain = "positive"
    add(_f, _name, lambda a, b, f=_f: f(a, b, 5), (), (), domain=_domain)
    add(_f, f"{_name} open", lambda a, b, f=_f: f(a, b, 4, endpoint=False), (2,), (), domain=_domain)
    add(_f, f"{_name} axis", lambda a, b, f=_f: f(a, b, 3, axis=-1), (2,), (2,), domain=_domain)
    add(_f, f"{_name} one", lambda a, b, f=_f: f(a, b, 1), (), (), domain=_domain)
add(np.linspace, "linspace retstep", lambda a, b: np.linspace(a, b, 4, retstep=True), (), (), float32=False)
add(np.logspace, "logspace", lambda a, b: np.logspace(a, b, 3), (), (), float32=False)
add(
    np.logspace, "logspace base", lambda a, b: np.logspace(0.5, a, 3, base=b), (), arrays((), "positive"), float32=False
)
