"""Linear algebra in machine code: calls of BLAS and LAPACK, at the addresses that SciPy gives to compiled code.

``scipy.linalg.cython_blas`` and ``cython_lapack`` hold them. Matrices lie row by row here, and column by column there: a product is
asked for as that of the transposes; what is factored is transposed before, as NumPy does it. What LAPACK gives up is left to the
operator, which says why.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dualdiff.compiled.special import function_in
from dualdiff.kinds.base import primitive_named
from dualdiff.passes.program import Program, Step

__all__ = ["Called", "declared", "is_known", "scratch", "text", "work"]

_FLOAT = np.dtype(float)
_SIGNATURES = {
    "dgemm": ("blas", "char *, char *, int *, int *, int *, d *, d *, int *, d *, int *, d *, d *, int *"),
    "dgemv": ("blas", "char *, int *, int *, d *, d *, int *, d *, int *, d *, d *, int *"),
    "dgesv": ("lapack", "int *, int *, d *, int *, int *, d *, int *, int *"),
    "dgetrf": ("lapack", "int *, int *, d *, int *, int *, int *"),
    "dpotrf": ("lapack", "char *, int *, d *, int *, int *"),
}
_MANGLED = {"blas": "__pyx_t_5scipy_6linalg_11cython_blas_d", "lapack": "__pyx_t_5scipy_6linalg_13cython_lapack_d"}
WELL = 1e5
"""Condition up to which cofactors come from the inverse, as those of the rule do."""


@functools.cache
def _address(name: str) -> int | None:
    """Return where a routine begins, None where SciPy has none that takes what is given here."""
    room, signature = _SIGNATURES[name]
    try:
        held = importlib.import_module(f"scipy.linalg.cython_{room}").__pyx_capi__
    except (ImportError, AttributeError):
        return None
    kinds = ", ".join(k.replace("d *", f"{_MANGLED[room]} *") if k == "d *" else k for k in signature.split(", "))
    return function_in(held, name, f"void ({kinds})")


@functools.cache
def _systems() -> dict[Any, str]:
    """Return the rows that LAPACK computes, and the name of what does it."""
    names = {
        "np.linalg.solve": "solved",
        "np.linalg.inv": "solved",
        "np.linalg.cholesky": "rooted",
        "np.linalg.det": "volume",
    }
    found = {primitive_named(n, 0): what for n, what in names.items()}
    found[primitive_named("cofactors", 0)] = "cofactors"
    found.pop(None, None)
    return found


def is_known(program: Program, step: Step) -> bool:
    """Whether a step is a product of matrices, a linear system, or one of their kin that is computed here."""
    forms = [program.forms[i] for i in (*step.operands, step.result)]
    if step.params or any(f.dtype != _FLOAT or len(f.shape) > 2 or math.prod(f.shape) >= 1 << 31 for f in forms):
        return False
    if step.row.fn is operator.matmul:
        return _address("dgemm") is not None and _address("dgemv") is not None
    if step.row not in _systems() or any(len(f.shape) != 2 for f in forms[:-1]):
        return False
    return all(_address(name) is not None for name in ("dgesv", "dgetrf", "dpotrf"))


def work(program: Program, step: Step) -> int:
    """Return about how many products of numbers a step takes."""
    shape = program.forms[step.operands[0]].shape
    if step.row.fn is operator.matmul:
        return math.prod(program.forms[step.result].shape) * shape[-1]
    return shape[0] ** 2 * (shape[0] + program.forms[step.operands[-1]].shape[-1])


def scratch(program: Program, step: Step) -> int:
    """Return how many numbers of scratch memory a step takes."""
    if step.row.fn is operator.matmul:
        return 0
    n = program.forms[step.operands[0]].shape[0]
    columns = program.forms[step.operands[-1]].shape[-1]
    return 2 * n * n + n * max(n, columns) + n + 4


class Called:
    """What calls name: sizes, and the functions of this module."""

    def __init__(self, hold: Callable[[Any], str]) -> None:
        self.hold = hold
        self.sizes: set[int] = set()
        self.systems = False

    def size(self, n: int) -> str:
        """Return the address of a size."""
        self.sizes.add(n)
        return f"@size.{n}"


def text(program: Program, step: Step, addresses: list[str], memory: str, called: Called) -> tuple[str, bool]:
    """Return a call for a step, and whether it returns a status: of the operands' and the result's addresses, and of scratch memory."""
    shapes = [program.forms[i].shape for i in step.operands]
    if step.row.fn is operator.matmul:
        return _product(shapes[0], shapes[1], addresses, called), False
    called.systems = True
    n, what = shapes[0][0], _systems()[step.row]
    given = addresses
    sizes = f"i64 {n}"
    if what == "solved":
        if len(shapes) == 1:
            given = [addresses[0], called.hold(np.eye(n)), addresses[1]]
        sizes = f"i64 {n}, i64 {shapes[-1][1] if len(shapes) > 1 else n}"
    return f"call i32 @{what}({', '.join(f'ptr {g}' for g in (*given, memory))}, {sizes})", True


def _product(p: tuple[int, ...], q: tuple[int, ...], addresses: list[str], called: Called) -> str:
    a, b, result = addresses
    one, zero, unit, no = "@number.one", "@number.zero", called.size(1), "@word.N"
    if len(p) == len(q) == 2:
        m, k, n = called.size(p[0]), called.size(p[1]), called.size(q[1])
        return _call("dgemm", no, no, n, m, k, one, b, n, a, k, zero, result, n)
    matrix, vector = (a, b) if len(q) == 1 else (b, a)
    rows, columns = (p if len(p) == 2 else (1, p[0])) if len(q) == 1 else q
    m, n = called.size(rows), called.size(columns)
    return _call("dgemv", "@word.T" if len(q) == 1 else no, n, m, one, matrix, n, vector, unit, zero, result, unit)


def _call(name: str, *given: str) -> str:
    return f"call void inttoptr (i64 {_address(name)} to ptr)({', '.join(f'ptr {g}' for g in given)})"


def declared(called: Called) -> str:
    """Return what calls name."""
    sizes: Iterable[str] = [f"@size.{n} = private constant i32 {n}\n" for n in sorted(called.sizes)]
    numbers = (
        "@number.one = private constant double 1.0\n@number.zero = private constant double 0.0\n"
        "@word.N = private constant i8 78\n@word.T = private constant i8 84\n@word.L = private constant i8 76\n"
    )
    return "".join([*sizes, numbers, _functions() if called.systems else ""])


def _tried(call: str, then: str) -> str:
    """Return a call of LAPACK's, and where it goes on: ``%none`` where the call gave up."""
    return f"""\
  {call}
  %status = load i32, ptr %info
  %done = icmp eq i32 %status, 0
  br i1 %done, label %{then}, label %none"""


