"""What the code that called the library is doing: the bytecode instruction it is at tells an assignment from a call.

Python asks a value for ``float(t)``, ``a[i] = t`` and ``"%.3f" % t`` by one and the same method. What is lost differs: printing
loses nothing. The instruction at which the calling frame stands tells them apart, for 25 to 45 ns, in any size of code.
"""

from __future__ import annotations

import dis
import os
import sys
from dis import opname
from functools import _lru_cache_wrapper
from types import CodeType, FrameType, ModuleType
from typing import Any

from dualdiff.errors import HERE, is_installed, is_numpy


def _caller() -> FrameType | None:
    """Return the innermost frame outside the library: the user's, or that of NumPy's own Python code."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return frame


def _instruction() -> str:
    """Return the name of the instruction at which the code that called the library is."""
    frame = _caller()
    return "" if frame is None else opname[frame.f_code.co_code[frame.f_lasti]]


def stores_item(direct: bool = False) -> bool:
    """Whether the caller is at an assignment, ``a[i] = v``; with ``direct`` one of the library itself counts as well."""
    if direct and (method := sys._getframe(2).f_back) is not None and method.f_code.co_filename.startswith(HERE):
        return True
    return _instruction() in ("STORE_SUBSCR", "STORE_SLICE")


def compares() -> bool:
    """Whether the caller is at a comparison that is written out, ``a == b``, not at a look-up or a call."""
    return _instruction() == "COMPARE_OP"


_CALLS = ("CALL", "CALL_KW", "PRECALL")  # where it is the latter, 3.11 has specialised the two to one
_TAKES = (*_CALLS, "UNPACK_", "LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE", "FOR_ITER")


def calls(name: str) -> bool:
    """Whether the caller may be calling a certain function, which its code names: ``float(t)``, or ``a, b = map(float, ts)``."""
    frame = _caller()
    if frame is None or name not in frame.f_code.co_names:
        return False
    code, at = frame.f_code.co_code, frame.f_lasti
    while opname[code[at]] == "CACHE":  # where 3.11 stands while a function in Python is called
        at -= 2
    return opname[code[at]].startswith(_TAKES)


_LOOKS_UP = frozenset(
    ("get", "setdefault", "pop", "index", "count", "remove", "add", "discard", "set", "frozenset", "dict")
)


def calls_cache() -> bool | None:
    """Whether the caller calls a function whose results ``functools.lru_cache`` keeps; None where it may look up a table as well."""
    frame = _caller()
    if frame is None or not opname[frame.f_code.co_code[frame.f_lasti]].startswith(_CALLS):
        return False
    names = set(frame.f_code.co_names)
    held = [*frame.f_locals.values(), *[frame.f_globals[n] for n in names if n in frame.f_globals]]
    found = any(type(v) is _lru_cache_wrapper for v in held) or any(
        type(vars(space).get(n)) is _lru_cache_wrapper for v in held for space in _spaces(v) for n in names
    )
    return None if found and names & _LOOKS_UP else found


def _spaces(v: Any) -> list[Any]:
    """Return where the attributes of a value are found: a module, a class or the classes of an object."""
    if type(v) is ModuleType:
        return [v]
    return [*(v.__mro__ if isinstance(v, type) else type(v).__mro__)]


_FORMATS: dict[tuple[CodeType, int], str | tuple[str, str] | None] = {}
"""What the left operand of a ``%`` is: a text, the kind and name of a variable that must hold one, or None for unknown."""
_MODULO = frozenset(i for i, (_, symbol) in enumerate(getattr(dis, "_nb_ops", ())) if symbol in ("%", "%="))


def formats() -> bool:
    """Whether the caller prints: it is at ``text % …``, and what stands before the sign is proven to be a text."""
    frame = _caller()
    if frame is None:
        return False
    code, at = frame.f_code, frame.f_lasti
    if opname[code.co_code[at]] != "BINARY_OP" or code.co_code[at + 1] not in _MODULO:
        return False
    key = code, at
    if key not in _FORMATS:
        _FORMATS[key] = _left_operand(code, at)
    left = _FORMATS[key]
    if type(left) is tuple:
        kind, name = left
        names: Any = frame.f_locals if kind == "local" else frame.f_globals
        return isinstance(names.get(name), str)
    return left is not None


_NOTHING = ("STORE_", "DELETE_", "POP_", "PRECALL", "KW_NAMES", "NOP", "RESUME", "CACHE", "EXTENDED_ARG")


def _pushes(i: dis.Instruction, effect: int) -> int | None:
    """Return how many values an instruction leaves on the stack that it made itself; None where it is not that simple."""
    if i.opname.startswith(_NOTHING):
        return 0
    if i.opname in ("SWAP", "COPY"):
        return None
    if i.opname in ("LOAD_METHOD", "LOAD_FAST_LOAD_FAST"):
        return 2
    if i.opname == "LOAD_GLOBAL":
        return effect
    return effect + 1 if i.opname == "LOAD_ATTR" else 1


def _maker(code: CodeType, at: int, place: int) -> tuple[dis.Instruction, int] | None:
    """Walk back over the straight line before ``at``, to the instruction that made one of the values on the stack.

    The value is counted from the top of the stack, 1 being the top; among what the instruction made it is counted alike.
    """
    for i in reversed([i for i in dis.get_instructions(code) if i.offset < at]):
        if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
            return None
        effect = dis.stack_effect(i.opcode, i.arg if i.opcode >= dis.HAVE_ARGUMENT else None)
        made = _pushes(i, effect)
        if made is None:
            return None
        if place <= made:
            return i, place
        if i.is_jump_target:
            return None
        place -= effect
    return None


def _left_operand(code: CodeType, at: int) -> str | tuple[str, str] | None:
    found = _maker(code, at, 2)
    return None if found is None else _text(*found)


_METHODS: dict[tuple[CodeType, int], str | None] = {}
"""The method that is called at an instruction; None where the straight line before it does not tell."""


def calls_method(name: str) -> bool:
    """Whether the caller is at a call of a method of that name, ``a.dot(t)``."""
    frame = _caller()
    if frame is None or name not in frame.f_code.co_names:
        return False
    code, at = frame.f_code, frame.f_lasti
    key = code, at
    if key not in _METHODS:
        _METHODS[key] = _method_called(code, at)
    return _METHODS[key] == name


def _method_called(code: CodeType, at: int) -> str | None:
    if opname[code.co_code[at]] not in _CALLS:
        return None
    arguments = code.co_code[at + 1]
    start = at
    while start >= 2 and opname[code.co_code[start - 2]] in ("PRECALL", "CACHE"):
        start -= 2  # in 3.11 a call is two instructions
    names = opname[code.co_code[at]] == "CALL_KW"  # from 3.13 on the names of keywords lie above the arguments
    found = _maker(code, start, arguments + 1 + names)
    if found is None or found[0].opname not in ("LOAD_METHOD", "LOAD_ATTR"):
        return None
    return str(found[0].argval)


def _text(i: dis.Instruction, place: int) -> str | tuple[str, str] | None:
    """Return what is known of the value that an instruction made."""
    if i.opname == "LOAD_CONST":
        return i.argval if isinstance(i.argval, str) else None
    if i.opname == "LOAD_FAST_LOAD_FAST":
        return "local", i.argval[2 - place]
    if i.opname in ("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_CLASSDEREF"):
        return "local", i.argval
    if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
        return "global", i.argval
    return "" if i.opname in ("BUILD_STRING", "FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC") else None


def is_masked() -> bool:
    """Whether the caller is the arithmetic of NumPy's masked arrays."""
    frame = _caller()
    return frame is not None and f"{os.sep}numpy{os.sep}ma{os.sep}" in frame.f_code.co_filename


def is_pandas() -> bool:
    """Whether the caller is pandas, whose own arrays hold Python objects."""
    frame = _caller()
    return frame is not None and _PANDAS in frame.f_code.co_filename


_PANDAS = f"{os.sep}site-packages{os.sep}pandas{os.sep}"


def takes_objects() -> bool:
    """Whether the caller can be given an array of Python objects: the user's own code, or NumPy's that counts references.

    Compiled code behind a library's function may copy the pointers in it without counting them, and so does ``as_strided``.
    """
    frame = _caller()
    if frame is None:
        return False
    name = frame.f_code.co_filename
    return "stride_tricks" not in name if is_numpy(name) else not is_installed(name) or _PANDAS in name


__all__ = [
    "calls",
    "calls_cache",
    "calls_method",
    "compares",
    "formats",
    "is_masked",
    "is_pandas",
    "stores_item",
    "takes_objects",
]
