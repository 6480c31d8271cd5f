"""A function at a point, laid flat: its differentiated arguments, its results, and what the entries of its Jacobian are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.shapes import shape_of, size_of
from dualdiff.trees import flatten, paths

__all__ = ["Place"]


class Place:
    """A function at a point, some arguments of which vary.

    Arguments and results may be nested; results may be sparse matrices. Whatever they are, the Jacobian is one matrix:
    a row for every entry of the results, a column for every entry of the arguments.

    Parameters
    ----------
    f : callable
        The function; it is given copies.
    args : sequence
        Its arguments.
    argnums : sequence of int
        Those that vary.

    Attributes
    ----------
    inputs, outputs : list of array
        The arguments that vary and the results, flat.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int]) -> None:
        self.f, self.args, self.argnums = f, tuple(args), tuple(argnums)
        leaves, self.build = flatten(tuple(args[i] for i in argnums))
        names = paths(tuple(args[i] for i in argnums))
        self.inputs = [_numbers(x, f"argument {n}") for x, n in zip(leaves, names, strict=True)]
        self.given = leaves
        self.covectors: Any = None
        result = f(*self.arguments())
        if result is None:
            raise InputError("the function returns None: it must return its value")
        results = flatten(_dense(result))[0]
        self.outputs = [_numbers(np.asarray(y), "the result") for y in results]
        self.result_paths = paths(_dense(result))
        self.input_paths = [n if len(argnums) > 1 else n[n.index("]") + 1 :] for n in names]

    def arguments(self, inputs: Sequence[Any] | None = None) -> tuple[Any, ...]:
        """Return the arguments, as copies, with others in place of those that vary."""
        args = [_copied(a) for a in self.args]
        leaves = [_copied(x) for x in self.given] if inputs is None else list(inputs)
        for i, a in zip(self.argnums, self.build(leaves), strict=True):
            args[i] = a
        return tuple(args)

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Run the function; return its results flat, or their inner products with the covectors if there are any."""
        results = [np.asarray(y) for y in flatten(_dense(self.f(*self.arguments(inputs))))[0]]
        return results if self.covectors is None else [self.projected(results)]

    def projected(self, results: Sequence[Any]) -> Any:
        r"""Return Re ⟨w, y⟩ for every covector w."""
        return np.array(
            [sum(np.sum(np.real(np.conj(c) * y)) for c, y in zip(w, results, strict=True)) for w in self.covectors]
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the Jacobian."""
        return sum(y.size for y in self.outputs), sum(x.size for x in self.inputs)

    @property
    def is_complex(self) -> bool:
        """Whether some argument that varies is complex."""
        return any(x.dtype.kind == "c" for x in self.inputs)

    def split(self, v: Any) -> list[Any]:
        """Return a flat vector as arrays of the arguments' shapes."""
        found, at = [], 0
        for x in self.inputs:
            part = v[at : at + x.size].reshape(x.shape)
            found.append(part if x.dtype.kind == "c" else np.real(part))
            at += x.size
        return found

    def unit(self, j: int, imaginary: bool = False) -> Any:
        """Return the direction of one entry, as long as a power of two near that entry, so that steps along it are exact."""
        v = np.zeros(self.shape[1], complex if self.is_complex else float)
        x = np.concatenate([np.ravel(x) for x in self.inputs])[j]
        v[j] = _power(x) * (1j if imaginary else 1.0)
        return v

    def random(self, rng: np.random.Generator) -> Any:
        """Return a random direction, every entry in proportion to that of the point, in numbers of few bits."""
        x = np.concatenate([np.ravel(x) for x in self.inputs])
        v = _power(x) * rng.integers(4, 12, x.shape) / 8 * rng.choice([-1.0, 1.0], x.shape)
        if self.is_complex:
            turn = 1j * _power(x) * rng.integers(4, 12, x.shape) / 8 * rng.choice([-1.0, 1.0], x.shape)
            bounds = np.cumsum([0, *[p.size for p in self.inputs]])
            for p, lo, hi in zip(self.inputs, bounds, bounds[1:], strict=False):
                if p.dtype.kind != "c":
                    turn[lo:hi] = 0
            v = v + turn
        return v

    def name(self, i: int, j: int | None = None) -> str:
        """Return the name of an entry of the Jacobian, as NumPy would index it; of row ``i`` alone without ``j``."""
        k, row = _find(self.outputs, i)
        index, path = list(row), self.result_paths[k]
        if j is not None:
            n, column = _find(self.inputs, j)
            index += column
            path += self.input_paths[n]
        return f"J{path}" + (f"[{', '.join(map(str, index))}]" if index else "")

    def column(self, j: int) -> str:
        """Return the name of an entry of the arguments."""
        n, index = _find(self.inputs, j)
        return f"x{self.input_paths[n]}" + (f"[{', '.join(map(str, index))}]" if index else "")

    def shown(self) -> str:
        """Return the point as it would be written."""
        with np.printoptions(threshold=20, edgeitems=4, precision=17):
            return ", ".join(repr(a) for a in self.args)

    def matrix(self, given: Any) -> Any:
        """Return a Jacobian in whatever form it was given as one matrix, or raise with both shapes."""
        m, n = self.shape
        if hasattr(given, "tocsr") or (hasattr(given, "matvec") and hasattr(given, "shape")):
            if tuple(given.shape) != (m, n):
                raise InputError(self._misfit(tuple(given.shape)))
            return given.tocsr() if hasattr(given, "tocsr") else given
        whole = _array(given)
        if whole is not None and whole.shape in self._shapes():
            return whole.reshape(m, n)
        blocks = flatten(given)[0] if whole is None or len(self.inputs) * len(self.outputs) > 1 else []
        arrays = [b.toarray() if hasattr(b, "toarray") else _array(b) for b in blocks]
        shapes = [shape_of(y) + shape_of(x) for y in self.outputs for x in self.inputs]
        if len(arrays) == len(shapes) and all(
            a is not None and (a.shape == s or (a.ndim == 2 and a.size == size_of(s) and len(a) == y.size))
            for a, s, y in zip(arrays, shapes, [y for y in self.outputs for _ in self.inputs], strict=True)
        ):
            rows, k = [], len(self.inputs)
            for i, y in enumerate(self.outputs):
                rows.append(np.hstack([np.reshape(a, (y.size, -1)) for a in arrays[i * k : (i + 1) * k]]))
            return np.vstack(rows)
        raise InputError(self._misfit(None if whole is None else whole.shape, [shape_of(b) for b in blocks]))

    def _shapes(self) -> list[tuple[int, ...]]:
        m, n = self.shape
        row = self.outputs[0].shape if len(self.outputs) == 1 else (m,)
        column = self.inputs[0].shape if len(self.inputs) == 1 else (n,)
        return [row + column, (m, n)]

    def _misfit(self, shape: tuple[int, ...] | None, blocks: Sequence[Any] = ()) -> str:
        due = self._shapes()[0]
        if shape is None:
            shapes = [shape_of(y) + shape_of(x) for y in self.outputs for x in self.inputs]
            return f"its parts have the shapes {list(blocks)}, where for each result and each argument {shapes} are due"
        told = f"its shape is {shape}, where f(x).shape + x.shape is {due}"
        if len(shape) == 2 and shape[::-1] == self.shape and shape != self.shape:
            return told + ": it is transposed"
        if size_of(shape) == size_of(due):
            return told + ": reshape it"
        return told


