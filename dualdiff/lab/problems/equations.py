"""Systems of equations that solvers are tested on, most of them of any size."""

from functools import partial

import numpy as np
from scipy.sparse import csr_array

from dualdiff.lab.problems.case import Array, Case, banded, dense, entries, fixed

__all__ = [
    "broyden_banded",
    "broyden_tridiagonal",
    "chandrasekhar",
    "discrete_boundary_value",
    "discrete_integral",
    "helmholtz_energy",
    "rosenbrock",
    "rosenbrock_loop",
    "rosenbrock_objective",
    "trigonometric",
]

_MGH = "J. Moré, B. Garbow, K. Hillstrom, ACM Trans. Math. Softw. 7(1), 1981, doi:10.1145/355934.355936"
_ROSENBROCK = "H. Rosenbrock, The Computer Journal 3(3), 1960, doi:10.1093/comjnl/3.3.175"


def _near(start: Array | float, n: int) -> Array:
    """Return a point near the usual start, with no symmetry left in it."""
    return fixed(start + 0.1 * np.random.default_rng(0).uniform(-1, 1, n))


def _rosenbrock(x: Array) -> Array:
    y = np.zeros_like(x)
    y[0::2] = 10 * (x[1::2] - x[0::2] ** 2)
    y[1::2] = 1 - x[0::2]
    return y


def _rosenbrock_loop(x: Array) -> Array:
    y = np.zeros_like(x)
    for i in range(0, x.size, 2):
        y[i] = 10 * (x[i + 1] - x[i] ** 2)
        y[i + 1] = 1 - x[i]
    return y


def _rosenbrock_jacobian(x: Array) -> Array:
    even = np.arange(0, x.size, 2)
    J = np.zeros((x.size, x.size))
    J[even, even] = -20 * x[0::2]
    J[even, even + 1] = 10
    J[even + 1, even] = -1
    return J


def _rosenbrock_pattern(n: int) -> csr_array:
    even = np.arange(0, n, 2)
    return entries([even, even, even + 1], [even, even + 1, even], (n, n))


