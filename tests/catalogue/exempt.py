"""What is exempt from a law, and why: rows by law, and samples by the sort of operand. Nothing else is exempt anywhere."""

from __future__ import annotations

import numpy as np
from scipy import special

from tests.catalogue.special import UNSAFE
from tests.versions import SCIPY

_LENIENT = "loud in NumPy; here it is taken, as an array of one entry or as nothing to do"
_SCALES = (
    "a number times a matrix is no product of matrices: a sparse matrix of differentiated entries, refused by name"
)
_SINGULAR = "equal rows make the matrix singular, where the function has no derivative: most say so"
OPERANDS: dict[str, dict[str, str]] = {
    "0-d": {
        **{
            name: "coefficients need axes: loud, where NumPy makes them"
            for name in ("polyval2d", "polygrid2d", "polyvalnd")
            if hasattr(getattr(np.polynomial.polynomial, name, None), "_implementation")  # others run as they stand
        },
        "polyder": _LENIENT,
        "polyint": _LENIENT,
        "scipy.fft.fftn": "no axis to transform: loud, where SciPy returns the number",
        "scipy.fft.ifftn": "no axis to transform: loud, where SciPy returns the number",
        "csr * x": _SCALES,
        "x * csr": _SCALES,
        "csc * x": _SCALES,
        "x * csc": _SCALES,
        **({"coo.dot": _SCALES} if SCIPY >= (1, 15) else {}),
        "coo * x": _SCALES,
        "x * coo": _SCALES,
        "dia * x": _SCALES,
        "x * dia": _SCALES,
        "bsr * x": _SCALES,
        "x * bsr": _SCALES,
        "lil * x": _SCALES,
        "x * lil": _SCALES,
        "dok * x": _SCALES,
        "x * dok": _SCALES,
        "np.put wrap": "x.copy() of a number is a number, into which nobody writes",
        "eigvals, complex pairs": "four equal numbers: the imaginary parts are rounding",
        "np.transpose 2": _LENIENT,
        "np.repeat 2": "axis 0 of a number: loud, where NumPy lets it pass",
        "np.fft.fftshift 1": _LENIENT,
        "np.correlate 1": _LENIENT,
        "np.correlate 2": _LENIENT,
        "amin": "axis 0 of a number: loud, where NumPy lets it pass",
        "ptp": "axis 0 of a number: loud, where NumPy lets it pass",
        "std": "equal entries: the square root of 0, whose second derivative is NaN by convention",
        "cumprod along an axis": _LENIENT,
        "nanstd along an axis": "equal entries: the square root of 0, whose second derivative is NaN by convention",
        "corrcoef": "0/0, or correlations of exactly 1, where they are clipped",
    },
    "no entries in rows": {
        "polymul": "no coefficients: loud, where NumPy returns none",
        "np.put": _LENIENT,
        "mean of a vector": "the mean of nothing is NaN, and so is a direction's: nothing is pulled back",
        "average": _LENIENT,
        "median, odd": "the mean of nothing is NaN, and so is a direction's: nothing is pulled back",
    },
    "no rows": {
        "polymul": "no coefficients: loud, where NumPy returns none",
        "np.put": _LENIENT,
        "mean of a vector": "the mean of nothing is NaN, and so is a direction's: nothing is pulled back",
        "average": "the mean of nothing is NaN, and so is a direction's: nothing is pulled back",
        "median, odd": "the mean of nothing is NaN, and so is a direction's: nothing is pulled back",
        "median, even": "the mean of nothing is NaN, and so is a direction's: nothing is pulled back",
    },
    "broadcast": {
        "written through views": "NumPy makes a copy of equal rows that share memory, and a view of those a step makes",
        "views of what is written": "NumPy makes a copy of equal rows that share memory, and a view of those a step makes",
        "slogdet": _SINGULAR,
        "cond": _SINGULAR,
        "cond, 1": _SINGULAR,
        "pinv, tall": _SINGULAR,
        "pinv, wide": _SINGULAR,
        "svdvals, tall": _SINGULAR,
        "svdvals, wide": _SINGULAR,
        "svd, tall": _SINGULAR,
        "svd, wide": _SINGULAR,
        "qr, tall": _SINGULAR,
        "qr, wide": _SINGULAR,
        "lstsq, tall": _SINGULAR,
        "lstsq, wide": _SINGULAR,
        "corrcoef": "0/0, or correlations of exactly 1, where they are clipped",
    },
}

