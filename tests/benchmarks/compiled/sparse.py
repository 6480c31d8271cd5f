"""Sparse Jacobians and Hessians: stencils, chains, and pictures of points."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from dualdiff.lab.problems import equations, fitting, stencils
from dualdiff.lab.problems.fitting import _bundle_blocks, _bundle_columns
from dualdiff.lab.problems.stencils import _periodic_neighbours
from tests.benchmarks.compiled.workload import Bar, Derivative, Workload

BARS = (Bar(1.0, "asdex"), Bar(1.5, "NumPy"))
MOST_SYMBOLS = 3_000
"""Unknowns up to which CasADi is given a symbol for each: building the expressions of 20,000 takes minutes."""


class Template:
    """A pattern row by row, and where in its data an entry stands."""

    def __init__(self, rows: Any, columns: Any, shape: tuple[int, int]) -> None:
        rows, columns = np.broadcast_arrays(rows, columns)
        self.shape = shape
        self.place = np.empty(rows.size, dtype=np.intp)
        order = np.lexsort((columns.ravel(), rows.ravel()))
        self.place[order] = np.arange(rows.size)
        self.place = self.place.reshape(rows.shape)
        self.indices = columns.ravel()[order].astype(np.int32)
        self.indptr = np.searchsorted(rows.ravel()[order], np.arange(shape[0] + 1)).astype(np.int32)

    def filled(self, data: Any) -> Any:
        return csr_array((data, self.indices, self.indptr), shape=self.shape)


def tridiagonal(n: int) -> Template:
    i = np.arange(n)
    rows = np.concatenate([i, i[1:], i[:-1]])
    return Template(rows, np.concatenate([i, i[:-1], i[1:]]), (n, n))


# -- Broyden ---------------------------------------------------------------------------------------


def broyden(n: int) -> dict[str, Any]:
    case, template = equations.broyden_tridiagonal(n), tridiagonal(n)
    # Two entries in the first row, then below, on and above the diagonal of each.
    constant = np.empty(template.indices.size)
    constant[template.place] = np.concatenate([np.zeros(n), np.full(n - 1, -1.0), np.full(n - 1, -2.0)])

    def by_hand(x: Any) -> Any:
        data = constant.copy()
        data[::3] = 3 - 4 * x
        return template.filled(data)

    def by_loops(x: Any) -> Any:
        data = np.empty(3 * x.size - 2)
        for i in range(x.size):
            data[3 * i] = 3 - 4 * x[i]
            if i > 0:
                data[3 * i - 1] = -1.0
            if i < x.size - 1:
                data[3 * i + 1] = -2.0
        return data

    return _of(case) | {"by_hand": by_hand, "by_loops": by_loops, "finished": template.filled}


# -- Brusselator -----------------------------------------------------------------------------------


def brusselator(grid: int) -> dict[str, Any]:
    case = stencils.brusselator(grid)
    cells = grid * grid
    i, neighbours = np.arange(cells), _periodic_neighbours(grid)
    columns = np.concatenate([neighbours, neighbours + cells, [i, i + cells, i, i + cells]])
    rows = np.concatenate(
        [np.broadcast_to(i, (4, cells)), np.broadcast_to(i + cells, (4, cells)), [i, i, i + cells, i + cells]]
    )
    template = Template(rows, columns, (2 * cells, 2 * cells))
    given = case.function.keywords
    diffusion, removal = given["diffusion"], given["removal"]
    constant = np.full(template.indices.size, diffusion)
    uu, uv, vu, vv = template.place[8:]

    def by_hand(x: Any) -> Any:
        u, v = x[:cells], x[cells:]
        both, square = 2 * u * v, u * u
        data = constant.copy()
        data[uu] = both - (removal + 1 + 4 * diffusion)
        data[uv] = square
        data[vu] = removal - both
        data[vv] = -square - 4 * diffusion
        return template.filled(data)

    def by_loops(x: Any, constant: Any, uu: Any, uv: Any, vu: Any, vv: Any) -> Any:
        data = constant.copy()
        for k in range(uu.size):
            u, v = x[k], x[uu.size + k]
            data[uu[k]] = 2 * u * v - (removal + 1 + 4 * diffusion)
            data[uv[k]] = u * u
            data[vu[k]] = removal - 2 * u * v
            data[vv[k]] = -u * u - 4 * diffusion
        return data

    return _of(case) | {
        "by_hand": by_hand, "by_loops": by_loops, "data": (constant, uu, uv, vu, vv), "finished": template.filled,
    }  # fmt: skip


# -- the Hessian of Rosenbrock's function ----------------------------------------------------------


def rosenbrock(n: int) -> dict[str, Any]:
    case, template = equations.rosenbrock_objective(n), tridiagonal(n)

    def by_hand(x: Any) -> Any:
        data = np.empty(3 * n - 2)
        diagonal, beside = data[::3], -400 * x[:-1]
        diagonal[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
        diagonal[-1] = 0
        diagonal[1:] += 200
        data[1::3] = data[2::3] = beside
        return template.filled(data)

    def by_loops(x: Any) -> Any:
        data = np.zeros(3 * x.size - 2)
        for i in range(x.size - 1):
            data[3 * i] += 1200 * x[i] * x[i] - 400 * x[i + 1] + 2
            data[3 * i + 3] += 200
            data[3 * i + 1] = data[3 * i + 2] = -400 * x[i]
        return data

    return _of(case) | {"by_hand": by_hand, "by_loops": by_loops, "finished": template.filled}


# -- bundle adjustment -----------------------------------------------------------------------------


def bundle(cameras: int, points: int, observations: int) -> dict[str, Any]:
    case = fitting.bundle_adjustment(cameras, points, observations)
    given = {k: v for k, v in case.function.keywords.items() if k != "observed"}
    columns = np.repeat(_bundle_columns(cameras, given["camera_index"], given["point_index"]), 2, axis=0)
    # Cameras stand before points, and so in order in each row.
    template = Template(np.arange(len(columns))[:, np.newaxis], columns, (len(columns), case.inputs))

    def by_hand(x: Any) -> Any:
        return template.filled(_bundle_blocks(x, **given).ravel())

    return _of(case) | {"by_hand": by_hand, "symbols": False}


def _of(case: Any) -> dict[str, Any]:
    return {"function": case.function, "x": np.array(case.point), "symbols": case.inputs <= MOST_SYMBOLS, "rtol": 1e-9}


def workloads(tiny: bool = False) -> list[Workload]:
    """Return the family."""
    found: list[Workload] = [
        Derivative(name=f"{name}, {n:,}", wanted=wanted, bars=BARS, **made(n))
        for name, made, wanted, n in (
            ("Broyden's tridiagonal system", broyden, "sparse jacobian", 7 if tiny else 1000),
            ("Broyden's tridiagonal system", broyden, "sparse jacobian", 8 if tiny else 100_000),
            ("Hessian of Rosenbrock's function", rosenbrock, "sparse hessian", 6 if tiny else 10_000),
        )
    ]
    for grid in (3, 4) if tiny else (32, 100):
        found.append(
            Derivative(name=f"Brusselator, {grid} × {grid}", wanted="sparse jacobian", bars=BARS, **brusselator(grid))
        )
    for sizes in ((2, 4, 6), (2, 5, 8)) if tiny else ((10, 300, 1000), (60, 4000, 36_000)):
        found.append(
            Derivative(
                name=f"bundle adjustment, {sizes[2]:,} observations",
                wanted="sparse jacobian",
                bars=BARS,
                **bundle(*sizes),
            )
        )
    return found
