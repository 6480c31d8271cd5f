"""Functions of numbers, written as the straight lines of LLVM's language: what a formula says in Python is what stands in the text.

Nothing is contracted and nothing reassociated: an operation written here is that operation of IEEE 754.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DECLARED", "Number", "bits", "fma", "function", "number", "polynomial", "where"]

DECLARED = "declare double @llvm.fma.f64(double, double, double)\n"
"""What the functions call."""
_NAME = re.compile(r"%[vx]\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """A number that a line of a function gives.

    Attributes
    ----------
    lines : list of str
        The function's lines so far.
    name : str
        What the text calls it.
    type : str
        "double", "i64" or "i1".
    """

    lines: list[str]
    name: str
    type: str = "double"

    def __add__(self, other: Number | float) -> Number:
        return self._by("add", self, other)

    def __sub__(self, other: Number | float) -> Number:
        return self._by("sub", self, other)

    def __mul__(self, other: Number | float) -> Number:
        return self._by("mul", self, other)

    def __truediv__(self, other: Number | float) -> Number:
        return self._by("div", self, other)

    def __radd__(self, other: float) -> Number:
        return self._by("add", other, self)

    def __rsub__(self, other: float) -> Number:
        return self._by("sub", other, self)

    def __rmul__(self, other: float) -> Number:
        return self._by("mul", other, self)

    def __rtruediv__(self, other: float) -> Number:
        return self._by("div", other, self)

    def __neg__(self) -> Number:
        return self._line(f"fneg double {self.name}")

    def __and__(self, other: Number | int) -> Number:
        return self._line(f"and {self.type} {self.name}, {_text(other)}", self.type)

    def __or__(self, other: Number | int) -> Number:
        return self._line(f"or {self.type} {self.name}, {_text(other)}", self.type)

    def __xor__(self, other: Number | int) -> Number:
        return self._line(f"xor {self.type} {self.name}, {_text(other)}", self.type)

    def __lshift__(self, places: int) -> Number:
        return self._line(f"shl i64 {self.name}, {places}", "i64")

    def __rshift__(self, places: int) -> Number:
        """Return the bits further right, zeros coming in from the left."""
        return self._line(f"lshr i64 {self.name}, {places}", "i64")

    def __lt__(self, other: Number | float) -> Number:
        return self._line(f"fcmp olt double {self.name}, {_text(other)}", "i1")

    def __gt__(self, other: Number | float) -> Number:
        return self._line(f"fcmp ogt double {self.name}, {_text(other)}", "i1")

    def equals(self, other: Number | float) -> Number:
        """Return whether two numbers are equal; those of double precision as IEEE 754 compares them."""
        compared = "fcmp oeq" if self.type == "double" else "icmp eq"
        return self._line(f"{compared} {self.type} {self.name}, {_text(other)}", "i1")

    def no(self) -> Number:
        """Return whether it does not hold."""
        return self ^ 1

    def _line(self, text: str, type: str = "double") -> Number:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return Number(self.lines, name, type)

    def _by(self, operation: str, a: Number | float, b: Number | float) -> Number:
        prefix = "f" if self.type == "double" else ""
        return self._line(f"{prefix}{operation} {self.type} {_text(a)}, {_text(b)}", self.type)


def _text(value: Number | float) -> str:
    """Return a number as the text says it; one of double precision by its bits."""
    if isinstance(value, Number):
        return value.name
    return f"0x{struct.pack('>d', value).hex().upper()}" if isinstance(value, float) else str(value)


def fma(a: Number, b: Number | float, c: Number | float) -> Number:
    """Return a·b + c, rounded once."""
    return a._line(f"call double @llvm.fma.f64(double {a.name}, double {_text(b)}, double {_text(c)})")


def where(condition: Number, a: Number | float, b: Number | float) -> Number:
    """Return one of two numbers of double precision."""
    return condition._line(f"select i1 {condition.name}, double {_text(a)}, double {_text(b)}")


def bits(x: Number) -> Number:
    """Return the 64 bits of a number of double precision."""
    return x._line(f"bitcast double {x.name} to i64", "i64")


def number(b: Number) -> Number:
    """Return the number of double precision that has these 64 bits."""
    return b._line(f"bitcast i64 {b.name} to double")


def polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """Return a polynomial's value, the coefficients lowest first.

    Neighbours go together two by two, and these pairs again, so that few operations wait for each other (G. Estrin, "Organization of
    computer systems: the fixed plus variable structure computer", 1960, doi:10.1145/1460361.1460365); the lowest comes last, so that
    the errors of all the others are multiplied by x.
    """
    terms: list[Number | float] = list(coefficients[1:])
    power = x
    while len(terms) > 1:
        pairs = [fma(power, b, a) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = [*pairs, *terms[len(terms) & ~1 :]]
        if len(terms) > 1:
            power = power * power
    return fma(x, terms[0], coefficients[0])


def function(name: str, arguments: int, lines: Sequence[str], result: Number, count: int) -> str:
    """Return the text of a function that is to be written where it is called.

    It is applied to several numbers at once, which follow each other among its arguments, and returns as many. Their lines
    alternate, so that what one of them waits for goes on beside the others.
    """
    given = ", ".join(f"double %x{i}.{k}" for k in range(count) for i in range(arguments))
    own = [[_NAME.sub(rf"\g<0>.{k}", line) for k in range(count)] for line in (*lines, result.name)]
    body = [line for together in own[:-1] for line in together]
    kind, whole = f"[{count} x double]", "poison"
    for k, x in enumerate(own[-1]):
        body.append(f"%r{k} = insertvalue {kind} {whole}, double {x}, {k}")
        whole = f"%r{k}"
    text = "".join(f"  {line}\n" for line in body)
    return f"define internal {kind} @{name}({given}) alwaysinline {{\n{text}  ret {kind} {whole}\n}}\n"
