"""Programs of arrays whose steps repeat: units that are carried out once, or again and again, each a small program of its own.

The steps are a list as :mod:`dualdiff.passes.rolling` reads it. A loop's body takes what is the same in every period, what an
earlier period made, and what stands elsewhere at another place each time; it gives what others take. So what is planned is one
period, however many there are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dualdiff.garbage import uncollected
from dualdiff.passes.bodies import Body
from dualdiff.passes.program import Check, Form, Program, Step, content
from dualdiff.passes.rolling import CONSTANT, INPUT, NONE, NUMBER, OPERATION, Listing, Loop, Piece, Straight, pieces
from dualdiff.passes.units import Joined, NotRepeatedError, Numbering, Part, Read, Repeats, Unit

__all__ = ["repeats"]

MOST = 2000
"""Steps of all units, beyond which planning them takes too long."""
WINDOW, WORTH = 12, 24
"""Steps that are compared at once when a period is looked for, and that a loop must save."""
MOST_LOOKED_AT = 1 << 20
"""Entries up to which it is looked whether a step leaves them in their order."""
WIDE = 8
"""Operands that a step in a loop may have."""
_FLOAT = np.dtype(float)


def repeats(program: Program) -> Repeats:
    """Find the loops of a program.

    Raises
    ------
    NotRepeatedError
        Inside the engine, if it has none, or what is left is too much.
    """
    if any(form.kind == "other" or 0 in form.shape for form in program.forms.values()):
        raise NotRepeatedError("arrays of no numbers")
    if any(program.forms[i].dtype != _FLOAT for i in range(program.inputs)):
        raise NotRepeatedError("inputs that are no numbers of double precision")
    with uncollected():
        return _Reader(program).found()


class _Reader(Numbering):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.rows: list[Step | Check] = []
        self.wide: set[int] = set()
        self.parts: dict[int, Part] = {}  # by result: what is read or written
        self._memory: dict[Form, Any] = {}
        self._orders: dict[Any, bool] = {}
        self._contents: dict[Any, int] = {}

    # -- the list ----------------------------------------------------------------------------------
    def _content(self, params: dict[str, Any]) -> int:
        return self._contents.setdefault(content(params), len(self._contents))

    def _listing(self) -> Listing:
        program = self.program
        rows, operands, params, results, _ = zip(*program.steps, strict=True)
        checks = program.checks
        before = np.array([c.before for c in checks], dtype=np.int64)
        at_check = before + np.arange(len(checks))  # where they stand in the list
        at_step = np.delete(np.arange(len(rows) + len(checks)), at_check)
        self.rows = list(program.steps)
        for n, check in zip(at_check.tolist(), checks, strict=True):
            self.rows.insert(n, check)
        self.number[list(results)] = self.first + at_step
        arities = np.fromiter(map(len, operands), dtype=np.int64, count=len(operands))
        is_wide = arities > WIDE
        self.wide = set(at_step[is_wide].tolist())
        given = np.full((len(self.rows), WIDE + 1), -1)
        kept = itertools.chain.from_iterable([() if len(o) > WIDE else o for o in operands])
        taken = np.zeros(given.shape, dtype=bool)
        taken[at_step, :WIDE] = np.arange(WIDE) < np.where(is_wide, 0, arities)[:, np.newaxis]
        given[taken] = np.fromiter(kept, dtype=np.int64)
        form_of, forms = self._forms()
        columns = [
            np.zeros(len(self.rows), dtype=np.int64),
            *[np.zeros(len(self.rows), dtype=np.int64) for _ in range(2)],
        ]
        columns[0][at_step] = 1 + _numbered(rows)
        columns[1][at_step], parts = self._what(rows, operands, params, results)
        columns[2][at_step] = form_of[list(results)]
        columns += [np.where(taken[:, k], form_of[given[:, k]], forms) for k in range(WIDE) if taken[:, k].any()]
        seen: dict[Any, int] = {}
        for n, check in zip(at_check.tolist(), checks, strict=True):
            key = content(check.then), int(form_of[check.value])
            columns[1][n] = seen.setdefault(key, len(seen))
            given[n, 0], taken[n, 0] = check.value, True
        numbers = np.where(taken, self.number[given], -1)
        kinds = np.where(numbers < self.first_input, CONSTANT, np.where(numbers < self.first, INPUT, OPERATION))
        kinds[~taken] = NONE
        # Where a part stands may be anywhere, as a constant may be any; checks are in order.
        for n, at in parts:
            numbers[at_step[n], WIDE], kinds[at_step[n], WIDE] = at, CONSTANT
        numbers[at_check, WIDE], kinds[at_check, WIDE] = np.arange(len(checks)), NUMBER
        return Listing(
            [],
            _joined(columns).astype(np.int32),
            numbers.astype(np.int32),
            kinds.astype(np.int8),
            self.constants,
            [(i, 1) for i in range(program.inputs)],
            WINDOW,
            WORTH,
        )

    def _forms(self) -> tuple[Any, int]:
        """Return the number of the form of every value, equal ones having one, and how many there are."""
        forms = self.program.forms
        one_of = {id(form): form for form in forms.values()}
        number_of: dict[Form, int] = {}
        number = {key: number_of.setdefault(form, len(number_of)) for key, form in one_of.items()}
        found = np.zeros(len(self.number), dtype=np.int64)
        found[list(forms)] = [number[id(form)] for form in forms.values()]
        return found, len(number_of)

    def _what(self, rows: Sequence[Any], operands: Sequence[Any], params: Sequence[Any], results: Sequence[int]) -> Any:
        """Return what is said by a step beside its row and operands, as a number; and of parts, by step, where they begin."""
        forms = self.program.forms
        known: dict[Any, tuple[int, Part | None]] = {}
        seen: dict[Any, int] = {}
        found, parts = [], []
        for n, (row, given, said) in enumerate(zip(rows, operands, params, strict=True)):
            if not said:
                found.append(0)
                continue
            key = (row.access, id(said), id(forms[given[0]]) if row.access else 0)
            what = known.get(key)
            if what is None:
                part = self._part(row, forms[given[0]], said) if row.access else None
                own: Any = self._content(said) if part is None else (part.shape, part.strides)
                what = known[key] = 1 + seen.setdefault(own, len(seen)), part
            found.append(what[0])
            if what[1] is not None:
                self.parts[results[n]] = what[1]
                parts.append((n, what[1].at))
        return found, parts

    def _part(self, row: Any, form: Form, params: dict[str, Any]) -> Part | None:
        """Return what a step reads or writes of an array, if slices and integers say it."""
        index = params["index"]
        parts = index if type(index) is tuple else (index,)
        if form.kind != "array" or not all(
            type(i) is slice or type(i) is int or i is None or i is Ellipsis for i in parts
        ):
            return None
        memory = self._memory.get(form)
        if memory is None:
            memory = self._memory[form] = np.empty(form.shape, dtype=np.int8)
        read = memory[parts if any(i is Ellipsis for i in parts) else (*parts, ...)]
        at = read.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
        strides = tuple([step if n > 1 else 0 for n, step in zip(read.shape, read.strides, strict=True)])
        return Part(int(at), read.shape, strides)

    # -- units -------------------------------------------------------------------------------------
    def found(self) -> Repeats:
        program = self.program
        listing = self._listing()
        found = pieces(listing)
        if not any(isinstance(p, Loop) for p in found):
            raise NotRepeatedError("nothing in it repeats")
        if sum(len(p.codes) for p in found) > min(MOST, len(self.rows) // 2):
            raise NotRepeatedError("too much of it does not repeat")
        total = self.first + len(self.rows)
        self.root = np.arange(total)
        self.at = np.zeros(total, dtype=np.int64)
        units = [self._unit(part) for piece in found for part in self._parted(piece)]
        outputs = []
        for i, form in zip(program.outputs, program.results, strict=True):
            n = self.number[i]
            if program.forms[i].dtype != _FLOAT or form.dtype != _FLOAT:
                raise NotRepeatedError(f"a result of {form.dtype}")
            outputs.append(Read(program.forms[i], self.root[n : n + 1], self.at[n : n + 1]))
        constants = [program.constants[i] for i in self.constants]
        inputs = [program.forms[i] for i in range(program.inputs)]
        return Repeats(units, constants, self.first_input, self.first, inputs, outputs)

    def _parted(self, piece: Piece) -> Iterator[Piece]:
        """Cut straight lines where many values are put together."""
        at = 0
        if isinstance(piece, Straight):
            for n in sorted(self.wide):
                k = n - piece.start
                if at <= k < len(piece.codes) and self._is_in_order(self.rows[n]):
                    for some in (slice(at, k), slice(k, k + 1)):
                        if some.start < some.stop:
                            yield _straight(piece, some)
                    at = k + 1
            if 0 < at < len(piece.codes):
                yield _straight(piece, slice(at, len(piece.codes)))
        if at == 0:
            yield piece

    def _is_in_order(self, row: Any) -> bool:
        """Whether a step puts its operands together entry after entry."""
        forms = [self.program.forms[i] for i in row.operands]
        if row.row.kind != "movement" or any(f != forms[0] for f in forms) or forms[0].dtype != _FLOAT:
            return False
        key = row.row, self._content(row.params), forms[0], len(forms)
        if key not in self._orders:
            self._orders[key] = self._puts_in_order(row, forms)
        return self._orders[key]

    def _puts_in_order(self, row: Any, forms: Sequence[Form]) -> bool:
        size = math.prod(forms[0].shape)
        if size * len(forms) > MOST_LOOKED_AT or size * len(forms) != math.prod(self.program.forms[row.result].shape):
            return False
        entries = np.arange(size * len(forms)).reshape(-1, *forms[0].shape)
        found = row.row.fn(*[x if x.shape else x[()] for x in entries], **row.params)
        return np.array_equal(np.ravel(found), np.ravel(entries))

    def _joined(self, unit: Unit, row: Step) -> Unit:
        numbers = np.array([self.number[i] for i in row.operands])
        form = self.program.forms[row.operands[0]]
        unit.body.forms[0] = self.program.forms[row.result]
        unit.body.inputs = 1
        unit.made[0] = 0
        unit.joined = Joined(0, Read(form, self.root[numbers], self.at[numbers]))
        return unit

    def _unit(self, piece: Piece) -> Unit:
        period = len(piece.codes)
        count = piece.count if isinstance(piece, Loop) else 1
        unit = Unit(piece.start, period, count, _empty(period))
        if period == 1 and piece.start in self.wide and self._is_in_order(self.rows[piece.start]):
            return self._joined(unit, self.rows[piece.start])  # type: ignore[arg-type]
        if isinstance(piece, Loop):
            self._body(
                piece, Unit(piece.start, period, count, _empty(period))
            )  # an earlier period's parts are known then
        return self._body(piece, unit)

    def _body(self, piece: Piece, unit: Unit) -> Unit:
        """Write one period."""
        program, period, count = self.program, unit.period, unit.count
        builder = Body(self, unit)
        begin = self.first + piece.start  # of the period that is looked at: the second one
        begin += period if count > 1 else 0
        chains = self._chains(piece, begin)
        in_place = {j for chain in chains for j in chain}
        for j in range(period):
            n = begin + j
            row = self.rows[n - self.first]
            if n - self.first in self.wide:
                if count > 1:
                    raise NotRepeatedError("a step of many operands")
                taken = [(np.array([self.number[i]]), i) for i in row.operands]  # type: ignore[union-attr]
            else:
                given = row.operands if isinstance(row, Step) else (row.value,)
                taken = [(_taken(piece, j, k), i) for k, i in enumerate(given)]
            if j in in_place and isinstance(row, Step):
                builder.stored(row, builder.operand(*taken[1]), j, _taken(piece, j, WIDE), self.parts[row.result])
                continue
            operands = [builder.operand(values, i) for values, i in taken]
            if isinstance(row, Check):
                builder.check(row, operands[0], _taken(piece, j, WIDE))
                continue
            part = self.parts.get(row.result)
            if part is not None and row.row.access == "read":
                at = _taken(piece, j, WIDE)
                moves = bool(np.any(at != at[0]))
                read = builder.read_of(operands[0])
                if read is not None and (moves or part.is_together):
                    if not part.is_together:
                        builder.gathered(row, read, j, at, part)
                        continue
                    mine = self.first + piece.start + j + period * np.arange(count)
                    self.root[mine], self.at[mine] = read.values, read.at + at
                    continue
                if moves:
                    raise NotRepeatedError("a part of what is computed that moves")
            elif len(operands) == 1 and not row.row.access and self._is_in_order(row):
                read = builder.read_of(operands[0])
                if read is not None:  # the same entries in another shape
                    mine = self.first + piece.start + j + period * np.arange(count)
                    self.root[mine], self.at[mine] = read.values, read.at
                    continue
            builder.step(row, operands, j)
        for chain in chains:
            builder.written(chain, _taken(piece, chain[0], 0))
        return builder.finished(program)

    def _chains(self, piece: Piece, begin: int) -> list[list[int]]:
        """Find the rows of a loop that write parts of one array, one after the other, if some of these parts move."""
        if not isinstance(piece, Loop):
            return []
        rows = {}
        for j in range(piece.period):
            row = self.rows[begin + j - self.first]
            if isinstance(row, Step) and row.row.access == "write" and row.result in self.parts:
                rows[j] = bool(np.any((at := _taken(piece, j, WIDE)) != at[0]))
        before: dict[int, tuple[int, int]] = {}  # the row that makes what a row writes into, and how many periods ago
        for j in rows:
            ago, of = divmod(int(piece.second[j, 0]) - begin, piece.period)
            if of in rows and ago in (0, -1) and int(piece.step[j, 0]) == piece.period:
                before[j] = of, -ago
        after = {of: j for j, (of, _) in before.items()}
        chains = []
        for j, (_, ago) in before.items():
            if ago != 1:
                continue
            chain = [j]
            while (k := after.get(chain[-1])) is not None and before[k][1] == 0:
                chain.append(k)
            if before[j][0] == chain[-1] and any(rows[k] for k in chain):
                chains.append(chain)
        if any(is_moving and not any(j in chain for chain in chains) for j, is_moving in rows.items()):
            raise NotRepeatedError("a part that is written of an array that is none of the loop's")
        return chains


def _numbered(objects: Sequence[Any]) -> Any:
    """Return a number for every object, the same for the same ones."""
    ids = list(map(id, objects))
    number = {key: n for n, key in enumerate(dict.fromkeys(ids))}
    return np.array([number[key] for key in ids], dtype=np.int64)


def _joined(columns: Sequence[Any]) -> Any:
    """Return a number for every row of a table of small numbers, the same for equal ones."""
    found, span = columns[0], int(columns[0].max(initial=0)) + 1
    for column in columns[1:]:
        size = int(column.max(initial=0)) + 1
        if span * size >= 1 << 62:
            values, found = np.unique(found, return_inverse=True)
            span = len(values)
        found, span = found * size + column, span * size
    return np.unique(found, return_inverse=True)[1]


def _empty(period: int) -> Program:
    return Program(0, {}, {}, {}, [], [], (), (), period, period)


def _straight(piece: Straight, some: slice) -> Straight:
    return Straight(piece.start + some.start, piece.codes[some], piece.operands[some], piece.kinds[some])


def _taken(piece: Piece, j: int, k: int) -> Any:
    """Return an operand in every period."""
    return piece.taken(j, k) if isinstance(piece, Loop) else piece.operands[j : j + 1, k].astype(np.int64)
