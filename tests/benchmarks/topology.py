"""The gradient of compliance in topology optimisation (SIMP) beside the adjoint written by hand and beside differences."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

import dualdiff as dd
from dualdiff.lab.timing import interleaved_minima

Row = dict[str, Any]
NU, PENALTY, VOID = 0.3, 3.0, 1e-9


def element_stiffness() -> Any:
    """Return the stiffness of a square element of unit size in plane stress, for Young's modulus 1."""
    nu, a = NU, np.array([12, 3, -6, -3, -6, -3, 0, 3]) / 24
    b = np.array([-4, 3, -2, 9, 2, -3, 4, -9]) / 24
    k = a + nu * b
    order = [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [1, 0, 7, 6, 5, 4, 3, 2],
        [2, 7, 0, 5, 6, 3, 4, 1],
        [3, 6, 5, 0, 7, 2, 1, 4],
        [4, 5, 6, 7, 0, 1, 2, 3],
        [5, 4, 3, 2, 1, 0, 7, 6],
        [6, 3, 4, 1, 2, 7, 0, 5],
        [7, 2, 1, 4, 3, 6, 5, 0],
    ]
    return k[order] / (1 - nu**2)


class Beam:
    """Half of a beam on two supports, loaded in its middle: ``across`` by ``down`` elements."""

    def __init__(self, across: int, down: int) -> None:
        x, y = np.divmod(np.arange(across * down), down)
        first, second = (down + 1) * x + y, (down + 1) * (x + 1) + y
        nodes = np.stack([first + 1, second + 1, second, first], axis=1)
        self.dofs = np.stack([2 * nodes, 2 * nodes + 1], axis=2).reshape(-1, 8)
        self.size = 2 * (across + 1) * (down + 1)
        self.rows, self.columns = np.repeat(self.dofs, 8, axis=1).ravel(), np.tile(self.dofs, 8).ravel()
        held = np.union1d(np.arange(0, 2 * (down + 1), 2), [self.size - 1])
        self.free = np.setdiff1d(np.arange(self.size), held)
        self.load = np.zeros(self.size)
        self.load[1] = -1.0
        self.K = element_stiffness()

    def displacement(self, density: Any) -> Any:
        """Solve the system."""
        stiffness = VOID + density**PENALTY * (1 - VOID)
        entries = (stiffness[:, None] * self.K.ravel()).ravel()
        K = coo_matrix((entries, (self.rows, self.columns)), shape=(self.size, self.size)).tocsc()
        u = np.zeros(self.size)
        u[self.free] = spsolve(K[self.free, :][:, self.free], self.load[self.free])
        return u

    def compliance(self, density: Any) -> Any:
        """Return the work of the load."""
        return self.load @ self.displacement(density)

    def by_hand(self, density: Any) -> Any:
        """Return the gradient of the compliance, by the adjoint, which here is the displacement itself."""
        u = self.displacement(density)[self.dofs]
        energy = np.einsum("ei,ij,ej->e", u, self.K, u)
        return -PENALTY * density ** (PENALTY - 1) * (1 - VOID) * energy


def topology() -> list[Row]:
    """Compliance: ours over one evaluation, over the adjoint by hand, and the evaluations that differences take."""
    rows: list[Row] = []
    for across, down in ((30, 10), (60, 20), (120, 40)):
        beam = Beam(across, down)
        x = np.random.default_rng(0).uniform(0.3, 0.9, across * down)
        gradient = dd.grad(beam.compliance)
        found, want = gradient(x), beam.by_hand(x)
        calls = {"ours": gradient, "hand": beam.by_hand, "f": beam.compliance}
        times = interleaved_minima({name: partial(call, x) for name, call in calls.items()}, rounds=9)
        rows.append(
            {
                "elements": f"{across} x {down}",
                "gradient ms": times["ours"] * 1e3,
                "/f": times["ours"] / times["f"],
                "/hand": times["ours"] / times["hand"],
                "2-point /ours": times["f"] * (x.size + 1) / times["ours"],
                "apart": float(np.abs(found - want).max() / np.abs(want).max()),
            }
        )
    return rows