def rosenbrock(n: int = 1000) -> Case:
    r"""Rosenbrock's function as residuals, extended to any even number of variables (MGH 21).

    .. math:: f_{2i} = 10 (x_{2i+1} - x_{2i}^2), \qquad f_{2i+1} = 1 - x_{2i}

    written with strided slices into a result of zeros.

    Parameters
    ----------
    n : int
        The number of variables and of residuals; even.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"rosenbrock-{n}",
        title="extended Rosenbrock residuals, in slices",
        source=f"{_ROSENBROCK}; {_MGH}",
        function=_rosenbrock,
        point=_near(np.tile([-1.2, 1.0], n // 2), n),
        jacobian=_rosenbrock_jacobian,
        pattern=partial(_rosenbrock_pattern, n),
    )


def rosenbrock_loop(n: int = 200) -> Case:
    """The same residuals as `rosenbrock`, computed entry by entry in a loop.

    Parameters
    ----------
    n : int
        The number of variables and of residuals; even.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"rosenbrock-loop-{n}",
        title="extended Rosenbrock residuals, entry by entry",
        source=f"{_ROSENBROCK}; {_MGH}",
        function=_rosenbrock_loop,
        point=_near(np.tile([-1.2, 1.0], n // 2), n),
        jacobian=_rosenbrock_jacobian,
        pattern=partial(_rosenbrock_pattern, n),
    )


def _rosenbrock_objective(x: Array) -> float:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _rosenbrock_objective_jacobian(x: Array) -> Array:
    J = np.zeros((1, x.size))
    valley = 200 * (x[1:] - x[:-1] ** 2)
    J[0, :-1] = -2 * valley * x[:-1] - 2 * (1 - x[:-1])
    J[0, 1:] += valley
    return J


def rosenbrock_objective(n: int = 1000) -> Case:
    r"""The chained Rosenbrock function, a scalar of n variables.

    .. math:: f = \sum_{i=0}^{n-2} 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2

    Parameters
    ----------
    n : int
        The number of variables.

    Returns
    -------
    Case
        With m = 1, and a result of shape ().
    """
    return Case(
        name=f"rosenbrock-objective-{n}",
        title="chained Rosenbrock function, a scalar",
        source=_ROSENBROCK,
        function=_rosenbrock_objective,
        point=_near(np.resize([-1.2, 1.0], n), n),
        jacobian=_rosenbrock_objective_jacobian,
        pattern=partial(dense, 1, n),
    )


def _broyden_tridiagonal(x: Array) -> Array:
    zero = np.zeros(1)
    before = np.concatenate([zero, x[:-1]])
    after = np.concatenate([x[1:], zero])
    return (3 - 2 * x) * x - before - 2 * after + 1


def _broyden_tridiagonal_jacobian(x: Array) -> Array:
    n = x.size
    J = np.zeros((n, n))
    diagonals = J.reshape(-1)
    diagonals[:: n + 1] = 3 - 4 * x
    diagonals[n :: n + 1] = -1
    diagonals[1 :: n + 1] = -2
    return J


def broyden_tridiagonal(n: int = 1000) -> Case:
    r"""Broyden's tridiagonal system (MGH 30), written with slices and `numpy.concatenate`.

    .. math:: f_i = (3 - 2 x_i) x_i - x_{i-1} - 2 x_{i+1} + 1, \qquad x_{-1} = x_n = 0

    Parameters
    ----------
    n : int
        The number of variables and of equations.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"broyden-tridiagonal-{n}",
        title="Broyden's tridiagonal system",
        source=_MGH,
        function=_broyden_tridiagonal,
        point=_near(-1.0, n),
        jacobian=_broyden_tridiagonal_jacobian,
        pattern=partial(banded, n, (-1, 0, 1)),
    )


def _broyden_banded(x: Array) -> Array:
    neighbour = x * (1 + x)
    y = x * (2 + 5 * x**2) + 1
    for k in range(1, 6):
        y[k:] -= neighbour[:-k]
    y[:-1] -= neighbour[1:]
    return y


def _broyden_banded_jacobian(x: Array) -> Array:
    n = x.size
    J = np.zeros((n, n))
    i = np.arange(n)
    slope = -(1 + 2 * x)
    for k in range(1, 6):
        J[i[k:], i[:-k]] = slope[:-k]
    J[i[:-1], i[1:]] = slope[1:]
    J[i, i] = 2 + 15 * x**2
    return J


def broyden_banded(n: int = 1000) -> Case:
    r"""Broyden's banded system (MGH 31), five bands below and one above, summed in place.

    .. math:: f_i = x_i (2 + 5 x_i^2) + 1 - \sum_{j \in \{i-5, \dots, i+1\} \setminus \{i\}} x_j (1 + x_j)

    Parameters
    ----------
    n : int
        The number of variables and of equations; more than five.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"broyden-banded-{n}",
        title="Broyden's banded system",
        source=_MGH,
        function=_broyden_banded,
        point=_near(-1.0, n),
        jacobian=_broyden_banded_jacobian,
        pattern=partial(banded, n, (-5, -4, -3, -2, -1, 0, 1)),
    )


def _discrete_boundary_value(x: Array) -> Array:
    h = 1 / (x.size + 1)
    t = h * np.arange(1, x.size + 1)
    padded = np.pad(x, 1)
    return 2 * x - padded[:-2] - padded[2:] + h**2 * (x + t + 1) ** 3 / 2


def _discrete_boundary_value_jacobian(x: Array) -> Array:
    n = x.size
    h = 1 / (n + 1)
    J = np.zeros((n, n))
    diagonals = J.reshape(-1)
    diagonals[:: n + 1] = 2 + 1.5 * h**2 * (x + h * np.arange(1, n + 1) + 1) ** 2
    diagonals[n :: n + 1] = -1
    diagonals[1 :: n + 1] = -1
    return J


