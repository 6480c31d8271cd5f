"""The steps of one evaluation with their tangents and adjoints, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualdiff.lab.tables import Table, Tabular
from dualdiff.lab.trace import markup, picture, sheets
from dualdiff.lab.trace.names import Place
from dualdiff.lab.trace.words import counted
from dualdiff.shapes import dtype_of

__all__ = ["Contribution", "Step", "Trace"]


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """What one step that reads a value adds to its adjoint.

    Attributes
    ----------
    label : str
        The label of the step that reads it.
    adjoints : ndarray, shape (r, *shape)
        What it adds, for each covector.
    """

    label: str
    adjoints: Any


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One value of a run: an input, or what one operation made.

    Attributes
    ----------
    label : str
        What other steps call it: an input's own name, or ``v1``, ``v2``, … in the order in which they ran.
    name : str
        The variable of the user's source that it was assigned to; empty where it was to none.
    operation : str
        What was computed, in labels; ``input`` of an input.
    place : Place
        The user's line.
    value : ndarray or number
    tangents : ndarray or None
        The tangents along the directions shown, (k, *shape); None of what has none: integers, booleans.
    adjoints : ndarray or None
        The adjoints for the covectors shown, (r, *shape); None of what has none.
    contributions : tuple of Contribution
        What the adjoints are the sum of, beside the seeds at the outputs.
    reads : tuple of int
        The positions among all steps of the operands.
    """

    label: str
    name: str
    operation: str
    place: Place
    value: Any
    tangents: Any
    adjoints: Any
    contributions: tuple[Contribution, ...] = ()
    reads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace(Tabular):
    """The evaluation of a function at a point, with both modes' intermediate results. It prints as their tables.

    Attributes
    ----------
    function : str
        The function's name.
    steps : tuple of Step
        The inputs first, then every operation in the order it ran.
    columns, rows : tuple of int
        Which columns of the Jacobian are pushed, and which rows pulled, counted over all inputs and outputs.
    inputs, outputs : tuple of str
        A name for each scalar input, and output.
    owners : tuple of int or None
        For each scalar output which of the steps holds it; None of one that depends on no input.
    value : ndarray, shape (m,)
        The outputs side by side.
    pushed : ndarray, shape (m, k)
        The columns that dual numbers fill.
    pulled : ndarray, shape (r, n)
        The rows that the tape fills.
    pattern : scipy.sparse.csr_array of bool, shape (m, n)
        The entries that can be nonzero.
    digits : int
        To how many significant digits numbers are printed.
    """

    function: str
    steps: tuple[Step, ...]
    columns: tuple[int, ...]
    rows: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    owners: tuple[int | None, ...]
    value: NDArray[Any]
    pushed: NDArray[Any]
    pulled: NDArray[Any]
    pattern: Any = field(repr=False)
    digits: int = 4

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (m, n) of the Jacobian."""
        return len(self.outputs), len(self.inputs)

    @property
    def labels(self) -> frozenset[str]:
        """The labels of all steps but the inputs, which have the user's names."""
        return frozenset(s.label for s in self.steps if s.operation != "input")

    @property
    def jacobian(self) -> NDArray[Any]:
        """What the columns and rows shown fill of the Jacobian, (m, n); NaN where none passes."""
        found = np.full(self.shape, np.nan)
        found[list(self.rows)] = self.pulled
        found[:, list(self.columns)] = self.pushed
        return found

    @property
    def agree(self) -> bool:
        """Whether rows and columns say the same, up to rounding, where they cross."""
        by_columns = self.pushed[list(self.rows)]
        by_rows = self.pulled[:, list(self.columns)]
        size = max([float(np.max(np.abs(j[np.isfinite(j)]), initial=0.0)) for j in (by_columns, by_rows)])
        eps = max(
            [float(np.finfo(dtype_of(s.value)).eps) for s in self.steps if dtype_of(s.value).kind in "fc"], default=0.0
        )
        return bool(np.allclose(by_columns, by_rows, rtol=1e4 * eps, atol=1e3 * eps * size, equal_nan=True))

    @property
    def title(self) -> str:
        """One line on what is shown."""
        m, n = self.shape
        made = sum(s.operation != "input" for s in self.steps)
        return f"{self.function}: {counted(n, 'input')}, {counted(m, 'output')}, {counted(made, 'step')}"

    @property
    def tables(self) -> tuple[Table, ...]:
        """The table of dual numbers, and one of adjoints for each row pulled."""
        return tuple(
            Table(sheet.title, tuple(c.heading for c in sheet.columns), tuple(row.texts for row in sheet.rows))
            for sheet in sheets.sheets(self)
        )

    def __str__(self) -> str:
        return "\n\n".join([self.title, *map(sheets.text, sheets.sheets(self))])

    def _repr_html_(self) -> str:
        return markup.html(self)

    def _repr_latex_(self) -> str:
        return markup.latex(self)

    def to_latex(self, path: str | Path | None = None) -> str:
        r"""Return the tables as LaTeX mathematics, arrays that need no package; write them to a file if a path is given."""
        written = markup.latex(self)
        if path is not None:
            Path(path).write_text(written + "\n", encoding="utf-8")
        return written

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping a step."""
        return [
            {
                "label": s.label,
                "name": s.name,
                "operation": s.operation,
                "line": s.place.line,
                "source": s.place.source,
                "value": _listed(s.value),
                "tangents": _listed(s.tangents),
                "adjoints": _listed(s.adjoints),
                "contributions": [{"label": c.label, "adjoints": _listed(c.adjoints)} for c in s.contributions],
            }
            for s in self.steps
        ]

    def document(self) -> dict[str, Any]:
        """Return everything as plain mappings, lists, numbers and texts."""
        return {
            "function": self.function,
            "shape": list(self.shape),
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "columns": list(self.columns),
            "rows": list(self.rows),
            "agree": self.agree,
            "value": _listed(self.value),
            "pushed": _listed(self.pushed),
            "pulled": _listed(self.pulled),
            "steps": self.records(),
        }

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw how the Jacobian fills: column by column, row by row, and colour by colour where that takes fewer.

        The drawing is written to a file if a path is given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        InputError
            If the Jacobian has too many entries for a picture of each.
        """
        drawn = picture.figure(self)
        if path is not None:
            drawn.savefig(path)
        return drawn

    def to_svg(self) -> str:
        """Return the drawing of :meth:`plot` as SVG."""
        return picture.svg(self)


def _listed(x: Any) -> Any:
    """Return numbers as lists; a complex one as its two parts."""
    if x is None:
        return None
    x = np.asarray(x)
    return {"real": x.real.tolist(), "imag": x.imag.tolist()} if x.dtype.kind == "c" else x.tolist()