_DOUBLE = "NumPy itself returns double precision, or does here"
_SCIPY = "SciPy computes it in double precision alone, or in single precision to few digits, NaN or an endless loop"
_ROUGH = ["itairy", "ncfdtrinc", "obl_rad2", "obl_rad2_cv", "pro_rad2", "pro_rad2_cv", "tklmbda"]
if SCIPY < (1, 17):
    _ROUGH += ["chndtr", "chndtrix", "modfresnelm", "modfresnelp", "ncfdtr", "ncfdtri", "nctdtr", "nctdtrit"]
    _ROUGH += ["btdtrib", "chdtriv", "chndtrinc", "gdtrib", "pdtrik", "stdtrit"]
_FEW_DIGITS = "SciPy computes its values in few digits, which differences do not bear"
_TO_DOUBLE = [
    "np.arange",
    "np.bincount",
    "np.corrcoef",
    "np.cov",
    "np.histogram",
    "np.histogram2d",
    "np.histogramdd",
    "np.logspace",
    "np.polyfit",
    "np.roots",
    "np.sort_complex",
    "np.linalg.eig",
]
_OF_SCIPY = [
    "assoc_legendre_p",
    "bdtr",
    "bdtrc",
    "bdtri",
    "chndtrinc",
    "comb",
    "cotdg",
    "diric",
    "factorial",
    "h1vp",
    "h2vp",
    "itairy",
    "ivp",
    "jvp",
    "kl_div",
    "kvp",
    "lambertw",
    "legendre_p",
    "log_wright_bessel",
    "mathieu_a",
    "mathieu_b",
    "mathieu_cem",
    "mathieu_modcem1",
    "mathieu_modcem2",
    "mathieu_modsem1",
    "mathieu_modsem2",
    "mathieu_sem",
    "modfresnelm",
    "modfresnelp",
    "multigammaln",
    "ncfdtrinc",
    "nrdtrisd",
    "obl_ang1",
    "obl_ang1_cv",
    "obl_rad1",
    "obl_rad1_cv",
    "obl_rad2",
    "obl_rad2_cv",
    "pbdv",
    "pbvv",
    "pbwa",
    "perm",
    "polygamma",
    "powm1",
    "pro_ang1",
    "pro_ang1_cv",
    "pro_rad1",
    "pro_rad1_cv",
    "pro_rad2",
    "pro_rad2_cv",
    "smirnov",
    "smirnovi",
    "sph_harm_y",
    "sph_legendre_p",
    "spherical_in",
    "spherical_jn",
    "spherical_kn",
    "spherical_yn",
    "tandg",
    "wright_bessel",
    "yvp",
    "zeta",
]
_ROUGH, _OF_SCIPY = [[n for n in of if hasattr(special, n) and n not in UNSAFE] for of in (_ROUGH, _OF_SCIPY)]
ROWS: dict[str, dict[str, str]] = {
    "second": dict.fromkeys(
        ["scipy.special.mathieu_a", "scipy.special.mathieu_b"], "the row says so: the solution has no derivative by q"
    ),
    "precision": {
        **dict.fromkeys(_TO_DOUBLE, _DOUBLE),
        "np.astype": "it returns the precision it is asked for",
        "np.heaviside": "its samples are of double precision: steps",
        "np.nextafter": "the next number of single precision is another one",
        **dict.fromkeys([f"scipy.special.{n}" for n in _OF_SCIPY], _SCIPY),
    },
    "truth": dict.fromkeys([f"scipy.special.{n}" for n in _ROUGH], _FEW_DIGITS),
    "alias": dict.fromkeys([f"scipy.special.{n}" for n in _ROUGH], _FEW_DIGITS),
}
