"""Machine code as a function of Python: its arguments are looked at, and its result made, without a line of Python.

The function follows the interpreter's calling convention for built-in functions (METH_FASTCALL | METH_KEYWORDS; PEP 590), and
makes arrays by NumPy's C interface. Both are reached by address, so that no C compiler is needed. Where this interpreter or this
NumPy is not laid out as known, which is tried first, programs are called by ``ctypes`` instead.
"""

from __future__ import annotations

import ctypes
import functools
import math
import operator
import sys
import sysconfig
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CellType
from typing import Any

import numpy as np

from dualdiff.compiled.entrance import CALM, Entrance, Fixed, Watched
from dualdiff.compiled.flat import ChangedError
from dualdiff.compiled.llvm import Machine, assembled
from dualdiff.passes.program import Form

__all__ = ["Door", "Way", "is_known", "machine_code", "way_in"]

_FLOAT = np.dtype(float)
_TYPE, _VALUE = 8, 16
"""Where an object keeps its class, and a float or a cell what it holds."""
_DATA, _NDIM, _SHAPE, _STRIDES, _DTYPE, _FLAGS, _WEAK = 16, 24, 32, 40, 56, 64, 72
"""Where an array keeps its address, its number of axes, its shape, its strides, its dtype, its flags and its weak references."""
_SIZE, _ITEMS = 16, 24
"""Where a tuple keeps how many items it has, and the items."""
_CONTIGUOUS_ALIGNED_NATIVE = 0x0001 | 0x0100
_OWN = 0x0004 | 0x0100 | 0x0400
"""Flags of an array: it has memory of its own, is aligned, and may be written."""
_NEW_FROM_DESCR, _SCALAR = 94, 60
"""Places of PyArray_NewFromDescr and PyArray_Scalar in NumPy's table."""
_FASTCALL_KEYWORDS = 0x0080 | 0x0002
_RELEASING = 20_000
"""Operations from which on a program lets other threads run."""
_ON_THE_STACK = 512
"""Numbers of several results that are gathered on the stack."""
_QUICKLY = "optnone noinline"
"""How the way in is compiled: in half the time, as loads and branches are no better for longer thought."""
_KEPT = 512
"""Numbers of a result up to which two arrays are kept for later calls: making one and letting it go takes as long as 300 operations."""


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


@dataclass(slots=True, eq=False)
class _Holder:
    """What must live as long as a function does."""

    machine: Machine
    objects: list[Any]
    method: Any = field(default=None)


@functools.cache
def _numpy() -> Any:
    """Return the addresses of NumPy's functions for C."""
    from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.cast(pointer(_multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))


def _address(name: str) -> int:
    return int(ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0)


def _at(address: int, kind: Any) -> Any:
    return kind.from_address(address).value


@functools.cache
def is_known() -> bool:
    """Whether this interpreter and this NumPy lay objects out as known: what can be compared is compared."""
    ordinary = (
        sys.implementation.name == "cpython"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and not sysconfig.get_config_var("Py_DEBUG")
        and ctypes.sizeof(ctypes.c_void_p) == 8
        and sys.byteorder == "little"
    )
    try:
        return ordinary and _is_laid_out()
    except (AttributeError, ImportError, ValueError, OSError):
        return False


