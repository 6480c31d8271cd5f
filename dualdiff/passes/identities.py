"""Operations on numbers that are others with fewer: identities of IEEE 754's arithmetic that change no bit of a result.

Rounding is to the nearest, so signs and powers of two go through it: negations are taken into differences and into constants,
100·(2·x) is 200·x, and c - x with its sign turned is x - c. What an adjoint adds to a zero is itself, unless it may be -0.0. Of numbers
that are none (NaN) the sign is not kept. Which identities hold, and why others do not: D. Goldberg, "What every computer scientist
should know about floating-point arithmetic", ACM Comput. Surv. 23 (1991), doi:10.1145/103162.103163, section 3.2.3.
"""

from __future__ import annotations

import math
from typing import Any

from dualdiff.passes.scalars import Scalars, needed

__all__ = ["simplified"]


def simplified(scalars: Scalars) -> Scalars:
    """Return operations with the same results, to the bit, of which there are no more."""
    rewriter = _Rewriter(scalars)
    now = rewriter.rewritten()
    outputs = [(form, tuple([now[n] for n in nodes])) for form, nodes in scalars.outputs]
    checks = [tuple([now[n] for n in nodes]) for nodes in scalars.checks]
    found = needed(rewriter.operations, outputs, checks)
    return found if found.count < scalars.count else scalars


