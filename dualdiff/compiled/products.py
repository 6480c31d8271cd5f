"""Products of matrices in machine code: calls of BLAS, at the addresses that ``scipy.linalg.cython_blas`` gives to compiled code.

Matrices lie row by row, and BLAS reads them column by column: it is asked for the product of the transposes.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
from collections.abc import Iterable

import numpy as np

from dualdiff.compiled.special import function_in
from dualdiff.passes.program import Program, Step

__all__ = ["declared", "is_known", "text", "work"]

_FLOAT = np.dtype(float)
_MATRIX = "char *, char *, int *, int *, int *, {d} *, {d} *, int *, {d} *, int *, {d} *, {d} *, int *"
_VECTOR = "char *, int *, int *, {d} *, {d} *, int *, {d} *, int *, {d} *, {d} *, int *"


@functools.cache
def _address(name: str) -> int | None:
    """Return where a function of BLAS begins, None where SciPy has none that takes what is given here."""
    wanted = _MATRIX if name == "dgemm" else _VECTOR
    try:
        held = importlib.import_module("scipy.linalg.cython_blas").__pyx_capi__
    except (ImportError, AttributeError):
        return None
    return function_in(held, name, f"void ({wanted.format(d='__pyx_t_5scipy_6linalg_11cython_blas_d')})")


def is_known(program: Program, step: Step) -> bool:
    """Whether a step is a product of one or two matrices that BLAS does."""
    forms = [program.forms[i] for i in (*step.operands, step.result)]
    return (
        step.row.fn is operator.matmul
        and not step.params
        and all(f.dtype == _FLOAT and len(f.shape) <= 2 and math.prod(f.shape) < 1 << 31 for f in forms)
        and _address("dgemm") is not None
        and _address("dgemv") is not None
    )


def work(program: Program, step: Step) -> int:
    """Return how many products of numbers a product takes."""
    return math.prod(program.forms[step.result].shape) * program.forms[step.operands[0]].shape[-1]


def declared(sizes: Iterable[int]) -> str:
    """Return the constants that calls name: sizes, and how products are asked for."""
    return (
        "".join(f"@blas.{n} = private constant i32 {n}\n" for n in sorted(sizes))
        + """@blas.no = private constant i8 78
@blas.transposed = private constant i8 84
@blas.one = private constant double 1.0
@blas.zero = private constant double 0.0
@blas.unit = private constant i32 1
"""
    )


def text(program: Program, step: Step, a: str, b: str, result: str, sizes: set[int]) -> str:
    """Return the call for a product of what is at two addresses, which goes to a third one; note the sizes that it names."""
    p, q = [program.forms[i].shape for i in step.operands]

    def integer(n: int) -> str:
        sizes.add(n)
        return f"@blas.{n}"

    if len(p) == len(q) == 2:
        m, k, n = integer(p[0]), integer(p[1]), integer(q[1])
        given = ["@blas.no", "@blas.no", n, m, k, "@blas.one", b, n, a, k, "@blas.zero", result, n]
        which = "dgemm"
    else:
        matrix, vector = (a, b) if len(q) == 1 else (b, a)
        rows, columns = (p if len(p) == 2 else (1, p[0])) if len(q) == 1 else q
        m, n = integer(rows), integer(columns)
        way = "@blas.transposed" if len(q) == 1 else "@blas.no"
        given = [way, n, m, "@blas.one", matrix, n, vector, "@blas.unit", "@blas.zero", result, "@blas.unit"]
        which = "dgemv"
    return f"call void inttoptr (i64 {_address(which)} to ptr)({', '.join(f'ptr {g}' for g in given)}) ; {which}"
