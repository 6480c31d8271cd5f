"""The choice between the ways, from the cost of each on the recorded tape, with its reasons."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.jacobians.mixed import best_tree
from dualdiff.jacobians.sparse import Compression, check_coloring, compression
from dualdiff.passes.costs import Way, forms, machine, operations, peak, seconds, steps
from dualdiff.passes.sparsity import dependence
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape

Cost = Callable[[Tape, Way], float]
"""A model of what a way takes: ``(tape, way) -> seconds``."""

MODES = ("auto", "forward", "reverse", "mixed", "elimination", "finite-differences", "complex-step")
COLORED = ("columns", "rows", "rows and columns", "star", "acyclic")
FRACTION = 0.5
"""The part of the machine's memory that a Jacobian may take where ``max_bytes`` does not say."""
WORKING_SET = 1 << 22
"""Elements over all directions of the widest tangent beyond which directions travel in chunks."""
MARGIN = 1.5
"""What Python's own objects, BLAS, and temporaries that no kind tells of may make of the bytes predicted beside the result."""
SMALL = 1 << 24
"""Bytes that are not worth a closer look."""
WAIST = 24
"""Programs with no more inputs, or outputs, than this are not searched for narrower places."""
CROWDED = 1 << 24
"""The most elements that an array of all directions may have in a run of row-sparse duals."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a Jacobian was asked for; see :func:`dualdiff.jacobian`."""

    mode: str = "auto"
    sparse: bool = False
    chunk: int | None = None
    max_bytes: int | None = None
    cost: Cost | None = None
    coloring: Any = None
    holomorphic: bool = False
    symmetric: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            listed = ", ".join(map(repr, MODES[:-1]))
            raise InputError(f"mode={self.mode!r} is not a way to a Jacobian; use {listed} or {MODES[-1]!r}")
        for name in ("chunk", "max_bytes"):
            given = getattr(self, name)
            if given is not None and (not isinstance(given, (int, np.integer)) or isinstance(given, bool) or given < 1):
                what = "number of directions" if name == "chunk" else "number of bytes"
                raise InputError(f"{name}={given!r} must be a positive {what}, or None")
        if self.cost is not None and not callable(self.cost):
            raise InputError(f"cost={self.cost!r} must be a function (tape, way) -> seconds, or None")
        if self.coloring is not None and not self.sparse:
            raise InputError("coloring= is for sparse Jacobians; give sparse=True as well")
        known = ("star", "acyclic", "columns") if self.symmetric else ("columns", "rows", "both")
        if isinstance(self.coloring, str) and self.coloring not in known:
            listed = ", ".join(map(repr, known))
            raise InputError(f"coloring={self.coloring!r} must be one of {listed}, or colours from dualdiff.coloring")
        if isinstance(self.coloring, str) and self.mode != "auto":
            fitting = {
                "columns": "forward",
                "star": "forward",
                "acyclic": "forward",
                "rows": "reverse",
                "both": "mixed",
            }
            if fitting[self.coloring] != self.mode:
                raise InputError(
                    f"mode={self.mode!r} and coloring={self.coloring!r} ask for two ways; give one of them, or "
                    f"mode={fitting[self.coloring]!r}"
                )
        elif self.coloring is not None and self.mode in ("elimination", "finite-differences", "complex-step"):
            raise InputError(f"mode={self.mode!r} uses no colours; leave out coloring=, or mode=")
        if self.symmetric and self.mode not in ("auto", "forward", "reverse", "mixed"):
            raise InputError(
                f"mode={self.mode!r} is not a way to a sparse Hessian; use 'auto', 'forward', 'reverse' or 'mixed'"
            )
        if self.sparse and self.holomorphic:
            raise InputError("sparse=True is for real functions; use sparse=False with holomorphic=True")

    @property
    def limit(self) -> int:
        """The bytes a Jacobian may take."""
        return int(self.max_bytes) if self.max_bytes is not None else int(FRACTION * memory())

    @property
    def crowded(self) -> int:
        """The most elements that an array of all directions may have in a run of row-sparse duals."""
        return min(CROWDED, self.limit // 8)


def memory() -> int:
    """Return the machine's memory in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # where the system does not say
        return 1 << 33


@dataclass(frozen=True, slots=True)
class Estimate:
    """One way to a Jacobian and what it would cost.

    Attributes
    ----------
    way : Way
        The way.
    operations : int
        Multiplications over all directions.
    bytes : int
        Peak memory beside the function's own values, the result included.
    seconds : float
        Estimated time, in seconds, beyond one evaluation of the function.
    measured : float or None
        Measured time of the whole call, in seconds.
    """

    way: Way
    operations: int
    bytes: int
    seconds: float
    measured: float | None = None

    @property
    def name(self) -> str:
        """The name of the way."""
        return self.way.name

    @property
    def sweeps(self) -> int:
        """Directions it carries: columns pushed (or evaluated), rows pulled."""
        if self.way.name == "row-sparse":
            return 1
        return self.way.columns + self.way.rows


@dataclass(frozen=True, slots=True)
class Explanation:
    """The ways to a Jacobian with their costs, the one chosen, and the reason in a sentence. Prints as a table."""

    ways: tuple[Estimate, ...]
    chosen: str
    reason: str
    inputs: int
    outputs: int
    equations: int

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        head = f"Jacobian of {self.outputs} outputs by {self.inputs} inputs, {self.equations} equations"
        timed = any(w.measured is not None for w in self.ways)
        rows = [("way", "sweeps", "operations", "bytes", "est. time", *(["measured"] if timed else []), "")]
        for w in self.ways:
            rows.append(
                (
                    w.name,
                    f"{w.sweeps:,}",
                    f"{w.operations:,}",
                    _bytes(w.bytes),
                    _time(w.seconds),
                    *([_time(w.measured) if w.measured is not None else "-"] if timed else []),
                    "← chosen" if w.name == self.chosen else "",
                )
            )
        last = len(rows[0]) - 1
        widths = [max(len(r[c]) for r in rows) for c in range(last + 1)]
        lines = [
            "  ".join(
                c.ljust(w) if j in (0, last) else c.rjust(w) for j, (c, w) in enumerate(zip(r, widths, strict=True))
            ).rstrip()
            for r in rows
        ]
        return "\n".join([head, *lines, self.reason])


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.3g} {unit}"
    return ""


def _bytes(n: int) -> str:
    size = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.4g} {unit}"
        size /= 1024
    return ""


# --------------------------------------------------------------------------------------------------
# the candidates


@dataclass(slots=True)
class Candidates:
    """The ways to one Jacobian on one tape. Patterns and colours are found when asked for, and once."""

    tape: Tape
    values: Sequence[Any]
    options: Options
    inputs: int
    outputs: int
    _pattern: Any = None
    _counts: Any = None
    _colored: dict[str, Compression] | None = None

    @property
    def pattern(self) -> Any:
        """The structural nonzeros, with an empty row for every constant output."""
        if self._pattern is None:
            self._counts = []
            found = pattern_of(self.tape, self.values, self.inputs, self._counts)
            if self.options.symmetric:  # what only one triangle shows stands in both
                found = found + found.T.tocsr()
                found.sum_duplicates()
            self._pattern = found
        return self._pattern

    def colored(self, name: str) -> Compression:
        """Return the pattern coloured for one of the ways."""
        if self._colored is None:
            self._colored = {}
        if name not in self._colored:
            given = self.options.coloring
            if given is not None and not isinstance(given, str):
                self._colored[name] = compression(
                    self.pattern, check_coloring(self.pattern, given, self.options.symmetric), given
                )
            else:
                self._colored[name] = compression(self.pattern, name)
        return self._colored[name]

    def way(self, name: str, exact: bool = True) -> Way | None:
        """Return one of the ways, or None where it does not apply; ``exact=False`` may say fewer colours than needed."""
        n, m, chunk = self.inputs, self.outputs, self.options.chunk
        if name == "forward":
            return Way(name, n, 0, m, n, m * n, chunk=chunk)
        if name == "reverse":
            return Way(name, 0, m, m, n, m * n, chunk=chunk)
        if name in ("finite-differences", "complex-step"):
            return Way(name, n, 0, m, n, m * n)
        if name == "elimination":
            return Way(name, 0, 0, m, n, m * n)
        if name == "mixed":
            least = min(n, m)
            if self.options.mode == "auto" and self.options.cost is None and least <= WAIST:
                return None
            if not any(s is not None and s.size < least for s in steps(self.tape)):
                return None
            found = best_tree(self.tape, n, m)
            if found is None:
                return None
            places, tree = found
            columns, rows = _directions(places, tree)
            return Way(name, columns, rows, m, n, m * n, cuts=places, tree=tree)
        p = self.pattern
        if name == "row-sparse":
            return Way(name, n, 0, m, n, p.nnz, counts=tuple(self._counts or ()))
        if exact:
            c = self.colored(name)
            levels = 0 if c.substitution is None else len(c.substitution.reads)
            if name == "rows and columns" and not (c.column_count and c.row_count) and "columns" in self.names():
                return None  # one kind of colours is enough, and has a name of its own
            return Way(c.name, c.column_count, c.row_count, m, n, p.nnz, levels=levels, chunk=chunk)
        by_row, by_column = np.diff(p.indptr), np.bincount(p.indices, minlength=1)
        across, down = int(by_row.max(initial=0)), int(by_column.max(initial=0))
        if name == "columns":
            return Way(name, across, 0, m, n, p.nnz, chunk=chunk)
        if name == "rows":
            return Way(name, 0, down, m, n, p.nnz, chunk=chunk)
        if name in ("star", "acyclic"):
            # Two colours hold a forest between them, so c colours have no more than (c - 1) n edges.
            edges = max(p.nnz - n, 0) // 2
            return Way(name, 1 + -(-edges // max(n, 1)), 0, m, n, p.nnz, chunk=chunk)
        # Both kinds of colours pay where a few rows, or columns, have many more entries than the others.
        least = min(_apart(by_row), _apart(by_column))
        if least >= min(across, down):
            return None
        return Way(name, least - 1, 1, m, n, p.nnz, chunk=chunk)

    def may_narrow(self, least: float) -> bool:
        """Whether a way through a narrow place could take less than this: it records, compares and cuts in any case."""
        if self.options.cost is not None:
            return True
        c = machine()
        return c.frame + (c.record + c.replayable) * len(self.tape) + 2 * c.stage < least

    def names(self) -> tuple[str, ...]:
        """Return the ways that the options allow."""
        mode, sparse, coloring = self.options.mode, self.options.sparse, self.options.coloring
        if mode in ("elimination", "finite-differences", "complex-step"):
            return (mode,)
        if not sparse:
            return ("forward", "reverse", "mixed") if mode == "auto" else (mode,)
        if coloring is not None:
            if isinstance(coloring, str):
                return ("rows and columns",) if coloring == "both" else (coloring,)
            return (check_coloring(self.pattern, coloring, self.options.symmetric),)
        if self.options.symmetric:
            return {
                "auto": ("row-sparse", "star", "acyclic"),
                "forward": ("row-sparse", "star", "acyclic"),
                "reverse": ("rows",),
                "mixed": ("rows and columns",),
            }[mode]
        return {
            "auto": ("row-sparse", "columns", "rows", "rows and columns"),
            "forward": ("row-sparse", "columns"),
            "reverse": ("rows",),
            "mixed": ("rows and columns",),
        }[mode]

    def bytes(self, way: Way) -> int:
        """Return the peak memory a way takes beside the function's own values, the result included."""
        result = way.entries * max([dtype_of(v).itemsize for v in self.values], default=8)
        return result + int(MARGIN * (self._bytes(way) - result)) + 1024

    def _bytes(self, way: Way) -> int:
        itemsize = max([dtype_of(v).itemsize for v in self.values], default=8)
        # A recording keeps what the function would have let go, and copies of the arrays it was given.
        result = way.entries * (itemsize + (4 if self.options.sparse else 0))
        tape = sum(size_of(shape_of(a)) * dtype_of(a).itemsize for e in self.tape.equations for a in (e[4], *e[2]))
        chunk = way.chunk or max(way.columns, way.rows)
        if way.name == "row-sparse":
            return 2 * result + peak(self.tape, self.inputs, self.forms(self.inputs))
        if way.name == "forward":
            return result + (
                peak(self.tape, chunk, self.forms(chunk)) if way.chunk is None else tape + peak(self.tape, chunk)
            )
        if way.name in ("finite-differences", "complex-step"):
            return 2 * result
        if way.name == "mixed":
            widest = max([c.width for c in way.cuts[1:-1]], default=1)
            return result + tape + peak(self.tape, widest) + 2 * itemsize * widest * (way.inputs + way.outputs)
        swept = result + tape + peak(self.tape, max(chunk, 1))
        if way.name not in COLORED:
            return swept
        # The pattern, its transpose and the colours, while they are looked for.
        return swept + result + (120 if way.name == "rows and columns" else 24) * way.entries

    def fitted(self, way: Way) -> Way | None:
        """Return a way cut into chunks that stay within the memory allowed, or None where one direction does not."""
        limit, options = self.options.limit, self.options
        if way.name in ("mixed", "elimination", "row-sparse", "finite-differences", "complex-step"):
            return way if self.bytes(way) <= limit else None
        directions = max(way.columns, way.rows)
        if self._rough_bytes(way, directions) <= min(limit, SMALL):
            return way
        if options.chunk is not None:
            return way if self.bytes(way) <= limit else None
        if self.bytes(way) <= limit and self._stays_in_cache(way, directions):
            return way
        fixed = self.bytes(replace(way, chunk=1))
        if fixed > limit:
            return None
        each = max(1, self.bytes(replace(way, chunk=2)) - fixed)
        room = 1 + (limit - fixed) // each
        widest = max([1, *(size_of(shape_of(e[4])) for e in self.tape.equations)])
        chunk = max(1, min(room, max(16, WORKING_SET // widest), directions))
        return replace(way, chunk=None if chunk >= directions and self.bytes(way) <= limit else chunk)

    def _rough_bytes(self, way: Way, directions: int) -> int:
        """Return more than a way with so many directions takes, the result apart, from sizes alone."""
        sizes = [0 if s is None else s.size for s in steps(self.tape)]
        if way.name == "forward" and way.chunk is None:
            found = self.forms(directions)[len(self.tape.inputs) :]
            held = sum(
                [size * (directions if form == "all" else 2 * len(form)) for size, form in zip(sizes, found) if form]
            )
        else:
            held = sum(sizes) * directions
        room = self.inputs + self.outputs + sum(sizes)
        return 16 * (2 * held + room) + (16 * way.entries if 16 * way.entries > self.options.limit else 0)

    def _stays_in_cache(self, way: Way, directions: int) -> bool:
        if way.name == "forward":
            widest = max(
                [
                    size_of(shape_of(e[4]))
                    for e, form in zip(self.tape.equations, self.forms(directions)[len(self.tape.inputs) :])
                    if form == "all"
                ],
                default=0,
            )
        else:
            widest = max([size_of(shape_of(e[4])) for e in self.tape.equations], default=0)
        return widest * directions <= WORKING_SET

    def forms(self, k: int) -> list[Any]:
        """Return what the tangents of a run with ``k`` directions would be."""
        if self.options.sparse and self._pattern is None:
            _ = self.pattern
        return forms(self.tape, k, self._counts or None)

    def crowded(self) -> bool:
        """Whether a run of row-sparse duals would meet a tangent that is not sparse."""
        most = self.options.crowded
        found = self.forms(self.inputs)[len(self.tape.inputs) :]
        return any(
            form == "all" and size_of(shape_of(e[4])) * self.inputs > most
            for e, form in zip(self.tape.equations, found, strict=True)
        )


def _apart(sizes: Any) -> int:
    """Return the fewest colours if some of the largest rows have one each, and no other is larger than the colours left."""
    largest = np.sort(sizes)[::-1][:33]
    return min([t + int(size) for t, size in enumerate(largest)], default=0)


def _price(candidates: Candidates, way: Way) -> float:
    """Return what a way costs by the model in use."""
    if candidates.options.cost is None:
        return seconds(candidates.tape, way)
    found: Any = candidates.options.cost(candidates.tape, way)
    try:
        price = float(found)
    except (TypeError, ValueError):
        price = float("nan")
    if not np.isfinite(price):
        raise InputError(
            f"cost= returned {found!r} for the way {way.name!r}; it must return a finite number of seconds"
        )
    return price


def _directions(places: Any, tree: Any) -> tuple[int, int]:
    if tree[0] == "product":
        a, b = _directions(places, tree[1]), _directions(places, tree[2])
        return a[0] + b[0], a[1] + b[1]
    name, i, j = tree
    return (places[i].width, 0) if name == "forward" else (0, places[j].width)


def pattern_of(tape: Tape, values: Sequence[Any], n: int, widest: list[int] | None = None) -> Any:
    """Return the pattern of the whole Jacobian, (m, n); outputs that depend on nothing have empty rows."""
    found = dependence(tape, counts=widest)
    if all(s >= 0 for s in tape.outputs):
        return found
    lengths = np.diff(found.indptr)
    counts: list[Any] = []
    at = 0
    for v, s in zip(values, tape.outputs, strict=True):
        size = size_of(shape_of(v))
        if s < 0:
            counts.append(np.zeros(size, np.int64))
        else:
            counts.append(lengths[at : at + size])
            at += size
    starts = np.concatenate([[0], *list(counts)]).cumsum() if counts else np.zeros(1, np.int64)
    return type(found)((found.data, found.indices, starts), shape=(len(starts) - 1, n))


def estimate(candidates: Candidates, way: Way) -> Estimate:
    """Return what a way would cost."""
    tape = candidates.tape
    if way.name == "mixed":
        count = sum(_stage_operations(tape, way.cuts, leaf) for leaf in _leaves(way.tree))
    elif way.name in ("forward", "row-sparse"):
        found = candidates.forms(max(way.columns, 1))[len(tape.inputs) :]
        count = sum(
            operations(tape, 1, e, e + 1) * (way.columns if form == "all" else len(form or ()))
            for e, form in enumerate(found)
        )
    elif way.name in ("finite-differences", "complex-step"):
        count = operations(tape, 1) * way.columns * (2 if way.name == "finite-differences" else 1)
    elif way.name == "elimination":
        from dualdiff.passes.elimination import counts, linearized

        try:
            shapes = [shape_of(v) for v in candidates.values]
            count = counts(linearized(tape, shapes), "markowitz").multiplications
        except InputError:
            count = operations(tape, min(way.inputs, way.outputs))
    else:
        count = operations(tape, way.columns + way.rows)
    return Estimate(way, count, candidates.bytes(way), _price(candidates, way))


def _leaves(tree: Any) -> list[Any]:
    return [*_leaves(tree[1]), *_leaves(tree[2])] if tree[0] == "product" else [tree]


def _stage_operations(tape: Tape, cuts: Any, leaf: Any) -> int:
    name, i, j = leaf
    return operations(tape, cuts[i].width if name == "forward" else cuts[j].width, cuts[i].at, cuts[j].at)


def choose(candidates: Candidates, without: Sequence[str] = ()) -> tuple[Way, float]:
    """Choose the cheapest way that fits the memory allowed, and say what it would take in seconds.

    Parameters
    ----------
    candidates : Candidates
        The ways on one tape.
    without : sequence of str
        Ways that were tried and do not serve.

    Raises
    ------
    InputError
        If no way fits into the memory allowed.
    """
    names = [n for n in candidates.names() if n not in without]
    if "row-sparse" in names and candidates.crowded():
        names.remove("row-sparse")
        names = names or ["columns"]
    # The cheapest so far is looked at closely: colours are found, and directions cut into chunks that fit. If that makes it
    # dearer, the next one has its turn. What cannot win is never looked at.
    open_ones: list[tuple[float, str, Way]] = []
    done: list[tuple[float, Way]] = []
    misfits: list[Way] = []
    for name in names:
        if name == "mixed" and open_ones and not candidates.may_narrow(min(s for s, _, _ in open_ones)):
            continue
        way = candidates.way(name, exact=name not in COLORED or len(names) == 1)
        if way is not None:
            open_ones.append((_price(candidates, way), name, way))
    while open_ones:
        nearest = min(open_ones, key=lambda o: o[0])
        if done and min(s for s, _ in done) <= nearest[0]:
            break
        open_ones.remove(nearest)
        price, name, rough = nearest
        way = candidates.way(name) if name in COLORED else rough
        if way is None:
            continue
        fitted = candidates.fitted(way)
        if fitted is None:
            misfits.append(way)
        else:
            done.append((price if fitted is rough else _price(candidates, fitted), fitted))
    if not done:
        if candidates.options.mode == "mixed" and not misfits:
            raise InputError(
                "mode='mixed' needs a place where fewer numbers cross the program than it has inputs or outputs, and this "
                "program has none; use mode='auto'"
            )
        raise InputError(_too_small(candidates, misfits))
    least, best = min(done, key=lambda pair: pair[0])
    return best, least


def _too_small(candidates: Candidates, misfits: Sequence[Way]) -> str:
    options = candidates.options
    least = min(
        candidates.bytes(replace(w, chunk=1) if w.name in ("forward", "reverse", *COLORED) else w) for w in misfits
    )
    given = (
        f"max_bytes={options.max_bytes}"
        if options.max_bytes is not None
        else f"half the memory ({_bytes(options.limit)})"
    )
    dense = candidates.outputs * candidates.inputs * 8
    advice = (
        "use dd.linear_operator(f, x), which forms no Jacobian"
        if options.sparse or dense <= options.limit
        else "use sparse=True if most entries are zero, or dd.linear_operator(f, x), which forms no Jacobian"
    )
    return (
        f"{given} is too small: the Jacobian of {candidates.outputs} outputs by {candidates.inputs} inputs takes {_bytes(least)} "
        f"with one direction at a time; allow more, or {advice}"
    )


def reason(best: Estimate, found: Sequence[Estimate], options: Options) -> str:
    """Say in a sentence why a way was chosen."""
    what = _saying(best.way)
    if options.coloring is not None:
        return f"{best.name}: asked for by coloring= ({what})."
    if options.mode != "auto" and len(found) == 1:
        return f"{best.name}: asked for by mode={options.mode!r} ({what})."
    others = sorted((e for e in found if e.name != best.name), key=lambda e: e.seconds)
    if not others:
        return f"{best.name}: {what}."
    other = others[0]
    ratio = other.seconds / best.seconds if best.seconds else float("inf")
    close = "about as fast as" if ratio < 1.05 else f"estimated {ratio:.1f} times faster than"
    return f"{best.name}: {what} is {close} {_saying(other.way)} on this tape."


def _groups(count: int, what: str) -> str:
    return f"{count} group{'' if count == 1 else 's'} of {what}s"


def _saying(way: Way) -> str:
    if way.name == "forward":
        return f"pushing {way.columns} columns"
    if way.name == "reverse":
        return f"pulling {way.rows} rows"
    if way.name == "row-sparse":
        return "one run of row-sparse duals"
    if way.name in ("star", "acyclic"):
        return (
            f"pushing {_groups(way.columns, 'column')} of {'an' if way.name == 'acyclic' else 'a'} {way.name} colouring"
        )
    if way.name == "columns":
        return f"pushing {_groups(way.columns, 'column')}"
    if way.name == "rows":
        return f"pulling {_groups(way.rows, 'row')}"
    if way.name == "rows and columns":
        return f"pushing {_groups(way.columns, 'column')} and pulling {_groups(way.rows, 'row')}"
    if way.name == "mixed":
        waist = " and ".join(str(c.width) for c in way.cuts[1:-1])
        return f"a product through a waist of {waist}"
    if way.name == "elimination":
        return "eliminating vertex by vertex"
    return f"{way.columns} columns of {way.name.replace('-', ' ')}"