def _is_laid_out() -> bool:
    table = _numpy()
    x = np.arange(6.0).reshape(2, 3)
    y = x[:, ::2]

    def held() -> Any:
        return x

    cell: Any = held.__closure__[0]  # type: ignore[index]
    number, scalar, pair = 1.5, np.float64(2.5), (x, y)
    weak, lonely = weakref.ref(y), np.empty(1)
    before = _at(id(lonely), ctypes.c_uint32)
    twice = [lonely, lonely]
    for a in (x, y):
        shape, strides = _at(id(a) + _SHAPE, ctypes.c_void_p), _at(id(a) + _STRIDES, ctypes.c_void_p)
        if not (
            _at(id(a) + _TYPE, ctypes.c_void_p) == id(np.ndarray)
            and _at(id(a) + _DATA, ctypes.c_void_p) == a.ctypes.data
            and _at(id(a) + _NDIM, ctypes.c_int) == 2
            and [_at(shape + 8 * k, ctypes.c_ssize_t) for k in range(2)] == list(a.shape)
            and [_at(strides + 8 * k, ctypes.c_ssize_t) for k in range(2)] == list(a.strides)
            and _at(id(a) + _DTYPE, ctypes.c_void_p) == id(a.dtype)
            and bool(_at(id(a) + _FLAGS, ctypes.c_int) & 1) == a.flags.c_contiguous
            and bool(_at(id(a) + _FLAGS, ctypes.c_int) & 0x100) == a.flags.aligned
        ):
            return False
    return (
        _at(id(number) + _TYPE, ctypes.c_void_p) == id(float)
        and _at(id(number) + _VALUE, ctypes.c_double) == number
        and _at(id(scalar) + _TYPE, ctypes.c_void_p) == id(np.float64)
        and _at(id(scalar) + _VALUE, ctypes.c_double) == scalar
        and _at(id(pair) + _SIZE, ctypes.c_ssize_t) == 2
        and [_at(id(pair) + _ITEMS + 8 * k, ctypes.c_void_p) for k in range(2)] == [id(x), id(y)]
        and _at(id(cell) + _VALUE, ctypes.c_void_p) == id(x)
        and _at(id(held) + _TYPE, ctypes.c_void_p) == id(type(held))
        and _at(id(y) + _WEAK, ctypes.c_void_p) == id(weak)
        and _at(id(x) + _WEAK, ctypes.c_void_p) is None
        and _at(id(lonely), ctypes.c_uint32) == before + len(twice)
        and bool(table[_NEW_FROM_DESCR])
        and table[2] == id(np.ndarray)
    )


# --------------------------------------------------------------------------------------------------
# by address


@dataclass(frozen=True, slots=True)
class Way:
    """How a program is entered.

    Attributes
    ----------
    arguments, watched, slow
        As for :func:`~dualdiff.compiled.entrance.by_python`.
    build : callable or None
        What puts a list of results together; None where there is one, which is returned.
    keywords : tuple of str
        Which arguments, the last ones, are given by name.
    """

    arguments: Sequence[Form | Fixed]
    watched: Sequence[Watched]
    build: Callable[[list[Any]], Any] | None
    slow: Callable[..., Any]
    keywords: tuple[str, ...] = ()


def machine_code(
    program: str,
    effort: int,
    operations: int,
    inputs: Sequence[Form],
    results: Sequence[Form],
    way: Way | None,
    held: Sequence[Any] | None = None,
) -> tuple[Callable[..., tuple[Any, ...]], Entrance | None]:
    """Return a program's machine code as a function of its inputs, and as a way in for calls of the function that it is a program of.

    Parameters
    ----------
    program : str
        A module with the function that :func:`~dualdiff.compiled.straight.straight` describes.
    effort : int
        See :func:`~dualdiff.compiled.llvm.assembled`.
    operations : int
        How many operations it has.
    inputs, results : sequence of Form
        What goes in and comes out.
    held : sequence, optional
        Of loops over arrays: what must live as long as the code.
    way : Way or None
        How it is entered. There is no way in by machine code where arguments or results are not of the kinds known here, and
        none into programs that run so long that other threads are to run meanwhile.
    """
    text = f"{program}\n{_CALL}"
    door = None if way is None else way_in(way, results, operations)
    if door is not None:
        text += door.text
    machine = assembled(text, effort, passes=held is not None)
    run = _by_ctypes(machine, inputs, results, operations, held)
    return run, None if door is None else door.opened(machine, held)


@dataclass(frozen=True, slots=True)
class Door:
    """A way in that is to be compiled with its program.

    Attributes
    ----------
    text : str
        What is to stand in the module.
    opened : callable
        It makes the way in of the module's machine code, and keeps whatever else it is given as long.
    """

    text: str
    opened: Callable[..., Entrance]


def way_in(
    way: Way, results: Sequence[Form], operations: int, strides: Sequence[tuple[int, ...]] | None = None
) -> Door | None:
    """Return the way into a program, None where there is none: see :func:`machine_code`.

    The entries of each result are so far from each other, by axis, and in the order of the axes where nothing is said.
    """
    if operations > _RELEASING or not is_known() or not _is_simple(way, results):
        return None
    writer = _Writer(way, results, strides or [() for _ in results])
    return Door(writer.text, writer.entrance)


_CALL = """define i32 @call(ptr %inputs, ptr %outputs) {
  %status = call i32 @program(ptr %inputs, ptr %outputs)
  ret i32 %status
}
"""


