"""``scipy.signal`` of values that are being differentiated.

Most of it is Python over NumPy and ``scipy.fft``, and runs captured as it stands: ``fftconvolve``, ``hilbert``, ``freqz``, ``welch``,
``resample``, ``filtfilt`` … What is compiled has its drop-in here.
"""

from __future__ import annotations

import operator
from importlib import import_module
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal

from dualdiff.capture.names import drop_in
from dualdiff.errors import UnsupportedFunctionError, where
from dualdiff.register import REAL_ONLY, Facts
from dualdiff.rules.elementwise import cast
from dualdiff.rules.filtering import convolved, filtered, remaining, resampling_
from dualdiff.scipy.ndimage.ranks import median_filter, rank_filter
from dualdiff.scipy.room import Room
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.values import bind, decided, fixed, operand, raw

ROOM = Room("scipy.signal")
REAL = Facts(REAL_ONLY)


def _inexact(x: Any) -> Any:
    x = operand(x)
    return x if dtype_of(x).kind in "fc" else np.asarray(x, dtype=float)


# --------------------------------------------------------------------------------------------------
# recursive filters


def _coefficients(c: Any, name: str) -> Any:
    c = np.atleast_1d(_inexact(c))
    if len(shape_of(c)) != 1 or not shape_of(c)[0]:
        raise ValueError(f"Parameter {name} is not a non-empty 1d array, since {name}.shape={shape_of(c)}!")
    return c


def _state(zi: Any, shape: tuple[int, ...]) -> Any:
    """Return a state of a filter, whose axes of length 1 are stretched."""
    zi = _inexact(zi)
    fits = len(shape_of(zi)) == len(shape) and all(n in (1, m) for n, m in zip(shape_of(zi)[:-1], shape))
    if not fits or shape_of(zi)[-1] != shape[-1]:
        raise ValueError(f"Unexpected shape for parameter zi: expected {shape}, found {shape_of(zi)}.")
    return zi if shape_of(zi) == shape else np.broadcast_to(zi, shape)


def _common(*arrays: Any) -> list[Any]:
    """Bring arrays to the dtype they have together, as the compiled filters do."""
    dtype = np.result_type(*[dtype_of(a) for a in arrays])
    return [a if dtype_of(a) == dtype else cast(a, dtype) for a in arrays]


@ROOM.function("lfilter", kind="general")
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter a signal along one axis, as :func:`scipy.signal.lfilter`; also by the filter's coefficients and its first state."""
    b, a, x = _coefficients(b, "b"), _coefficients(a, "a"), _inexact(x)
    if not shape_of(x):
        raise ValueError("x must be at least 1-D")
    x = np.moveaxis(x, axis, -1)
    order = max(shape_of(a)[0], shape_of(b)[0]) - 1
    state = None if zi is None else _state(np.moveaxis(operand(zi), axis, -1), (*shape_of(x)[:-1], order))
    y, left = _filtered(b, a, x, state)
    y = np.moveaxis(y, -1, axis)
    return y if zi is None else (y, np.moveaxis(left, -1, axis))


def _filtered(b: Any, a: Any, x: Any, state: Any) -> tuple[Any, Any]:
    """Filter along the last axis; return the signal, and the last state if there is a first one."""
    if bool(np.equal(a[0], 0)):
        raise ValueError("Filter coefficients a[0] == 0 is not allowed: the filter is normalised by it")
    if not (type(a) is np.ndarray and a[0] == 1):
        b, a = b / a[0], a / a[0]
    if state is None:
        b, a, x = _common(b, a, x)
        return filtered(b, a, x), None
    b, a, x, state = _common(b, a, x, state)
    y = filtered(b, a, x, state)
    return y, remaining(b, a, x, y, state)


@ROOM.function("lfilter_zi")
def lfilter_zi(b: Any, a: Any) -> Any:
    """Return the state in which a filter's answer to a step begins level, as :func:`scipy.signal.lfilter_zi`."""
    b, a = np.atleast_1d(_inexact(b)), np.atleast_1d(_inexact(a))
    if len(shape_of(b)) != 1:
        raise ValueError("Numerator b must be 1-D.")
    if len(shape_of(a)) != 1:
        raise ValueError("Denominator a must be 1-D.")
    while shape_of(a)[0] > 1 and bool(np.equal(a[0], 0)):
        a = a[1:]
    if bool(np.equal(a[0], 0)):
        raise ValueError("There must be at least one nonzero `a` coefficient.")
    b, a = b / a[0], a / a[0]
    n = max(shape_of(a)[0], shape_of(b)[0])
    b, a = (np.concatenate([c, np.zeros_like(c, shape=(n - shape_of(c)[0],))]) for c in (b, a))
    rise = b[1:] - a[1:] * b[0]
    first = np.sum(rise) / np.sum(a)
    return np.cumsum(a)[:-1] * first - np.concatenate([np.zeros_like(rise, shape=(1,)), np.cumsum(rise)[:-1]])


