"""Numbers, vectors and arrays on a grid of exactly representable numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dualdiff.errors import InputError
from dualdiff.testing.strategies.entries import BITS, SCALE, Draw, entries_of

Shape = tuple[int, ...]


def scalars(
    domain: Any = "real",
    *,
    dtype: Any = float,
    scale: float = SCALE,
    bits: int = BITS,
    including: Sequence[float] = (),
) -> st.SearchStrategy[Any]:
    r"""Numbers :math:`k \cdot 2^{-b}` of a domain, zeros and whole numbers more often than chance would have them.

    Parameters
    ----------
    domain : str, (low, high) or Domain
        As the checks take it: a name of :data:`dualdiff.testing.DOMAINS`, such as "positive", or a pair of ends, which are
        included.
    dtype : dtype
        A Python float is drawn for float, and a NumPy scalar for any other dtype. Real and imaginary parts of complex
        numbers both lie in the domain.
    scale : float
        The largest modulus.
    bits : int
        Numbers are multiples of ``2**-bits``.
    including : sequence of float
        Numbers to draw often, as those that the function compares with: borders of branches.

    Returns
    -------
    hypothesis.strategies.SearchStrategy

    Raises
    ------
    InputError
        If the domain is unknown, or holds no such number.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(scalars("positive"))
    ... def test(x):
    ...     assert 0 < x <= 8 and (16 * x).is_integer()
    >>> test()
    """
    entries, kind = entries_of(domain, scale, bits, including, dtype)
    plain = dtype in (float, complex)

    @st.composite
    def scalar(draw: Draw) -> Any:
        x = complex(entries.one(draw), entries.one(draw)) if kind.kind == "c" else entries.one(draw)
        return x if plain else kind.type(x)

    return scalar()


def arrays(
    shape: int | Shape | st.SearchStrategy[Any],
    dtype: Any = float,
    *,
    domain: Any = "real",
    scale: float = SCALE,
    bits: int = BITS,
    including: Sequence[float] = (),
    apart: float = 0.0,
) -> st.SearchStrategy[Any]:
    r"""Arrays whose entries are multiples of :math:`2^{-b}`, with zeros, ties, whole numbers and both signs among them.

    Every entry is drawn by itself. One in eight repeats an entry drawn before or its negative: the ties of ``max``,
    ``sort``, ``abs`` and norms.

    Parameters
    ----------
    shape : int, tuple of int, or a strategy of these
        The shape; :func:`shapes <hypothesis.extra.numpy.array_shapes>` of Hypothesis draws any.
    dtype : dtype
        Floating, complex or integer.
    domain, scale, bits, including
        As of :func:`scalars`.
    apart : float
        How far every two entries must lie from each other, for functions that may not be tried at ties. With it,
        ``including`` is of no use.

    Returns
    -------
    hypothesis.strategies.SearchStrategy

    Raises
    ------
    InputError
        If the domain is unknown or holds no such number, or too few that are ``apart``.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(arrays((2, 3), domain=(-1.0, 1.0)))
    ... def test(x):
    ...     assert x.shape == (2, 3) and np.all(abs(x) <= 1)
    >>> test()
    """
    entries, kind = entries_of(domain, scale, bits, including, dtype)
    if apart and including:
        raise InputError("apart= keeps entries away from each other, so that including= has no place; give one of them")
    if apart and kind.kind == "c":
        raise InputError("apart= is of real numbers; draw the real and the imaginary part, and add them")

    @st.composite
    def array(draw: Draw) -> Any:
        wanted = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
        size = math.prod(_shape(wanted))

        def part() -> Any:
            return entries.distinct(draw, size, apart) if apart else entries.several(draw, size)

        found = np.array(part())
        return (found + 1j * np.array(part()) if kind.kind == "c" else found).astype(kind).reshape(wanted)

    if not isinstance(shape, st.SearchStrategy):
        _shape(shape)
    return array()


def vectors(
    n: int | tuple[int, int] | st.SearchStrategy[int] = (1, 6), dtype: Any = float, **options: Any
) -> st.SearchStrategy[Any]:
    """Vectors of a length, or of lengths between two, on the grid that :func:`arrays` draws from.

    Parameters
    ----------
    n : int, (least, greatest), or a strategy of int
        The length.
    dtype, **options
        As of :func:`arrays`.

    Returns
    -------
    hypothesis.strategies.SearchStrategy

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given
    >>> @given(vectors((2, 4), domain="positive"))
    ... def test(x):
    ...     assert x.ndim == 1 and 2 <= x.size <= 4 and np.all(x > 0)
    >>> test()
    """
    return arrays(lengths(n).map(lambda k: (k,)), dtype, **options)


def lengths(n: int | tuple[int, int] | st.SearchStrategy[int]) -> st.SearchStrategy[int]:
    """Return the strategy of lengths that a number, a pair of ends or a strategy means."""
    if isinstance(n, st.SearchStrategy):
        return n
    if isinstance(n, tuple) and len(n) == 2 and all(isinstance(k, int) for k in n) and 0 <= n[0] <= n[1]:
        return st.integers(*n)
    if isinstance(n, int) and not isinstance(n, bool) and n >= 0:
        return st.just(n)
    raise InputError(f"a length is a number, a pair (least, greatest) or a strategy of numbers, not {n!r}")


def _shape(shape: Any) -> Shape:
    found = (shape,) if isinstance(shape, int) and not isinstance(shape, bool) else shape
    if not (isinstance(found, tuple) and all(isinstance(k, (int, np.integer)) and k >= 0 for k in found)):
        raise InputError(f"the first argument is the shape, a number or a tuple of numbers, not {shape!r}")
    return found
