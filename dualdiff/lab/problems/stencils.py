"""Discretised partial differential equations: every equation sees its neighbours on a grid."""

from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dualdiff.lab.problems.case import Array, Case, banded, entries, fixed

__all__ = ["bratu", "bratu_slices", "brusselator", "burgers_upwind", "heat_finite_volume"]


def _periodic_neighbours(grid: int) -> np.ndarray:
    """Return the numbers of the four neighbours of each point of a torus, of shape (4, grid²)."""
    number = np.arange(grid * grid).reshape(grid, grid)
    shifts = [(1, 0), (-1, 0), (1, 1), (-1, 1)]
    return np.stack([np.roll(number, shift, axis=axis).ravel() for shift, axis in shifts])


def _laplacian(field: Array) -> Array:
    around = np.roll(field, 1, axis=0) + np.roll(field, -1, axis=0) + np.roll(field, 1, axis=1)
    return around + np.roll(field, -1, axis=1) - 4 * field


def _brusselator(x: Array, *, grid: int, feed: float, removal: float, diffusion: float) -> Array:
    u, v = x.reshape(2, grid, grid)
    reaction = u**2 * v
    du = feed + reaction - (removal + 1) * u + diffusion * _laplacian(u)
    dv = removal * u - reaction + diffusion * _laplacian(v)
    return np.concatenate([du.ravel(), dv.ravel()])


def _brusselator_jacobian(x: Array, *, grid: int, feed: float, removal: float, diffusion: float) -> Array:
    cells = grid * grid
    u, v = x.reshape(2, cells)
    J = np.zeros((2, cells, 2, cells))
    i, neighbours = np.arange(cells), _periodic_neighbours(grid)
    J[0, i, 0, neighbours] = J[1, i, 1, neighbours] = diffusion
    J[0, i, 0, i] = 2 * u * v - (removal + 1) - 4 * diffusion
    J[0, i, 1, i] = u**2
    J[1, i, 0, i] = removal - 2 * u * v
    J[1, i, 1, i] = -(u**2) - 4 * diffusion
    return J.reshape(2 * cells, 2 * cells)


def _brusselator_pattern(grid: int) -> csr_array:
    cells = grid * grid
    i, neighbours = np.arange(cells), _periodic_neighbours(grid)
    other = (i + cells)[np.newaxis]
    # Each field sees its own neighbours, itself, and the other field in the same cell.
    columns = np.concatenate([neighbours, i[np.newaxis], other])
    columns = np.concatenate([columns, (columns + cells) % (2 * cells)], axis=1)
    return entries(np.arange(2 * cells), columns, (2 * cells, 2 * cells))


def brusselator(grid: int = 20, *, feed: float = 1.0, removal: float = 3.0, diffusion: float = 0.02) -> Case:
    r"""The reaction and diffusion of the Brusselator on a torus, written with `numpy.roll`.

    .. math:: \dot u = A + u^2 v - (B + 1) u + \alpha \Delta_h u, \qquad
        \dot v = B u - u^2 v + \alpha \Delta_h v

    with the five-point Laplacian; u and v follow one another in the state, each row by row.

    Parameters
    ----------
    grid : int
        The number of points along one side, at least 3: n = m = 2 grid².
    feed, removal : float
        A and B.
    diffusion : float
        α, the coefficient of diffusion divided by the square of the mesh width.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    rng = np.random.default_rng(0)
    concentration = np.concatenate([rng.uniform(0.8, 1.2, grid * grid), rng.uniform(2.5, 3.5, grid * grid)])
    data: dict[str, Any] = {"grid": grid, "feed": feed, "removal": removal, "diffusion": diffusion}
    return Case(
        name=f"brusselator-{grid}x{grid}",
        title="Brusselator on a torus, two fields",
        source="I. Prigogine, R. Lefever, J. Chem. Phys. 48, 1968, doi:10.1063/1.1668896; E. Hairer, G. Wanner,"
        " Solving Ordinary Differential Equations II, Springer, 1996, doi:10.1007/978-3-642-05221-7",
        function=partial(_brusselator, **data),
        point=fixed(concentration),
        jacobian=partial(_brusselator_jacobian, **data),
        pattern=partial(_brusselator_pattern, grid),
    )


def _bratu(x: Array, *, grid: int, rate: float) -> Array:
    u = x.reshape(grid, grid)
    padded = np.pad(u, 1)
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return (4 * u - around - rate / (grid + 1) ** 2 * np.exp(u)).ravel()


def _bratu_slices(x: Array, *, grid: int, rate: float) -> Array:
    u = x.reshape(grid, grid)
    y = np.zeros_like(u)
    y[1:] -= u[:-1]
    y[:-1] -= u[1:]
    y[:, 1:] -= u[:, :-1]
    y[:, :-1] -= u[:, 1:]
    y += 4 * u - rate / (grid + 1) ** 2 * np.exp(u)
    return y.ravel()


def _bratu_pairs(grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all pairs of neighbours of a square grid."""
    number = np.arange(grid * grid).reshape(grid, grid)
    one = np.concatenate([number[1:].ravel(), number[:, 1:].ravel()])
    other = np.concatenate([number[:-1].ravel(), number[:, :-1].ravel()])
    return np.concatenate([one, other]), np.concatenate([other, one])


def _bratu_jacobian(x: Array, *, grid: int, rate: float) -> Array:
    J = np.zeros((x.size, x.size))
    J[_bratu_pairs(grid)] = -1
    J.reshape(-1)[:: x.size + 1] = 4 - rate / (grid + 1) ** 2 * np.exp(x)
    return J


