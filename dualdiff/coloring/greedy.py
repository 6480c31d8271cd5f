"""The greedy colouring: each column takes the first colour that its rows have not met."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["greedy"]


def greedy(csr: scipy.sparse.csr_array, order: Iterable[int]) -> NDArray[np.intp]:
    """Colour columns in the given order, each with the lowest colour that keeps every row free of repetition.

    What a column may take depends on every column before it, so this is a loop in Python. It is O(nnz), because a row
    keeps its colours as the bits of one integer: the forbidden colours are the union of a few integers, and the lowest
    zero bit is the answer.
    """
    csc = csr.tocsc()
    rows, ends = csc.indices.tolist(), csc.indptr.tolist()
    sizes = np.diff(csr.indptr)
    # A row's integer is as long as the number of colours. Rows too short to pay for it are read column by column; then
    # the integers take no more memory than the pattern, however full its fullest row.
    short = (64 * sizes < sizes.max(initial=0)).tolist()
    columns, starts = (csr.indices.tolist(), csr.indptr.tolist()) if any(short) else ([], [])
    met = [0] * csr.shape[0]
    colors = [-1] * csr.shape[1]
    for j in order:
        mine = rows[ends[j] : ends[j + 1]]
        forbidden = 0
        if columns:
            for i in mine:
                if not short[i]:
                    forbidden |= met[i]
                else:
                    for k in columns[starts[i] : starts[i + 1]]:
                        if colors[k] >= 0:
                            forbidden |= 1 << colors[k]
            bit = ~forbidden & (forbidden + 1)
            for i in mine:
                if not short[i]:
                    met[i] |= bit
        else:
            for i in mine:
                forbidden |= met[i]
            bit = ~forbidden & (forbidden + 1)
            for i in mine:
                met[i] |= bit
        colors[j] = bit.bit_length() - 1
    return np.array(colors, dtype=np.intp)