class _Rewriter:
    """The operations made so far, equal ones once."""

    def __init__(self, scalars: Scalars) -> None:
        self.given = scalars.operations
        self.delivered = [*[nodes for _, nodes in scalars.outputs], *scalars.checks]
        self.operations: list[tuple[Any, ...]] = []
        self.known: dict[tuple[Any, ...], int] = {}
        self.numbers: dict[int, float] = {}  # the nodes that are numbers
        self.signed: list[bool] = []  # whether a node may be -0.0
        self.once: set[int] = set()  # nodes that are taken once

    def rewritten(self) -> list[int]:
        """Return what became of each node."""
        uses = [0] * len(self.given)
        for name, *operands in self.given:
            if name not in _LEAVES:
                for n in operands:
                    uses[n] += 1
        for delivered in self.delivered:
            for n in delivered:
                uses[n] += 1
        now: list[int] = []
        for n, (name, *operands) in enumerate(self.given):
            if name in _LEAVES:
                found = self.node(name, *operands)
            else:
                nodes = [now[m] for m in operands]
                rule = _RULES.get(name)
                found = self.node(name, *nodes) if rule is None else rule(self, *nodes)
            now.append(found)
            if uses[n] == 1:
                self.once.add(found)
            else:
                self.once.discard(found)
        return now

    def node(self, *key: Any) -> int:
        """Return the node of an operation, which is made if there is none."""
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = len(self.operations)
            self.operations.append(key)
            if key[0] == "constant" and type(key[1]) is float:
                self.numbers[found] = key[1]
            self.signed.append(self._may_be_signed(*key))
        return found

    def _may_be_signed(self, name: Any, *operands: Any) -> bool:
        """Whether a result may be -0.0."""
        if name == "constant":
            return operands[0] == 0 and math.copysign(1.0, operands[0]) < 0
        if name == "add":
            return self.signed[operands[0]] and self.signed[operands[1]]
        if name == "subtract":
            return self.signed[operands[0]] and self.may_be_zero(operands[1])
        if name == "multiply":
            factor, rest = self.factor(*operands)
            if factor is not None and factor >= 1:  # nothing is lost below the smallest numbers
                return self.signed[rest]
            return operands[0] != operands[1]
        return name not in _UNSIGNED

    def may_be_zero(self, n: int) -> bool:
        """Whether a node may be 0.0."""
        x = self.numbers.get(n)
        return x is None or (x == 0 and not self.signed[n])

    def constant(self, x: float) -> int:
        return self.node("constant", x, x.hex())

    def factor(self, a: int, b: int) -> tuple[float | None, int]:
        """Return the constant of a product, None where there is none, and the other operand."""
        x = self.numbers.get(a)
        return (x, b) if x is not None else (self.numbers.get(b), a)

    def taken(self, n: int, name: str) -> tuple[int, ...] | None:
        """Return the operands of an operation of a name, None where a node is another."""
        operation = self.operations[n]
        return operation[1:] if operation[0] == name else None

    # -- rules -------------------------------------------------------------------------------------
    def opposite(self, n: int) -> int | None:
        """Return the node whose negation a node is, where it takes no more operations; None where it is none."""
        if negated := self.taken(n, "negative"):
            return negated[0]
        product = self.taken(n, "multiply")
        if product and n in self.once:
            for a, b in (product, product[::-1]):
                if negated := self.taken(a, "negative"):
                    return self.multiply(negated[0], b)
        return None

    def negative(self, n: int) -> int:
        if (inner := self.opposite(n)) is not None:
            return inner
        if n in self.once and (product := self.taken(n, "multiply")):
            factor, rest = self.factor(*product)
            if factor is not None:
                return self.multiply(self.constant(-factor), rest)
        return self.node("negative", n)

    def add(self, a: int, b: int) -> int:
        for zero, x in ((a, b), (b, a)):
            if self.numbers.get(zero) == 0:
                return self.plus_zero(zero, x)
        if (inner := self.opposite(b)) is not None:
            return self.subtract(a, inner)
        if (inner := self.opposite(a)) is not None:
            return self.subtract(b, inner)
        for total, x in ((a, b), (b, a)):
            if not self.signed[x] and (terms := self.taken(total, "add")):
                for zero, y in (terms, terms[::-1]):
                    if self.numbers.get(zero) == 0:  # whose sign matters to another -0.0 alone
                        return self.add(y, x) if total is a else self.add(x, y)
        return self.node("add", a, b)

    def plus_zero(self, zero: int, x: int) -> int:
        """Add a zero to a node."""
        if self.signed[zero] or not self.signed[x]:
            return x
        if (inner := self.opposite(x)) is not None:
            return self.subtract(zero, inner)
        if x in self.once and (product := self.taken(x, "multiply")):
            factor, rest = self.factor(*product)
            turned = self.turned(rest) if factor is not None and factor <= -1 and rest in self.once else None
            if factor is not None and turned is not None:
                return self.multiply(self.constant(-factor), turned)
        return self.node("add", zero, x)

    def turned(self, n: int) -> int | None:
        """Return q - p where a node is p - q, if 0.0 - (p - q) is that."""
        if difference := self.taken(n, "subtract"):
            p, q = difference
            if not (self.signed[q] and self.may_be_zero(p)):
                return self.subtract(q, p)
        return None

    def subtract(self, a: int, b: int) -> int:
        if (inner := self.opposite(b)) is not None:
            return self.add(a, inner)
        if self.numbers.get(a) == 0 and not self.signed[a] and b in self.once:
            turned = self.turned(b)
            if turned is not None:
                return turned
            if product := self.taken(b, "multiply"):
                factor, rest = self.factor(*product)
                turned = self.turned(rest) if factor is not None and factor >= 1 and rest in self.once else None
                if factor is not None and turned is not None:
                    return self.multiply(self.constant(factor), turned)
        return self.node("subtract", a, b)

    def multiply(self, a: int, b: int) -> int:
        factor, rest = self.factor(a, b)
        if factor is None:
            return self.node("multiply", a, b)
        if factor == 1:
            return rest
        if negated := self.taken(rest, "negative"):
            return self.multiply(self.constant(-factor), negated[0])
        if abs(factor) >= 1 and (product := self.taken(rest, "multiply")):
            inner, x = self.factor(*product)
            if inner is not None and _is_power_of_two(inner) and math.isfinite(factor * inner):
                return self.multiply(self.constant(factor * inner), x)
        return self.node("multiply", a, b)


def _is_power_of_two(x: float) -> bool:
    """Whether a number is ±1, ±2, ±4, and so on."""
    return abs(x) >= 1 and math.frexp(abs(x))[0] == 0.5


_LEAVES = ("unused", "input", "constant")
_UNSIGNED = frozenset(("absolute", "fabs", "exp", "exp2", "cosh", "number"))
_RULES: dict[Any, Any] = {
    "negative": _Rewriter.negative,
    "add": _Rewriter.add,
    "subtract": _Rewriter.subtract,
    "multiply": _Rewriter.multiply,
}
