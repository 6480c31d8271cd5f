"""All named problems, in sizes for tests, for benchmarks, and for what only sparsity can do."""

from collections.abc import Callable
from typing import Any, Literal, get_args

from dualdiff.lab.problems import chains, equations, fitting, gas, greeks, learning, mechanics, scalar, stencils
from dualdiff.lab.problems.case import Case

__all__ = ["Scale", "zoo"]

Scale = Literal["small", "medium", "large"]
Sizes = tuple[Any, ...] | None

#: A row a case: its builder, and the builder's arguments at each scale, or None where the case has no use.
_TABLE: tuple[tuple[Callable[..., Case], Sizes, Sizes, Sizes], ...] = (
    (equations.rosenbrock, (10,), (1000,), (100_000,)),
    (equations.rosenbrock_loop, (10,), (200,), None),
    (equations.rosenbrock_objective, (12,), (1000,), (100_000,)),
    (equations.broyden_tridiagonal, (12,), (1000,), (100_000,)),
    (equations.broyden_banded, (15,), (1000,), (100_000,)),
    (equations.discrete_boundary_value, (12,), (1000,), (100_000,)),
    (equations.discrete_integral, (12,), (500,), None),
    (equations.trigonometric, (12,), (500,), None),
    (equations.chandrasekhar, (12,), (300,), None),
    (equations.helmholtz_energy, (10,), (500,), None),
    (stencils.brusselator, (3,), (20,), (100,)),
    (stencils.bratu, (4,), (30,), (300,)),
    (stencils.bratu_slices, (4,), (30,), (300,)),
    (stencils.heat_finite_volume, (12,), (1000,), (100_000,)),
    (stencils.burgers_upwind, (12,), (1000,), (100_000,)),
    (chains.arrowhead, (10,), (1000,), (100_000,)),
    (chains.block_diagonal, (5, 3), (200, 5), (20_000, 5)),
    (chains.hourglass, (12, 1, 9), (1000, 1, 1000), None),
    (chains.hourglass, (15, 3, 15), (1000, 3, 1000), None),
    (chains.spindle, (20,), (100_000,), (1_000_000,)),
    (chains.layers, (8, 3, 12, 2), (50, 10, 200, 5), None),
    (chains.layers, (10, 10, 10), (200, 200, 200, 200), None),
    (chains.matrix_product, (3, (4, 5, 2)), (20, (20, 30, 10)), (1000, (20, 30, 10))),
    (chains.dense_map, (30, 3), (5000, 5), (1_000_000, 5)),
    (chains.dense_map, (3, 20), (10, 500), (5, 1_000_000)),
    (chains.small_operations, (8, 4), (30, 10), None),
    (chains.speelpenning, (10,), (500,), None),
    (fitting.gaussians, (25, 3), (1000, 3), (100_000, 3)),
    (fitting.gaussians_broadcast, (25, 3), (1000, 3), (100_000, 3)),
    (fitting.exponential_decay, (20,), (1000,), (1_000_000,)),
    (fitting.panel_decay, (4, 5), (50, 10), (5000, 20)),
    (fitting.bundle_adjustment, (2, 4, 7), (10, 100, 400), (50, 8000, 36_000)),
    (learning.lstm_cell, (4, 5), (32, 64), None),
    (learning.lstm_weights, (2, 2), (16, 16), (64, 128)),
    (learning.mixture_densities, (20, 3, 2), (1000, 5, 2), (100_000, 5, 2)),
    (learning.mixture_likelihood, (20, 3, 2), (1000, 5, 2), (100_000, 5, 2)),
    (learning.logistic_loss, (15, 6), (500, 100), (20_000, 100)),
    (learning.perceptron_loss, (2, 3, 2), (4, 8, 4), None),
    (mechanics.lorenz_rk4, (5,), (50,), (1000,)),
    (mechanics.planar_arm, (8,), (100,), (100_000,)),
    (mechanics.planar_links, (8,), (100,), None),
    (mechanics.puma_arm, (), (), None),
    (mechanics.robertson, (), (), None),
    (mechanics.robertson_cells, (5,), (300,), (30_000,)),
    (mechanics.gravity, (5,), (60,), None),
    (mechanics.oscillator_chain, (8,), (400,), (50_000,)),
    (scalar.heart_dipole, (), (), None),
    (scalar.propane_combustion, (), (), None),
    (scalar.robot_arm, (), (), None),
    (scalar.roe_flux, (), (), None),
    (gas.roe_flux_3d, (), (), None),
    (greeks.black_scholes_greeks, (), (), None),
)


def zoo(scale: Scale = "small") -> tuple[Case, ...]:
    """Return all named problems at one scale.

    Parameters
    ----------
    scale : {"small", "medium", "large"}
        Small: up to about thirty inputs and outputs, for tests. Medium: usual sizes, the dense Jacobian of each with
        at most a million entries. Large: sparse, or with very few inputs or outputs; there are fewer of these, and
        most dense Jacobians would not fit into memory.

    Returns
    -------
    tuple of Case
        Built afresh, always the same.

    Raises
    ------
    ValueError
        If there is no such scale.

    Examples
    --------
    >>> cases = {case.name: case for case in zoo("medium")}
    >>> case = cases["broyden-tridiagonal-1000"]
    >>> case.inputs, case.outputs, case.pattern().nnz
    (1000, 1000, 2998)
    >>> case.function(case.point).shape
    (1000,)
    """
    if scale not in get_args(Scale):
        raise ValueError(f"scale must be one of {', '.join(map(repr, get_args(Scale)))}, not {scale!r}")
    column = get_args(Scale).index(scale)
    chosen = [(build, sizes[column]) for build, *sizes in _TABLE]
    return tuple(build(*arguments) for build, arguments in chosen if arguments is not None)
