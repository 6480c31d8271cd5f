"""Programs of arrays as Python code: calls of NumPy, with ``out=`` where a buffer is at hand."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dualdiff.compiled.numbers import BINARY, CALLED, WRITTEN, ChangedError, Flat, compiled, delivered, expression
from dualdiff.kinds import Elementwise
from dualdiff.passes.program import Form, Program, Step
from dualdiff.passes.scalars import name_of

__all__ = ["Arrays", "Called", "of_arrays"]

LINE = 64
"""Bytes of a line of the cache, where buffers begin."""


@dataclass(frozen=True, slots=True)
class Called:
    """Machine code among the steps.

    Attributes
    ----------
    operands, results : tuple of int
        The values it reads, and those whose memory it is given to write.
    numbers : tuple of bool
        Which arguments (operands, results, scratch memory) are numbers.
    scratch : int
        Entries of scratch memory.
    function : callable
        It returns 0, or why it gave up.
    otherwise : callable
        Called with that and the program's inputs: it returns the outputs, or raises.
    """

    operands: tuple[int, ...]
    results: tuple[int, ...]
    numbers: tuple[bool, ...]
    scratch: int
    function: Callable[..., int]
    otherwise: Callable[..., Any]


class _Buffer(NamedTuple):
    """An array in the memory of a run: from which byte on, its shape and its dtype."""

    start: int
    shape: tuple[int, ...]
    dtype: Any

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * int(self.dtype.itemsize)

    @property
    def end(self) -> int:
        """Where the next buffer may begin."""
        return self.start + -(-self.bytes // LINE) * LINE


class _Memory:
    """Memory of which places are taken and given back: the first hole that is large enough, and more memory where there is none."""

    def __init__(self) -> None:
        self.size = 0
        self.holes: list[tuple[int, int]] = []  # from, to: in order, and none touches the next

    def taken(self, size: int) -> int:
        """Take a place."""
        for n, (low, high) in enumerate(self.holes):
            if high - low >= size:
                self.holes[n : n + 1] = [(low + size, high)] if high - low > size else []
                return low
        low = self.holes.pop()[0] if self.holes and self.holes[-1][1] == self.size else self.size
        self.size = low + size
        return low

    def given_back(self, low: int, high: int) -> None:
        """Give a place back."""
        n = bisect.bisect_left(self.holes, (low, high))
        if n < len(self.holes) and self.holes[n][0] == high:
            high = self.holes.pop(n)[1]
        if n and self.holes[n - 1][1] == low:
            n -= 1
            low = self.holes.pop(n)[0]
        if low < high:
            self.holes.insert(n, (low, high))


class Arrays:
    """The writing of a program with arrays: who shares memory with whom, who is needed how long, and which buffers are free."""

    def __init__(
        self,
        program: Program,
        items: Sequence[Step | Called] | None = None,
        done: Collection[int] = (),
        finite: Collection[int] = (),
        before: Mapping[int, int] | None = None,
        price: float = 0.0,
    ) -> None:
        self.price = price
        self.program = program
        self.items = program.steps if items is None else items
        self.before = {c: k.before for c, k in enumerate(program.checks)} if before is None else before
        self.checks = [(c, k) for c, k in enumerate(program.checks) if c not in done]
        self.names: dict[str, Any] = {"changed": ChangedError, "float64": np.float64, "bool_": np.bool_, "same": _same}
        self.names["total"] = np.add.reduce
        self.lines: list[str] = []
        self.made_by = {s.result: s for s in self.items if isinstance(s, Step)}
        self.maker = {s.result: s for s in program.steps}
        self.hidden = self._finite_checks()  # by check: the value that is to be finite
        self.finite: set[int] = set(finite)
        self.floats: dict[int, str] = {}  # values that are Python's floats, and how they are written
        self.group: dict[int, int] = {}  # who may share memory: the first of them
        self.last: dict[int, int] = {}  # by group: the last step that uses a member
        self.kept: set[int] = set()  # groups that are not the program's own: inputs, constants, outputs
        self.given: set[int] = set()  # groups in which there may be memory of inputs or constants
        self.owned: set[int] = set()  # groups in memory that this run made, into which it may write
        self.taken: dict[
            int, list[_Buffer]
        ] = {}  # by group, as long as it is needed: what its members were written into
        self.buffers: dict[_Buffer, int] = {}
        self.memory = _Memory()  # in which all of them lie
        self.ready: set[int] = set()  # results that stand in a buffer, entry after entry
        self.stored: dict[int, str] = {}  # the buffers of what machine code made
        self.whole: set[int] = set()  # values that are all of their memory
        self.kernels = 0
        self._share()

    def _finite_checks(self) -> dict[int, int]:
        """Find the checks that only ask whether a value is finite, and whose steps nobody else needs."""
        uses = self._uses()
        found = {}
        for c, check in self.checks:
            outer = self.maker.get(check.value)
            if outer is None or outer.row.fn is not np.all or not check.then or outer.params.get("axis") is not None:
                continue
            inner = self.maker.get(outer.operands[0])
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
        for s in self.items:
            if isinstance(s, Called):
                self.whole.update(s.results)
                continue
            form = program.forms[s.result]
            if s.result in skipped or form.kind != "array" or _is_fresh(s):
                continue
            for i in s.operands:
                if program.forms[i].kind == "array":
                    self.group[self._group(s.result)] = self._group(i)
                    if i in self.whole and math.prod(form.shape) == math.prod(program.forms[i].shape):
                        self.whole.add(s.result)
        self.given = {self._group(i) for i in self.kept}
        self.kept = self.given | {self._group(i) for i in program.outputs}
        for n, s in enumerate(self.items):
            if isinstance(s, Called) or s.result not in skipped:
                for i in s.operands:
                    self.last[self._group(i)] = n
        for c, check in self.checks:
            value = self._group(self.hidden.get(c, check.value))
            self.last[value] = max(self.last.get(value, -1), self.before[c])
        for i in program.outputs:
            self.last[self._group(i)] = len(self.items)

    def _skipped(self) -> set[int]:
        skipped = set()
        for c in self.hidden:
            outer = self.maker[self.program.checks[c].value]
            skipped |= {outer.result, outer.operands[0]}
        return skipped

    def _group(self, i: int) -> int:
        first = i
        while self.group.get(first, first) != first:
            first = self.group[first]
        while self.group.get(i, i) != first:  # the next to ask has one step
            self.group[i], i = first, self.group[i]
        return first

    # -- writing -----------------------------------------------------------------------------------
    def written(self) -> Flat:
        """Return the program as code that is ready to run."""
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
        waiting = self.checks[::-1]
        calls = 0
        for n, s in enumerate(self.items):
            while waiting and self.before[waiting[-1][0]] <= n:
                self._check(*waiting.pop())
            if isinstance(s, Called):
                calls += 1
                self._kernel(n, s)
                continue
            if s.result not in skipped:
                calls += 1
                self._step(n, s)
            for i in {*s.operands, s.result}:
                self._release(n, self._group(i))
        while waiting:
            self._check(*waiting.pop())
        results = [self._output(i, form) for i, form in zip(program.outputs, program.results, strict=True)]
        lines.append(f"return {' '.join(f'{r},' for r in results) or '()'}")
        arguments = [f"x{i}" for i in range(program.inputs)]
        if self.buffers:
            lines.insert(0, f"{' '.join(f'b{k},' for k in range(len(self.buffers)))} = buffers")
            arguments.append("buffers")
        run, source = compiled(lines, self.names, ", ".join(arguments))
        if self.buffers:
            run = _with_buffers(run, list(self.buffers), self.memory.size)
        if not all(isinstance(s, Called) for s in self.items):
            run = _quiet(run)
        return Flat(run, source, "arrays", calls, self.memory.size, self.price * calls)

    def _release(self, n: int, group: int) -> None:
        """Give the buffers of a group back after its last use."""
        if group in self.taken and self.last.get(group, -1) <= n:
            for buffer in self.taken.pop(group):
                self.memory.given_back(buffer.start, buffer.end)

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
            if form.is_float and (name in BINARY or name in WRITTEN or name in CALLED):
                self.lines.append(f"{v} = {expression(name, range(len(texts)), texts, self.names)[0]}")
                self.floats[s.result] = v
                return
        if row.access == "write":
            self._write(n, s)
            return
        given = [self._given(i) for i in s.operands]
        if isinstance(fn, np.ufunc) and not s.params and self._is_in_doubles(s):
            given = [self.floats.get(i, text) for i, text in zip(s.operands, given, strict=True)]
        if row.access == "read" and form.is_float and program.forms[s.operands[0]].kind == "array":
            self.names[f"p{s.result}"] = s.params["index"]
            self.lines.append(f"{v} = {given[0]}.item(p{s.result})")
            self.floats[s.result] = v
            return
        if row.access == "read":
            picked = _picked(s.params["index"])
            if picked is not None and len(program.forms[s.operands[0]].shape) == 1:
                self.names[f"p{s.result}"] = picked
                call = f"{given[0]}.take(p{s.result})"
                self.owned.add(self._group(s.result))
            else:
                self.names[f"p{s.result}"] = s.params["index"]
                call = f"{given[0]}[p{s.result}]"
        else:
            call = self._call(n, s, given, form)
        if form.is_float:
            self.floats[s.result] = v
            call = f"float({call})"
        self.lines.append(f"{v} = {call}")

    def _is_in_doubles(self, s: Any) -> bool:
        """Whether an operand is an array of doubles, as is the result: beside it a number of Python's is a double too, and quicker."""
        forms = self.program.forms
        doubles = [forms[i].kind == "array" and forms[i].dtype == np.float64 for i in (*s.operands, s.result)]
        return doubles[-1] and any(doubles[:-1])

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
                self.ready.add(s.result)
            self.owned.add(group)
        return f"{f}({', '.join(given)})"

    def _buffer(self, n: int, s: Any, group: int, form: Form) -> int:
        """Return a buffer for a result: that of an operand which ends here, or the first place where there is room for it."""
        found = None
        for i in () if s is None else s.operands:
            own = self._group(i)
            there = self.taken.get(own, ())
            if len(there) == 1 and self.last[own] == n and own != group:
                (buffer,) = there
                if (buffer.shape, buffer.dtype) == (form.shape, form.dtype):
                    del self.taken[own]
                    found = buffer
                    break
        if found is None:
            found = _Buffer(0, form.shape, form.dtype)
            found = found._replace(start=self.memory.taken(found.end))
        self.taken.setdefault(group, []).append(found)
        return self.buffers.setdefault(found, len(self.buffers))

    def _write(self, n: int, s: Any) -> None:
        """Write an assignment: in place where the array is the program's own and nobody reads it any more."""
        x, value = s.operands
        v, group = f"v{s.result}", self._group(x)
        self.names[f"p{s.result}"] = s.params["index"]
        if group in self.owned and group not in self.given and self.last[group] == n and group not in self.taken:
            self.lines.append(f"{v} = {self._name(x)}")
        else:
            self.lines.append(f"{v} = {self._given(x)}.copy()")
        self.owned.add(self._group(s.result))
        self.lines.append(f"{v}[p{s.result}] = {self._given(value)}")

    def _kernel(self, n: int, called: Called) -> None:
        """Write a call of machine code, which is given memory for its results."""
        program, k = self.program, self.kernels
        self.kernels += 1
        given: list[str] = []
        after: list[str] = []
        for i, is_number in zip(called.operands, called.numbers, strict=False):
            if is_number:
                given.append(self.floats[i])
            elif i in self.made_by and i not in self.ready:
                self.names["contiguous"] = np.ascontiguousarray
                given.append(f"contiguous({self._name(i)})")
            else:
                given.append(self.stored.get(i) or self._name(i))
        for i in called.results:
            form, group, v = program.forms[i], self._group(i), f"v{i}"
            if form.kind == "array" and group in self.kept:
                self.names["empty"] = np.empty
                kind = "" if form.dtype == np.float64 else ", bool_"
                self.lines.append(f"{v} = empty({form.shape}{kind})")
                given.append(v)
            else:
                buffer = f"b{self._buffer(n, None, group, form)}"
                given.append(buffer)
                self.stored[i] = buffer
                if form.kind == "array":
                    after.append(f"{v} = {buffer}")
                elif form.kind == "float" or form.is_float:
                    after.append(f"{v} = {buffer}.item()")
                else:
                    after.append(f"{v} = {buffer}[()]")
                if form.is_float:
                    self.floats[i] = v
            self.owned.add(group)
        if called.scratch:
            scratch = Form((called.scratch,), np.dtype(float), "array")
            given.append(f"b{self._buffer(n, None, -1, scratch)}")
            self.last[-1] = n
        self.names[f"k{k}"], self.names[f"otherwise{k}"] = called.function, called.otherwise
        numbers = {i for i in range(program.inputs) if program.forms[i].kind == "number" and program.forms[i].is_float}
        inputs = "".join(f", float64(x{i})" if i in numbers else f", x{i}" for i in range(program.inputs))
        self.lines.append(f"s = k{k}({', '.join(given)})")
        self.lines.append(f"if s: return otherwise{k}(s{inputs})")
        self.lines += after
        for i in (-1, *called.operands, *called.results):
            self._release(n, self._group(i))

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
            return delivered(form, [self.floats[i]])
        if form.kind != "array":
            if form.kind == "float" and i not in program.constants:
                self.names["python"] = _python
                return f"python({self._name(i)})"
            return f"{self._name(i)}[()]" if program.forms[i].kind == "array" else self._name(i)
        group = self._group(i)
        alone = (
            group in self.owned
            and group not in self.given
            and sum(self._group(o) == group for o in program.outputs) == 1
            and not self._is_shown(i)
        )
        return self._name(i) if alone else f"{self._name(i)}.copy()"

    def _is_shown(self, i: int) -> bool:
        """Whether an output may be a view of something larger, which it would keep alive."""
        if i in self.whole:
            return False
        made = self.made_by.get(i)
        return made is None or not (_is_fresh(made) or made.row.access == "write")


