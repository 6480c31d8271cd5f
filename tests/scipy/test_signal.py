"""scipy.signal: filters, convolutions, spectra and peaks, in the signal and in the filter, through plain user code."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.signal as sg

import dualdiff as dd
from dualdiff.errors import DerivativeError, UnsupportedFunctionError
from dualdiff.scipy import signal as ours
from dualdiff.testing import check

RNG = np.random.default_rng(11)
X = RNG.standard_normal(20)
LONG = RNG.standard_normal(48)
TAPS = RNG.standard_normal(5)
IMAGE, KERNEL = RNG.standard_normal((5, 6)), RNG.standard_normal((3, 2))
B, A = sg.butter(3, 0.3)
SOS = sg.butter(4, 0.3, output="sos")
STATE = np.array([0.3, -0.2, 0.5])


def parts(z: Any) -> Any:
    return np.stack([np.real(z), np.imag(z)])


def sections(p: Any) -> Any:
    p = p.reshape(2, 5)
    return np.concatenate([p[:, :3], np.ones((2, 1)), p[:, 3:]], axis=1)


PARAMETERS = np.delete(SOS, 3, axis=1).ravel()
CASES: dict[str, tuple[Any, Any]] = {
    "lfilter, all at once": (lambda b, a, x, z: sg.lfilter(b, a, x, zi=z), (2 * B, 2 * A, X[:9], STATE)),
    "lfilter along an axis": (
        lambda x, z: sg.lfilter(B, A, x, axis=0, zi=z),
        (X.reshape(10, 2), np.broadcast_to(STATE[:, None], (3, 2)).copy()),
    ),
    "lfilter, one state for all": (lambda x, z: sg.lfilter(B, A, x, zi=z), (X.reshape(2, 10), STATE[None])),
    "lfilter, shorter than its state": (lambda x, z: sg.lfilter(B, A, x, zi=z), (X[:2], STATE)),
    "lfilter, finite": (lambda b, x: sg.lfilter(b, [2.0], x), (TAPS, X)),
    "lfilter, recursive": (lambda a, x: sg.lfilter([1.0], a, x), (A, X)),
    "lfilter, longer numerator": (
        lambda b, a, z: sg.lfilter(b, a, X, zi=z)[1],
        (TAPS, np.array([2.0, 0.3]), np.ones(4)),
    ),
    "lfilter_zi": (lambda b, a: sg.lfilter_zi(b, a), (3 * B, 3 * A)),
    "lfilter_zi, shorter numerator": (lambda b, a: sg.lfilter_zi(b, a), (B[:2], A)),
    "lfiltic": (lambda y: sg.lfiltic(B, A, y), (STATE,)),
    "sosfilt": (lambda p, x: sg.sosfilt(sections(p), x), (PARAMETERS, X)),
    "sosfilt, states": (
        lambda x, z: sg.sosfilt(SOS, x, axis=0, zi=z),
        (X.reshape(10, 2), RNG.standard_normal((2, 2, 2))),
    ),
    "sosfilt_zi": (lambda p: sg.sosfilt_zi(sections(p)), (PARAMETERS,)),
    "filtfilt": (lambda b, a, x: sg.filtfilt(b, a, x), (B, A, X)),
    "filtfilt, even": (lambda x: sg.filtfilt(B, A, x, padtype="even", padlen=4), (X,)),
    "filtfilt, unpadded": (lambda x: sg.filtfilt(B, A, x, padtype=None), (X,)),
    "sosfiltfilt": (lambda p, x: sg.sosfiltfilt(sections(p), x), (PARAMETERS, LONG)),
    "sosfiltfilt, other ends": (
        lambda p, x: np.stack(
            [sg.sosfiltfilt(sections(p), x, 0, *ends) for ends in (("even",), ("constant", 3), (None,))]
        ),
        (PARAMETERS, LONG.reshape(-1, 2)),
    ),
    "freqz": (lambda b, a: parts(sg.freqz(b, a, 5)[1]), (B, A)),
    "sosfreqz": (
        lambda p: parts(
            sg.freqz_sos(sections(p), 5)[1] if hasattr(sg, "freqz_sos") else sg.sosfreqz(sections(p), 5)[1]
        ),
        (PARAMETERS,),
    ),
    "hilbert": (lambda x: parts(sg.hilbert(x)), (X,)),
    "detrend": (lambda x: sg.detrend(x), (X,)),
    "detrend, breaks": (lambda x: sg.detrend(x, axis=0, bp=[3, 7]), (X.reshape(10, 2),)),
    "detrend, constant": (lambda x: sg.detrend(x, type="constant"), (X,)),
    "welch": (lambda x: sg.welch(x, nperseg=8)[1], (X,)),
    "welch, linear trend": (lambda x: sg.welch(x, nperseg=8, detrend="linear")[1], (X,)),
    "periodogram": (lambda x: sg.periodogram(x)[1], (X,)),
    "csd": (lambda x, y: parts(sg.csd(x, y, nperseg=8)[1]), (X, X[::-1].copy())),
    "spectrogram": (lambda x: sg.spectrogram(x, nperseg=8)[2], (X,)),
    "spectrogram, twosided": (lambda x: sg.spectrogram(x, nperseg=8, return_onesided=False)[2], (X,)),
    "stft": (lambda x: parts(sg.stft(x, nperseg=8)[2]), (X,)),
    "resample": (lambda x: sg.resample(x, 13), (X,)),
    "resample_poly": (lambda x: sg.resample_poly(x, 3, 2), (X,)),
    "decimate": (lambda x: sg.decimate(x, 2), (LONG,)),
    "decimate, finite": (lambda x: sg.decimate(x, 2, ftype="fir"), (LONG,)),
    "deconvolve": (lambda x, h: sg.deconvolve(x, h)[0], (X, np.array([1.0, 0.3, -0.2]))),
    "cspline1d": (lambda x: sg.cspline1d(x), (X,)),
    "peak_prominences": (lambda x: sg.peak_prominences(x, sg.find_peaks(x)[0])[0], (X,)),
    "find_peaks": (lambda x: x[sg.find_peaks(x)[0]], (X,)),
    "find_peaks, heights": (
        lambda x: [
            v
            for k, v in sg.find_peaks(x, height=0.1, threshold=0.01, prominence=0.1)[1].items()
            if k in ("peak_heights", "left_thresholds", "right_thresholds", "prominences")
        ],
        (X,),
    ),
}
for _mode in ("full", "same", "valid"):
    CASES |= {
        f"convolve, {_mode}": (lambda x, y, m=_mode: sg.convolve(x, y, m), (X, TAPS)),
        f"convolve, {_mode}, the second is longer": (lambda x, y, m=_mode: sg.convolve(x, y, m), (TAPS, X)),
        f"convolve in the plane, {_mode}": (lambda x, y, m=_mode: sg.convolve(x, y, m), (IMAGE, KERNEL)),
        f"convolve, {_mode}, by transforms": (lambda x, y, m=_mode: sg.convolve(x, y, m, "fft"), (X, TAPS)),
        f"correlate, {_mode}": (lambda x, y, m=_mode: sg.correlate(x, y, m), (X, TAPS)),
        f"correlate, {_mode}, the second is longer": (lambda x, y, m=_mode: sg.correlate(x, y, m), (TAPS, X)),
        f"oaconvolve, {_mode}": (lambda x, y, m=_mode: sg.oaconvolve(x, y, m), (X, TAPS)),
    }
for _name, _mode, _edge in itertools.product(
    ("convolve2d", "correlate2d"), ("full", "same", "valid"), ("fill", "wrap", "symm")
):
    CASES[f"{_name}, {_mode}, {_edge}"] = (
        lambda x, y, n=_name, m=_mode, e=_edge: getattr(sg, n)(x, y, m, e, 0.5 if e == "fill" else 0),
        (IMAGE, KERNEL),
    )
    if _mode == "valid":
        CASES[f"{_name}, {_mode}, {_edge}, the second is larger"] = (
            lambda x, y, n=_name, m=_mode, e=_edge: getattr(sg, n)(x, y, m, e),
            (KERNEL, IMAGE),
        )
for _up, _down, _n in ((1, 1, 5), (3, 2, 5), (2, 5, 7), (5, 3, 1), (1, 4, 3), (7, 3, 2)):
    CASES[f"upfirdn, {_up}/{_down}, {_n} taps"] = (
        lambda h, x, u=_up, d=_down: sg.upfirdn(h, x, u, d),
        (RNG.standard_normal(_n), X.reshape(2, 10)),
    )
for _mode in ("mirror", "constant", "nearest", "interp", "wrap"):
    for _window in (5, 6):
        CASES[f"savgol_filter, {_mode}, {_window}"] = (
            lambda x, m=_mode, w=_window: sg.savgol_filter(x, w, 2, deriv=1, delta=0.5, axis=0, mode=m, cval=0.7),
            (X.reshape(10, 2),),
        )
if tuple(map(int, __import__("scipy").__version__.split(".")[:2])) < (1, 14):
    CASES = {n: c for n, c in CASES.items() if "savgol" not in n or n[-1] != "6"}


@pytest.mark.parametrize("name", CASES)
def test_it_is_scipys_value_and_has_its_derivative_in_both_modes(name: str) -> None:
    f, args = CASES[name]
    check(f, *args, directions=1)


@pytest.mark.parametrize(
    "name", ["lfilter, all at once", "sosfilt", "convolve in the plane, same", "upfirdn, 3/2, 5 taps", "filtfilt"]
)
def test_second_derivatives(name: str) -> None:
    f, args = CASES[name]
    check(
        lambda *args: np.sum(np.concatenate([np.ravel(v) for v in _listed(f(*args))]) ** 2),
        *args,
        directions=1,
        order=2,
    )


def _listed(found: Any) -> Any:
    return found if isinstance(found, tuple) else (found,)


def test_a_complex_filter_has_its_derivatives() -> None:
    b, a = B * np.exp(0.3j), A * np.exp(0.1j * np.arange(4))
    z = X[:12] + 1j * X[8:]
    check(lambda b, a, x, s: sg.lfilter(b, a, x, zi=s), b, a, z, STATE + 0.1j, directions=2)
    k = KERNEL + 1j * KERNEL[::-1]
    check(lambda x, y: sg.convolve2d(x, y, "same"), IMAGE + 0.5j, k, directions=2)
    check(lambda x, y: sg.correlate2d(x, y, "same"), IMAGE + 0.5j, k, directions=2)


def test_the_derivative_of_a_filter_by_a_coefficient_is_a_shifted_signal() -> None:
    x = np.array([1.0, 2.0, -1.0, 0.5])
    J = dd.jacobian(lambda b: sg.lfilter(b, [1.0], x))(np.array([1.0, 3.0]))
    assert np.array_equal(J, [[1, 0], [2, 1], [-1, 2], [0.5, -1]])
    J = dd.jacobian(lambda p: sg.lfilter([1.0], np.stack([1.0, -p[0]]), np.eye(1, 5)[0]))(np.array([0.5]))
    assert np.allclose(J[:, 0], [0, 1, 2 * 0.5, 3 * 0.25, 4 * 0.125], rtol=1e-15)


def test_single_precision_stays_single() -> None:
    b, a, x = (v.astype(np.float32) for v in (B, A, X))
    for f in (
        lambda x: sg.lfilter(b, a, x),
        lambda x: sg.convolve2d(x.reshape(4, 5), KERNEL.astype(np.float32)),
        lambda x: sg.savgol_filter(x, 5, 2),
        lambda x: sg.upfirdn(b, x, 2),
    ):
        y, pull = dd.vjp(f, x)
        assert f(x).dtype == y.dtype == np.float32
        assert pull(np.ones_like(y))[0].dtype == np.float32


def test_a_filter_of_a_long_signal_takes_no_step_for_each_sample() -> None:
    x = np.ones(50_000)
    tape = dd.linearize(lambda x: sg.lfilter(B, A, x), x)
    assert tape[0].shape == x.shape
    g = dd.grad(lambda x: np.sum(sg.lfilter(B, A, x)))(x)
    assert abs(g[0] - np.sum(B) / np.sum(A)) < 1e-9  # the gain at rest


REFUSED = {
    "peak_widths": lambda x: sg.peak_widths(x, [2])[0],
    "symiirorder1": lambda x: sg.symiirorder1(x, 1.0, 0.3),
    "upfirdn": lambda x: sg.upfirdn(TAPS, x, mode="symmetric"),
    "find_peaks": lambda x: sg.find_peaks(x, width=1)[1]["widths"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_differentiated_says_so_by_name(name: str) -> None:
    with pytest.raises(UnsupportedFunctionError, match=rf"test_signal.py, line \d+.*scipy.signal.{name}"):
        dd.jacobian(REFUSED[name])(X)


WRONG = {
    "lfilter, no divisor": lambda x: sg.lfilter(B, [0.0, 1.0], x),
    "lfilter, a matrix of coefficients": lambda x: sg.lfilter(np.eye(2), A, x),
    "lfilter, a state of another length": lambda x: sg.lfilter(B, A, x, zi=np.ones(7)),
    "sosfilt, not sections": lambda x: sg.sosfilt(np.ones((2, 5)), x),
    "convolve, ranks": lambda x: sg.convolve(x, KERNEL),
    "convolve, mode": lambda x: sg.convolve(x, TAPS, "middle"),
    "convolve2d, a vector": lambda x: sg.convolve2d(x, TAPS),
    "upfirdn, rates": lambda x: sg.upfirdn(TAPS, x, 0),
    "savgol_filter, too wide": lambda x: sg.savgol_filter(x, 31, 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_arguments_raise_what_scipy_raises(name: str) -> None:
    with pytest.raises(Exception) as plain:
        WRONG[name](X)
    with pytest.raises(type(plain.value)) as raised:
        dd.jacobian(WRONG[name])(X)
    assert not isinstance(raised.value, DerivativeError)


def test_every_drop_in_is_in_the_register() -> None:
    assert {e.name for e in ours.ROOM.rows} >= {f"scipy.signal.{f.__name__}" for f in ours.ROOM.drop_ins}
