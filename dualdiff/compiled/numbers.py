"""Small programs of double precision as Python code: operations on Python's floats."""

from __future__ import annotations

import linecache
import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from dualdiff.passes.program import Form, Program
from dualdiff.passes.scalars import Scalars

__all__ = ["ChangedError", "Flat", "by_numbers", "of_scalars"]

DEPTH = 12
"""How deep expressions are nested."""
_SERIAL = count()


class ChangedError(Exception):
    """Inside the engine: a decision would be taken otherwise, so that the program does not hold. Its argument is the check's number."""


@dataclass(frozen=True, slots=True)
class Flat:
    """A program that can be run.

    Attributes
    ----------
    run : callable
        It takes the inputs and returns a tuple of outputs; it raises :class:`ChangedError`, or an error of arithmetic, where the
        program does not hold.
    source : str
        The code.
    kind : str
        "scalars", "arrays", "machine code", "loops" or "repeated loops".
    operations : int
        Operations on numbers, or calls of NumPy.
    buffers : int
        Bytes kept from call to call.
    price : float
        What a run is estimated to take, in microseconds: less than it does, where arrays are large.
    loops : tuple of tuple
        Where steps that repeat were found: how many one period has, and how often it runs.
    """

    run: Callable[..., tuple[Any, ...]]
    source: str
    kind: str
    operations: int
    buffers: int
    price: float
    loops: tuple[tuple[int, int], ...] = ()


OPERATION, CALL = 0.03, 0.09
"""Microseconds of an operation on floats, and of a call of a function with floats."""


def by_numbers(scalars: Scalars) -> float:
    """Return what operations on floats are estimated to take, in microseconds."""
    return OPERATION * (scalars.count - scalars.calls) + CALL * scalars.calls


def compiled(lines: Sequence[str], names: dict[str, Any], arguments: str) -> tuple[Callable[..., Any], str]:
    """Compile a function's lines; a traceback shows them."""
    text = f"def program({arguments}):\n" + "".join(f"    {line}\n" for line in lines)
    file = f"<compiled program {next(_SERIAL)}>"
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    exec(compile(text, file, "exec"), names)
    weakref.finalize(names["program"], linecache.cache.pop, file, None)
    return names["program"], text


BINARY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "logical_and": "and", "logical_or": "or", "logical_xor": "!=",
}  # fmt: skip
WRITTEN = {
    "negative": "-{0}",
    "absolute": "abs({0})",
    "fabs": "abs({0})",
    "reciprocal": "1.0 / {0}",
    "logical_not": "not {0}",
    "where": "{1} if {0} else {2}",
    "number": "1.0 if {0} else 0.0",
    "maximum": "{0} if {0} >= {1} or {0} != {0} else {1}",
    "minimum": "{0} if {0} <= {1} or {0} != {0} else {1}",
    "fmax": "{0} if {0} >= {1} or {1} != {1} else {1}",
    "fmin": "{0} if {0} <= {1} or {1} != {1} else {1}",
}
_REPEATED = frozenset(("maximum", "minimum", "fmax", "fmin"))
"""What is written with an operand twice, which therefore has a name."""


def _sign(x: float) -> float:
    return x if x != x else float((x > 0) - (x < 0))


def _rint(x: float) -> float:
    return _with_sign(round)(x) if math.isfinite(x) else x


def _with_sign(whole: Callable[[float], int]) -> Callable[[float], float]:
    """Return a function to whole numbers as NumPy has it: a zero keeps the sign of what it was rounded from."""
    return lambda x: math.copysign(float(whole(x)), x)


CALLED: dict[str, Callable[..., Any]] = {
    "power": math.pow, "sqrt": math.sqrt, "cbrt": math.cbrt, "exp": math.exp, "exp2": math.exp2, "expm1": math.expm1,
    "log": math.log, "log2": math.log2, "log10": math.log10, "log1p": math.log1p, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "arcsin": math.asin, "arccos": math.acos,
    "arctan": math.atan, "arcsinh": math.asinh, "arccosh": math.acosh, "arctanh": math.atanh, "arctan2": math.atan2,
    "hypot": math.hypot, "copysign": math.copysign, "isfinite": math.isfinite, "isnan": math.isnan, "isinf": math.isinf,
    "sign": _sign, "rint": _rint, "floor": _with_sign(math.floor), "ceil": _with_sign(math.ceil),
    "trunc": _with_sign(math.trunc), "signbit": lambda x: math.copysign(1.0, x) < 0,
}  # fmt: skip


