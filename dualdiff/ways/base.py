"""What a way to a Jacobian is, and the register of all ways.

A way is one file and one class. An object of it is the way *to one Jacobian*: how many directions it carries, in which chunks,
with which colours. Whoever chooses, explains, calibrates, plans or proves goes over the register and asks; nobody compares names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from dualdiff.passes.costs import Quantities
from dualdiff.passes.multiplications import Multiplications
from dualdiff.passes.structure import Structure
from dualdiff.ways.program import Program

if TYPE_CHECKING:
    from dualdiff.ways.options import Options
    from dualdiff.ways.problem import Problem

T = TypeVar("T")
SMALL = 1 << 13
"""Elements over all directions of the widest tangent up to which any way is as quick as a comparison of the ways."""
WAYS: list[type[Way]] = []
"""Every way, in the order in which they are listed."""


def register(*ways: type[Way]) -> None:
    """Enter ways into the register: they are costed, explained, chosen, calibrated and proved from then on."""
    WAYS.extend(ways)


def needed(found: T | None, what: str = "a recording") -> T:
    """Return what a way runs on."""
    if found is None:
        raise RuntimeError(f"this way runs on {what}")
    return found


@dataclass(slots=True)
class Answer:
    """Outputs and Jacobian: ``blocks`` per output and input, or the ``whole`` (m, n) matrix."""

    values: list[Any]
    blocks: list[list[Any]] | None = None
    whole: Any = None


@dataclass(frozen=True, slots=True)
class Side:
    """The directions of a way that travel in one sense, of which blocks are cut.

    Attributes
    ----------
    pulled : bool
        Whether they are rows, pulled, or columns, pushed (or evaluated).
    count : int
        How many.
    name : str
        What several of them are called.
    """

    pulled: bool
    count: int
    name: str

    def named(self, lo: int, hi: int) -> str:
        """Return what the directions from ``lo`` to ``hi`` are called in messages."""
        return f"{self.name} {lo} to {hi - 1}" if hi - lo > 1 else f"{self.name} {lo}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Way:
    """One way to one Jacobian.

    Attributes
    ----------
    outputs, inputs : int
        The shape of the Jacobian.
    entries : int
        The entries of the result: all, or the structural nonzeros of a sparse one.
    columns, rows : int
        Directions pushed, covectors pulled.
    chunk : int or None
        Directions at once; None for all.
    structure : Structure or None
        The program it was made for, against which later runs are held; None where it is right for any.
    """

    outputs: int = 0
    inputs: int = 0
    entries: int = 0
    columns: int = 0
    rows: int = 0
    chunk: int | None = None
    structure: Structure | None = field(default=None, repr=False)

    name: ClassVar[str]
    """What it is called in tables and messages."""
    asked: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """For "dense", "sparse" and "symmetric" Jacobians the values of ``mode=`` that ask for it; "auto" lets it compete."""
    coloring: ClassVar[Mapping[str, str]] = {}
    """For "sparse" and "symmetric" Jacobians the value of ``coloring=`` that asks for it."""
    recorded: ClassVar[bool] = False
    """Whether it starts from a recording if there is one."""
    replayed: ClassVar[bool] = False
    """Whether it needs a recording that keeps everything."""
    divisible: ClassVar[bool] = False
    """Whether its directions may travel in chunks."""
    apart: ClassVar[bool] = False
    """Whether blocks of its directions may be carried out apart from one another, by whomever: see :meth:`block`."""
    bound: ClassVar[bool] = False
    """Whether it is right only for the program it was made for."""
    ordered: ClassVar[bool] = False
    """Whether it goes by an order of elimination, which may be given."""
    nests: ClassVar[bool] = False
    """Whether its result can be differentiated by an outer operator."""
    plain: ClassVar[bool] = False
    """Whether it evaluates the function only, at plain points: nothing is recorded to choose it."""
    exact: ClassVar[bool] = True
    """Whether its result is off by rounding alone."""

    # -- which, and when ------------------------------------------------------------------------
    @classmethod
    def at(cls, program: Program, options: Options, exact: bool = True) -> Self | None:
        """Return this way on a program, or None where it does not apply; ``exact=False`` may say fewer directions than needed."""
        raise NotImplementedError

    @classmethod
    def least(cls, program: Program) -> float:
        """Return seconds that it takes in any case: it is not looked at where another way takes less."""
        return 0.0

    @classmethod
    def is_settled(cls, problem: Problem, options: Options, outputs: int | None = None) -> bool:
        """Whether so little is asked that it is taken at once, before the function runs, or as soon as the outputs are counted."""
        return False

    @classmethod
    def at_first(cls, program: Program) -> Self | None:
        """Return this way on a program met for the first time, so small that a comparison of the ways would cost as much as it."""
        return None

    @classmethod
    def options(cls, kind: str = "") -> dict[str, Any]:
        """Return the options of a Jacobian's operator with which this way is taken wherever it applies.

        ``kind`` is "dense", "sparse" or "symmetric"; by default the first that the way serves.
        """
        kind = kind or next(iter(cls.asked))
        mode = cls.asked[kind][-1]
        found: dict[str, Any] = {"mode": mode}
        if kind != "dense":
            found["sparse"] = True
        if kind == "symmetric":
            found["symmetric"] = True
        if kind in cls.coloring:
            found["coloring"] = cls.coloring[kind]
        elif len(asked_for(kind, mode)) > 1:
            found["cost"] = partial(_only, cls)
        return found

    @property
    def is_exact(self) -> bool:
        """Whether the directions are those that will be carried, not fewer."""
        return True

    @classmethod
    def missing(cls, options: Options) -> str:
        """Say why the way does not apply where it alone was asked for."""
        return f"mode={options.mode!r} does not apply to this function; use mode='auto'"

    # -- what it takes ---------------------------------------------------------------------------
    def quantities(self, program: Program) -> Quantities:
        """Return how much of everything that has a price it takes."""
        raise NotImplementedError

    def memory(self, program: Program) -> int:
        """Return the bytes alive at once beside the function's own values, the result included."""
        raise NotImplementedError

    def held(self, program: Program, directions: int) -> list[int]:
        """Return for every equation the elements of the tangent (or cotangent) of its result."""
        return [0 if s is None else s.size * directions for s in program.steps]

    def arrays(self, program: Program, directions: int) -> list[int]:
        """Return the same for the tangents that are arrays of all directions."""
        return self.held(program, directions)

    def multiplications(self, program: Program) -> Multiplications | None:
        """Return how many multiplications of partial derivatives it takes, in the unit of elimination; None if uncounted."""
        return None

    @property
    def directions(self) -> int:
        """How many directions travel at once where nothing cuts them into chunks."""
        return max(self.columns, self.rows)

    @property
    def sweeps(self) -> int:
        """Directions it carries: columns pushed (or evaluated), rows pulled."""
        return self.columns + self.rows

    @property
    def evaluations(self) -> int:
        """How often the function runs."""
        return 1

    @property
    def says(self) -> str:
        """What it does, as a part of a sentence."""
        raise NotImplementedError

    @property
    def details(self) -> str:
        """What else a plan says of it; empty for nothing."""
        return ""

    # -- doing it --------------------------------------------------------------------------------
    def run(self, problem: Problem, options: Options, program: Program | None) -> Answer:
        """Compute the Jacobian. ``program`` is a recording at the point, where the way asks for one."""
        raise NotImplementedError

    @property
    def sides(self) -> tuple[Side, ...]:
        """The directions that blocks are cut of, in the order in which :meth:`gathered` takes their products."""
        found = Side(True, self.rows, "rows"), Side(False, self.columns, "columns")
        return tuple([s for s in found if s.count])

    def block(
        self, problem: Problem, options: Options, program: Program | None, pulled: bool, lo: int, hi: int
    ) -> tuple[Sequence[Any], Any]:
        """Carry the directions from ``lo`` to ``hi`` of a side: the outputs, and the product, a row a direction."""
        raise NotImplementedError

    def gathered(self, problem: Problem, options: Options, values: list[Any], products: Sequence[Any]) -> Answer:
        """Return the Jacobian, made of the products of all sides."""
        raise NotImplementedError

    def made_for(self, program: Program) -> Self:
        """Return the way as it is kept for later calls: held against their programs where it is right for one only."""
        return replace(self, structure=program.structure) if self.bound and self.structure is None else self


def _only(way: type[Way], program: Program, other: Way) -> float:
    """Cost a way so that another one is taken only where it does not apply."""
    return float(type(other) is not way)


def asked_for(kind: str, mode: str) -> tuple[type[Way], ...]:
    """Return the ways that a mode asks for."""
    return tuple([w for w in WAYS if mode in w.asked.get(kind, ())])


def modes(kind: str = "dense") -> Sequence[str]:
    """Return the values of ``mode=`` that ask for some way to a kind of Jacobian."""
    return tuple(dict.fromkeys(["auto", *[m for w in WAYS for m in w.asked.get(kind, ())]]))