def _sections(sos: Any) -> Any:
    sos = np.atleast_2d(_inexact(sos))
    if len(shape_of(sos)) != 2:
        raise ValueError("sos array must be 2D")
    if shape_of(sos)[1] != 6:
        raise ValueError("sos array must be shape (n_sections, 6)")
    if not bool(np.all(np.equal(sos[:, 3], 1))):
        raise ValueError("sos[:, 3] should be all ones")
    return sos


@ROOM.function("sosfilt")
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter a signal by a cascade of sections, as :func:`scipy.signal.sosfilt`."""
    sos, x = _sections(sos), _inexact(x)
    if not shape_of(x):
        raise ValueError("x must be at least 1-D")
    x = np.moveaxis(x, axis, -1)
    count = shape_of(sos)[0]
    states: list[Any] = [None] * count
    if zi is not None:
        zi = np.moveaxis(_inexact(zi), operator.index(axis) % len(shape_of(x)) + 1, -1)
        if shape_of(zi) != (count, *shape_of(x)[:-1], 2):
            raise ValueError(
                f"Invalid zi shape. With axis={axis!r}, an input with shape {shape_of(x)!r}, and an sos array with {count} sections, "
                f"zi must have 2 entries along that axis for each section, got {shape_of(zi)!r}."
            )
        states = [zi[i] for i in range(count)]
    left = []
    for i, state in enumerate(states):
        x, last = _filtered(sos[i, :3], np.concatenate([[1.0], sos[i, 4:]]), x, state)
        left.append(last)
    y = np.moveaxis(x, -1, axis)
    return y if zi is None else (y, np.moveaxis(np.stack(left), -1, operator.index(axis) % len(shape_of(x)) + 1))


@ROOM.function("sosfilt_zi")
def sosfilt_zi(sos: Any) -> Any:
    """Return the state in which a cascade's answer to a step begins level, as :func:`scipy.signal.sosfilt_zi`."""
    sos = _sections(sos)
    states, gain = [], 1.0
    for i in range(shape_of(sos)[0]):
        b, a = sos[i, :3], np.concatenate([[1.0], sos[i, 4:]])
        states.append(gain * lfilter_zi(b, a))
        gain = gain * (np.sum(b) / np.sum(a))
    return np.stack(states)


ENDS: dict[str | None, dict[str, str]] = {
    "odd": {"mode": "reflect", "reflect_type": "odd"},
    "even": {"mode": "reflect"},
    "constant": {"mode": "edge"},
    None: {},
}
"""How a signal goes on beyond its ends, in NumPy's words."""


@ROOM.function("sosfiltfilt")
def sosfiltfilt(sos: Any, x: Any, axis: int = -1, padtype: str | None = "odd", padlen: int | None = None) -> Any:
    """Filter a signal by a cascade forwards and backwards, as :func:`scipy.signal.sosfiltfilt`.

    SciPy's own, before 1.17, gives an array another shape in place.
    """
    sos, x = _sections(sos), np.moveaxis(_inexact(x), axis, -1)
    if padtype not in ENDS:
        raise ValueError(
            f"Unknown value {padtype!r} given to padtype. padtype must be 'even', 'odd', 'constant', or None."
        )
    count, plain = shape_of(sos)[0], raw(sos)
    taps = 2 * count + 1 - min(np.sum(plain[:, 2] == 0), np.sum(plain[:, 5] == 0))
    edge = 0 if padtype is None else 3 * taps if padlen is None else padlen
    if shape_of(x)[-1] <= edge:
        raise ValueError(f"The length of the input vector x must be greater than padlen, which is {edge}.")
    if edge:
        x = np.pad(x, [(0, 0)] * (len(shape_of(x)) - 1) + [(edge, edge)], **ENDS[padtype])  # type: ignore[call-overload]
    level = np.reshape(sosfilt_zi(sos), (count, *[1] * (len(shape_of(x)) - 1), 2))
    for _ in ("forwards", "backwards"):
        x = sosfilt(sos, x, zi=level * x[..., :1])[0][..., ::-1]
    return np.moveaxis(x[..., edge : shape_of(x)[-1] - edge], -1, axis)


# --------------------------------------------------------------------------------------------------
# convolution


