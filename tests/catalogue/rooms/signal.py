"""``scipy.signal``."""

from __future__ import annotations

import numpy as np
import scipy.signal as sg

from tests.catalogue.rooms.base import DropIn, Values, With, of

RNG = np.random.default_rng(11)
X = RNG.standard_normal(12)
PLANE, IMAGE, KERNEL = X.reshape(6, 2), RNG.standard_normal((4, 5)), RNG.standard_normal((3, 2))
TAPS = RNG.standard_normal(3)
B, A = sg.butter(2, 0.3)
SOS = sg.butter(4, 0.3, output="sos")
LONG = RNG.standard_normal(40)
PEAKS = sg.find_peaks(X)[0]
HEIGHTS = ("peak_heights", "prominences", "left_thresholds", "width_heights", "widths")
MODES = Values("same", "valid")

DROP_INS: list[DropIn] = [
    of(sg.lfilter, B, A, X, axis=With(0, (B, A, PLANE)), zi=np.array([0.3, -0.2])),
    of(sg.lfilter_zi, B, A),
    of(
        sg.sosfilt,
        X,
        called=lambda x, sos=None, **o: sg.sosfilt(SOS, x, **o),
        given={"sos": None},
        axis=With(0, (PLANE,)),
        zi=np.full((2, 2), 0.3),
    ),
    of(
        sg.sosfiltfilt,
        LONG[:20],
        called=lambda x, sos=None, **o: sg.sosfiltfilt(SOS, x, **o),
        given={"sos": None},
        axis=With(0, (LONG.reshape(20, 2),)),
        padtype=Values("even", "constant", None),
        padlen=3,
    ),
    of(sg.medfilt, X, kernel_size=5),
    of(sg.medfilt2d, IMAGE, kernel_size=(1, 3)),
    of(sg.order_filter, IMAGE, given={"domain": np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]]), "rank": 2}),
    of(
        sg.sosfilt_zi,
        SOS,
        called=lambda b: sg.sosfilt_zi(np.concatenate([b[:, :3], np.ones((2, 1)), b[:, 4:]], axis=1)),
    ),
    of(sg.convolve, X, TAPS, mode=MODES, method=Values("fft", "direct")),
    of(sg.correlate, X, TAPS, mode=MODES, method=Values("fft", "direct")),
    of(sg.convolve2d, IMAGE, KERNEL, mode=MODES, boundary=Values("wrap", "symm"), fillvalue=0.5),
    of(sg.correlate2d, IMAGE, KERNEL, mode=MODES, boundary=Values("wrap", "symm"), fillvalue=0.5),
    of(
        sg.upfirdn,
        TAPS,
        X,
        up=3,
        down=2,
        axis=With(0, (TAPS, PLANE)),
        mode="symmetric",
        cval=With(0.7, None, {"mode": "constant"}),
    ),
    of(
        sg.savgol_filter,
        X,
        given={"window_length": 5, "polyorder": 2},
        deriv=1,
        delta=With(0.5, None, {"deriv": 1}),
        axis=With(0, (PLANE,)),
        mode=Values("mirror", "constant", "nearest", "wrap"),
        cval=With(0.7, None, {"mode": "constant"}),
    ),
    of(sg.detrend, X, axis=With(0, (PLANE,)), type="constant", bp=[3, 7], overwrite_data=True),
    of(sg.peak_prominences, X, given={"peaks": PEAKS}, wlen=5),
    of(
        sg.find_peaks,
        X,
        called=lambda x, **o: [
            x[sg.find_peaks(x, **o)[0]],
            *(v for k, v in sg.find_peaks(x, **o)[1].items() if k in HEIGHTS),
        ],
        height=-5.0,
        threshold=1e-3,
        distance=2,
        prominence=1e-3,
        width=With(0.01),
        wlen=With(5, None, {"prominence": 1e-3}),
        rel_height=0.7,
        plateau_size=1,
    ),
]
