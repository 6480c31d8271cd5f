"""Programs as flat Python code: the first tier, which needs nothing but NumPy, and which the others are held against.

A small program of double precision becomes operations on Python's floats; any other one calls NumPy's functions, with ``out=``
where a buffer is at hand. What a program returns nobody else holds, and its buffers serve one call at a time.
"""

from __future__ import annotations

import linecache
import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from dualdiff.kinds import Elementwise, Primitive
from dualdiff.passes.program import Form, Program
from dualdiff.passes.scalars import NotScalarError, Scalars, expanded, name_of

__all__ = ["ChangedError", "Flat", "flat"]

DEPTH = 12
"""How deep expressions are nested."""
OPERATION, CALL, STEP = 0.03, 0.09, 0.7
"""Microseconds of an operation on floats, of a call of a function with floats, and of one of NumPy with arrays."""
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
        "scalars" or "arrays".
    operations : int
        Operations on numbers, or calls of NumPy.
    buffers : int
        Bytes kept from call to call.
    """

    run: Callable[..., tuple[Any, ...]]
    source: str
    kind: str
    operations: int
    buffers: int


def flat(program: Program, arrays: bool = False) -> Flat:
    """Write a program as Python code: of scalars where that is estimated to be faster, unless arrays are asked for.

    Python's own functions raise where NumPy's return what is no number.
    """
    if arrays:
        return _of_arrays(program)
    try:
        scalars = expanded(program)
    except NotScalarError:
        return _of_arrays(program)
    if OPERATION * (scalars.count - scalars.calls) + CALL * scalars.calls <= STEP * len(program.steps):
        return _of_scalars(program, scalars)
    return _of_arrays(program)


def _compiled(lines: Sequence[str], names: dict[str, Any], arguments: str) -> tuple[Callable[..., Any], str]:
    """Compile a function's lines; a traceback shows them."""
    text = f"def program({arguments}):\n" + "".join(f"    {line}\n" for line in lines)
    file = f"<compiled program {next(_SERIAL)}>"
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    exec(compile(text, file, "exec"), names)
    weakref.finalize(names["program"], linecache.cache.pop, file, None)
    return names["program"], text


# --------------------------------------------------------------------------------------------------
# operations on Python's floats