def _middle(full: Any, shape: tuple[int, ...]) -> Any:
    starts = [(m - n) // 2 for m, n in zip(shape_of(full), shape)]
    return full[tuple(slice(i, i + n) for i, n in zip(starts, shape))]


def _is_within(x: Any, y: Any) -> bool:
    """Whether ``y`` is the longer one along an axis, so that the two change places in a valid convolution."""
    first, second = shape_of(x), shape_of(y)
    if all(m >= n for m, n in zip(first, second)):
        return False
    if not all(m <= n for m, n in zip(first, second)):
        raise ValueError("For 'valid' mode, one must be at least as large as the other in every dimension")
    return True


@ROOM.function("convolve", kind="multilinear")
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Convolve two arrays, as :func:`scipy.signal.convolve`."""
    x, y = operand(in1), operand(in2)
    rank = len(shape_of(x))
    if rank != len(shape_of(y)):
        raise ValueError("volume and kernel should have the same dimensionality")
    if mode not in ("full", "same", "valid"):
        raise ValueError("Acceptable mode flags are 'valid', 'same', or 'full'.")
    if method not in ("auto", "direct", "fft"):
        raise ValueError("Acceptable method flags are 'auto', 'direct', or 'fft'.")
    if rank == 0:
        return x * y
    if not size_of(shape_of(x)) or not size_of(shape_of(y)):
        return np.array([])
    if method == "auto":
        method = scipy.signal.choose_conv_method(np.asarray(raw(x)), np.asarray(raw(y)), mode)
    if method == "fft":
        return scipy.signal.fftconvolve(x, y, mode)
    x, y = _common(x, y)
    if mode == "valid":
        return convolved(*((y, x) if _is_within(x, y) else (x, y)), rank, "valid")
    full = np.convolve(x, y) if rank == 1 else convolved(x, y, rank, "full")
    return full if mode == "full" else _middle(full, shape_of(x))


@ROOM.function("correlate", kind="multilinear")
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Correlate two arrays, as :func:`scipy.signal.correlate`."""
    x, y = operand(in1), operand(in2)
    if not shape_of(x) and not shape_of(y):
        return x * np.conjugate(y)
    if len(shape_of(x)) != len(shape_of(y)):
        raise ValueError("in1 and in2 should have the same dimensionality")
    return convolve(x, np.conjugate(np.flip(y)), mode, method)


_EDGES = {
    **dict.fromkeys(("fill", "pad"), "constant"),
    **dict.fromkeys(("wrap", "circular"), "wrap"),
    **dict.fromkeys(("symm", "symmetric"), "symmetric"),
}


def _in_the_plane(x: Any, y: Any, mode: str, boundary: str, fillvalue: Any, turned: bool) -> Any:
    x, y = operand(x), operand(y)
    if not len(shape_of(x)) == len(shape_of(y)) == 2:
        raise ValueError(f"{'correlate2d' if turned else 'convolve2d'} inputs must both be 2-D arrays")
    if mode not in ("full", "same", "valid"):
        raise ValueError("Acceptable mode flags are 'valid', 'same', or 'full'.")
    if boundary not in _EDGES:
        raise ValueError("Acceptable boundary flags are 'fill', 'circular' (or 'wrap'), and 'symmetric' (or 'symm').")
    swapped = mode == "valid" and _is_within(x, y)
    if swapped:
        x, y = y, x
    if turned:
        y = np.conjugate(np.flip(y))
    x, y = _common(x, y)
    if mode != "valid":
        before = [n - 1 if mode == "full" else (n - 1) // 2 if turned else n // 2 for n in shape_of(y)]
        after = [n - 1 if mode == "full" else n - 1 - i for n, i in zip(shape_of(y), before)]
        edge: Any = _EDGES[boundary]
        more: Any = {"constant_values": fillvalue} if edge == "constant" else {}
        x = np.pad(x, list(zip(before, after)), edge, **more)
    found = convolved(x, y, 2, "valid")
    return np.conjugate(np.flip(found)) if turned and swapped else found


@ROOM.function("convolve2d", kind="multilinear")
def convolve2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """Convolve two arrays with two axes, as :func:`scipy.signal.convolve2d`."""
    return _in_the_plane(in1, in2, mode, boundary, fillvalue, False)


@ROOM.function("correlate2d", kind="multilinear")
def correlate2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """Correlate two arrays with two axes, as :func:`scipy.signal.correlate2d`."""
    return _in_the_plane(in1, in2, mode, boundary, fillvalue, True)


@ROOM.function("upfirdn", kind="multilinear")
def upfirdn(h: Any, x: Any, up: int = 1, down: int = 1, axis: int = -1, mode: str = "constant", cval: Any = 0) -> Any:
    """Upsample, filter and downsample, as :func:`scipy.signal.upfirdn`, with zeros beyond the ends."""
    if mode not in ("constant", None) or cval != 0:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.signal.upfirdn with mode={mode!r} and cval={cval!r} is not differentiated: only zeros beyond the ends "
            "are. Extend the signal with np.pad first, and cut the result."
        )
    h, x = _inexact(h), _inexact(x)
    up, down = operator.index(up), operator.index(down)
    if len(shape_of(h)) != 1 or not shape_of(h)[0]:
        raise ValueError("h must be 1-D with non-zero length")
    if up < 1 or down < 1:
        raise ValueError("Both up and down must be >= 1")
    h, x = _common(h, x)
    return np.moveaxis(bind(resampling_, (np.moveaxis(x, axis, -1), h), {"up": up, "down": down}), -1, axis)


# --------------------------------------------------------------------------------------------------
# smoothing and trends


@ROOM.function("savgol_filter", facts=REAL)
def savgol_filter(
    x: Any,
    window_length: Any,
    polyorder: Any,
    deriv: int = 0,
    delta: Any = 1.0,
    axis: int = -1,
    mode: str = "interp",
    cval: Any = 0.0,
) -> Any:
    """Fit polynomials to a moving window, as :func:`scipy.signal.savgol_filter`."""
    if mode not in ("mirror", "constant", "nearest", "interp", "wrap"):
        raise ValueError("mode must be 'mirror', 'constant', 'nearest' 'wrap' or 'interp'.")
    x = operand(x)
    if dtype_of(x) not in (np.float64, np.float32):
        x = cast(x, np.float64)
    x = np.moveaxis(x, axis, -1)
    order = (polyorder, deriv, fixed(delta, "the spacing delta of savgol_filter"))
    taps = scipy.signal.savgol_coeffs(window_length, *order).astype(dtype_of(x))
    n, left = len(taps), len(taps) // 2
    if mode == "interp":
        if n > shape_of(x)[-1]:
            raise ValueError("If mode is 'interp', window_length must be less than or equal to the size of x.")
        edges = scipy.signal.savgol_filter(np.eye(n, dtype=dtype_of(x)), n, *order, axis=0)
        first, last = x[..., :n] @ edges[:left].T, x[..., shape_of(x)[-1] - n :] @ edges[n - left :].T
        even = 1 - n % 2  # of an even window, one more fitted value lies on the left
        y = np.concatenate([first, _windows(taps, x)[..., even:], last], axis=-1)
    else:
        kind: Any = {"mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}[mode]
        more: Any = {"constant_values": cval} if mode == "constant" else {}
        around = [(0, 0)] * (len(shape_of(x)) - 1) + [(n - 1 - left, left)]
        y = _windows(taps, np.pad(x, around, kind, **more))
    return np.moveaxis(y, -1, axis)


def _windows(taps: Any, x: Any) -> Any:
    """Convolve along the last axis where the whole window lies inside."""
    return filtered(taps, np.ones_like(taps, shape=(1,)), x)[..., len(taps) - 1 :]


@ROOM.function("detrend", kind="linear")
def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: bool = False) -> Any:
    """Take the mean, or straight lines between breaks, off a signal, as :func:`scipy.signal.detrend`."""
    if type not in ("linear", "l", "constant", "c"):
        raise ValueError("Trend type must be 'linear' or 'constant'.")
    x = operand(data)
    if type in ("constant", "c"):
        return x - np.mean(x, axis, keepdims=True)
    if dtype_of(x).char not in "dfDF":
        x = cast(x, np.float64)
    n = shape_of(x)[axis]
    breaks = np.unique(np.concatenate([[0], np.atleast_1d(fixed(bp, "the breaks bp of detrend")), [n]]))
    if np.any(breaks > n):
        raise ValueError("Breakpoints must be less than length of data along given axis.")
    x = np.moveaxis(x, axis, -1)
    parts = []
    for start, stop in zip(breaks[:-1].tolist(), breaks[1:].tolist()):
        piece = x[..., start:stop]
        line = np.stack([np.ones(stop - start), np.arange(1, stop - start + 1) / (stop - start)], axis=-1)
        basis = np.linalg.svd(line, full_matrices=False)[0][:, : np.linalg.matrix_rank(line)]
        basis = basis.astype(piece.dtype if dtype_of(piece).kind == "f" else dtype_of(piece).char.lower())
        parts.append(piece - (piece @ basis) @ basis.T)
    return np.moveaxis(np.concatenate(parts, axis=-1), -1, axis)


def _segments_transformed(
    x: Any, win: Any, detrend_func: Any, nperseg: int, noverlap: int, nfft: int, sides: str
) -> Any:
    """Return the transforms of a signal's windowed segments: what ``spectrogram``, ``stft`` and older ``welch`` are made of."""
    starts = np.arange(0, shape_of(x)[-1] - nperseg + 1, nperseg - noverlap)
    pieces = win * detrend_func(x[..., starts[:, None] + np.arange(nperseg)])
    if sides == "twosided":
        return scipy.fft.fft(pieces, n=nfft)
    return scipy.fft.rfft(np.real(pieces), n=nfft)


_helper = getattr(import_module("scipy.signal._spectral_py"), "_fft_helper", None)
if _helper is not None:
    drop_in(_helper, _segments_transformed)

# --------------------------------------------------------------------------------------------------
# peaks


@ROOM.function("find_peaks", kind="discrete", facts=REAL)
def find_peaks(
    x: Any,
    height: Any = None,
    threshold: Any = None,
    distance: Any = None,
    prominence: Any = None,
    width: Any = None,
    wlen: Any = None,
    rel_height: float = 0.5,
    plateau_size: Any = None,
) -> Any:
    """Find where the peaks are, as :func:`scipy.signal.find_peaks`: whole numbers; their heights and prominences have derivatives."""
    if width is not None:
        raise UnsupportedFunctionError(
            f"{where()}: scipy.signal.find_peaks with width= is not differentiated: where a peak ends is interpolated. Select the "
            "peaks with plain values, find_peaks(dd.stop_gradient(x), width=…)[0], and index the signal with them."
        )
    x = cast(operand(x), np.float64, copy=False)  # as SciPy does in any case
    asked = [fixed(v, "a condition of find_peaks") for v in (height, threshold, distance, prominence)]
    at, found = scipy.signal.find_peaks(
        decided(x), *asked, None, wlen, rel_height, fixed(plateau_size, "a condition of find_peaks")
    )
    if "peak_heights" in found:
        found["peak_heights"] = x[at]
    if "left_thresholds" in found:
        found["left_thresholds"], found["right_thresholds"] = x[at] - x[at - 1], x[at] - x[at + 1]
    if "prominences" in found:
        found["prominences"] = _prominences(x, at, found["left_bases"], found["right_bases"])
    return at, found


def _prominences(x: Any, at: Any, left: Any, right: Any) -> Any:
    return x[at] - np.maximum(x[left], x[right])


@ROOM.function("peak_prominences", facts=REAL)
def peak_prominences(x: Any, peaks: Any, wlen: Any = None) -> Any:
    """Return how far peaks stand out, as :func:`scipy.signal.peak_prominences`."""
    x = cast(operand(x), np.float64, copy=False)
    at = np.asarray(fixed(peaks, "the places of the peaks"))
    _, left, right = scipy.signal.peak_prominences(decided(x), at, wlen)
    return _prominences(x, at, left, right), left, right


@ROOM.function("medfilt", facts=REAL)
def medfilt(volume: Any, kernel_size: Any = None) -> Any:
    """Choose the median of every window, as :func:`scipy.signal.medfilt`."""
    x = operand(volume)
    size = np.broadcast_to(3 if kernel_size is None else fixed(kernel_size, "a kernel's size"), (len(shape_of(x)),))
    if np.any(size % 2 != 1):
        raise ValueError("Each element of kernel_size should be odd.")
    return median_filter(x, [int(n) for n in size], mode="constant")


@ROOM.function("medfilt2d", facts=REAL)
def medfilt2d(input: Any, kernel_size: Any = 3) -> Any:
    """Choose the median of every window, as :func:`scipy.signal.medfilt2d`."""
    return medfilt(input, kernel_size)


@ROOM.function("order_filter", facts=REAL)
def order_filter(a: Any, domain: Any, rank: int) -> Any:
    """Choose an entry of every window by its rank, as :func:`scipy.signal.order_filter`."""
    domain = np.asarray(fixed(domain, "the domain of a filter"))
    if any(n % 2 != 1 for n in domain.shape):
        raise ValueError("Each dimension of domain argument should have an odd number of elements.")
    return rank_filter(a, rank, footprint=domain, mode="constant")


ROOM.refused(
    "peak_widths",
    "where a peak ends is interpolated by compiled code. Freeze the signal with dd.stop_gradient, or interpolate between the samples "
    "on both sides with np.interp.",
)
ROOM.refused(
    "sepfir2d symiirorder1 symiirorder2 spline_filter cspline2d qspline2d",
    "it is compiled code. Filter along each axis with scipy.signal.lfilter, or convolve with scipy.signal.convolve2d.",
)

__all__ = ["ROOM"]
