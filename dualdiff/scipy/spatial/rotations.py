"""``scipy.spatial.transform.Rotation``: unit quaternions, made of angles, vectors or matrices and turned into them again.

Up to SciPy 1.16 the class is compiled, and nothing can be put in place of its methods: there its name stands for what makes
rotations that carry a derivative, and a plain rotation turns no differentiated vectors.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial import transform

from dualdiff.capture.active import any_active, plain_call
from dualdiff.capture.names import MAKERS, stand_in
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.operators.solutions import Given, Solved
from dualdiff.register import Entry
from dualdiff.rules.distances import distance
from dualdiff.rules.elementwise import cast
from dualdiff.scipy.room import Room
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.values import TRACED, fixed, operand

ROOM = Room("scipy.spatial.transform")
ROTATION: Any = transform.Rotation
SMALL = 1e-6
"""The square of the angle below which sines are taken by their series, which has derivatives of every order at 0."""


def _double(x: Any) -> Any:
    x = operand(x)
    return x if dtype_of(x) == np.float64 else cast(x, np.float64)


# --------------------------------------------------------------------------------------------------
# quaternions: the real part is last


def _series(s: Any, *terms: float) -> Any:
    total: Any = terms[-1]
    for term in terms[-2::-1]:
        total = total * s + term
    return total


def _split(s: Any, near: Callable[[Any], Any], far: Callable[[Any], Any], border: float = SMALL) -> Any:
    """Return ``near(s)`` where s is small, and ``far(s)`` elsewhere."""
    small = fixed(s <= border)
    if np.all(small):
        return near(s)
    if not np.any(small):
        return far(s)
    return np.where(small, near(s), far(np.where(small, 1.0, s)))


def _of_vector(v: Any) -> Any:
    """Return the quaternion of a turn by the length of a vector, about it."""
    s = np.sum(v * v, axis=-1, keepdims=True)
    sine = _split(
        s,
        lambda s: _series(s, 1 / 2, -1 / 48, 1 / 3840, -1 / 645120),
        lambda s: np.sin(np.sqrt(s) / 2) / np.sqrt(s),
    )
    cosine = _split(
        s, lambda s: _series(s, 1.0, -1 / 8, 1 / 384, -1 / 46080, 1 / 10321920), lambda s: np.cos(np.sqrt(s) / 2)
    )
    return np.concatenate([v * sine, cosine], axis=-1)


def _canonical(q: Any) -> Any:
    """Return of both quaternions of a turn the one whose real part is positive, or else the first part that is not 0."""
    signs = fixed(np.sign(q))
    sign = signs[..., 3]
    for k in range(3):
        sign = np.where(sign == 0, signs[..., k], sign)
    return q * np.where(sign == 0, 1.0, sign)[..., None]


def _to_vector(q: Any) -> Any:
    q = _canonical(q)
    v, w = q[..., :3], q[..., 3:]
    s = np.sum(v * v, axis=-1, keepdims=True)
    scale = _split(
        s,
        lambda s: _series(s, 2.0, 2 / 6, 6 / 40, 30 / 336, 210 / 3456),
        lambda s: 2 * np.arctan2(np.sqrt(s), w) / np.sqrt(s),
        SMALL / 4,
    )
    return scale * v


def _product(p: Any, q: Any) -> Any:
    """Return the quaternion of the turn q, and then p."""
    a, b, c, d = (p[..., k] for k in range(4))
    x, y, z, w = (q[..., k] for k in range(4))
    return np.stack(
        [
            d * x + w * a + (b * z - c * y),
            d * y + w * b + (c * x - a * z),
            d * z + w * c + (a * y - b * x),
            d * w - a * x - b * y - c * z,
        ],
        axis=-1,
    )


def _unit(q: Any) -> Any:
    size = np.sqrt(np.sum(q * q, axis=-1, keepdims=True))
    if fixed(np.any(np.equal(size, 0))):
        raise ValueError("Found zero norm quaternions in `quat`.")
    return q / size


def _matrices(q: Any) -> Any:
    x, y, z, w = (q[..., k] for k in range(4))
    rows = [
        [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _of_matrices(m: Any) -> Any:
    """Return the quaternions of orthogonal matrices, by the largest part of each."""
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    choice = fixed(np.argmax(np.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2], trace], axis=-1), axis=-1))
    found: Any = np.stack(
        [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1], 1 + trace], axis=-1
    )
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        parts: list[Any] = [None] * 4
        parts[i] = 1 - trace + 2 * m[..., i, i]
        parts[j] = m[..., j, i] + m[..., i, j]
        parts[k] = m[..., k, i] + m[..., i, k]
        parts[3] = m[..., k, j] - m[..., j, k]
        if np.any(choice == i):
            found = np.where((choice == i)[..., None], np.stack(parts, axis=-1), found)
    return _unit(found)


# --------------------------------------------------------------------------------------------------
# making rotations


def _made(q: Any) -> Any:
    """Return a rotation that carries a derivative, of unit quaternions."""
    made: Any = _class()([0.0, 0.0, 0.0, 1.0])
    made.parts = q
    return made


def from_quat(quat: Any, *, scalar_first: bool = False) -> Any:
    """``Rotation.from_quat``."""
    q = _double(quat)
    if not shape_of(q) or shape_of(q)[-1] != 4:
        raise ValueError(f"Expected `quat` to have shape (..., 4), got {shape_of(q)}.")
    return _made(_unit(q[..., [1, 2, 3, 0]] if scalar_first else q))


def from_rotvec(rotvec: Any, degrees: bool = False) -> Any:
    """``Rotation.from_rotvec``."""
    v = _double(rotvec)
    if not shape_of(v) or shape_of(v)[-1] != 3:
        raise ValueError(f"Expected `rot_vec` to have shape (..., 3), got {shape_of(v)}")
    return _made(_of_vector(np.deg2rad(v) if degrees else v))


def from_mrp(mrp: Any) -> Any:
    """``Rotation.from_mrp``: of modified Rodrigues parameters."""
    v = _double(mrp)
    if not shape_of(v) or shape_of(v)[-1] != 3:
        raise ValueError(f"Expected `mrp` to have shape (..., 3), got {shape_of(v)}")
    s = 1 + np.sum(v * v, axis=-1, keepdims=True)
    return _made(np.concatenate([2 * v / s, (2 - s) / s], axis=-1))


def from_matrix(matrix: Any, *, assume_valid: bool = False) -> Any:
    """``Rotation.from_matrix``: of the nearest orthogonal matrix, if it is none."""
    m = _double(matrix)
    if shape_of(m)[-2:] != (3, 3):
        raise ValueError(f"Expected `matrix` to have shape (..., 3, 3), got {shape_of(m)}")
    if not assume_valid:
        if fixed(np.any(np.linalg.det(m) <= 0)):
            raise ValueError("Non-positive determinant (left-handed or null coordinate frame) in rotation matrix.")
        gram = m @ np.swapaxes(m, -1, -2)
        if _takes_the_nearest() and not fixed(np.all(np.abs(gram - np.eye(3)) <= 1e-12 + 1e-5 * np.eye(3))):
            u, _, vh = np.linalg.svd(m)
            m = u @ vh
    return _made(_of_matrices(m))


@functools.lru_cache(maxsize=1)
def _takes_the_nearest() -> bool:
    """Whether SciPy takes the nearest orthogonal matrix, as it does from 1.14 on."""
    m = np.eye(3) + np.arange(9.0).reshape(3, 3) / 20
    u, _, vh = np.linalg.svd(m)
    return bool(np.allclose(transform.Rotation.from_matrix(m).as_matrix(), u @ vh))


def _axes(seq: str) -> tuple[list[int], bool]:
    if not 1 <= len(seq) <= 3:
        raise ValueError(f"Expected axis specification to be a non-empty string of up to 3 characters, got {seq}")
    intrinsic = re.fullmatch("[XYZ]{1,3}", seq) is not None
    if not intrinsic and re.fullmatch("[xyz]{1,3}", seq) is None:
        raise ValueError(f"Expected axes from `seq` to be from ['x', 'y', 'z'] or ['X', 'Y', 'Z'], got {seq}")
    if any(a == b for a, b in itertools.pairwise(seq)):
        raise ValueError(f"Expected consecutive axes to be different, got {seq}")
    return ["xyz".index(c) for c in seq.lower()], intrinsic


def from_euler(seq: str, angles: Any, degrees: bool = False) -> Any:
    """``Rotation.from_euler``."""
    axes, intrinsic = _axes(seq)
    a = _double(angles)
    shape = shape_of(a)
    if len(axes) == 1 and (not shape or (len(shape) == 1 and _vectors_are_stacks())):
        a = np.reshape(a, (*shape, 1))
    if not shape_of(a) or shape_of(a)[-1] != len(axes):
        raise ValueError(
            f"Expected last dimension of `angles` to match number of sequence axes specified, got {shape_of(a)}."
        )
    half = (np.deg2rad(a) if degrees else a) / 2
    sines, cosines = np.sin(half), np.cos(half)
    q: Any = None
    for n, axis in enumerate(axes):
        parts = [np.zeros_like(sines[..., n])] * 3
        parts[axis] = sines[..., n]
        turn = np.stack([*parts, cosines[..., n]], axis=-1)
        q = turn if q is None else _product(q, turn) if intrinsic else _product(turn, q)
    return _made(q)


@functools.lru_cache(maxsize=1)
def _vectors_are_stacks() -> bool:
    """Whether a vector of angles about one axis makes as many rotations, as up to some version of SciPy it does."""
    try:
        return len(transform.Rotation.from_euler("x", [0.0, 0.0])) == 2
    except (TypeError, ValueError):
        return False


# --------------------------------------------------------------------------------------------------
# what rotations do


def _quaternions(rotation: Any) -> Any:
    return rotation.parts if isinstance(rotation, Turn) else np.asarray(rotation.as_quat())


def as_quat(self: Any, canonical: bool = False, *, scalar_first: bool = False) -> Any:
    """``Rotation.as_quat``."""
    q = self.parts
    q = _canonical(q) if canonical else q
    return q[..., [3, 0, 1, 2]] if scalar_first else q


def as_matrix(self: Any) -> Any:
    """``Rotation.as_matrix``."""
    return _matrices(self.parts)


def as_rotvec(self: Any, degrees: bool = False) -> Any:
    """``Rotation.as_rotvec``."""
    v = _to_vector(self.parts)
    return np.rad2deg(v) if degrees else v


def as_mrp(self: Any) -> Any:
    """``Rotation.as_mrp``."""
    q = self.parts
    sign = np.where(fixed(q[..., 3:] < 0), -1.0, 1.0)
    return sign * q[..., :3] / (1 + sign * q[..., 3:])


def as_euler(self: Any, seq: str, degrees: bool = False, *, suppress_warnings: bool = False) -> Any:
    """``Rotation.as_euler``, but for gimbal lock, where the angles are not functions of the rotation."""
    if len(seq) != 3:
        raise ValueError(f"Expected 3 axes, got {seq}.")
    axes, intrinsic = _axes(seq)
    i, j, k = axes[::-1] if intrinsic else axes
    symmetric = i == k
    k = 3 - i - j if symmetric else k
    sign = (i - j) * (j - k) * (k - i) // 2
    q = self.parts
    if symmetric:
        a, b, c, d = q[..., 3], q[..., i], q[..., j], sign * q[..., k]
    else:
        a, b = q[..., 3] - q[..., j], q[..., i] + sign * q[..., k]
        c, d = q[..., j] + q[..., 3], sign * q[..., k] - q[..., i]
    middle = 2 * np.arctan2(np.hypot(c, d), np.hypot(a, b))
    if fixed(np.any((middle <= 1e-7) | (middle >= np.pi - 1e-7))):
        raise UnsupportedFunctionError(
            f"{where()}: Rotation.as_euler at gimbal lock: the first and the third angle turn about one axis there, and have no "
            "derivative. Use as_rotvec, as_quat or as_matrix, or another sequence of axes."
        )
    total, difference = np.arctan2(b, a), np.arctan2(d, c)
    first, third = total - difference, total + difference
    if not symmetric:
        third, middle = sign * third, middle - np.pi / 2
    angles = np.stack([third, middle, first] if intrinsic else [first, middle, third], axis=-1)
    turns = fixed(np.where(angles < -np.pi, 1.0, np.where(angles > np.pi, -1.0, 0.0)).astype(int))
    angles = angles + 2 * np.pi * turns
    return np.rad2deg(angles) if degrees else angles


def apply(self: Any, vectors: Any, inverse: bool = False) -> Any:
    """``Rotation.apply``."""
    m, v = _matrices(_quaternions(self)), _double(vectors)
    if not shape_of(v) or shape_of(v)[-1] != 3:
        raise ValueError(f"Expected input of shape (..., 3), got {shape_of(v)}.")
    m = np.swapaxes(m, -1, -2) if inverse else m
    lengths = [s[0] for s in (shape_of(m)[:-2], shape_of(v)[:-1]) if s]
    if len(lengths) == 2 and lengths[0] != lengths[1] and 1 not in lengths:
        raise ValueError(
            f"Expected equal numbers of rotations and vectors , or a single rotation, or a single vector, got {lengths[0]} "
            f"rotations and {lengths[1]} vectors."
        )
    return np.sum(m * v[..., None, :], axis=-1)


def multiply(self: Any, other: Any) -> Any:
    """Return the composition: ``other``, and then ``self``."""
    if not isinstance(other, ROTATION):
        return NotImplemented
    return _made(_unit(_product(_quaternions(self), _quaternions(other))))


def power(self: Any, n: Any, modulus: Any = None) -> Any:
    """Return a rotation repeated a number of times."""
    if modulus is not None:
        raise NotImplementedError("modulus not supported")
    if isinstance(n, float) and type(n) not in TRACED and _keeps_its_methods():
        n = float(np.float32(n))  # the compiled class takes it in single precision
    return _made(_of_vector(operand(n) * _to_vector(_quaternions(self))))


def inv(self: Any) -> Any:
    """``Rotation.inv``."""
    return _made(self.parts * np.array([-1.0, -1.0, -1.0, 1.0]))


def magnitude(self: Any) -> Any:
    """``Rotation.magnitude``: the angle; at no rotation its slope is 0."""
    q = self.parts
    v = q[..., :3]
    return 2 * np.arctan2(distance(np.sum(v * v, axis=-1)), np.abs(q[..., 3]))


def mean(self: Any, weights: Any = None, axis: Any = None) -> Any:
    """``Rotation.mean``: the vector of the largest eigenvalue of the quaternions' second moments."""
    q = _quaternions(self)
    if axis is not None and len(shape_of(q)) > 2:
        raise UnsupportedFunctionError(
            f"{where()}: Rotation.mean along axes of a stack is not differentiated. Take the mean of each part."
        )
    q = np.reshape(q, (-1, 4))
    w = np.ones(shape_of(q)[0]) if weights is None else _double(weights)
    if shape_of(w) != shape_of(q)[:1]:
        raise ValueError(
            f"Expected `weights` to have number of values equal to number of rotations, got {shape_of(w)[0]} values."
        )
    if fixed(np.any(w < 0)):
        raise ValueError("`weights` must be non-negative.")
    held = Given(np.swapaxes(q, 0, 1) @ (q * w[:, None]))

    def solve(k: Any) -> Any:
        values, vectors = np.linalg.eigh(k)
        return values[-1], vectors[:, -1]

    _, v = Solved(held, solve, lambda x, k: (k @ x[1] - x[0] * x[1], np.sum(x[1] * x[1]) - 1)).result()
    return _made(v)