def _functions() -> str:
    """Return the functions ``i32 (ptr operands …, ptr result, ptr scratch, i64 sizes …)``; their status is 0, or -1 where they give up.

    Scratch memory holds a matrix, what stands on the right, the pivots, and sizes.
    """
    solve = _call("dgesv", "%n.at", "%m.at", "%w", "%n.at", "%pivots", "%right", "%n.at", "%info")
    factor = _call("dgetrf", "%n.at", "%n.at", "%w", "%n.at", "%pivots", "%info")
    root = _call("dpotrf", "@word.L", "%n.at", "%w", "%n.at", "%info")
    return f"""\
declare double @llvm.log.f64(double)
declare double @llvm.exp.f64(double)
define internal void @turned(ptr %from, ptr %to, i64 %rows, i64 %columns) #1 {{
entry:
  br label %row
row:
  %r = phi i64 [0, %entry], [%r.next, %row.latch]
  %start = mul i64 %r, %columns
  br label %column
column:
  %c = phi i64 [0, %row], [%c.next, %column]
  %a = add i64 %start, %c
  %a.at = getelementptr double, ptr %from, i64 %a
  %x = load double, ptr %a.at
  %b.row = mul i64 %c, %rows
  %b = add i64 %b.row, %r
  %b.at = getelementptr double, ptr %to, i64 %b
  store double %x, ptr %b.at
  %c.next = add i64 %c, 1
  %c.more = icmp ult i64 %c.next, %columns
  br i1 %c.more, label %column, label %row.latch
row.latch:
  %r.next = add i64 %r, 1
  %r.more = icmp ult i64 %r.next, %rows
  br i1 %r.more, label %row, label %end
end:
  ret void
}}
define internal i32 @solved(ptr %a, ptr %b, ptr %x, ptr %w, i64 %n, i64 %m) #1 {{
{_heads("m")}
  call void @turned(ptr %a, ptr %w, i64 %n, i64 %n)
  call void @turned(ptr %b, ptr %right, i64 %n, i64 %m)
{_tried(solve, "there")}
there:
  call void @turned(ptr %right, ptr %x, i64 %m, i64 %n)
  ret i32 0
none:
  ret i32 -1
}}
define internal i32 @rooted(ptr %a, ptr %x, ptr %w, i64 %n) #1 {{
{_heads("n")}
  call void @turned(ptr %a, ptr %w, i64 %n, i64 %n)
{_tried(root, "there")}
there:
  call void @turned(ptr %w, ptr %x, i64 %n, i64 %n)
  br label %row
row:
  %r = phi i64 [0, %there], [%r.next, %row.latch]
  %first = add i64 %r, 1
  br label %look
look:
  %c = phi i64 [%first, %row], [%c.next, %above]
  %more = icmp ult i64 %c, %n
  br i1 %more, label %above, label %row.latch
above:
  %row.start = mul i64 %r, %n
  %k = add i64 %row.start, %c
  %at = getelementptr double, ptr %x, i64 %k
  store double 0.0, ptr %at
  %c.next = add i64 %c, 1
  br label %look
row.latch:
  %r.next = add i64 %r, 1
  %rows = icmp ult i64 %r.next, %n
  br i1 %rows, label %row, label %end
end:
  ret i32 0
none:
  ret i32 -1
}}
define internal i32 @volume(ptr %a, ptr %x, ptr %w, i64 %n) #1 {{
{_heads("n")}
  call void @turned(ptr %a, ptr %w, i64 %n, i64 %n)
{_tried(factor, "loop")}
loop:
  %k = phi i64 [0, %entry], [%k.next, %loop]
  %sign = phi double [1.0, %entry], [%sign.next, %loop]
  %size = phi double [0.0, %entry], [%size.next, %loop]
  %row.start = mul i64 %k, %n
  %place = add i64 %row.start, %k
  %at = getelementptr double, ptr %w, i64 %place
  %d = load double, ptr %at
  %pivot.at = getelementptr i32, ptr %pivots, i64 %k
  %pivot = load i32, ptr %pivot.at
  %k.next = add i64 %k, 1
  %own = trunc i64 %k.next to i32
  %swapped = icmp ne i32 %pivot, %own
  %negative = fcmp olt double %d, 0.0
  %turns = xor i1 %swapped, %negative
  %other = fneg double %sign
  %sign.next = select i1 %turns, double %other, double %sign
  %positive = call double @llvm.fabs.f64(double %d)
  %log = call double @llvm.log.f64(double %positive)
  %size.next = fadd double %size, %log
  %more = icmp ult i64 %k.next, %n
  br i1 %more, label %loop, label %end
end:
  %whole = call double @llvm.exp.f64(double %size.next)
  %result = fmul double %sign.next, %whole
  store double %result, ptr %x
  ret i32 0
none:
  ret i32 -1
}}
define internal double @largest(ptr %a, i64 %n) #1 {{
entry:
  br label %row
row:
  %r = phi i64 [0, %entry], [%r.next, %row.end]
  %most = phi double [0.0, %entry], [%most.next, %row.end]
  %start = mul i64 %r, %n
  br label %column
column:
  %c = phi i64 [0, %row], [%c.next, %column]
  %sum = phi double [0.0, %row], [%sum.next, %column]
  %k = add i64 %start, %c
  %at = getelementptr double, ptr %a, i64 %k
  %x = load double, ptr %at
  %size = call double @llvm.fabs.f64(double %x)
  %sum.next = fadd double %sum, %size
  %c.next = add i64 %c, 1
  %more = icmp ult i64 %c.next, %n
  br i1 %more, label %column, label %row.end
row.end:
  %is.more = fcmp ugt double %sum.next, %most
  %most.next = select i1 %is.more, double %sum.next, double %most
  %r.next = add i64 %r, 1
  %rows = icmp ult i64 %r.next, %n
  br i1 %rows, label %row, label %end
end:
  ret double %most.next
}}
define internal i32 @cofactors(ptr %a, ptr %x, ptr %w, i64 %n) #1 {{
{_heads("n")}
  %place = getelementptr double, ptr %w, i64 %both
  %status.d = call i32 @volume(ptr %a, ptr %place, ptr %w, i64 %n)
  %d = load double, ptr %place
  %d.size = call double @llvm.fabs.f64(double %d)
  %d.some = fcmp ogt double %d.size, 0.0
  %d.finite = fcmp olt double %d.size, 0x7FF0000000000000
  %d.right = and i1 %d.some, %d.finite
  %factored = icmp eq i32 %status.d, 0
  %right.so.far = and i1 %d.right, %factored
  br i1 %right.so.far, label %invert, label %none
invert:
  br label %unit
unit:
  %k = phi i64 [0, %invert], [%k.next, %unit]
  %row = udiv i64 %k, %n
  %column = urem i64 %k, %n
  %diagonal = icmp eq i64 %row, %column
  %entry.k = select i1 %diagonal, double 1.0, double 0.0
  %unit.at = getelementptr double, ptr %right, i64 %k
  store double %entry.k, ptr %unit.at
  %k.next = add i64 %k, 1
  %more = icmp ult i64 %k.next, %square
  br i1 %more, label %unit, label %solve
solve:
  call void @turned(ptr %a, ptr %w, i64 %n, i64 %n)
{_tried(solve, "weigh")}
weigh:
  call void @turned(ptr %right, ptr %w, i64 %n, i64 %n)
  %a.size = call double @largest(ptr %a, i64 %n)
  %w.size = call double @largest(ptr %w, i64 %n)
  %condition = fmul double %a.size, %w.size
  %well = fcmp olt double %condition, {WELL!r}
  br i1 %well, label %loop, label %none
loop:
  %j = phi i64 [0, %weigh], [%j.next, %loop]
  %from.at = getelementptr double, ptr %right, i64 %j
  %inverse = load double, ptr %from.at
  %cofactor = fmul double %d, %inverse
  %to.at = getelementptr double, ptr %x, i64 %j
  store double %cofactor, ptr %to.at
  %j.next = add i64 %j, 1
  %j.more = icmp ult i64 %j.next, %square
  br i1 %j.more, label %loop, label %end
end:
  ret i32 0
none:
  ret i32 -1
}}
"""


def _heads(columns: str) -> str:
    """Return how a function begins: where in its scratch memory its parts are, with the sizes for LAPACK."""
    return f"""\
entry:
  %square = mul i64 %n, %n
  %right = getelementptr double, ptr %w, i64 %square
  %right.size = mul i64 %n, %{columns}
  %both = add i64 %square, %right.size
  %numbers = getelementptr double, ptr %w, i64 %both
  %pivots = getelementptr double, ptr %numbers, i64 1
  %n.at = getelementptr i32, ptr %pivots, i64 %n
  %m.at = getelementptr i32, ptr %n.at, i64 1
  %info = getelementptr i32, ptr %n.at, i64 2
  %n.small = trunc i64 %n to i32
  store i32 %n.small, ptr %n.at
  %m.small = trunc i64 %{columns} to i32
  store i32 %m.small, ptr %m.at"""
