"""Samples of discrete Fourier transforms: every norm, axes from both ends, cropped and filled up, even and odd."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.fft
from hypothesis import strategies as st

from tests.catalogue.base import Sample, arrays

SAMPLES: list[Sample] = []


def add(name: str, function: Any, call: Callable[..., Any], *shapes: tuple[int, ...], **options: Any) -> None:
    SAMPLES.append(Sample(name, function, call, st.tuples(*map(arrays, shapes)), **options))


def spectrum(x: Any) -> Any:
    """Make a half spectrum, complex and not Hermitian at its ends, of two rows of real numbers."""
    return x[0] + 1j * x[1]


F = np.fft
for f in (F.fft, F.ifft):
    n = f.__name__
    for norm in (None, "backward", "ortho", "forward"):
        add(f"{n}, {norm}", f, partial(f, norm=norm), (5,), complex=True)
    add(f"{n} along axis 0", f, partial(f, axis=0), (4, 3), complex=True)
    add(f"{n} along axis -2, cropped", f, partial(f, n=3, axis=-2, norm="ortho"), (2, 4, 2), complex=True)
    add(f"{n}, filled up", f, partial(f, n=6), (2, 4), complex=True)
    add(f"{n} of one entry", f, f, (1,))
    add(f"{n} of no rows", f, f, (0, 3))
    add(f"{n}, its modulus", f, lambda x, f=f: np.abs(f(x)) ** 2, (4,))
for f in (F.rfft, F.ihfft):
    n = f.__name__
    for norm in (None, "backward", "ortho", "forward"):
        add(f"{n}, {norm}, even", f, partial(f, norm=norm), (4,))
        add(f"{n}, {norm}, odd", f, partial(f, norm=norm), (5,))
    add(f"{n} along axis 0", f, partial(f, axis=0), (4, 3))
    add(f"{n} along axis 1, cropped", f, partial(f, n=3, axis=1), (2, 4, 2))
    add(f"{n}, filled up", f, partial(f, n=6), (2, 4))
    add(f"{n} of one entry", f, f, (1,))
for f in (F.irfft, F.hfft):
    n = f.__name__
    for norm in (None, "backward", "ortho", "forward"):
        add(f"{n}, {norm}", f, partial(f, norm=norm), (4,), complex=True)
        add(f"{n}, {norm}, odd", f, lambda x, f=f, norm=norm: f(spectrum(x), n=7, norm=norm), (2, 4))
    add(f"{n} along axis 0", f, partial(f, axis=0), (3, 2), complex=True)
    add(f"{n} along axis -2, cropped", f, partial(f, n=3, axis=-2), (2, 4, 2), complex=True)
    add(f"{n}, filled up", f, partial(f, n=7), (2, 3), complex=True)
    add(f"{n} of one number", f, partial(f, n=1), (1,), complex=True)
for f in (F.fft2, F.ifft2, F.fftn, F.ifftn):
    n = f.__name__
    add(n, f, f, (3, 4), complex=True)
    add(f"{n} of three axes, ortho", f, partial(f, axes=(0, -1), norm="ortho"), (2, 2, 3), complex=True)
    add(f"{n} with sizes", f, partial(f, s=(2, 5), axes=(1, 0)), (3, 4))
add("fftn of three axes", F.fftn, F.fftn, (2, 3, 2))
add("fftn twice along an axis", F.fftn, partial(F.fftn, axes=(0, 0)), (3, 2))
for f in (F.rfft2, F.rfftn):
    n = f.__name__
    add(n, f, f, (3, 4))
    add(f"{n}, odd, forward", f, partial(f, norm="forward"), (2, 3))
    add(f"{n} with sizes", f, partial(f, s=(2, 5), axes=(1, 0)), (3, 4))
for f in (F.irfft2, F.irfftn):
    n = f.__name__
    add(n, f, f, (3, 3), complex=True)
    add(f"{n} with sizes", f, partial(f, s=(2, 5), axes=(1, 0), norm="ortho"), (3, 4), complex=True)


def filtered(x: Any) -> Any:
    """Take the derivative of a periodic signal by its spectrum."""
    return np.fft.irfft(1j * np.arange(x.shape[-1] // 2 + 1) * np.fft.rfft(x), n=x.shape[-1]) * x


add("spectral derivative", F.irfft, filtered, (5,))

# --------------------------------------------------------------------------------------------------
# scipy.fft, whose functions are no part of NumPy's protocols: no array but ours is taken

S = scipy.fft


def own(name: str, call: Callable[..., Any], *shapes: tuple[int, ...], **options: Any) -> None:
    add(f"scipy.fft.{name}", None, call, *shapes, duck=False, **options)


for f in (S.fft, S.ifft, S.irfft, S.hfft):
    own(f.__name__, f, (4,), complex=True)
    own(f"{f.__name__}, sized", partial(f, n=5, axis=0, norm="ortho"), (3, 2), complex=True)
for f in (S.rfft, S.ihfft):
    own(f.__name__, f, (4,))
    own(f"{f.__name__}, sized", partial(f, n=5, axis=0, norm="forward"), (3, 2))
for f in (S.fft2, S.ifft2, S.irfft2, S.hfft2, S.fftn, S.ifftn, S.irfftn, S.hfftn):
    own(f.__name__, f, (3, 3), complex=True)
    own(f"{f.__name__}, sized", partial(f, s=(2, 5), axes=(1, 0), norm="ortho"), (3, 4), complex=True)
for f in (S.rfft2, S.ihfft2, S.rfftn, S.ihfftn):
    own(f.__name__, f, (3, 4))
    own(f"{f.__name__}, sized", partial(f, s=(2, 5), axes=(1, 0), norm="forward"), (3, 4))
for f in (S.dct, S.idct, S.dst, S.idst):
    for kind in (1, 2, 3, 4):
        for norm in ("backward", "ortho", "forward"):
            own(f"{f.__name__}, {kind}, {norm}", partial(f, type=kind, norm=norm), (4,), complex=norm == "ortho")
        own(f"{f.__name__}, {kind}, orthogonal", partial(f, type=kind, orthogonalize=True, axis=0), (3, 2))
        own(f"{f.__name__}, {kind}, not so", partial(f, type=kind, norm="ortho", orthogonalize=False, n=5), (2, 4))
for f in (S.dctn, S.idctn, S.dstn, S.idstn):
    own(f.__name__, f, (3, 2))
    own(f"{f.__name__}, sized", partial(f, type=3, s=(2, 4), axes=(-1, 0), norm="ortho"), (3, 2, 3))
for f in (S.fht, S.ifht):
    own(f.__name__, partial(f, dln=0.25, mu=0.5), (4,), float32=False)
    own(f"{f.__name__}, biased", partial(f, dln=0.25, mu=1.5, offset=0.125, bias=0.25), (2, 5), float32=False)
