"""What to write instead where a row's value or slope is not finite: data, in one table."""

from __future__ import annotations

from dualdiff.rules.elementwise import (
    arccos,
    arccosh,
    arcsin,
    arctanh,
    cbrt,
    cosh,
    divide,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    log2,
    log10,
    power,
    reciprocal,
    sinh,
    sqrt,
)

_INSIDE = "np.where({0}, np.{1}(np.where({0}, x, {2})), {3}): the inner where keeps np.{1} where it is smooth"
divide.advice = "np.where(y != 0, x / np.where(y != 0, y, 1.0), 0.0): the inner where keeps the divisor from 0"
reciprocal.advice = "np.where(x != 0, 1 / np.where(x != 0, x, 1.0), 0.0): the inner where keeps the divisor from 0"
sqrt.advice = _INSIDE.format("x > 0", "sqrt", "1.0", "0.0") + "; np.linalg.norm(v) for np.sqrt(np.sum(v**2))"
cbrt.advice = _INSIDE.format("x != 0", "cbrt", "1.0", "0.0")
for _logarithm in (log, log2, log10):
    _logarithm.advice = _INSIDE.format("x > 0", _logarithm.name[3:], "1.0", "0.0") + "; or add a small number to x"
log1p.advice = _INSIDE.format("x > -1", "log1p", "0.0", "0.0")
power.advice = (
    "np.where(x > 0, np.where(x > 0, x, 1.0) ** p, 0.0): an exponent below 1 has an infinite slope at 0, a negative base needs "
    "an integer exponent, and np.sqrt and np.exp(p * np.log(x)) say which is meant"
)
for _arc in (arccos, arcsin):
    _arc.advice = (
        "the slope is infinite at -1 and 1: the angle between two vectors is np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b); "
        "otherwise " + _INSIDE.format("np.abs(x) < 1", _arc.name[3:], "0.0", "limit")
    )
arccosh.advice = _INSIDE.format("x > 1", "arccosh", "2.0", "0.0")
arctanh.advice = _INSIDE.format("np.abs(x) < 1", "arctanh", "0.0", "limit")
for _growing in (exp, exp2, expm1, sinh, cosh):
    _growing.advice = (
        "subtract the largest exponent first (np.exp(x - np.max(x))), or work with logarithms (np.logaddexp)"
    )

__all__: list[str] = []
