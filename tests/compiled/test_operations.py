"""The operations in machine code against NumPy's, on special values and random ones."""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import numpy as np
import pytest

from dualdiff.compiled import operations
from dualdiff.compiled.llvm import assembled
from dualdiff.passes.scalars import NotScalarError

pytest.importorskip("llvmlite")

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 1e-310, 1e300, -1e300, np.inf, -np.inf, np.nan]
TRUTH = [(p, q) for p in (False, True) for q in (False, True)]
OF_TRUTH = ("logical_and", "logical_or", "logical_xor", "logical_not", "all", "any", "number")
EXACT = operations.KNOWN - set(operations.FUNCTIONS)


def machine(name: str, count: int) -> Any:
    """Return an operation as a function of an array of operands, by machine code; truth values are 0 and 1."""
    truth, lines = name in OF_TRUTH, []
    given = [f"%x{k}" for k in range(count)]
    for k, x in enumerate(given):
        lines += [f"%p{k} = getelementptr double, ptr %in, i64 {k}", f"{x} = load double, ptr %p{k}"]
        if truth or (name == "where" and k == 0):
            lines.append(f"{x}.true = fcmp une double {x}, 0.0")
            given[k] = f"{x}.true"
    lines += operations.text(name, "%r", given)
    if name not in ("number", "where") and (
        truth or name.startswith(("is", "less", "greater", "equal", "not")) or name == "signbit"
    ):
        lines.append("%n = uitofp i1 %r to double")
    else:
        lines.append("%n = fadd double %r, -0.0")  # the same number
    body = "\n".join(lines)
    code = assembled(
        f"{operations.declared([name])}\ndefine void @f(ptr %in, ptr %out) {{\n{body}\nstore double %n, ptr %out\nret void\n}}\n"
    )
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.address("f"))

    def call(*operands: float) -> float:
        given, found = np.array(operands, dtype=float), np.empty(1)
        function(given.ctypes.data, found.ctypes.data)
        assert code.text  # which lives as long as the call
        return float(found[0])

    return call


def count_of(name: str) -> int:
    if name in ("all", "any", "where"):
        return 3
    return 1 if name == "number" else getattr(np, name).nin


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", sorted(operations.KNOWN))
def test_an_operation_is_numpys(name: str) -> None:
    count = count_of(name)
    random = np.random.default_rng(0).normal(0, 3, (200, count)).tolist()
    points: Any = [*itertools.product(SPECIAL, repeat=count), *random]
    if name in OF_TRUTH:
        points = list(itertools.product([0.0, 1.0], repeat=count))
    call = machine(name, count)
    for operands in points:
        given = [bool(x) for x in operands] if name in OF_TRUTH else [np.float64(x) for x in operands]
        if name == "number":
            expected: Any = float(given[0])
        elif name == "where":
            expected = given[1] if given[0] else given[2]
        elif name in ("all", "any"):
            expected = getattr(np, name)(given)
        elif name == "power":
            expected = given[0] ** given[1]  # the function of arrays takes shorter ways
        else:
            expected = getattr(np, name)(*given)
        found = call(*operands)
        if name in EXACT:
            zero_of_either_sign = name in ("maximum", "minimum", "fmax", "fmin") and found == 0
            np.testing.assert_array_equal(found, float(expected))
            if not zero_of_either_sign and not np.isnan(found):
                assert np.signbit(found) == np.signbit(float(expected))
        else:
            np.testing.assert_allclose(found, float(expected), rtol=1e-14)


def test_constants_keep_their_bits() -> None:
    for x in SPECIAL:
        code = assembled(
            f"define void @f(ptr %out) {{\nstore double {operations.constant(x)}, ptr %out\nret void\n}}\n"
        )
        found = np.empty(1)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address("f"))(found.ctypes.data)
        assert found.tobytes() == np.float64(x).tobytes()
    assert [operations.constant(True), operations.constant(False)] == ["true", "false"]


def test_what_has_no_row_is_refused() -> None:
    for name in ("logaddexp", np.add):
        with pytest.raises(NotScalarError, match="no machine code"):
            operations.text(name, "%r", ["%a", "%b"])
