"""Views, copies, numbers and the thing itself: the law ``alias`` for every method and attribute that a traced array answers.

The functions of the register go through the same law with all others, in ``test_laws``.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.errors import InPlaceError, InputError
from dualdiff.testing import LAWS, LawError
from dualdiff.testing.laws import Written
from dualdiff.values import raw
from tests.test_census import REFUSED_METHODS

VECTOR = np.array([1.5, -2.25, 0.5])
MATRIX = np.array([[1.5, -2.25, 0.5], [0.25, 3.0, -1.25]])
Z = VECTOR + 1j * VECTOR[::-1]
NUMBERS = {"an array without axes": np.array(1.5), "a NumPy number": np.float64(1.5)}
ARRAYS = {"vector": VECTOR, "one entry": VECTOR[:1].copy(), "matrix": MATRIX, "1 x 1": MATRIX[:1, :1].copy()}
COMPLEX = {"complex": Z, "complex without axes": np.array(1 + 2j), "a complex number": np.complex128(1 + 2j)}
PYTHON = {"a Python number": 1.5}

Call = Callable[[Any], Any]
#: what any value answers
ANY: dict[str, Call] = {
    "T": lambda x: x.T,
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "flat of a slice": lambda x: x.flat[:],
    "flat of one": lambda x: x.flat[0],
    "flat of a list": lambda x: x.flat[[0]],
    "flat copied": lambda x: x.flat.copy(),
    "flat gone through": lambda x: np.stack(list(x.flat)),
    "copy": lambda x: x.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "astype": lambda x: x.astype(x.dtype),
    "astype to another": lambda x: x.astype(complex),
    "astype, no copy": lambda x: x.astype(x.dtype, copy=False),
    "view": lambda x: x.view(),
    "reshape": lambda x: x.reshape(-1),
    "reshape to the same": lambda x: x.reshape(x.shape),
    "reshape in Fortran order": lambda x: x.reshape(-1, order="F"),
    "reshape in any order": lambda x: x.reshape(-1, order="A"),
    "transpose": lambda x: x.transpose(),
    "flatten": lambda x: x.flatten(),
    "ravel": lambda x: x.ravel(),
    "ravel F": lambda x: x.ravel("F"),
    "ravel K": lambda x: x.ravel("K"),
    "squeeze": lambda x: x.squeeze(),
    "conj": lambda x: x.conj(),
    "conjugate": lambda x: x.conjugate(),
    "round": lambda x: x.round(2),
    "sum": lambda x: x.sum(),
    "sum, dimensions kept": lambda x: x.sum(keepdims=True),
    "mean": lambda x: x.mean(),
    "std": lambda x: x.std(),
    "var": lambda x: x.var(),
    "prod": lambda x: x.prod(),
    "cumsum": lambda x: x.cumsum(),
    "cumprod": lambda x: x.cumprod(),
    "repeat": lambda x: x.repeat(2),
    "take": lambda x: x.take([0]),
    "take one": lambda x: x.take(0),
    "dot": lambda x: np.dot(x, 2.0),
    "[()]": lambda x: x[()],
    "[...]": lambda x: x[...],
    "[None]": lambda x: x[None],
    "[None][0]": lambda x: x[None][0],
    "[True]": lambda x: x[True],
    "+x": lambda x: +x,
    "-x": lambda x: -x,
    "abs": abs,
    "x * 1": lambda x: x * 1.0,
    "x ** 2": lambda x: x**2,
    "np.imag": np.imag,
    "np.real": np.real,
    "np.copy": np.copy,
    "np.broadcast_to": lambda x: np.broadcast_to(x, (2, *np.shape(x))),
    "np.broadcast_arrays": lambda x: np.broadcast_arrays(x, x),
    "einsum of an ellipsis": lambda x: np.einsum("...->...", x),
    "np.nan_to_num": np.nan_to_num,
    "np.real_if_close": np.real_if_close,
    "np.resize": lambda x: np.resize(x, np.shape(x)),
    "np.tile": lambda x: np.tile(x, ()),
    "np.flip": np.flip,
    "np.tensordot": lambda x: np.tensordot(x, 2.0, 0),
}
#: what real values answer
REAL: dict[str, Call] = {
    "clip": lambda x: x.clip(-1, 1),
    "max": lambda x: x.max(),
    "min": lambda x: x.min(),
    "median": np.median,
    "percentile": lambda x: np.percentile(x, 50),
    "nanmax": np.nanmax,
    "nanvar": np.nanvar,
    "interp": lambda x: np.interp(x, [-4.0, 4.0], [0.0, 1.0]),
}
#: what arrays with axes answer
AXES: dict[str, Call] = {
    "iteration": list,
    "[0]": lambda x: x[0],
    "[0, ...]": lambda x: x[0, ...],
    "[..., 0]": lambda x: x[..., 0],
    "[1:]": lambda x: x[1:],
    "[::-1]": lambda x: x[::-1],
    "[:0]": lambda x: x[:0],
    "[:, None]": lambda x: x[:, None],
    "[[0]]": lambda x: x[[0]],
    "[array of one]": lambda x: x[np.array(0)],
    "[mask]": lambda x: x[np.arange(len(x)) == 0],
    "swapaxes": lambda x: x.swapaxes(0, -1),
    "compress": lambda x: x.compress([True], axis=0),
    "choose": lambda x: np.choose(np.zeros(x.shape, int), [x, 2 * x]),
    "dot, the method": lambda x: x.dot(2.0),
    "sort, a copy of": lambda x: np.sort(x, axis=0),
    "take along": lambda x: x.take(0, axis=0),
    "item": lambda x: x.item(0),
    "sum of an axis": lambda x: x.sum(axis=0),
    "sum of no axis": lambda x: x.sum(axis=()),
    "median of an axis": lambda x: np.median(x, axis=0),
    "split": lambda x: np.split(x, [1]),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 1, axis=0),
    "nan_to_num, no copy": lambda x: np.nan_to_num(x, copy=False),
    "stored by +=": lambda x: x.__iadd__(1.0),
    "fill": lambda x: x.fill(2.0),
    "sort": lambda x: x.sort(axis=0),
    "partition": lambda x: x.partition(0, axis=0),
    "put": lambda x: x.put([0], 1.0),
    "flat =": lambda x: setattr(x, "flat", 1.0),
    "real =": lambda x: setattr(x, "real", 1.0),
}
if hasattr(np, "unstack"):  # NumPy 2.1
    AXES["unstack"] = np.unstack
MATRICES: dict[str, Call] = {
    "diagonal": lambda x: x.diagonal(),
    "diagonal off": lambda x: x.diagonal(1),
    "diag": np.diag,
    "mT": lambda x: x.mT,
    "trace": lambda x: x.trace(),
    "[:, 0]": lambda x: x[:, 0],
    "[0, 0]": lambda x: x[0, 0],
    "[0][0]": lambda x: x[0][0],
    "T.reshape": lambda x: x.T.reshape(-1),
    "T.ravel": lambda x: x.T.ravel(),
    "squeeze of an axis": lambda x: x[:, :1].squeeze(axis=1),
    "squeeze of all": lambda x: x[:1, :1].squeeze(),
    "rot90": np.rot90,
    "rot90 by nothing": lambda x: np.rot90(x, 0),
    "einsum, diagonal": lambda x: np.einsum("ii->i", x[:2, :2]),
    "einsum, transpose": lambda x: np.einsum("ij->ji", x),
    "einsum, nothing": lambda x: np.einsum("ij->ij", x),
    "einsum, sum": lambda x: np.einsum("ij->", x),
    "matrix_power": lambda x: np.linalg.matrix_power(x[:2, :2], 1),
    "norm": lambda x: np.linalg.norm(x, 1),
    "tensordot": lambda x: np.tensordot(x, x, 2),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)),
    "T.real.T": lambda x: x.T.real.T,
}
if hasattr(np, "unstack"):
    MATRICES["unstack of columns"] = lambda x: np.unstack(x, axis=1)
#: what a Python number answers, which is not NumPy's
NOT_PYTHON = {
    *("T", "flat of a slice", "flat of one", "flat of a list", "flat copied", "flat gone through", "copy", "astype"),
    *("astype to another", "astype, no copy", "view", "reshape", "reshape to the same", "reshape in Fortran order"),
    *("reshape in any order", "transpose", "flatten", "ravel", "ravel F", "ravel K", "squeeze", "conj", "round", "sum"),
    *("sum, dimensions kept", "mean", "std", "var", "prod", "cumsum", "cumprod", "repeat", "take", "take one", "dot"),
    *("[()]", "[...]", "[None]", "[None][0]", "[True]", "clip", "max", "min"),
}


def cases() -> list[Any]:
    found = []
    for table, points in (
        (ANY, {**NUMBERS, **ARRAYS, **COMPLEX, **PYTHON}),
        (REAL, {**NUMBERS, **ARRAYS, **PYTHON}),
        (AXES, ARRAYS),
        (MATRICES, {"matrix": MATRIX}),
    ):
        found += [
            pytest.param(call, x, id=f"{name} of {what}")
            for name, call in table.items()
            for what, x in points.items()
            if not (name in NOT_PYTHON and what in PYTHON)
        ]
    return found


def law(call: Call, *args: Any) -> None:
    for seed in (1, 2):  # one draws C order, the other Fortran's
        LAWS["alias"](call, *args, rng=np.random.default_rng(seed))


@pytest.mark.parametrize(("call", "x"), cases())
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_what_a_value_answers_shares_memory_as_numpys_does(call: Call, x: Any) -> None:
    law(call, x)


def test_the_seeds_draw_both_orders() -> None:
    assert {np.random.default_rng(seed).random() < 0.5 for seed in (1, 2)} == {True, False}


def test_every_method_of_arrays_that_a_traced_one_answers_is_asked() -> None:
    asked = Path(__file__).read_text()
    plain = np.zeros((1, 1))  # which NumPy 2.0 refuses some of the names that it lists
    answered = {name for name in dir(plain) if not name.startswith("_") and hasattr(plain, name)} - {"tostring"}
    # These give no values: facts about memory, places, answers to questions; or Python's numbers.
    told = {"base", "device", "dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides", "to_device"}
    placed = {
        "all",
        "any",
        "argmax",
        "argmin",
        "argpartition",
        "argsort",
        "choose",
        "nonzero",
        "searchsorted",
        "tolist",
    }
    assert {
        n for n in answered - told - REFUSED_METHODS - placed if not re.search(rf"\bx\.{n}\b|x, \"{n}\"|\.{n}\(", asked)
    } == set()


# --------------------------------------------------------------------------------------------------
# eager tensors, where PyTorch's manners do not differ on purpose


@pytest.mark.parametrize(
    ("call", "x"), [c for c in cases() if isinstance(c.values[1], np.ndarray) and c.values[1].ndim]
)
def test_tensors_share_memory_as_arrays_do(call: Call, x: Any) -> None:
    eager(call, (x,))


def eager(call: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Compare values and gradients after a write with the functional operators'.

    A tensor without axes is memory of its own, as PyTorch's, and not a number, and the gradient of what was overwritten
    is refused (InPlaceError): neither is looked at here.
    """
    for place in (None, 0):
        program = Written(call, args, place, "C")
        if any(np.ndim(y) == 0 for y in program(*args)):
            return
        value, pull = dd.vjp(program, *args)
        facts = [f[0] for f in program.facts]
        expected = pull([np.ones_like(v) for v in value])
        tensors = [dd.tensor(x, requires_grad=True) for x in args]
        try:
            found = program(*[t.clone() for t in tensors])
            assert [f[0] for f in program.facts] == facts
            for a, b in zip(found, value, strict=True):
                np.testing.assert_allclose(raw(a), b)
            sum(y.sum() for y in found).backward()
        except (InPlaceError, InputError):  # computed tensors refuse copy.deepcopy
            continue
        for t, g in zip(tensors, expected if isinstance(expected, tuple) else (expected,), strict=True):
            np.testing.assert_allclose(t.grad.numpy(), g)


# --------------------------------------------------------------------------------------------------
# the law itself


def test_the_law_catches_a_result_that_is_stale() -> None:
    def stale(x: Any) -> Any:
        return x if type(x) is np.ndarray else x.copy()

    with pytest.raises(LawError, match="itself"):
        law(stale, VECTOR)
