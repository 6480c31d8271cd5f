"""The zoo as a table: what there is, how large, where it comes from, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dualdiff.lab.problems.case import Case
from dualdiff.lab.problems.zoo import Scale, zoo
from dualdiff.lab.tables import Table, Tabular

__all__ = ["Listing", "listing"]


@dataclass(frozen=True, slots=True, repr=False)
class Listing(Tabular):
    """Problems with known derivatives. Prints as a table, and is written out as a comparison is.

    Attributes
    ----------
    scale : str
    cases : tuple of Case
    """

    scale: str
    cases: tuple[Case, ...]

    def __getitem__(self, name: str) -> Case:
        """Return the case of that name, or the only one whose name begins so."""
        found = [case for case in self.cases if case.name == name]
        found = found or [case for case in self.cases if case.name.startswith(name)]
        if len(found) != 1:
            known = ", ".join([case.name for case in found or self.cases])
            raise KeyError(
                f"{'no problem is' if not found else 'several problems are'} called {name!r}; there are {known}"
            )
        return found[0]

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Any:
        return iter(self.cases)

    @property
    def tables(self) -> tuple[Table, ...]:
        """One row a problem."""
        rows = []
        for row in self.records():
            density = "-" if row["nonzeros"] is None else f"{row['nonzeros']:,}"
            size = f"{row['outputs']} x {row['inputs']}"
            by_hand = "by hand" if row["jacobian"] else "-"
            rows.append((row["name"], size, density, by_hand, row["title"]))
        head = f"{len(self.cases)} problems, {self.scale}"
        notes = ("Sources are in the records: .to_dataframe(), .to_csv(), listing[name].source",)
        return (
            Table(
                head, ("problem", "m x n", "nonzeros", "Jacobian", "what it computes"), tuple(rows), notes, (0, 3, 4)
            ),
        )

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping a problem: name, title, source, sizes, nonzeros, whether the Jacobian is known by hand."""
        return [
            {
                "name": case.name,
                "title": case.title,
                "source": case.source,
                "outputs": case.outputs,
                "inputs": case.inputs,
                "nonzeros": None if case.pattern is None else int(case.pattern().nnz),
                "jacobian": case.jacobian is not None,
            }
            for case in self.cases
        ]

    def document(self) -> dict[str, Any]:
        """Return everything as plain mappings, lists, numbers and strings."""
        return {"scale": self.scale, "problems": self.records()}


def listing(scale: Scale = "small") -> Listing:
    """Return the zoo as a table: sizes, patterns, known Jacobians, and by name each problem with its source.

    Parameters
    ----------
    scale : {"small", "medium", "large"}
        As for `zoo`. The large one takes some seconds: every function runs once.

    Returns
    -------
    Listing

    Examples
    --------
    >>> from dualdiff import lab
    >>> case = lab.problems.listing()["roe-flux"]
    >>> case.inputs, case.outputs, case.jacobian(case.point).shape
    (6, 3, (3, 6))
    """
    return Listing(scale, zoo(scale))