def _bratu_pattern(grid: int) -> csr_array:
    one, other = _bratu_pairs(grid)
    i = np.arange(grid * grid)
    return entries(np.concatenate([i, one]), np.concatenate([i, other]), (i.size, i.size))


_MINPACK2 = "B. Averick, R. Carter, J. Moré, G. Xue, The MINPACK-2 Test Problem Collection, ANL/MCS-P153-0692, 1992"


def bratu(grid: int = 30, *, rate: float = 6.0) -> Case:
    r"""Bratu's problem, the ignition of a solid fuel, with zeros around by `numpy.pad`.

    .. math:: f = -h^2 (\Delta_h u + \lambda e^u), \qquad h = \tfrac{1}{g + 1}, \; u = 0 \text{ on the boundary}

    Parameters
    ----------
    grid : int
        The number g of inner points along one side of the unit square: n = m = g².
    rate : float
        λ.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"bratu-{grid}x{grid}",
        title="Bratu's problem on a square, padded",
        source=_MINPACK2,
        function=partial(_bratu, grid=grid, rate=rate),
        point=fixed(np.random.default_rng(0).uniform(0, 0.5, grid * grid)),
        jacobian=partial(_bratu_jacobian, grid=grid, rate=rate),
        pattern=partial(_bratu_pattern, grid),
    )


def bratu_slices(grid: int = 30, *, rate: float = 6.0) -> Case:
    """The same equations as `bratu`, gathered in place in slices of an array of zeros.

    Parameters
    ----------
    grid : int
        The number g of inner points along one side of the unit square: n = m = g².
    rate : float
        λ.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"bratu-slices-{grid}x{grid}",
        title="Bratu's problem on a square, in place",
        source=_MINPACK2,
        function=partial(_bratu_slices, grid=grid, rate=rate),
        point=fixed(np.random.default_rng(0).uniform(0, 0.5, grid * grid)),
        jacobian=partial(_bratu_jacobian, grid=grid, rate=rate),
        pattern=partial(_bratu_pattern, grid),
    )


def _heat_finite_volume(x: Array) -> Array:
    middle = (x[1:] + x[:-1]) / 2
    flux = (1 + middle**2) * np.diff(x) * x.size
    y = np.zeros_like(x)
    y[:-1] += flux
    y[1:] -= flux
    return y * x.size


def _heat_finite_volume_jacobian(x: Array) -> Array:
    n = x.size
    middle = (x[1:] + x[:-1]) / 2
    conductivity = n**2 * (1 + middle**2)
    bend = n**2 * middle * np.diff(x)
    left, right = bend - conductivity, bend + conductivity
    J = np.zeros((n, n))
    diagonals = J.reshape(-1)
    diagonals[:: n + 1][:-1] = left
    diagonals[:: n + 1][1:] -= right
    diagonals[1 :: n + 1] = right
    diagonals[n :: n + 1] = -left
    return J


def heat_finite_volume(n: int = 1000) -> Case:
    r"""Heat in an insulated rod whose conductivity grows with temperature, by finite volumes.

    .. math:: \dot T_i = \frac{q_{i+1/2} - q_{i-1/2}}{h}, \qquad
        q_{i+1/2} = k\bigl(\tfrac{T_i + T_{i+1}}{2}\bigr) \frac{T_{i+1} - T_i}{h}, \qquad k(T) = 1 + T^2

    with h = 1/n and no flux through the ends; each flux is added to one cell and taken from the other.

    Parameters
    ----------
    n : int
        The number of cells.

    Returns
    -------
    Case
        The pattern is exactly the nonzeros.
    """
    return Case(
        name=f"heat-finite-volume-{n}",
        title="nonlinear heat equation, fluxes between cells",
        source="R. LeVeque, Finite Volume Methods for Hyperbolic Problems, Cambridge, 2002, doi:10.1017/CBO9780511791253",
        function=_heat_finite_volume,
        point=fixed(np.random.default_rng(0).uniform(0.5, 1.5, n)),
        jacobian=_heat_finite_volume_jacobian,
        pattern=partial(banded, n, (-1, 0, 1)),
    )


def _burgers_upwind(x: Array) -> Array:
    flux = x**2 / 2
    return np.where(x > 0, np.roll(flux, 1) - flux, flux - np.roll(flux, -1)) * x.size


def _burgers_upwind_jacobian(x: Array) -> Array:
    n = x.size
    i = np.arange(n)
    J = np.zeros((n, n))
    J[i, i] = -n * np.abs(x)
    upwind = np.where(x > 0, i - 1, i + 1) % n
    J[i, upwind] = n * np.where(x > 0, x[upwind], -x[upwind])
    return J


def burgers_upwind(n: int = 1000) -> Case:
    r"""Burgers' equation on a ring: each difference is taken against the wind, chosen by `numpy.where`.

    .. math:: \dot u_i = -\frac{1}{h}
        \begin{cases} F_i - F_{i-1} & u_i > 0 \\ F_{i+1} - F_i & \text{else} \end{cases}, \qquad F = \tfrac{u^2}{2}

    with h = 1/n.

    Parameters
    ----------
    n : int
        The number of points, at least 3.

    Returns
    -------
    Case
        The pattern has both neighbours, the Jacobian at any one point has the one upwind.
    """
    return Case(
        name=f"burgers-upwind-{n}",
        title="Burgers' equation, upwind differences",
        source="R. LeVeque, Finite Volume Methods for Hyperbolic Problems, Cambridge, 2002, doi:10.1017/CBO9780511791253",
        function=_burgers_upwind,
        point=fixed(np.random.default_rng(0).uniform(-1, 1, n)),
        jacobian=_burgers_upwind_jacobian,
        pattern=partial(banded, n, (-1, 0, 1), periodic=True),
    )
