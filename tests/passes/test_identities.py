"""Identities of floating-point arithmetic: the same bits, of special values as well, and fewer operations."""

from __future__ import annotations

import itertools
import math
import random
import struct
from typing import Any

import numpy as np
import pytest

from dualdiff.passes.identities import simplified
from dualdiff.passes.program import form_of
from dualdiff.passes.scalars import Scalars, needed

POINTS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, 0.1, 1e308, -1e308, 5e-324, -5e-324, 2.3e-308, math.inf, -math.inf, 1.7]
CONSTANTS = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, -3.0, 100.0, -0.25, 4.0, 1e300, 0.1]
A, B, C = 0, 1, 2


def graph(*operations: tuple[Any, ...], results: int = 1) -> Scalars:
    """Operations after three inputs; a number among the operands is a constant if it is a float."""
    nodes: list[tuple[Any, ...]] = [("input", 0, k) for k in range(3)]
    for c in dict.fromkeys((o, math.copysign(1, o)) for _, *rest in operations for o in rest if type(o) is float):
        nodes.append(("constant", c[0], c[0].hex()))
    places = {o[2]: n for n, o in enumerate(nodes) if o[0] == "constant"}
    first = len(nodes)
    for name, *rest in operations:
        given = [places[o.hex()] if type(o) is float else o if o < 3 else o - 3 + first for o in rest]
        nodes.append((name, *given))
    out = tuple(range(len(nodes) - results, len(nodes)))
    return needed(nodes, [(form_of(np.empty(results)), out)], [])


def values(scalars: Scalars, inputs: tuple[float, ...]) -> list[bytes]:
    """The bits of the results; all that are no numbers are the same."""
    found: list[Any] = []
    for name, *rest in scalars.operations:
        if name == "input":
            found.append(np.float64(inputs[rest[1]]))
        elif name in ("constant", "unused"):
            found.append(np.float64(rest[0]) if rest else None)
        else:
            found.append(getattr(np, name)(*[found[n] for n in rest]))
    results = [found[n] for _, nodes in scalars.outputs for n in nodes]
    return [b"" if x != x else struct.pack(">d", x) for x in results]


@pytest.mark.parametrize(("operations", "count"), [
    ([("multiply", 2.0, A), ("multiply", 100.0, 3)], 1),
    ([("negative", A), ("add", B, 3)], 1),
    ([("negative", A), ("multiply", 3, B), ("add", C, 4)], 2),
    ([("subtract", 1.0, A), ("multiply", 2.0, 3), ("negative", 4), ("add", 0.0, 5)], 2),
    ([("subtract", 1.0, A), ("subtract", 0.0, 3)], 1),
    ([("subtract", 1.0, A), ("multiply", 2.0, 3), ("subtract", 0.0, 4)], 2),
    ([("multiply", A, A), ("add", 0.0, 3)], 1),
    ([("add", 0.0, A), ("multiply", B, B), ("add", 3, 4)], 2),
    ([("multiply", -1.0, A), ("negative", 3)], 0),
    # What is not the same: powers of two below 1 lose digits of the smallest numbers, and signs of zeros count.
    ([("multiply", 0.5, A), ("multiply", 100.0, 3)], 2),
    ([("multiply", 2.0, A), ("multiply", 0.25, 3)], 2),
    ([("multiply", 2.0, A), ("multiply", 1e308, 3)], 2),
    ([("multiply", 3.0, A), ("multiply", 100.0, 3)], 2),
    ([("subtract", 1.0, A), ("multiply", 0.5, 3), ("subtract", 0.0, 4)], 3),
    ([("multiply", A, B), ("subtract", 0.0, 3)], 2),
    ([("multiply", A, B), ("add", 0.0, 3)], 2),
    ([("multiply", A, B), ("negative", 3)], 2),
    ([("add", A, B), ("subtract", 0.0, 3)], 2),
    ([("subtract", A, B), ("negative", 3)], 2),
    ([("subtract", A, B), ("subtract", 0.0, 3)], 2),
    ([("add", 0.0, A)], 1),
])  # fmt: skip
def test_a_rule_holds_to_the_bit(operations: Any, count: int) -> None:
    before = graph(*operations)
    after = simplified(before)
    assert after.count == count
    with np.errstate(all="ignore"):
        for n, (a, b) in enumerate(itertools.product(POINTS, repeat=2)):
            inputs = a, b, POINTS[n * 5 % 16]
            assert values(before, inputs) == values(after, inputs)


def test_random_programs_keep_every_bit() -> None:
    rng = random.Random(1)
    fewer = 0
    for _ in range(60):
        made: list[tuple[Any, ...]] = []
        for n in range(12):
            name = rng.choice(["add", "add", "subtract", "multiply", "multiply", "negative"])
            there = [*range(3), *range(3, 3 + n), *range(max(3, n), 3 + n), *CONSTANTS]
            made.append((name, *[rng.choice(there) for _ in range(1 if name == "negative" else 2)]))
        before = graph(*made, results=2)
        after = simplified(before)
        assert after.count <= before.count
        fewer += before.count - after.count
        with np.errstate(all="ignore"):
            for _ in range(25):
                inputs = (rng.choice(POINTS), rng.choice(POINTS), rng.choice(POINTS))
                assert values(before, inputs) == values(after, inputs)
    assert fewer > 20
