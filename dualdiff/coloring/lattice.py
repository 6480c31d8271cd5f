"""Colourings of regular patterns by formula, as whole arrays.

Bands, blocks, grids and stencils repeat themselves. Written in mixed radix, with the lengths of the grid as radices, the
index of a column is a point of a lattice, and a linear map from there to a small Abelian group colours it: a band of
width p by ``j mod p``, the five-point stencil by ``(x + 2 y) mod 5`` (Goldfarb & Toint 1984, Mathematics of Computation
43, 69-88). A formula is guessed from a few rows and checked on all: a guess can be wrong, a colouring cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from dualdiff.coloring.patterns import coordinates

__all__ = ["lattice", "modulus"]

_ROWS = 64  # looked at for a guess
_STRIDES = 24  # taken for the length of a grid's side, the most frequent differences
_CHAINS = 48  # of strides tried
_MAPS = 20_000  # linear maps tried per chain
_WORK = 300_000  # linear maps tried in all, fewer for a pattern that greedy colouring is soon done with
_COUNTEREXAMPLES = 4  # times that a guess may learn from a row where it failed


def modulus(csr: scipy.sparse.csr_array, p: int) -> NDArray[np.intp] | None:
    """Colour the columns in use 0, 1, …, p - 1, 0, 1, … if that is valid: optimal for bands, blocks and full rows."""
    used = np.zeros(csr.shape[1], dtype=bool)
    used[csr.indices] = True
    colors = (np.cumsum(used) - 1) % p
    return colors if not len(_conflicts(_sample(csr), colors)) and not len(_conflicts(csr, colors)) else None


def lattice(csr: scipy.sparse.csr_array, sizes: Iterable[int]) -> NDArray[np.intp] | None:
    """Return a linear colouring of the columns by a group of one of these sizes, the first that is found."""
    width = int(np.diff(csr.indptr).max(initial=0))
    if width > 64:
        return None
    pairs = _pairs(_sample(csr))
    differences, frequency = np.unique(pairs[1] - pairs[0], return_counts=True)
    # An irregular pattern shows ever new differences.
    if not 0 < len(differences) <= 4 * width * width:
        return None
    common = differences[np.argsort(-frequency, kind="stable")[:_STRIDES]].tolist()
    chains = list(_chains([s for s in common if s > 1]))
    columns = np.arange(csr.shape[1], dtype=np.intp)
    work = min(_WORK, 2000 + 10 * csr.nnz)
    for size in sizes:
        # Up to isomorphism, Z_p × Z_q with q dividing p are the Abelian groups that two elements generate.
        for q in (q for q in range(1, size + 1) if size % (q * q) == 0):
            for strides in chains:
                maps = size ** (len(strides) + 1)
                if maps > _MAPS:
                    break  # the chains grow longer
                for _ in range(_COUNTEREXAMPLES):
                    if (work := work - maps) < 0:
                        return None
                    guess = _linear_map(_digits(pairs[1], strides) - _digits(pairs[0], strides), size // q, q)
                    if guess is None:
                        break
                    first, second = np.moveaxis(_digits(columns, strides) @ guess.T, -1, 0)
                    colors = first % (size // q) * q + second % q
                    wrong = _conflicts(csr, colors)
                    if not len(wrong):
                        return _renumbered(csr, colors)
                    pairs = np.append(pairs, _pairs(csr[wrong[:16]]), axis=1)
    return None


def _renumbered(csr: scipy.sparse.csr_array, colors: NDArray[np.intp]) -> NDArray[np.intp]:
    """The same groups, numbered without gaps: the columns in use need not meet every element of the group."""
    met = np.zeros(int(colors.max()) + 1, dtype=bool)
    met[colors[csr.indices]] = True
    return np.maximum(np.cumsum(met) - 1, 0)[colors]


def _conflicts(csr: scipy.sparse.csr_array, colors: NDArray[np.intp]) -> NDArray[np.intp]:
    """The rows with two nonzeros in columns of one colour: O(nnz) memory, one sort."""
    rows, columns = coordinates(csr)
    p = int(colors.max(initial=0)) + 1
    keys = rows * p + colors[columns]
    keys.sort()
    return np.unique(keys[1:][keys[1:] == keys[:-1]] // p)


def _sample(csr: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Some rows that have something to say: evenly spaced, and the fullest."""
    sizes = np.diff(csr.indptr)
    several = np.flatnonzero(sizes > 1)
    chosen = several[np.linspace(0, len(several) - 1, min(_ROWS, len(several))).astype(np.intp)]
    return csr[np.append(chosen, sizes.argmax())] if len(several) else csr[:0]


def _pairs(csr: scipy.sparse.csr_array) -> NDArray[np.intp]:
    """All pairs of columns that share a row, the smaller first: an array of two rows."""
    pairs = [np.empty((2, 0), dtype=np.intp)]
    for a, b in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        row = csr.indices[a:b].astype(np.intp)
        pairs.append(row[np.array(np.triu_indices(len(row), 1))])
    return np.concatenate(pairs, axis=1)


def _chains(strides: list[int]) -> Iterator[tuple[int, ...]]:
    """Up to three strides, each a multiple of the one before: the shapes that a grid could have."""
    found = 0
    for length in (0, 1, 2, 3):
        for chain in combinations(strides, length):
            ordered = tuple(sorted(chain))
            if all(b % a == 0 for a, b in pairwise(ordered)):
                yield ordered
                found += 1
                if found == _CHAINS:
                    return


def _digits(columns: NDArray[np.intp], strides: tuple[int, ...]) -> NDArray[np.intp]:
    """The columns' indices in mixed radix, the finest digit first, on a last axis."""
    digits: list[NDArray[np.intp]] = []
    for s in reversed(strides):
        high, columns = np.divmod(columns, s)
        digits.append(high)
    return np.stack([columns, *reversed(digits)], axis=-1)


def _linear_map(steps: NDArray[np.intp], p: int, q: int) -> NDArray[np.intp] | None:
    """Return the first two-rowed matrix that maps none of the steps to zero in Z_p × Z_q."""
    k = steps.shape[1]
    maps = np.stack(np.unravel_index(np.arange((p * q) ** k), (q,) * k + (p,) * k), axis=-1)
    # A wrong map fails on the first few steps it meets, so those come in small portions.
    at, portion = 0, 16
    while at < len(steps):
        step = steps[at : at + portion].T
        maps = maps[((maps[:, k:] @ step % p != 0) | (maps[:, :k] @ step % q != 0)).all(axis=1)]
        if not len(maps):
            return None
        at, portion = at + portion, 2 * portion
    return np.stack([maps[0, k:], maps[0, :k]])