def _is_simple(way: Way, results: Sequence[Form]) -> bool:
    forms = [*results, *[a for a in way.arguments if isinstance(a, Form)]]
    if any(f.dtype != _FLOAT or f.kind not in ("array", "number", "float") for f in forms):
        return False
    alone = len(results) == 1 and results[0].kind == "array"
    return bool(results) and (alone or sum(math.prod(r.shape) for r in results) <= _ON_THE_STACK)


class _Writer:
    """The writing of one way in."""

    def __init__(self, way: Way, results: Sequence[Form], strides: Sequence[tuple[int, ...]]) -> None:
        self.way, self.results, self.strides = way, results, strides
        self.budget = ctypes.c_int64(0)
        self.objects: list[Any] = [way.slow, way.build, CALM, self.budget]
        self.spaces: list[str] = []
        self.lines: list[str] = []
        self.globals: list[str] = []
        self.count = 0
        self._arguments()
        self._surroundings()
        self._run()

    @property
    def text(self) -> str:
        """The function ``entrance``."""
        slowly = f"call ptr {_function('PyObject_Vectorcall')}(ptr {_object(self.way.slow)}, ptr %args, i64 %nargs, ptr %kwnames)"
        body = "\n".join(f"  {line}" if not line.endswith(":") else line for line in [*self.spaces, *self.lines])
        return (
            "\n".join(self.globals)
            + f"""
define ptr @entrance(ptr %self, ptr %args, i64 %nargs, ptr %kwnames) {_QUICKLY} {{
{body}
slow:
  %slowly = {slowly}
  ret ptr %slowly
failed:
  ret ptr null
}}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""
        )

    def entrance(self, machine: Machine, *held: Any) -> Entrance:
        """Return the function of a module that has the text."""
        holder = _Holder(machine, [*self.objects, *held])
        method = holder.method = _Method(b"program", machine.address("entrance"), _FASTCALL_KEYWORDS, None)
        new = ctypes.pythonapi.PyCFunction_NewEx
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
        call = new(ctypes.addressof(method), holder, None)
        budget = self.budget

        def grant(calls: int) -> None:
            budget.value = calls

        return Entrance(call, lambda: max(budget.value, 0), grant)

    # -- what is looked at -------------------------------------------------------------------------
    def _new(self) -> str:
        self.count += 1
        return f"%n{self.count}"

    def _value(self, text: str) -> str:
        name = self._new()
        self.lines.append(f"{name} = {text}")
        return name

    def _space(self, kind: str) -> str:
        """Return memory on the stack, which is taken at the beginning."""
        name = self._new()
        self.spaces.append(f"{name} = alloca {kind}")
        return name

    def _load(self, kind: str, base: str, offset: int) -> str:
        place = self._value(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base
        return self._value(f"load {kind}, ptr {place}")

    def _unless(self, holds: str, otherwise: str = "slow") -> None:
        self.count += 1
        self.lines += [f"br i1 {holds}, label %go{self.count}, label %{otherwise}", f"go{self.count}:"]

    def _same(self, *pairs: tuple[str, str, str], otherwise: str = "slow") -> None:
        """Go on where two of a kind are the same, of all pairs: few branches are compiled sooner than many."""
        holds = ""
        for kind, a, b in pairs:
            same = self._value(f"icmp eq {kind} {a}, {b}")
            holds = self._value(f"and i1 {holds}, {same}") if holds else same
        if holds:
            self._unless(holds, otherwise)

    def _arguments(self) -> None:
        names = self.way.keywords
        by_position = len(self.way.arguments) - len(names)
        given = ("i64", "%nargs", str(by_position))
        if names:
            self._same(given)
            self._unless(self._value("icmp ne ptr %kwnames, null"))
            self._same(("i64", self._load("i64", "%kwnames", _SIZE), str(len(names))))
        else:
            self._same(given, ("ptr", "%kwnames", "null"))
        self.addresses = []
        for i, a in enumerate(self.way.arguments):
            x = (
                self._load("ptr", "%args", 8 * i)
                if i < by_position
                else self._named(names[i - by_position], by_position, len(names))
            )
            if isinstance(a, Fixed):
                self.objects.append(a.value)
                self._same(("ptr", x, _object(a.value)))
                continue
            kind = self._load("ptr", x, _TYPE)
            if a.kind != "array":
                self._same(("ptr", kind, _object(float if a.kind == "float" else np.float64)))
                self.addresses.append(self._value(f"getelementptr i8, ptr {x}, i64 {_VALUE}"))
                continue
            self._same(("ptr", kind, _object(np.ndarray)))
            self._is_array(x, _CONTIGUOUS_ALIGNED_NATIVE, "slow", (_SHAPE, a.shape))
            self.addresses.append(self._load("ptr", x, _DATA))

    def _is_array(
        self, x: str, flags: int, otherwise: str, *integers: tuple[int, Sequence[int]], more: Sequence[Any] = ()
    ) -> None:
        """Go on where an array has double precision, some flags, and these integers: shape, strides."""
        there = self._value(f"and i32 {self._load('i32', x, _FLAGS)}, {flags}")
        self._same(
            ("ptr", self._load("ptr", x, _DTYPE), _object(_FLOAT)),
            ("i32", there, str(flags)),
            ("i32", self._load("i32", x, _NDIM), str(len(integers[0][1]))),
            *more,
            otherwise=otherwise,
        )
        found = []
        for place, values in integers:
            start = self._load("ptr", x, place) if values else ""
            found += [("i64", self._load("i64", start, 8 * k), str(n)) for k, n in enumerate(values)]
        self._same(*found, otherwise=otherwise)

    def _named(self, name: str, first: int, count: int) -> str:
        """Return the argument of a name, whichever place it is given in; names that are not Python's own object go the slow way."""
        name = sys.intern(name)
        self.objects.append(name)
        found = "null"
        for k in range(count):
            is_it = self._value(f"icmp eq ptr {self._load('ptr', '%kwnames', _ITEMS + 8 * k)}, {_object(name)}")
            found = self._value(f"select i1 {is_it}, ptr {self._load('ptr', '%args', 8 * (first + k))}, ptr {found}")
        self._unless(self._value(f"icmp ne ptr {found}, null"))
        return found

    def _surroundings(self) -> None:
        """Look at settings, and at what the code names."""
        place = self._space("ptr")
        for setting, value in CALM:
            get = _function("PyContextVar_Get")
            status = self._value(f"call i32 {get}(ptr {_object(setting)}, ptr null, ptr {place})")
            self._unless(self._value(f"icmp sge i32 {status}, 0"), "failed")
            found = self._load("ptr", place, 0)
            self.lines.append(f"call void {_function('Py_DecRef')}(ptr {found})")
            self._same(("ptr", found, _object(value)))
        for w in self.way.watched:
            self.objects += [w.holder, w.name, w.value]
            if type(w.holder) is dict and type(w.name) is str:  # other keys may run Python to be compared
                get = _function("PyDict_GetItemWithError")
                found = self._value(f"call ptr {get}(ptr {_object(w.holder)}, ptr {_object(w.name)})")
            elif type(w.holder) is CellType:
                found = self._load("ptr", _object(w.holder), _VALUE)
            else:
                asked = w.is_there
                self.objects.append(asked)
                found = self._value(f"call ptr {_function('PyObject_CallNoArgs')}(ptr {_object(asked)})")
                self._unless(self._value(f"icmp ne ptr {found}, null"), "failed")
                self.lines.append(f"call void {_function('Py_DecRef')}(ptr {found})")
                self._same(("ptr", found, _object(True)))
                continue
            self._same(("ptr", found, _object(w.value)))
        cell = f"inttoptr (i64 {ctypes.addressof(self.budget)} to ptr)"
        budget = self._value(f"load i64, ptr {cell}")
        self._unless(self._value(f"icmp sgt i64 {budget}, 0"))
        self.lines.append(f"store i64 {self._value(f'sub i64 {budget}, 1')}, ptr {cell}")

    # -- what is run, and what is returned ---------------------------------------------------------
    def _run(self) -> None:
        inputs = self._space(f"[{max(len(self.addresses), 1)} x ptr]")
        for i, address in enumerate(self.addresses):
            place = self._value(f"getelementptr ptr, ptr {inputs}, i64 {i}")
            self.lines.append(f"store ptr {address}, ptr {place}")
        sizes = [math.prod(r.shape) for r in self.results]
        alone = len(self.results) == 1 and self.results[0].kind == "array"
        if alone:
            made = [self._array(self.results[0], self.strides[0])]
            outputs = self._load("ptr", made[0], _DATA)
        else:
            made = []
            outputs = self._space(f"[{max(sum(sizes), 1)} x double]")
        status = self._value(f"call i32 @program(ptr {inputs}, ptr {outputs})")
        held = self._value(f"icmp eq i32 {status}, 0")
        self.lines += [f"br i1 {held}, label %made, label %changed", "changed:"]
        if alone:
            self.lines.append(f"call void {_function('Py_DecRef')}(ptr {made[0]})")
        self.lines += ["br label %slow", "made:"]
        if not alone:
            at = 0
            for form, size, strides in zip(self.results, sizes, self.strides, strict=True):
                data = self._value(f"getelementptr double, ptr {outputs}, i64 {at}")
                made.append(self._result(form, size, strides, data, made))
                at += size
        self._return(made)

    def _array(self, form: Form, strides: tuple[int, ...], made: Sequence[str] = ()) -> str:
        """Return an array that a call before returned, where nobody has it any more and it is as it was; otherwise a new one."""
        if not 0 < math.prod(form.shape) <= _KEPT:
            return self._new_array(form, strides, made)
        kept: list[Any] = [None, None]
        turn = ctypes.c_int64(0)
        self.objects += [kept, turn]
        one, place = self._space("ptr"), f"inttoptr (i64 {ctypes.addressof(turn)} to ptr)"
        self.count += 1
        c = self.count
        self.lines += [
            f"br label %before{c}",
            f"before{c}:",
            f"br label %look{c}",
            f"look{c}:",
            f"%k{c} = phi i64 [0, %before{c}], [1, %other{c}]",
        ]
        x = self._value(f"call ptr {_function('PyList_GetItem')}(ptr {_object(kept)}, i64 %k{c})")
        only = ("i32", self._load("i32", x, 0), "1")
        self._same(only, ("ptr", self._load("ptr", x, _TYPE), _object(np.ndarray)), otherwise=f"other{c}")
        steps = strides or [math.prod(form.shape[k + 1 :]) for k in range(len(form.shape))]
        apart = [8 * n for n in steps]
        unknown = ("ptr", self._load("ptr", x, _WEAK), "null")
        self._is_array(x, _OWN, f"other{c}", (_SHAPE, form.shape), (_STRIDES, apart), more=[unknown])
        self.lines += [
            f"call void {_function('Py_IncRef')}(ptr {x})",
            f"store ptr {x}, ptr {one}",
            f"br label %kept{c}",
            f"other{c}:",
        ]
        first = self._value(f"icmp eq i64 %k{c}, 0")
        self.lines += [f"br i1 {first}, label %look{c}, label %new{c}", f"new{c}:"]
        new = self._new_array(form, strides, made)
        self.lines += [f"store ptr {new}, ptr {one}", f"call void {_function('Py_IncRef')}(ptr {new})"]
        k = self._value(f"load i64, ptr {place}")
        self.lines += [
            f"store i64 {self._value(f'xor i64 {k}, 1')}, ptr {place}",
            f"call i32 {_function('PyList_SetItem')}(ptr {_object(kept)}, i64 {k}, ptr {new})",
            f"br label %kept{c}",
            f"kept{c}:",
        ]
        return self._value(f"load ptr, ptr {one}")

    def _new_array(self, form: Form, strides: tuple[int, ...], made: Sequence[str]) -> str:
        """Make an array."""
        dims = self._integers(form.shape)
        steps = self._integers([8 * n for n in strides])
        self.lines.append(f"call void {_function('Py_IncRef')}(ptr {_object(_FLOAT)})")
        new = f"inttoptr (i64 {_numpy()[_NEW_FROM_DESCR]} to ptr)"
        array = self._value(
            f"call ptr {new}(ptr {_object(np.ndarray)}, ptr {_object(_FLOAT)}, i32 {len(form.shape)}, ptr {dims}, "
            f"ptr {steps}, ptr null, i32 0, ptr null)"
        )
        self._or_fail(array, made)
        return array

    def _integers(self, values: Sequence[int]) -> str:
        """Return where integers stand."""
        if not values:
            return "null"
        name = f"@integers{len(self.globals)}"
        entries = ", ".join(f"i64 {n}" for n in values)
        self.globals.append(f"{name} = internal constant [{len(values)} x i64] [{entries}]")
        return name

    def _or_fail(self, x: str, made: Sequence[str]) -> None:
        """Go on if an object could be made; otherwise let those made before go."""
        there = self._value(f"icmp ne ptr {x}, null")
        if not made:
            self._unless(there, "failed")
            return
        self.count += 1
        k = self.count
        self.lines += [f"br i1 {there}, label %go{k}, label %gone{k}", f"gone{k}:"]
        self.lines += [f"call void {_function('Py_DecRef')}(ptr {m})" for m in made]
        self.lines += ["br label %failed", f"go{k}:"]

    def _result(self, form: Form, size: int, strides: tuple[int, ...], data: str, made: Sequence[str]) -> str:
        if form.kind == "array":
            array = self._array(form, strides, made)
            goal = self._load("ptr", array, _DATA)
            self.lines.append(f"call void @llvm.memcpy.p0.p0.i64(ptr {goal}, ptr {data}, i64 {8 * size}, i1 false)")
            return array
        if form.kind == "float":
            number = self._value(f"load double, ptr {data}")
            found = self._value(f"call ptr {_function('PyFloat_FromDouble')}(double {number})")
        else:
            scalar = f"inttoptr (i64 {_numpy()[_SCALAR]} to ptr)"
            found = self._value(f"call ptr {scalar}(ptr {data}, ptr {_object(_FLOAT)}, ptr null)")
        self._or_fail(found, made)
        return found

    def _return(self, made: Sequence[str]) -> None:
        if self.way.build is None:
            self.lines.append(f"ret ptr {made[0]}")
            return
        marks = [np.empty(0) for _ in made]
        tree = self.way.build(list(marks))
        plain = type(tree) in (tuple, list) and len(tree) == len(marks) and all(map(operator.is_, tree, marks))
        kind = type(tree) if plain else list
        name = "Tuple" if kind is tuple else "List"
        new = self._value(f"call ptr {_function(f'Py{name}_New')}(i64 {len(made)})")
        self._or_fail(new, made)
        for k, m in enumerate(made):
            self.lines.append(f"call i32 {_function(f'Py{name}_SetItem')}(ptr {new}, i64 {k}, ptr {m})")
        if plain:
            self.lines.append(f"ret ptr {new}")
            return
        built = self._value(f"call ptr {_function('PyObject_CallOneArg')}(ptr {_object(self.way.build)}, ptr {new})")
        self.lines += [f"call void {_function('Py_DecRef')}(ptr {new})", f"ret ptr {built}"]


def _function(name: str) -> str:
    return f"inttoptr (i64 {_address(name)} to ptr)"


def _object(x: Any) -> str:
    return f"inttoptr (i64 {id(x)} to ptr)"


# --------------------------------------------------------------------------------------------------
# by ctypes


def _by_ctypes(
    machine: Machine, inputs: Sequence[Form], results: Sequence[Form], operations: int, held: Any
) -> Callable[..., tuple[Any, ...]]:
    """Return a program's machine code as a function of its inputs.

    Every call has memory of its own, into which the inputs are copied.
    """
    kind = ctypes.CFUNCTYPE if operations > _RELEASING else ctypes.PYFUNCTYPE
    code = kind(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(machine.address("call"))
    sizes = [math.prod(r.shape) for r in results]

    def memory() -> tuple[Any, ...]:
        arrays = [np.empty(f.shape) for f in inputs]
        addresses = np.array([a.ctypes.data for a in arrays], np.uintp)
        outputs = np.empty(sum(sizes))
        parts, at = [], 0
        for r, size in zip(results, sizes, strict=True):
            part = outputs[at : at + size]
            parts.append(part.reshape(r.shape) if r.kind == "array" else part)
            at += size
        return *arrays, *parts, addresses.ctypes.data, outputs.ctypes.data, addresses, outputs

    arrays = [f"a{i}" for i in range(len(inputs))]
    parts = [f"p{k}" for k in range(len(results))]
    delivered = {"array": "{}.copy()", "number": "{}[0]", "float": "{}.item()"}
    given = ", ".join(f"x{i}" for i in range(len(inputs)))
    own = ", ".join([*arrays, *parts, "first", "second", "_", "_"])
    text = f"""\
def run({given}):
    try:
        own = take()
    except IndexError:
        own = memory()
    {own} = own
    {"; ".join(f"a{i}[...] = x{i}" for i in range(len(inputs))) or "pass"}
    status = code(first, second)
    if status:
        give(own)
        raise changed(status - 1) if status > 0 else changed()
    found = {" ".join(delivered[r.kind].format(p) + "," for p, r in zip(parts, results, strict=True)) or "()"}
    give(own)
    return found
"""
    pool: list[Any] = []
    names: dict[str, Any] = {
        "take": pool.pop, "give": pool.append, "memory": memory, "code": code, "changed": ChangedError, "machine": machine,
        "held": held,
    }  # fmt: skip
    exec(compile(text, "<machine code>", "exec"), names)
    return names["run"]
