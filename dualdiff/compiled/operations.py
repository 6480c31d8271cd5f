"""Operations on numbers in LLVM's textual language: one row each, the same for straight programs and for loops.

A number of double precision is a ``double``, a truth value an ``i1``. What is computed is NumPy's and IEEE 754's to the bit:
nothing is contracted or reordered. Elementary functions are calls of the mathematical library's, by name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from dualdiff.compiled import special
from dualdiff.passes.scalars import NotScalarError

__all__ = ["FUNCTIONS", "KNOWN", "OF_TRUTHS", "TRUTHS", "constant", "declared", "text"]

_ARITHMETIC = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_COMPARISONS = {
    "less": "olt", "less_equal": "ole", "greater": "ogt", "greater_equal": "oge", "equal": "oeq", "not_equal": "une",
}  # fmt: skip
_LOGIC = {"logical_and": "and", "logical_or": "or", "logical_xor": "xor", "all": "and", "any": "or"}
_INTRINSICS = {
    "sqrt": "sqrt", "absolute": "fabs", "fabs": "fabs", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint",
    "copysign": "copysign",
}  # fmt: skip
FUNCTIONS = {
    "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p", "sin": "sin",
    "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "cbrt": "cbrt", "hypot": "hypot",
    "power": "pow", "fmod": "fmod",
}  # fmt: skip
"""Functions of the mathematical library, by NumPy's names."""
_CHOICES = {  # of two numbers a and b: the first where the comparison holds, or where this one is no number
    "maximum": ("oge", 0), "minimum": ("ole", 0), "fmax": ("oge", 1), "fmin": ("ole", 1),
}  # fmt: skip
_WRITTEN = {
    "negative": ["{r} = fneg double {0}"],
    "reciprocal": ["{r} = fdiv double 1.0, {0}"],
    "logical_not": ["{r} = xor i1 {0}, true"],
    "where": ["{r} = select i1 {0}, double {1}, double {2}"],
    "number": ["{r} = uitofp i1 {0} to double"],
    "isnan": ["{r} = fcmp uno double {0}, 0.0"],
    "isinf": [
        "{r}.size = call double @llvm.fabs.f64(double {0})",
        "{r} = fcmp oeq double {r}.size, 0x7FF0000000000000",
    ],
    "isfinite": [
        "{r}.size = call double @llvm.fabs.f64(double {0})",
        "{r} = fcmp olt double {r}.size, 0x7FF0000000000000",
    ],
    "signbit": ["{r}.bits = bitcast double {0} to i64", "{r} = icmp slt i64 {r}.bits, 0"],
    "sign": [
        "{r}.up = fcmp ogt double {0}, 0.0",
        "{r}.down = fcmp olt double {0}, 0.0",
        "{r}.nan = fcmp uno double {0}, 0.0",
        "{r}.low = select i1 {r}.down, double -1.0, double 0.0",
        "{r}.side = select i1 {r}.up, double 1.0, double {r}.low",
        "{r} = select i1 {r}.nan, double {0}, double {r}.side",
    ],
}
KNOWN = frozenset((*_ARITHMETIC, *_COMPARISONS, *_LOGIC, *_INTRINSICS, *FUNCTIONS, *_CHOICES, *_WRITTEN))
"""The names that have a row."""
OF_TRUTHS = frozenset((*_LOGIC, "logical_not", "number"))
"""What takes truth values."""
TRUTHS = frozenset((*_COMPARISONS, *_LOGIC, "logical_not", "isnan", "isinf", "isfinite", "signbit"))
"""What gives a truth value."""


def constant(x: float | bool) -> str:
    """Return a constant: the bits of a number in hexadecimal, or a truth value."""
    if isinstance(x, bool):
        return "true" if x else "false"
    return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"


def text(name: object, result: str, operands: Sequence[str]) -> list[str]:
    """Return the lines of an operation.

    Parameters
    ----------
    name : str or ufunc
        NumPy's name of the operation, or one of ``scipy.special`` itself.
    result : str
        The name of its value, ``%v7``; further values of several lines are called after it, ``%v7.up``.
    operands : sequence of str
        The names of values, or constants.

    Raises
    ------
    NotScalarError
        Inside the engine, if the operation has no row.
    """
    if special.is_special(name):
        return [f"{result} = {special.called(name, list(operands))}"]
    if not isinstance(name, str) or name not in KNOWN:
        raise NotScalarError(f"{name} has no machine code")
    if name in _ARITHMETIC:
        return [f"{result} = {_ARITHMETIC[name]} double {operands[0]}, {operands[1]}"]
    if name in _COMPARISONS:
        return [f"{result} = fcmp {_COMPARISONS[name]} double {operands[0]}, {operands[1]}"]
    if name in _LOGIC:
        return _logic(_LOGIC[name], result, operands or [constant(name == "all")] * 2)
    if name in _CHOICES:
        kind, k = _CHOICES[name]
        a, b = operands
        return [
            f"{result}.is = fcmp {kind} double {a}, {b}",
            f"{result}.nan = fcmp uno double {operands[k]}, 0.0",
            f"{result}.first = or i1 {result}.is, {result}.nan",
            f"{result} = select i1 {result}.first, double {a}, double {b}",
        ]
    if name in _WRITTEN:
        return [line.format(*operands, r=result) for line in _WRITTEN[name]]
    function = f"llvm.{_INTRINSICS[name]}.f64" if name in _INTRINSICS else FUNCTIONS[name]
    return [f"{result} = call double @{function}({', '.join(f'double {x}' for x in operands)})"]


def _logic(word: str, result: str, operands: Sequence[str]) -> list[str]:
    """Return the lines of a chain of conjunctions or disjunctions."""
    if len(operands) == 1:
        return [f"{result} = {word} i1 {operands[0]}, {operands[0]}"]
    lines, last = [], operands[0]
    for k, x in enumerate(operands[1:], 2):
        name = result if k == len(operands) else f"{result}.{k}"
        lines.append(f"{name} = {word} i1 {last}, {x}")
        last = name
    return lines


def declared(names: Iterable[object]) -> str:
    """Return the declarations of what operations of these names call; the sine and the cosine of one number become one call."""
    called = {
        f"llvm.{_INTRINSICS[n]}.f64" if n in _INTRINSICS else FUNCTIONS.get(n) for n in names if isinstance(n, str)
    }
    if not {"isinf", "isfinite"}.isdisjoint(names):
        called.add("llvm.fabs.f64")
    called.discard(None)
    two = ("atan2", "hypot", "pow", "fmod", "llvm.copysign.f64")
    return "".join(
        f"declare double @{name}({'double, double' if name in two else 'double'}) memory(none)\n"
        for name in sorted(map(str, called))
    )