def _boundary_start(n: int) -> Array:
    t = np.arange(1, n + 1) / (n + 1)
    return _near(t * (t - 1), n)


def discrete_boundary_value(n: int = 1000) -> Case:
    r"""A two-point boundary value problem in finite differences (MGH 28), with `numpy.pad` for the ends.

    .. math:: f_i = 2 x_i - x_{i-1} - x_{i+1} + \tfrac{h^2}{2} (x_i + t_i + 1)^3,
        \qquad h = \tfrac{1}{n+1}, \; t_i = i h

    Parameters
    ----------
    n : int
        The number of inner grid points.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"discrete-boundary-value-{n}",
        title="two-point boundary value problem",
        source=_MGH,
        function=_discrete_boundary_value,
        point=_boundary_start(n),
        jacobian=_discrete_boundary_value_jacobian,
        pattern=partial(banded, n, (-1, 0, 1)),
    )


def _discrete_integral(x: Array) -> Array:
    h = 1 / (x.size + 1)
    t = h * np.arange(1, x.size + 1)
    cube = (x + t + 1) ** 3
    left = np.cumsum(t * cube)
    right = (1 - t) * cube
    return x + h / 2 * ((1 - t) * left + t * (np.sum(right) - np.cumsum(right)))


def _discrete_integral_jacobian(x: Array) -> Array:
    n = x.size
    h = 1 / (n + 1)
    t = h * np.arange(1, n + 1)
    J = np.minimum(t[:, np.newaxis], t) * (1 - np.maximum(t[:, np.newaxis], t))
    J *= 1.5 * h * (x + t + 1) ** 2
    J.reshape(-1)[:: n + 1] += 1
    return J


def discrete_integral(n: int = 500) -> Case:
    r"""The same boundary value problem as an integral equation (MGH 29): dense, in O(n) by cumulative sums.

    .. math:: f_i = x_i + \tfrac{h}{2} \Bigl[(1 - t_i) \sum_{j \le i} t_j (x_j + t_j + 1)^3
        + t_i \sum_{j > i} (1 - t_j) (x_j + t_j + 1)^3\Bigr]

    Parameters
    ----------
    n : int
        The number of inner grid points.

    Returns
    -------
    Case
    """
    return Case(
        name=f"discrete-integral-{n}",
        title="boundary value problem as an integral equation",
        source=_MGH,
        function=_discrete_integral,
        point=_boundary_start(n),
        jacobian=_discrete_integral_jacobian,
        pattern=partial(dense, n, n),
    )


def _trigonometric(x: Array) -> Array:
    i = np.arange(1, x.size + 1)
    cosine = np.cos(x)
    return x.size - np.sum(cosine) + i * (1 - cosine) - np.sin(x)


def _trigonometric_jacobian(x: Array) -> Array:
    n = x.size
    sine = np.sin(x)
    J = np.tile(sine, (n, 1))
    J.reshape(-1)[:: n + 1] += np.arange(1, n + 1) * sine - np.cos(x)
    return J


def trigonometric(n: int = 500) -> Case:
    r"""The trigonometric system (MGH 26): a diagonal plus a rank-one Jacobian, hence dense.

    .. math:: f_i = n - \sum_j \cos x_j + i (1 - \cos x_i) - \sin x_i, \qquad i = 1, \dots, n

    Parameters
    ----------
    n : int
        The number of variables and of equations.

    Returns
    -------
    Case
    """
    return Case(
        name=f"trigonometric-{n}",
        title="trigonometric system, diagonal plus rank one",
        source=_MGH,
        function=_trigonometric,
        point=_near(0.5, n),
        jacobian=_trigonometric_jacobian,
        pattern=partial(dense, n, n),
    )


def _scattering(n: int, albedo: float) -> Array:
    mu = (np.arange(n) + 0.5) / n
    return fixed(albedo / (2 * n) * mu[:, np.newaxis] / (mu[:, np.newaxis] + mu))


def _chandrasekhar(x: Array, *, kernel: Array) -> Array:
    return x - 1 / (1 - kernel @ x)


def _chandrasekhar_jacobian(x: Array, *, kernel: Array) -> Array:
    J = kernel * (-1 / (1 - kernel @ x) ** 2)[:, np.newaxis]
    J.reshape(-1)[:: x.size + 1] += 1
    return J


def chandrasekhar(n: int = 300, albedo: float = 0.9) -> Case:
    r"""Chandrasekhar's H-equation of radiative transfer, discretised at midpoints: a dense kernel.

    .. math:: f_i = x_i - \Bigl(1 - \frac{c}{2n} \sum_j \frac{\mu_i x_j}{\mu_i + \mu_j}\Bigr)^{-1},
        \qquad \mu_i = \frac{i + 1/2}{n}

    Parameters
    ----------
    n : int
        The number of directions.
    albedo : float
        The fraction c of the light that is scattered, between 0 and 1.

    Returns
    -------
    Case
    """
    kernel = _scattering(n, albedo)
    return Case(
        name=f"chandrasekhar-{n}",
        title="H-equation of radiative transfer",
        source="C. T. Kelley, Iterative Methods for Linear and Nonlinear Equations, SIAM, 1995,"
        " doi:10.1137/1.9781611970944",
        function=partial(_chandrasekhar, kernel=kernel),
        point=_near(1.2, n),
        jacobian=partial(_chandrasekhar_jacobian, kernel=kernel),
        pattern=partial(dense, n, n),
    )


def _helmholtz_energy(x: Array, *, a: Array, b: Array) -> float:
    volume = b @ x
    attraction = x @ a @ x / (np.sqrt(8) * volume)
    ratio = (1 + (1 + np.sqrt(2)) * volume) / (1 + (1 - np.sqrt(2)) * volume)
    return np.sum(x * np.log(x / (1 - volume))) - attraction * np.log(ratio)


def _helmholtz_energy_jacobian(x: Array, *, a: Array, b: Array) -> Array:
    volume, ax = b @ x, a @ x
    attraction = x @ ax / (np.sqrt(8) * volume)
    above, below = 1 + (1 + np.sqrt(2)) * volume, 1 + (1 - np.sqrt(2)) * volume
    logarithm = np.log(above / below)
    # The coefficient of b gathers all that depends on the volume alone.
    along = np.sum(x) / (1 - volume) + attraction * logarithm / volume
    along -= attraction * ((1 + np.sqrt(2)) / above - (1 - np.sqrt(2)) / below)
    gradient = np.log(x / (1 - volume)) + 1 + along * b
    gradient -= ax * (2 * logarithm / (np.sqrt(8) * volume))
    return gradient[np.newaxis]


def helmholtz_energy(n: int = 500) -> Case:
    r"""The Helmholtz energy of a mixed fluid by the Peng–Robinson equation of state, a scalar of n densities.

    .. math:: f = \sum_i x_i \log\frac{x_i}{1 - b^T x}
        - \frac{x^T A x}{\sqrt 8\, b^T x} \log\frac{1 + (1 + \sqrt 2) b^T x}{1 + (1 - \sqrt 2) b^T x}

    in units of the gas constant times the temperature.

    Parameters
    ----------
    n : int
        The number of components.

    Returns
    -------
    Case
        With m = 1, and a result of shape ().
    """
    rng = np.random.default_rng(1)
    strength = rng.uniform(0.5, 1.5, n)
    data = {"a": fixed(np.sqrt(np.outer(strength, strength))), "b": fixed(rng.uniform(0.2, 0.5, n))}
    return Case(
        name=f"helmholtz-energy-{n}",
        title="Helmholtz energy of a mixed fluid, a scalar",
        source="A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., SIAM, 2008, doi:10.1137/1.9780898717761",
        function=partial(_helmholtz_energy, **data),
        point=fixed(rng.uniform(0.5, 1.5, n) / n),
        jacobian=partial(_helmholtz_energy_jacobian, **data),
        pattern=partial(dense, 1, n),
    )