def _power(x: Any) -> Any:
    """Return the power of two at or below the magnitude of numbers, and 1 for zero."""
    size = np.abs(x).astype(float)
    usable = np.isfinite(size) & (size > 0)
    return np.where(usable, np.exp2(np.floor(np.log2(np.where(usable, size, 1.0)))), 1.0)


def _find(arrays: Sequence[Any], k: int) -> tuple[int, tuple[int, ...]]:
    for n, a in enumerate(arrays):
        if k < a.size:
            return n, tuple(int(i) for i in np.unravel_index(k, a.shape))
        k -= a.size
    raise IndexError(k)


def _copied(x: Any) -> Any:
    if type(x) is np.ndarray:
        return x.copy("K")
    if isinstance(x, (list, tuple, dict)):
        leaves, build = flatten(x)
        return build([_copied(leaf) for leaf in leaves])
    return x


def _dense(y: Any) -> Any:
    return y.toarray() if hasattr(y, "toarray") else y


def _array(x: Any) -> Any:
    try:
        found = np.asarray(x)
    except ValueError:  # parts of different shapes
        return None
    return found if found.dtype.kind in "fciub" else None


def _numbers(x: Any, what: str) -> Any:
    found = np.asarray(x)
    if found.dtype.kind not in "fciub":
        raise InputError(
            f"{what} is {type(x).__name__!r} (dtype {found.dtype}), which has no derivative: numbers are needed"
        )
    return found
