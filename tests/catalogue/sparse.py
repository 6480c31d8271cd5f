"""Samples of products with a constant matrix of scipy.sparse, in every format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix

from tests.catalogue.base import Sample, arrays

SAMPLES: list[Sample] = []
FORMATS = ("csr", "csc", "coo", "dia", "bsr", "lil", "dok")
ENTRIES = np.array([[0.0, 2.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0], [0.5, 0.0, 3.0, 0.0]])


def add(name: str, call: Callable[..., Any], *shapes: tuple[int, ...], **options: Any) -> None:
    # Arrays of other kinds cannot enter SciPy's compiled products: duck is False.
    SAMPLES.append(Sample(name, None, call, st.tuples(*map(arrays, shapes)), duck=False, **options))


for _format in FORMATS:
    S = csr_array(ENTRIES).asformat(_format)
    M = csr_matrix(ENTRIES.astype(np.float32)).asformat(_format)
    add(f"{_format} @ x", lambda x, S=S: S @ x, (4,), float32=False, complex=True)
    add(f"{_format} @ X", lambda x, M=M: M @ x, (4, 2), complex=True)
    add(f"{_format}.dot", lambda x, M=M: M.dot(x), (4,))
    add(f"x @ {_format}", lambda x, M=M: x @ M, (3,), complex=True)
    add(f"X @ {_format}", lambda x, M=M: x @ M, (2, 3))
    add(f"{_format}.T @ X", lambda x, M=M: M.T @ x, (3, 2))
    add(f"{_format} * x", lambda x, M=M: M * x, (4,))
    add(f"x * {_format}", lambda x, M=M: x * M, (3,))
    C = (S * (1 + 2j)).asformat(_format)
    add(
        f"complex {_format} @ X",
        lambda x, C=C: C @ x,
        (4, 2),
        float32=False,
        complex=True,
    )
add("sparse quadratic form", lambda x: x @ (csr_matrix(ENTRIES.T @ ENTRIES) @ x), (4,), float32=False)
add("sparse matrix of no rows", lambda x: csr_array((0, 4)) @ x, (4, 2), float32=False)
add("sparse matrix of no columns", lambda x: csr_array((2, 0)) @ x, (0, 2), float32=False)
add("sparse matrix of integers", lambda x: csr_array(ENTRIES.astype(int)) @ x, (4,), float32=False)
add("sparse matrix of one row", lambda x: csr_array(ENTRIES[:1]).tocoo() @ x, (4,), float32=False)
add("sparse matrix of one row, several columns", lambda x: csr_array(ENTRIES[:1]).tocoo() @ x, (4, 2), float32=False)
add("sparse vector @ x", lambda x: csr_array(ENTRIES[:1]).tocoo().reshape(4) @ x, (4,), float32=False)
add("sparse vector @ X", lambda x: csr_array(ENTRIES[:1]).tocoo().reshape(4) @ x, (4, 2), float32=False)
add("X @ sparse vector", lambda x: x @ csr_array(ENTRIES[:1]).tocoo().reshape(4), (2, 4), float32=False)
