"""Determinants, right at every rank, and their logarithms and phases."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.kinds import Discrete, General, Sweep
from dualdiff.register import composite
from dualdiff.rules.contraction import of_matrices, over_matrix
from dualdiff.rules.letters import conj
from dualdiff.rules.linalg.matrices import adjoint
from dualdiff.rules.products import products_of_others
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import TRACED, bind, operand

WELL = 1e5
"""Up to this condition number cofactors come from the inverse, beyond it (singular included) from singular values."""


def _inverse_if_well(a: Any) -> Any:
    """Return the inverse of well-conditioned matrices, and None if one of the stack is not."""
    try:
        w = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return None
    if not size_of(shape_of(a)):
        return w
    size = np.max(np.sum(np.abs(a), axis=-1), axis=-1) * np.max(np.sum(np.abs(w), axis=-1), axis=-1)
    return w if bool(np.all(np.less(size, WELL))) else None


def _cofactors(a: Any) -> Any:
    w = _inverse_if_well(a)
    if w is not None:
        d = np.linalg.det(a)
        if bool(np.all(np.isfinite(d))) and not bool(np.any(np.equal(d, 0))):
            return d[..., None, None] * np.swapaxes(w, -1, -2)
    u, s, vh = np.linalg.svd(a)
    turn = np.linalg.det(u) * np.linalg.det(vh)
    return turn[..., None, None] * conj((u * products_of_others(s)[..., None, :]) @ vh)


def _cofactor_rule(sweep: Sweep, t: Any, out: Any, a: Any, transpose: bool) -> Any:
    """Apply the derivative of the cofactor matrix, or its adjoint, which differ by conjugation."""
    mark = conj if transpose else (lambda x: x)
    w = _inverse_if_well(a)
    if w is not None and bool(np.any(np.not_equal(out, 0))):
        c, w = mark(out), mark(np.swapaxes(w, -1, -2))
        if transpose:
            whole = np.sum(t * w, axis=(-2, -1), keepdims=True)
            return whole * c - w @ np.swapaxes(t, -1, -2) @ c
        whole = np.sum(c * t, axis=(-2, -1), keepdims=True)
        return whole * w - c @ np.swapaxes(t, -1, -2) @ w
    if type(a) in TRACED:
        raise UnsupportedFunctionError(
            f"{where()}: the third derivative of np.linalg.det at a singular (or nearly singular) matrix is not "
            "available; write the determinant of a small matrix by its formula"
        )
    # In the singular bases the matrix is diagonal, and so is what its cofactors do to the diagonal of a change.
    u, s, vh = np.linalg.svd(a)
    turn = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    n = shape_of(s)[-1]
    eye = np.eye(n, dtype=bool)
    pairs = np.prod(np.where(eye[:, None, :] | eye[None, :, :], 1.0, s[..., None, None, :]), axis=-1)
    pairs = np.where(eye, 0.0, pairs)  # the product of all singular values but two
    if transpose:
        basis = conj(turn) * (np.swapaxes(u, -1, -2) @ t @ np.swapaxes(vh, -1, -2))
    else:
        basis = adjoint(u) @ t @ adjoint(vh)
    diagonal = np.sum(pairs * np.sum(basis * eye, axis=-1)[..., None, :], axis=-1)
    core = np.where(eye, diagonal[..., None], -np.swapaxes(basis, -1, -2) * pairs)
    return u @ core @ vh if transpose else turn * (conj(u) @ core @ conj(vh))


cofactors = General(
    "cofactors",
    _cofactors,
    lambda sweep, ts, out, a: _cofactor_rule(sweep, ts[0], out, a, False),
    lambda sweep, g, out, a: (_cofactor_rule(sweep, g, out, a, True),),
    joins=of_matrices,
)
"""The derivative of the determinant, right at every rank."""


def _det_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return np.sum(bind(cofactors, (a,), {}) * ts[0], axis=(-2, -1))


def _det_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    return (over_matrix(g) * conj(bind(cofactors, (a,), {})),)


det_ = General(
    "np.linalg.det",
    np.linalg.det,
    _det_push,
    _det_pull,
    keeps=(False, (True,)),
    joins=of_matrices,
)


@composite(np.linalg.det, status="general", domain="matrix")
def det(a: Any) -> Any:
    """``np.linalg.det``."""
    return bind(det_, (operand(a),), {})


def _logdet_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return np.real(np.sum(np.swapaxes(np.linalg.inv(a), -1, -2) * ts[0], axis=(-2, -1)))


def _logdet_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    return (over_matrix(g) * adjoint(np.linalg.inv(a)),)


def _phase_push(sweep: Sweep, ts: Any, out: Any, a: Any) -> Any:
    return 1j * out * np.imag(np.sum(np.swapaxes(np.linalg.inv(a), -1, -2) * ts[0], axis=(-2, -1)))


def _phase_pull(sweep: Sweep, g: Any, out: Any, a: Any) -> Any:
    c = np.real(np.conjugate(g) * (1j * out))
    return (over_matrix(c) * (1j * adjoint(np.linalg.inv(a))),)


def _logdet(a: Any) -> Any:
    return np.linalg.slogdet(a)[1]


def _sign(a: Any) -> Any:
    return np.linalg.slogdet(a)[0]


logdet_ = General("np.linalg.slogdet", _logdet, _logdet_push, _logdet_pull, keeps=(False, (True,)), joins=of_matrices)
phase_ = General("np.linalg.slogdet", _sign, _phase_push, _phase_pull, keeps=(True, (True,)), joins=of_matrices)
sign_ = Discrete("np.linalg.slogdet", _sign)
_SlogdetResult: Any = type(np.linalg.slogdet(np.eye(1)))


@composite(np.linalg.slogdet, status="general", domain="nonsingular")
def slogdet(a: Any) -> Any:
    """``np.linalg.slogdet``: a real sign is piecewise constant, a complex phase is not."""
    a = operand(a)
    sign = phase_ if dtype_of(a).kind == "c" else sign_
    return _SlogdetResult(bind(sign, (a,), {}), bind(logdet_, (a,), {}))
