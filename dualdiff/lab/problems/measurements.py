"""Real measurements with certified answers, each with its model and the model's Jacobian by hand.

Four curves from the nonlinear regression part of NIST's Statistical Reference Datasets (StRD) are tall: more
residuals than parameters. A fifth problem, built on the univariate part of the same collection, is wide: a thousand
parameters and three residuals. Models are plain NumPy and know nothing of derivatives.

References
----------
National Institute of Standards and Technology, Statistical Reference Datasets, NIST Standard Reference
Database 140, https://doi.org/10.18434/T43G6C
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOXBOD", "MGH09", "MICHELSON", "MISRA1A", "PROBLEMS", "THURBER", "Problem", "select"]

Array = NDArray[np.float64]
Model = Callable[[Array, Array], Array]


# Arrays have no single truth value, so two problems are equal only if they are the same one.
@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    r"""Parameters :math:`b` are to be found such that :math:`\mathrm{model}(b, x) \approx y` in least squares.

    Attributes
    ----------
    name : str
        The name to select it by; for the curves, NIST's.
    title : str
        What was measured, in a few words.
    source : str
        Who measured it, and where data and certified values are published.
    model : callable
        ``model(b, x)``, plain NumPy: b of shape (n,), x of any shape; the result has the shape of y.
    partials : callable
        ``partials(b, x)``, the Jacobian of the model by hand, of shape (m, n).
    x : ndarray
        What the model is evaluated at: for a curve the abscissae, of shape (m,). Read-only.
    y : ndarray, shape (m,)
        The observations. Read-only.
    start : ndarray, shape (n,)
        Where a fit starts (NIST's start 2, the nearer one). Read-only.
    certified : ndarray, shape (n,), or None
        The parameters of the best fit as NIST certifies them, to 11 digits; None if the best fit is not unique.
    rss : float
        The residual sum of squares at the best fit.
    """

    name: str
    title: str
    source: str
    model: Model
    partials: Model
    x: Array
    y: Array
    start: Array
    certified: Array | None
    rss: float

    @property
    def inputs(self) -> int:
        """The number of parameters, n."""
        return self.start.size

    @property
    def outputs(self) -> int:
        """The number of residuals, m."""
        return self.y.size

    @property
    def degrees(self) -> int:
        """The degrees of freedom, m - n; negative if the parameters are underdetermined."""
        return self.outputs - self.inputs

    def residual(self, b: Array) -> Array:
        """Return ``model(b, x) - y``, the function whose Jacobian is wanted.

        Parameters
        ----------
        b : ndarray, shape (n,)

        Returns
        -------
        ndarray, shape (m,)

        Examples
        --------
        >>> from dualdiff.lab.problems import BOXBOD
        >>> r = BOXBOD.residual(BOXBOD.certified)
        >>> print(f"{r @ r:.4f}")
        1168.0089
        """
        return self.model(b, self.x) - self.y

    def jacobian(self, b: Array) -> Array:
        """Return the Jacobian of `residual` at b from the formulas written by hand.

        Parameters
        ----------
        b : ndarray, shape (n,)

        Returns
        -------
        ndarray, shape (m, n)
        """
        return self.partials(b, self.x)


def _constant(values: str | Iterable[float]) -> Array:
    """Read numbers into an array that nobody can write to: a problem is the same for all who use it."""
    numbers = values.split() if isinstance(values, str) else values
    array = np.array([float(number) for number in numbers])
    array.flags.writeable = False
    return array


def _saturation(b: Array, x: Array) -> Array:
    return b[0] * (1 - np.exp(-b[1] * x))


def _saturation_partials(b: Array, x: Array) -> Array:
    decay = np.exp(-b[1] * x)
    return np.stack([1 - decay, b[0] * x * decay], axis=-1)


def _cubic_ratio(b: Array, x: Array) -> Array:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _cubic_ratio_partials(b: Array, x: Array) -> Array:
    powers = x[:, np.newaxis] ** np.arange(4)
    above, below = powers @ b[:4], 1 + powers[:, 1:] @ b[4:]
    return np.concatenate([powers / below[:, None], -powers[:, 1:] * (above / below**2)[:, None]], axis=-1)


def _quadratic_ratio(b: Array, x: Array) -> Array:
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def _quadratic_ratio_partials(b: Array, x: Array) -> Array:
    above, below = x**2 + x * b[1], x**2 + x * b[2] + b[3]
    slope = -b[0] * above / below**2
    return np.stack([above / below, b[0] * x / below, slope * x, slope], axis=-1)


def _moments(b: Array, x: Array) -> Array:
    # Deviations from the middle of the grid: the mean is a thousand times the width, and would cost three digits.
    density, middle = np.exp(b), (x[0] + x[-1]) / 2
    total, deviation = np.sum(density), x - middle
    mean = np.sum(deviation * density) / total
    variance = np.sum((deviation - mean) ** 2 * density) / total
    return np.stack([total * (x[1] - x[0]), middle + mean, np.sqrt(variance)])


def _moments_partials(b: Array, x: Array) -> Array:
    density, deviation = np.exp(b), x - (x[0] + x[-1]) / 2
    weight = density / np.sum(density)
    mean = np.sum(weight * deviation)
    square = (deviation - mean) ** 2
    variance = np.sum(weight * square)
    return np.stack(
        [
            density * (x[1] - x[0]),
            weight * (deviation - mean),
            weight * (square - variance) / (2 * np.sqrt(variance)),
        ]
    )


def _nist(name: str) -> str:
    return f"NIST StRD, https://www.itl.nist.gov/div898/strd/{name}, doi:10.18434/T43G6C"


MISRA1A = Problem(
    name="Misra1a",
    title="monomolecular adsorption: volume against pressure",
    source=f"D. Misra, dental research, 1978; {_nist('nls/data/misra1a.shtml')}",
    model=_saturation,
    partials=_saturation_partials,
    x=_constant("77.6 114.9 141.1 190.8 239.9 289.0 332.8 378.4 434.8 477.3 536.8 593.1 689.1 760.0"),
    y=_constant("10.07 14.73 17.94 23.93 29.61 35.18 40.02 44.82 50.76 55.05 61.01 66.40 75.47 81.78"),
    start=_constant("250 0.0005"),
    certified=_constant("2.3894212918E+02 5.5015643181E-04"),
    rss=1.2455138894e-01,
)

THURBER = Problem(
    name="Thurber",
    title="semiconductors: electron mobility against the logarithm of density",
    source=f"R. Thurber, NIST, semiconductor electron mobility modelling, 1979; {_nist('nls/data/thurber.shtml')}",
    model=_cubic_ratio,
    partials=_cubic_ratio_partials,
    x=_constant(
        "-3.067 -2.981 -2.921 -2.912 -2.840 -2.797 -2.702 -2.699 -2.633 -2.481 -2.363 -2.322 -1.501 -1.460 -1.274"
        " -1.212 -1.100 -1.046 -0.915 -0.714 -0.566 -0.545 -0.400 -0.309 -0.109 -0.103 0.010 0.119 0.377 0.790 0.963"
        " 1.006 1.115 1.572 1.841 2.047 2.200"
    ),
    y=_constant(
        "80.574 84.248 87.264 87.195 89.076 89.608 89.868 90.101 92.405 95.854 100.696 101.060 401.672 390.724 567.534"
        " 635.316 733.054 759.087 894.206 990.785 1090.109 1080.914 1122.643 1178.351 1260.531 1273.514 1288.339"
        " 1327.543 1353.863 1414.509 1425.208 1421.384 1442.962 1464.350 1468.705 1447.894 1457.628"
    ),
    start=_constant("1300 1500 500 75 1 0.4 0.05"),
    certified=_constant(
        "1.2881396800E+03 1.4910792535E+03 5.8323836877E+02 7.5416644291E+01"
        " 9.6629502864E-01 3.9797285797E-01 4.9727297349E-02"
    ),
    rss=5.6427082397e03,
)

MGH09 = Problem(
    name="MGH09",
    title="enzyme reaction: a rational function that many solvers fail on",
    source=f"J. Kowalik and M. Osborne, 1968; {_nist('nls/data/mgh09.shtml')};"
    " J. More, B. Garbow, K. Hillstrom, 1981, doi:10.1145/355934.355936",
    model=_quadratic_ratio,
    partials=_quadratic_ratio_partials,
    x=_constant("4 2 1 0.5 0.25 0.167 0.125 0.1 0.0833 0.0714 0.0625"),
    y=_constant("0.1957 0.1947 0.1735 0.1600 0.0844 0.0627 0.0456 0.0342 0.0323 0.0235 0.0246"),
    start=_constant("0.25 0.39 0.415 0.39"),
    certified=_constant("1.9280693458E-01 1.9128232873E-01 1.2305650693E-01 1.3606233068E-01"),
    rss=3.0750560385e-04,
)

BOXBOD = Problem(
    name="BoxBOD",
    title="biochemical oxygen demand against days of incubation",
    source=f"G. Box, W. Hunter, J. Hunter, Statistics for Experimenters, 1978; {_nist('nls/data/boxbod.shtml')}",
    model=_saturation,
    partials=_saturation_partials,
    x=_constant("1 2 3 5 7 10"),
    y=_constant("109 149 149 191 213 224"),
    start=_constant("100 0.75"),
    certified=_constant("2.1380940889E+02 5.4723748542E-01"),
    rss=1.1680088766e03,
)

MICHELSON = Problem(
    name="Michelson",
    title="speed of light in air (1000 km/s): log-density on a grid with the certified mean and deviation",
    source=f"A. Michelson, 1880, and E. Dorsey, 1944; {_nist('univ/michelso.html')}",
    model=_moments,
    partials=_moments_partials,
    # All hundred measurements lie between 299.62 and 300.07.
    x=_constant(np.linspace(299.5, 300.2, 1000)),
    # The whole probability, and NIST's certified mean and standard deviation of the measurements.
    y=_constant("1 299.8524 0.0790105478190518"),
    # A flat density: a thousand unknowns that start from knowing nothing.
    start=_constant(np.full(1000, -np.log(0.7))),
    certified=None,
    rss=0.0,
)

PROBLEMS: tuple[Problem, ...] = (MISRA1A, THURBER, MGH09, BOXBOD, MICHELSON)


def select(name: str) -> Problem:
    """Return the problem of that name, in whatever case it is written.

    Raises
    ------
    KeyError
        If there is none; the message lists those there are.

    Examples
    --------
    >>> select("boxbod").degrees
    4
    """
    for problem in PROBLEMS:
        if problem.name.casefold() == name.casefold():
            return problem
    raise KeyError(f"no problem is called {name!r}; there are {', '.join(p.name for p in PROBLEMS)}")