def _is_fresh(step: Step) -> bool:
    """Whether a step's result shares memory with none of its operands, whatever they are."""
    row = step.row
    if row.access == "read":
        return _picked(step.params["index"]) is not None
    return isinstance(row.fn, np.ufunc) or row.access == "write" or row.kind == "multilinear"


def _picked(index: Any) -> Any:
    """Return the numbers of the entries of a vector that an index picks one by one; None of another index."""
    parts = [i for i in index if i is not Ellipsis] if type(index) is tuple else [index]
    if len(parts) == 1 and type(parts[0]) is np.ndarray and parts[0].dtype == np.intp and parts[0].ndim == 1:
        return parts[0]
    return None


def _same(x: Any, then: Any) -> bool:
    return bool(np.array_equal(x, then, equal_nan=np.asarray(then).dtype.kind == "f"))


def _python(x: Any) -> Any:
    """Return a number as one of Python's."""
    return x.item() if hasattr(x, "item") else x


def _with_buffers(run: Callable[..., Any], buffers: Sequence[_Buffer], size: int) -> Callable[..., Any]:
    """Give every call buffers that nobody uses meanwhile, whichever thread it runs in."""
    pool: list[list[Any]] = []

    def made() -> list[Any]:
        memory = np.empty(size + LINE, np.uint8)
        memory = memory[-memory.ctypes.data % LINE :]
        return [memory[b.start : b.start + b.bytes].view(b.dtype).reshape(b.shape) for b in buffers]

    def with_buffers(*inputs: Any) -> Any:
        try:
            taken = pool.pop()
        except IndexError:
            taken = made()
        try:
            return run(*inputs, taken)
        finally:
            pool.append(taken)

    return with_buffers


def _quiet(run: Callable[..., Any]) -> Callable[..., Any]:
    """Let NumPy warn of nothing: what is not finite is computed again by the operator, which warns itself."""

    def quiet(*inputs: Any) -> Any:
        with np.errstate(all="ignore"):
            return run(*inputs)

    return quiet


def of_arrays(program: Program, price: float) -> Flat:
    """Write a program as calls of NumPy; one of them takes so many microseconds."""
    return Arrays(program, price=price).written()