def of_scalars(program: Program, scalars: Scalars) -> Flat:
    """Write operations on numbers as Python code."""
    operations = scalars.operations
    uses = [0] * len(operations)
    for name, *operands in operations:
        if name not in ("input", "constant"):
            for n in operands:
                uses[n] += 2 if name in _REPEATED else 1
    for form, nodes in scalars.outputs:
        for n in nodes:
            uses[n] += 2 if form.dtype.kind == "f" else 1  # which is also looked at: whether it is finite
    names: dict[str, Any] = {"changed": ChangedError, "array": np.array, "float64": np.float64, "bool_": np.bool_}
    lines: list[str] = []
    written: dict[int, tuple[str, int]] = {}  # an expression, and how deep it is
    for i in range(program.inputs):
        _read(lines, written, operations, i, program.forms[i])

    def text(n: int) -> str:
        return written[n][0]

    waiting: dict[int, list[int]] = {}
    for c, nodes in enumerate(scalars.checks):
        waiting.setdefault(max(nodes, default=-1), []).append(c)
    finite: set[tuple[int, ...]] = set()

    def check(c: int) -> None:
        nodes, then = scalars.checks[c], program.checks[c].then
        if len(nodes) == 1 and isinstance(then, (bool, np.bool_)):
            name, *operands = operations[nodes[0]]
            if name == "all" and then and all(operations[n][0] == "isfinite" for n in operands):
                checked = tuple([operations[n][1] for n in operands])
                finite.add(checked)
                lines.extend(_finite([text(n) for n in checked], str(c)))
            else:
                lines.append(f"if {'not ' if then else ''}{text(nodes[0])}: raise changed({c})")
        else:
            names[f"then{c}"] = tuple(np.asarray(then).ravel().tolist())
            lines.append(f"if ({' '.join(f'{text(n)},' for n in nodes)}) != then{c}: raise changed({c})")

    for n, (name, *operands) in enumerate(operations):
        if name == "constant":
            x = operands[0]
            written[n] = repr(x) if repr(x) not in ("inf", "-inf", "nan") else f"float('{x}')", 0
            if written[n][0].startswith("-"):
                written[n] = f"({written[n][0]})", 0
        elif name not in ("input", "unused"):
            only_finite = name == "all" and all(operations[m][0] == "isfinite" for m in operands)
            hidden = name == "isfinite" and not uses[n] - _uses_by_all(operations, n)
            if not only_finite and not hidden:
                said, depth = expression(name, operands, written, names)
                if uses[n] == 1 and depth < DEPTH:
                    written[n] = f"({said})", depth
                else:
                    lines.append(f"v{n} = {said}")
                    written[n] = f"v{n}", 0
        for c in waiting.get(n, ()):
            check(c)
    results = []
    for form, nodes in scalars.outputs:
        if form.dtype.kind == "f" and nodes not in finite and nodes:
            lines.extend(_finite([text(n) for n in nodes], ""))
        results.append(delivered(form, [text(n) for n in nodes]))
    lines.append(f"return {' '.join(f'{r},' for r in results) or '()'}")
    run, source = compiled(lines, names, ", ".join(f"x{i}" for i in range(program.inputs)))
    return Flat(run, source, "scalars", scalars.count, 0, by_numbers(scalars))


def _uses_by_all(operations: Sequence[tuple[Any, ...]], n: int) -> int:
    """Return how often checks that everything is finite use a node: these look at the numbers themselves."""
    return sum(
        operands.count(n)
        for name, *operands in operations
        if name == "all" and all(operations[m][0] == "isfinite" for m in operands)
    )


def _read(
    lines: list[str], written: dict[int, tuple[str, int]], operations: Sequence[tuple[Any, ...]], i: int, form: Form
) -> None:
    """Write how an input's entries are read."""
    wanted = {o[2]: n for n, o in enumerate(operations) if o[0] == "input" and o[1] == i}
    if not wanted:
        return
    x = f"x{i}"
    if not form.shape:
        if form.kind != "float":
            lines.append(f"{x} = {x}.item()")
        written[wanted[0]] = x, 0
        return
    size = math.prod(form.shape)
    entries = f"{x}.tolist()" if len(form.shape) == 1 else f"{x}.ravel().tolist()"
    if len(wanted) == size:
        lines.append(f"{' '.join(f'{x}_{k},' for k in range(size))} = {entries}")
        written.update({wanted[k]: (f"{x}_{k}", 0) for k in range(size)})
    else:
        lines.append(f"{x} = {entries}")
        for k, n in wanted.items():
            lines.append(f"{x}_{k} = {x}[{k}]")
            written[n] = f"{x}_{k}", 0


def _finite(texts: Sequence[str], check: str) -> list[str]:
    """Write a look at numbers all at once: a sum of them is finite only if all of them are."""
    texts = [t for t in dict.fromkeys(texts) if t[0].isalpha()]
    if not texts:
        return []
    total = " + ".join(texts)
    return [f"total = {total}", f"if total - total != 0.0: raise changed({check})"]


def expression(
    name: Any, operands: Sequence[int], written: dict[int, tuple[str, int]], names: dict[str, Any]
) -> tuple[str, int]:
    texts = [written[n][0] for n in operands]
    depth = 1 + max([written[n][1] for n in operands], default=0)
    if name in ("all", "any"):
        word = " and " if name == "all" else " or "
        return word.join(texts) or str(name == "all"), depth
    if name in BINARY:
        return f"{texts[0]} {BINARY[name]} {texts[1]}", depth
    if name in WRITTEN:
        return WRITTEN[name].format(*texts), depth
    if name in CALLED:
        names[name] = CALLED[name]
        return f"{name}({', '.join(texts)})", depth
    function = getattr(np, name) if isinstance(name, str) else name
    called = next((n for n, f in names.items() if f is function), f"{function.__name__.strip('<>_')}_{len(names)}")
    names[called] = function
    return f"float({called}({', '.join(texts)}))", depth


def delivered(form: Form, texts: Sequence[str]) -> str:
    """Write what is returned, of the kind that NumPy returns."""
    if form.kind == "float":
        return texts[0]
    if form.kind == "number":
        return f"{'bool_' if form.dtype.kind == 'b' else 'float64'}({texts[0]})"
    if not form.shape:
        return f"array({texts[0]})"
    made = f"array([{', '.join(texts)}]{'' if texts else f', {form.dtype.name!r}'})"
    return made if len(form.shape) == 1 else f"{made}.reshape({form.shape})"