def align_vectors(a: Any, b: Any, weights: Any = None, return_sensitivity: bool = False) -> Any:
    """``Rotation.align_vectors``: the orthogonal factor of the vectors' products."""
    a, b = (np.reshape(_double(x), (-1, 3)) for x in (a, b))
    if return_sensitivity:
        raise UnsupportedFunctionError(
            f"{where()}: Rotation.align_vectors with return_sensitivity=True is not differentiated. Leave it out."
        )
    if shape_of(a) != shape_of(b):
        raise ValueError(
            f"Expected inputs `a` and `b` to have same shapes, got {shape_of(a)} and {shape_of(b)} respectively."
        )
    w = np.ones(shape_of(a)[0]) if weights is None else _double(weights)
    if shape_of(w) != shape_of(a)[:1]:
        raise ValueError(
            f"Expected `weights` to have number of values equal to number of input vectors, got {shape_of(w)[0]} values."
        )
    if fixed(np.any(w < 0)):
        raise ValueError("`weights` may not contain negative values")
    if shape_of(a)[0] < 2 or not fixed(np.all(np.isfinite(w))):
        raise UnsupportedFunctionError(
            f"{where()}: Rotation.align_vectors of one vector, or with an infinite weight, is not differentiated: many rotations align "
            "them. Give it two vectors or more."
        )
    u, s, vh = np.linalg.svd(np.swapaxes(a, 0, 1) @ (b * w[:, None]))
    turned = bool(fixed(np.linalg.det(u @ vh) < 0))
    sign = np.array([1.0, 1.0, -1.0 if turned else 1.0])
    left = np.sum(w * np.sum(a * a + b * b, axis=1)) - 2 * np.sum(s * sign)
    return from_matrix((u * sign) @ vh), distance(np.maximum(left, 0.0))