_BINARY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "logical_and": "and", "logical_or": "or", "logical_xor": "!=",
}  # fmt: skip
_WRITTEN = {
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
    return float(round(x)) if math.isfinite(x) and x else x


_CALLED: dict[str, Callable[..., Any]] = {
    "power": math.pow, "sqrt": math.sqrt, "cbrt": math.cbrt, "exp": math.exp, "exp2": math.exp2, "expm1": math.expm1,
    "log": math.log, "log2": math.log2, "log10": math.log10, "log1p": math.log1p, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "arcsin": math.asin, "arccos": math.acos,
    "arctan": math.atan, "arcsinh": math.asinh, "arccosh": math.acosh, "arctanh": math.atanh, "arctan2": math.atan2,
    "hypot": math.hypot, "copysign": math.copysign, "isfinite": math.isfinite, "isnan": math.isnan, "isinf": math.isinf,
    "sign": _sign, "rint": _rint, "floor": lambda x: float(math.floor(x)), "ceil": lambda x: float(math.ceil(x)),
    "trunc": lambda x: float(math.trunc(x)), "signbit": lambda x: math.copysign(1.0, x) < 0,
}  # fmt: skip


def _of_scalars(program: Program, scalars: Scalars) -> Flat:
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
                expression, depth = _expression(name, operands, written, names)
                if uses[n] == 1 and depth < DEPTH:
                    written[n] = f"({expression})", depth
                else:
                    lines.append(f"v{n} = {expression}")
                    written[n] = f"v{n}", 0
        for c in waiting.get(n, ()):
            check(c)
    results = []
    for form, nodes in scalars.outputs:
        if form.dtype.kind == "f" and nodes not in finite and nodes:
            lines.extend(_finite([text(n) for n in nodes], ""))
        results.append(_delivered(form, [text(n) for n in nodes]))
    lines.append(f"return {' '.join(f'{r},' for r in results) or '()'}")
    run, source = _compiled(lines, names, ", ".join(f"x{i}" for i in range(program.inputs)))
    return Flat(run, source, "scalars", scalars.count, 0)


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


def _expression(
    name: Any, operands: Sequence[int], written: dict[int, tuple[str, int]], names: dict[str, Any]
) -> tuple[str, int]:
    texts = [written[n][0] for n in operands]
    depth = 1 + max([written[n][1] for n in operands], default=0)
    if name in ("all", "any"):
        word = " and " if name == "all" else " or "
        return word.join(texts) or str(name == "all"), depth
    if name in _BINARY:
        return f"{texts[0]} {_BINARY[name]} {texts[1]}", depth
    if name in _WRITTEN:
        return _WRITTEN[name].format(*texts), depth
    if name in _CALLED:
        names[name] = _CALLED[name]
        return f"{name}({', '.join(texts)})", depth
    function = getattr(np, name) if isinstance(name, str) else name
    called = next((n for n, f in names.items() if f is function), f"{function.__name__.strip('<>_')}_{len(names)}")
    names[called] = function
    return f"float({called}({', '.join(texts)}))", depth


def _delivered(form: Form, texts: Sequence[str]) -> str:
    """Write what is returned, of the kind that NumPy returns."""
    if form.kind == "float":
        return texts[0]
    if form.kind == "number":
        return f"{'bool_' if form.dtype.kind == 'b' else 'float64'}({texts[0]})"
    if not form.shape:
        return f"array({texts[0]})"
    made = f"array([{', '.join(texts)}]{'' if texts else f', {form.dtype.name!r}'})"
    return made if len(form.shape) == 1 else f"{made}.reshape({form.shape})"


# --------------------------------------------------------------------------------------------------
# calls of NumPy


class _Arrays:
    """The writing of a program with arrays: who shares memory with whom, who is needed how long, and which buffers are free."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names: dict[str, Any] = {"changed": ChangedError, "float64": np.float64, "bool_": np.bool_, "same": _same}
        self.names["total"] = np.add.reduce
        self.lines: list[str] = []
        self.made_by = {s.result: s for s in program.steps}
        self.hidden = self._finite_checks()  # by check: the value that is to be finite
        self.finite: set[int] = set()
        self.floats: dict[int, str] = {}  # values that are Python's floats, and how they are written
        self.group: dict[int, int] = {}  # who may share memory: the first of them
        self.last: dict[int, int] = {}  # by group: the last step that uses a member
        self.kept: set[int] = set()  # groups that are not the program's own: inputs, constants, outputs
        self.owned: set[int] = set()  # groups in memory that this run made, into which it may write
        self.buffer_of: dict[int, int] = {}  # by group
        self.buffers: list[tuple[tuple[int, ...], Any]] = []
        self.free: dict[Any, list[int]] = {}
        self._share()

    def _finite_checks(self) -> dict[int, int]:
        """Find the checks that only ask whether a value is finite, and whose steps nobody else needs."""
        program, uses = self.program, self._uses()
        found = {}
        for c, check in enumerate(program.checks):
            outer = self.made_by.get(check.value)
            if outer is None or outer.row.fn is not np.all or not check.then or outer.params.get("axis") is not None:
                continue
            inner = self.made_by.get(outer.operands[0])
            if inner is not None and inner.row.fn is np.isfinite and uses[inner.result] == uses[outer.result] == 1:
                found[c] = inner.operands[0]
        return found

    def _uses(self) -> dict[int, int]:
        program = self.program
        uses = dict.fromkeys(program.forms, 0)
        for s in program.steps:
            for i in s.operands:
                uses[i] += 1
        for i in (*program.outputs, *[c.value for c in program.checks]):
            uses[i] += 1
        return uses

    def _share(self) -> None:
        program = self.program
        skipped = self._skipped()
        for i in (*range(program.inputs), *program.constants):
            self.kept.add(self._group(i))
        for s in program.steps:
            form = program.forms[s.result]
            if s.result in skipped or form.kind != "array" or _is_fresh(s.row):
                continue
            for i in s.operands:
                if program.forms[i].kind == "array":
                    self.group[self._group(s.result)] = self._group(i)
        for i in program.outputs:
            self.kept.add(self._group(i))
        self.kept = {self._group(i) for i in self.kept}
        for n, s in enumerate(program.steps):
            if s.result not in skipped:
                for i in s.operands:
                    self.last[self._group(i)] = n
        for c, check in enumerate(program.checks):
            value = self._group(self.hidden.get(c, check.value))
            self.last[value] = max(self.last.get(value, -1), check.before)
        for i in program.outputs:
            self.last[self._group(i)] = len(program.steps)

    def _skipped(self) -> set[int]:
        skipped = set()
        for c in self.hidden:
            outer = self.made_by[self.program.checks[c].value]
            skipped |= {outer.result, outer.operands[0]}
        return skipped

    def _group(self, i: int) -> int:
        while self.group.get(i, i) != i:
            i = self.group[i]
        return i

    # -- writing -----------------------------------------------------------------------------------
    def written(self) -> Flat:
        program, lines = self.program, self.lines
        for i in range(program.inputs):
            if program.forms[i].is_float:
                if program.forms[i].kind == "number":
                    lines.append(f"x{i} = x{i}.item()")
                self.floats[i] = f"x{i}"
        for i, x in program.constants.items():
            self.names[f"c{i}"] = x
            if program.forms[i].is_float and math.isfinite(x):
                self.floats[i] = f"({float(x)!r})" if math.copysign(1.0, x) < 0 else repr(float(x))
            elif program.forms[i].kind == "float" and program.forms[i].dtype.kind == "i":
                self.floats[i] = f"({x!r})" if x < 0 else repr(x)
        skipped = self._skipped()
        waiting = list(enumerate(program.checks))[::-1]
        calls = 0
        for n, s in enumerate(program.steps):
            while waiting and waiting[-1][1].before <= n:
                self._check(*waiting.pop())
            if s.result not in skipped:
                calls += 1
                self._step(n, s)
            for i in {*s.operands, s.result}:
                self._release(n, self._group(i))
        while waiting:
            self._check(*waiting.pop())
        results = [self._output(i, form) for i, form in zip(program.outputs, program.results, strict=True)]
        lines.append(f"return {' '.join(f'{r},' for r in results) or '()'}")
        shapes = self.buffers
        arguments = [f"x{i}" for i in range(program.inputs)]
        if shapes:
            lines.insert(0, f"{' '.join(f'b{k},' for k in range(len(shapes)))} = buffers")
            arguments.append("buffers")
        run, source = _compiled(lines, self.names, ", ".join(arguments))
        if shapes:
            run = _with_buffers(run, shapes)
        bytes_kept = sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes)
        return Flat(_quiet(run), source, "arrays", calls, bytes_kept)

    def _release(self, n: int, group: int) -> None:
        """Give the buffer of a group back after its last use."""
        buffer = self.buffer_of.get(group)
        if buffer is not None and self.last.get(group, -1) <= n:
            del self.buffer_of[group]
            self.free.setdefault(self.buffers[buffer], []).append(buffer)

    def _name(self, i: int) -> str:
        return f"x{i}" if i < self.program.inputs else f"c{i}" if i in self.program.constants else f"v{i}"

    def _given(self, i: int) -> str:
        """Return a value as NumPy is to have it: a number of its own kind."""
        if i in self.program.constants:
            return f"c{i}"
        if i in self.floats:
            return self.floats[i] if self.program.forms[i].kind == "float" else f"float64({self.floats[i]})"
        return self._name(i)

    def _step(self, n: int, s: Any) -> None:
        program = self.program
        form, row, v = program.forms[s.result], s.row, f"v{s.result}"
        fn: Any = row.fn
        if (
            isinstance(fn, np.ufunc)
            and not s.params
            and form.kind != "array"
            and all(i in self.floats for i in s.operands)
        ):
            texts = {n: (self.floats[i], 0) for n, i in enumerate(s.operands)}
            name = name_of(fn)
            if (name == "power" and self.floats[s.operands[1]] in ("2", "2.0")) or name == "square":
                name, texts = "multiply", {0: texts[0], 1: texts[0]}
            if form.is_float and (name in _BINARY or name in _WRITTEN or name in _CALLED):
                self.lines.append(f"{v} = {_expression(name, range(len(texts)), texts, self.names)[0]}")
                self.floats[s.result] = v
                return
        if row.access == "write":
            self._write(n, s)
            return
        given = [self._given(i) for i in s.operands]
        if row.access == "read" and form.is_float and program.forms[s.operands[0]].kind == "array":
            self.names[f"p{s.result}"] = s.params["index"]
            self.lines.append(f"{v} = {given[0]}.item(p{s.result})")
            self.floats[s.result] = v
            return
        if row.access == "read":
            self.names[f"p{s.result}"] = s.params["index"]
            call = f"{given[0]}[p{s.result}]"
        else:
            call = self._call(n, s, given, form)
        if form.is_float:
            self.floats[s.result] = v
            call = f"float({call})"
        self.lines.append(f"{v} = {call}")

    def _call(self, n: int, s: Any, given: list[str], form: Form) -> str:
        row, f = s.row, f"f{s.result}"
        fn: Any = row.fn
        if isinstance(row, Elementwise) and not s.params and fn is np.power:
            exponent = self.program.constants.get(s.operands[1])
            if type(exponent) in (int, float, np.float64) and exponent == 2 and form.dtype.kind in "fc":
                fn, given = np.square, given[:1]
            else:
                fn = row.op  # as Python's operator has it: NumPy takes shorter ways there
        self.names[f] = fn
        if s.params:
            self.names[f"p{s.result}"] = s.params
            given = [*given, f"**p{s.result}"]
        if isinstance(fn, np.ufunc) and fn.nout == 1 and form.kind == "array" and form.shape and not s.params:
            group = self._group(s.result)
            if group not in self.kept:
                given = [*given, f"out=b{self._buffer(n, s, group, form)}"]
            self.owned.add(group)
        return f"{f}({', '.join(given)})"

    def _buffer(self, n: int, s: Any, group: int, form: Form) -> int:
        """Return a buffer for a result: that of an operand which ends here, a free one, or a new one."""
        key = form.shape, form.dtype
        for i in s.operands:
            own = self._group(i)
            buffer = self.buffer_of.get(own)
            if buffer is not None and self.last[own] == n and self.buffers[buffer] == key and own != group:
                del self.buffer_of[own]
                self.buffer_of[group] = buffer
                return buffer
        free = self.free.get(key)
        if free:
            buffer = free.pop()
        else:
            buffer = len(self.buffers)
            self.buffers.append(key)
        self.buffer_of[group] = buffer
        return buffer

    def _write(self, n: int, s: Any) -> None:
        """Write an assignment: in place where the array is the program's own and nobody reads it any more."""
        x, value = s.operands
        v, group = f"v{s.result}", self._group(x)
        self.names[f"p{s.result}"] = s.params["index"]
        if group in self.owned and self.last[group] == n and group not in self.buffer_of:
            self.lines.append(f"{v} = {self._name(x)}")
        else:
            self.lines.append(f"{v} = {self._given(x)}.copy()")
        self.owned.add(self._group(s.result))
        self.lines.append(f"{v}[p{s.result}] = {self._given(value)}")

    def _check(self, c: int, check: Any) -> None:
        if c in self.hidden:
            self._look(self.hidden[c], str(c))
            return
        value = self.floats.get(check.value, self._name(check.value))
        if isinstance(check.then, (bool, np.bool_)):
            self.lines.append(f"if {'not ' if check.then else ''}{value}: raise changed({c})")
        else:
            self.names[f"then{c}"] = check.then
            self.lines.append(f"if not same({value}, then{c}): raise changed({c})")

    def _look(self, i: int, check: str) -> None:
        """Write a look at whether a value is finite everywhere, which a sum of it shows."""
        if i in self.finite or i in self.program.constants:
            return
        self.finite.add(i)
        if i in self.floats:
            self.lines.append(f"if {self.floats[i]} - {self.floats[i]} != 0.0: raise changed({check})")
        else:
            self.lines += [f"t = total({self._name(i)}, None)", f"if t - t != 0.0: raise changed({check})"]

    def _output(self, i: int, form: Form) -> str:
        """Write what is returned, of the kind that NumPy returns, and in memory that nobody else holds."""
        program = self.program
        if form.dtype.kind in "fc":
            self._look(i, "")
        if i in self.floats:
            return _delivered(form, [self.floats[i]])
        if form.kind != "array":
            if form.kind == "float" and i not in program.constants:
                self.names["python"] = _python
                return f"python({self._name(i)})"
            return f"{self._name(i)}[()]" if program.forms[i].kind == "array" else self._name(i)
        group = self._group(i)
        alone = (
            group in self.owned and sum(self._group(o) == group for o in program.outputs) == 1 and not self._is_shown(i)
        )
        return self._name(i) if alone else f"{self._name(i)}.copy()"

    def _is_shown(self, i: int) -> bool:
        """Whether an output may be a view of something larger, which it would keep alive."""
        made = self.made_by.get(i)
        return made is None or not (_is_fresh(made.row) or made.row.access == "write")


def _is_fresh(row: Primitive) -> bool:
    """Whether a row's result shares memory with none of its operands, whatever they are."""
    return isinstance(row.fn, np.ufunc) or row.access == "write" or row.kind == "multilinear"


def _same(x: Any, then: Any) -> bool:
    return bool(np.array_equal(x, then, equal_nan=np.asarray(then).dtype.kind == "f"))


def _python(x: Any) -> Any:
    """Return a number as one of Python's."""
    return x.item() if hasattr(x, "item") else x


def _with_buffers(run: Callable[..., Any], shapes: Sequence[tuple[tuple[int, ...], Any]]) -> Callable[..., Any]:
    """Give every call buffers that nobody uses meanwhile, whichever thread it runs in."""
    pool: list[list[Any]] = []

    def with_buffers(*inputs: Any) -> Any:
        try:
            buffers = pool.pop()
        except IndexError:
            buffers = [np.empty(shape, dtype) for shape, dtype in shapes]
        try:
            return run(*inputs, buffers)
        finally:
            pool.append(buffers)

    return with_buffers


def _quiet(run: Callable[..., Any]) -> Callable[..., Any]:
    """Let NumPy warn of nothing: what is not finite is computed again by the operator, which warns itself."""

    def quiet(*inputs: Any) -> Any:
        with np.errstate(all="ignore"):
            return run(*inputs)

    return quiet


def _of_arrays(program: Program) -> Flat:
    return _Arrays(program).written()