class Turn:
    """The part of a rotation that carries a derivative; SciPy's class is its other parent."""

    parts: Any = None
    as_quat = as_quat
    as_matrix = as_matrix
    as_rotvec = as_rotvec
    as_mrp = as_mrp
    as_euler = as_euler
    apply = apply
    inv = inv
    magnitude = magnitude
    mean = mean
    __mul__ = multiply
    __pow__ = power

    def __rmul__(self, other: Any) -> Any:
        """Return the composition with a plain rotation in front."""
        return multiply(other, self) if isinstance(other, ROTATION) else NotImplemented

    @property
    def single(self) -> bool:
        """Whether it is one rotation, not a stack of them."""
        return len(shape_of(self.parts)) == 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes of the stack."""
        return shape_of(self.parts)[:-1]

    def __len__(self) -> int:
        if self.single:
            raise TypeError("Single rotation has no len().")
        return shape_of(self.parts)[0]

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, indexer: Any) -> Any:
        if self.single:
            raise TypeError("Single rotation is not subscriptable.")
        return _made(self.parts[indexer])

    def __iter__(self) -> Any:
        if self.single:
            raise TypeError("Single rotation is not iterable.")
        return iter([_made(q) for q in self.parts])

    def __repr__(self) -> str:
        return f"Rotation of {self.parts!r}"


def _missing(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(
            f"{where()}: Rotation.{name} of rotations that carry a derivative is not supported. Compute it from as_matrix() or "
            "as_quat() with NumPy's functions."
        )

    refuse.__name__ = name
    return refuse


_OTHERS = (
    "as_davenport",
    "approx_equal",
    "reduce",
    "from_davenport",
    "concatenate",
    "__setitem__",
)


@functools.lru_cache(maxsize=1)
def _class() -> Any:
    """Return the class of rotations that carry a derivative."""
    refused = {
        name: _missing(name) for name in _OTHERS if name in ("as_davenport", "approx_equal", "reduce", "__setitem__")
    }
    return type("Rotation", (Turn, ROTATION), {"__module__": ROTATION.__module__, **refused})


# --------------------------------------------------------------------------------------------------
# names


def concatenate(rotations: Any) -> Any:
    """``Rotation.concatenate``."""
    if isinstance(rotations, ROTATION):
        return rotations
    parts = [_quaternions(r) for r in rotations]
    return _made(np.concatenate([np.reshape(q, (-1, 4)) for q in parts]))


MAKE: dict[str, Callable[..., Any]] = {
    "from_quat": from_quat,
    "from_rotvec": from_rotvec,
    "from_mrp": from_mrp,
    "from_matrix": from_matrix,
    "from_euler": from_euler,
    "from_davenport": _missing("from_davenport"),
    "align_vectors": align_vectors,
    "concatenate": concatenate,
}


@ROOM.constructor(ROTATION)
def rotation(quat: Any, normalize: bool = True, copy: bool = True, scalar_first: bool = False) -> Any:
    """``Rotation(quat)``."""
    made = from_quat(quat, scalar_first=scalar_first)
    return made if normalize else _made(_double(quat))


def _instead(real: Any, function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        carries = any_active(args, kwargs) or any(_carries(a) for a in args)
        return function(*args, **kwargs) if carries else plain_call(real, args, kwargs)

    return call


def _carries(x: Any) -> bool:
    return isinstance(x, Turn) or (isinstance(x, (list, tuple)) and any(isinstance(i, Turn) for i in x))


def _keeps_its_methods() -> bool:
    """Whether the class is compiled, as up to SciPy 1.16, and lets nothing take the place of its methods."""
    try:
        ROTATION.dualdiff = None
    except TypeError:
        return True
    del ROTATION.dualdiff
    return False


def _enter() -> None:
    standing: Any = stand_in(ROTATION, MAKERS)
    compiled = _keeps_its_methods()
    for name, function in MAKE.items():
        real = getattr(ROTATION, name, None)
        if real is None:
            continue
        setattr(standing, name, _instead(real, function))
        if compiled:
            ROOM.rows.append(
                Entry(real, f"scipy.spatial.transform.Rotation.{name}", "composite", function, domain="real")
            )
        else:
            ROOM.method(ROTATION, name)(function)
    if not compiled:
        ROOM.method(ROTATION, "apply")(apply)
        ROOM.method(ROTATION, "mean")(mean)
        ROOM.method(ROTATION, "__pow__")(power)


_enter()


__all__ = ["Turn", "rotation"]
