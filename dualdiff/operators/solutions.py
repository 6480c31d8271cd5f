r"""Solutions of equations as values that are differentiated: x(q) with F(x(q), q) = 0, by the implicit function theorem.

Differentiated once, F_x dx = -F_q dq and, from the other side, F_xᵀ w = g, q̄ = -F_qᵀ w. Both are equations again, linear in what is
sought, with the same Jacobian at the same point. So the rules of the one row here bind the same row: what they find is a solution
in its turn, of equations of which it knows the unknowns, the operands and the factors, and derivatives follow to every order.

References
----------
Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 15, doi:10.1137/1.9780898717761.
Krantz & Parks, *The Implicit Function Theorem*, Birkhäuser 2003, doi:10.1007/978-1-4612-0059-8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dualdiff.capture import captures_of
from dualdiff.capture.closures import Fresh, lifted_tree
from dualdiff.containers import plain
from dualdiff.errors import InputError, UnsupportedFunctionError, where
from dualdiff.kinds import CAREFUL, General, Sweep
from dualdiff.operators.systems import Divided, System, Transposed, check_solution, system_of
from dualdiff.passes.pull import pull
from dualdiff.passes.push import push
from dualdiff.reach import Reached, numbers
from dualdiff.shapes import dtype_of, shape_of, size_of
from dualdiff.tape import Tape
from dualdiff.trees import flatten
from dualdiff.values import TRACED, alive, bind, is_replayed, operand, raw
from dualdiff.ways.problem import Problem, record


class Given:
    """What a solver was given, functions among it: the differentiated values in it, and how it is with others in their place.

    Attributes
    ----------
    caught : list
        The differentiated values: in arguments, in containers, closed over.
    """

    __slots__ = ("_make", "caught")

    def __init__(self, tree: Any) -> None:
        self.caught: list[Any] = []
        self._make = lifted_tree(tree, self.caught)
        if any(map(is_replayed, self.caught)):  # a program runs the functions later
            self.caught = []
            self._make = lifted_tree(tree, self.caught, settled=True)
        for x in self.caught:
            alive(x)

    def at(self, values: Sequence[Any]) -> Any:
        """Return the same with other values in the place of those that were caught."""
        return self._make(Fresh(values))

    def plain(self) -> Any:
        """Return the same with nothing differentiated in it."""
        return self.at([raw(x) for x in self.caught])


class Unknowns:
    """How a structure of numbers and arrays is a vector of real numbers: leaf after leaf, real parts before imaginary ones."""

    __slots__ = ("_build", "dtype", "forms", "size")

    def __init__(self, x: Any) -> None:
        leaves, self._build = flatten(x)
        self.forms: list[tuple[tuple[int, ...], Any]] = []
        for leaf in leaves:
            dtype = dtype_of(leaf) if hasattr(leaf, "dtype") or isinstance(leaf, (int, float, complex)) else None
            if dtype is None or dtype.kind not in "biufc":
                raise InputError(
                    f"{where()}: the solver returned a {type(leaf).__name__!r}; return numbers, arrays, or tuples, lists and dicts of them"
                )
            self.forms.append((shape_of(leaf), dtype if dtype.kind in "fc" else np.dtype(float)))
        if not self.forms:
            raise InputError(f"{where()}: the solver returned no number or array")
        self.dtype = np.empty(0, np.result_type(*[d for _, d in self.forms])).real.dtype
        self.size = sum([size_of(s) * (2 if d.kind == "c" else 1) for s, d in self.forms])

    def vector(self, x: Any) -> Any:
        """Return a structure's numbers as one vector."""
        return as_vector(x, self.dtype)

    def structure(self, v: Any) -> Any:
        """Return the structure that a vector holds the numbers of."""
        (shape, dtype), at = self.forms[0], 0
        if len(self.forms) == 1 and shape == (self.size,) and dtype_of(v) == dtype:
            return self._build([v])
        out = []
        for shape, dtype in self.forms:
            n = size_of(shape)
            parts = []
            for _ in range(2 if dtype.kind == "c" else 1):
                part = v[at : at + n].reshape(shape) if shape else v[at]
                parts.append(part)
                at += n
            found = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
            out.append(found if dtype_of(found) == dtype else found.astype(dtype))
        return self._build(out)


def as_vector(x: Any, dtype: Any) -> Any:
    """Return the numbers of a structure as one real vector."""
    leaves = [x] if isinstance(x, list) and not any(isinstance(i, (dict, tuple)) for i in x) else flatten(x)[0]
    parts: list[Any] = []
    for leaf in leaves:
        y = operand(plain(leaf) if type(leaf) in TRACED else leaf)
        y = np.reshape(y, (-1,))
        parts += [np.real(y), np.imag(y)] if dtype_of(y).kind == "c" else [y]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole if dtype_of(whole) == dtype else whole.astype(dtype)


class Place:
    """One point of some equations: the unknowns and operands there, all plain, the recording, what is left, and the factors."""

    __slots__ = ("left", "q", "row", "system", "tape", "v")

    def __init__(self, v: Any, q: Sequence[Any], tape: Tape, left: Any) -> None:
        self.v, self.q, self.tape, self.left = v, list(q), tape, left
        self.system: System | None = None
        self.row: list[Any] | None = (
            None  # of one equation for one unknown: its derivatives by all inputs of the recording
        )


class Equations:
    """F(v, q) = 0, as many equations as there are unknowns in ``v``; and the last solution, with what was worked out there.

    ``v`` has shape (…, n): what stands in front are systems of their own with one Jacobian in common.
    """

    #: the code of the equations: two systems of one code count as one program
    code: Any = None
    #: the user's function, whose modules are captured as far as is known
    function: Any = None

    def __init__(self) -> None:
        self.known: tuple[Any, list[Any]] | None = None
        self.place: Place | None = None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.code is self.code

    __hash__ = None  # type: ignore[assignment]

    def residual(self, v: Any, q: Sequence[Any]) -> Any:
        """Return what the equations leave, of the shape of the unknowns."""
        raise NotImplementedError

    def solved(self, q: Sequence[Any]) -> Any:
        """Solve the equations for plain values."""
        raise NotImplementedError

    def factors(self, v: Any, q: Sequence[Any]) -> System:
        """Return what solves with the Jacobian by the unknowns, at plain values."""
        raise NotImplementedError

    def value(self, q: Sequence[Any]) -> Any:
        """Return the solution: it is kept, and found anew where the operands are others."""
        known = self.known  # which another thread may exchange for its own
        if known is None or not _same(q, known[1]):
            known = self.known = self.solved(q), list(q)
        return known[0].copy()

    def at(self, v: Any, q: Sequence[Any]) -> Place:
        """Return the equations at a plain point: what is worked out there is kept until another one is asked for."""
        place = self.place
        if place is None or not _same([v, *q], [place.v, *place.q]):
            place = self.place = Place(v, q, *self._record(v, q))
        return place

    def row(self, v: Any, q: Sequence[Any]) -> list[Any] | None:
        """Return the derivatives of one real equation for one unknown at a plain point, the unknown's first; None if there are more."""
        if len(v) != 1 or not is_plain([v, *q]) or any(dtype_of(x).kind == "c" for x in q):
            return None
        place = self.at(v, q)
        if place.row is None:
            found = (
                pull(place.tape, [(place.tape.outputs[0], np.ones(1, v.dtype))])
                if place.tape.outputs[0] >= 0
                else [None]
            )
            place.row = [np.zeros(1) if found[0] is None else found[0], *found[1:]]
        return place.row

    def tape(self, v: Any, q: Sequence[Any]) -> Tape:
        """Return the equations, recorded: the unknowns are the first input, then come the operands of floating point."""
        return self.at(v, q).tape if is_plain([v, *q]) else self._record(v, q)[0]

    def _record(self, v: Any, q: Sequence[Any]) -> tuple[Tape, Any]:
        on = [k for k, x in enumerate(q) if dtype_of(x).kind in "fc"]

        def run(leaves: list[Any]) -> list[Any]:
            given = list(q)
            for k, x in zip(on, leaves[1:], strict=True):
                given[k] = x
            return [self.residual(leaves[0], given)]

        problem = Problem(run, [v, *[q[k] for k in on]], self.function, captures_of(self.function), False, None, True)
        tape, values = record(problem, replayable=True)
        return tape, values[0]

    def pushed(self, lead: tuple[int, ...], tangents: Sequence[Any], v: Any, q: Sequence[Any]) -> Any:
        """Return the tangent of the solution: F_x u = -F_q t."""
        live = [k for k, t in enumerate(tangents) if t is not None]
        given = [tangents[k] for k in live]
        moved = Pushed(self, lead, live, len(q))
        operands = [v, *q, *given]
        return moved.value(operands) if is_plain(operands) else bind(solution, operands, {"equations": moved})

    def pulled(self, lead: tuple[int, ...], g: Any, v: Any, q: Sequence[Any]) -> list[Any]:
        """Return the covectors of the operands: F_xᵀ w = g, and then -F_qᵀ w."""
        turned = Pulled(self, lead, len(q))
        operands = [v, *q, g]
        w = turned.value(operands) if is_plain(operands) else bind(solution, operands, {"equations": turned})
        row = self.row(v, q) if is_plain(operands) else None
        if row is not None:
            parts: list[Any] = [
                None if c is None else np.reshape(0.0 - w, lead + (1,) * len(shape_of(c))) * c for c in row[1:]
            ]
        else:
            tape = self.tape(v, q)
            parts = list(pull(tape, [(tape.outputs[0], 0.0 - w)], lead)[1:])
        found = iter(parts)
        return [next(found) if dtype_of(x).kind in "fc" else None for x in q]


class Pushed(Equations):
    """Of the equations before: F_x(v, q) u + F_q(v, q) t = 0, linear in u. Its operands are v, q and the tangents t."""

    def __init__(self, base: Equations, lead: tuple[int, ...], live: Sequence[int], count: int) -> None:
        super().__init__()
        self.base, self.lead, self.live, self.count = base, lead, live, count
        self.code, self.function = base.code, base.function

    def _seeds(self, operands: Sequence[Any]) -> list[Any]:
        q, given = operands[1 : 1 + self.count], operands[1 + self.count :]
        seeds = dict(zip(self.live, given, strict=True))
        return [seeds.get(k) for k, x in enumerate(q) if dtype_of(x).kind in "fc"]

    def residual(self, v: Any, q: Sequence[Any]) -> Any:
        tape = self.base.tape(q[0], q[1 : 1 + self.count])
        found = push(tape, [v, *self._seeds(q)], tape.outputs, self.lead)[0]
        return np.zeros_like(v) if found is None else found

    def solved(self, q: Sequence[Any]) -> Any:
        system = self.factors(None, q)
        row = self.base.row(q[0], q[1 : 1 + self.count])
        if row is not None:
            pairs = [(t, c) for t, c in zip(self._seeds(q), row[1:], strict=True) if t is not None and c is not None]
            r = None
            for t, c in pairs:
                along = np.reshape(t, (*self.lead, size_of(shape_of(c)))) @ np.reshape(c, (-1, 1))
                r = along if r is None else r + along
        else:
            tape = self.base.tape(q[0], q[1 : 1 + self.count])
            r = push(tape, [None, *self._seeds(q)], tape.outputs, self.lead)[0]
        return np.zeros(self.lead + shape_of(q[0]), dtype_of(q[0])) if r is None else system.solve(0.0 - r)

    def factors(self, v: Any, q: Sequence[Any]) -> System:
        return self.base.factors(q[0], q[1 : 1 + self.count])


class Pulled(Equations):
    """Of the equations before: F_x(v, q)ᵀ w - g = 0, linear in w. Its operands are v, q and the covector g."""

    def __init__(self, base: Equations, lead: tuple[int, ...], count: int) -> None:
        super().__init__()
        self.base, self.lead, self.count = base, lead, count
        self.code, self.function = base.code, base.function

    def residual(self, v: Any, q: Sequence[Any]) -> Any:
        tape = self.base.tape(q[0], q[1 : 1 + self.count])
        found = pull(tape, [(tape.outputs[0], v)], self.lead)[0]
        return -q[-1] if found is None else found - q[-1]

    def solved(self, q: Sequence[Any]) -> Any:
        return self.factors(None, q).solve(np.asarray(q[-1]))

    def factors(self, v: Any, q: Sequence[Any]) -> System:
        return Transposed(self.base.factors(q[0], q[1 : 1 + self.count]))


class Solved(Equations):
    """The equations of a solver that somebody called.

    Parameters
    ----------
    given : Given
        All that it was given.
    solve : callable
        Of this with nothing differentiated in it: the solution, a structure.
    residual : callable
        Of a structure of unknowns, and of this: what the equations leave, as many numbers.
    function : callable
        The user's function in it.
    size : callable, optional
        Of the solution, a vector: how large the unknowns are, beside which a step is small. It raises where there is no derivative
        for another reason.
    linear_solver : str
        By what means the linear systems are solved.
    """

    def __init__(
        self,
        given: Given,
        solve: Callable[[Any], Any],
        residual: Callable[[Any, Any], Any],
        function: Any = None,
        size: Callable[[Any], Any] | None = None,
        linear_solver: str = "auto",
    ) -> None:
        super().__init__()
        self.given, self._solve, self._residual, self.function = given, solve, residual, function
        self.size, self.linear_solver = size, linear_solver
        self.code = getattr(function, "__code__", function)
        self.unknowns: Unknowns | None = None
        self.program: Recorded | None = None

    def solved(self, q: Sequence[Any]) -> Any:
        """Run the solver, with plain values in the place of those that are differentiated."""
        if self.program is not None and self.program.caught:
            raise UnsupportedFunctionError(f"{where()}: {_UNSEEN}")
        own = [x.copy() if type(x) is np.ndarray else x for x in q]  # the solver may write into what it is given
        x = self._solve(self.given.at(own))
        unknowns = Unknowns(x)
        if self.unknowns is not None and self.unknowns.forms != unknowns.forms:
            raise InputError(
                f"{where()}: the solver returned a result of another form than before, for other parameters"
            )
        self.unknowns = self.unknowns or unknowns
        return raw(unknowns.vector(x))

    def residual(self, v: Any, q: Sequence[Any]) -> Any:
        """Return what the equations leave: where they were solved by the recording made there, elsewhere by the user's function.

        The function may close over what has changed since. A program that is being recorded notes the function's own decisions.
        """
        program = self.program
        if program is not None and (program.caught or (program.serves(q) and not any(map(is_replayed, (v, *q))))):
            return program.residual(v, q)
        return self.left(v, self.given.at(q))

    def left(self, v: Any, given: Any) -> Any:
        """Return what the equations leave, as one vector."""
        unknowns: Any = self.unknowns
        found = as_vector(self._residual(unknowns.structure(v), given), unknowns.dtype)
        if shape_of(found) != (unknowns.size,):
            raise InputError(
                f"{where()}: the residual has {size_of(shape_of(found))} entries for {unknowns.size} unknowns; the implicit function "
                "theorem needs as many equations as unknowns (complex ones count twice)"
            )
        return found

    def _record(self, v: Any, q: Sequence[Any]) -> tuple[Tape, Any]:
        program = self.program
        if program is not None and not program.caught and _same([v, *q], [program.v, *program.q]):
            return program.tape, program.left
        return super()._record(v, q)

    def factors(self, v: Any, q: Sequence[Any]) -> System:
        """Return what solves with the Jacobian; the first time, look at whether the solution is one."""
        place = self.at(v, q)
        if place.system is None:
            row = self.row(v, q) if self.linear_solver == "auto" else None
            if row is not None:
                system: System = Divided(float(row[0][0]))
            else:
                system = system_of(place.tape, lambda u: self.residual(u, q), v, self.linear_solver)
            size = float(np.max(np.abs(v), initial=0.0)) if self.size is None else self.size(v)
            check_solution(system, place.tape, lambda u: self._record(u, q)[0], v, place.left, size)
            place.system = system
        return place.system

    def result(self) -> Any:
        """Solve, and return the solution with its derivatives: a structure."""
        q = [raw(x) for x in self.given.caught]
        v = self.value(q)
        operands = list(self.given.caught)
        unknowns: Any = self.unknowns
        # What is differentiated and neither an argument nor closed over shows itself where the equations are looked at.
        if not operands and not _is_differentiated(self.left(v, self.given.at(q))):
            return unknowns.structure(v)
        program = Recorded(self, v, q)
        if program.caught:
            operands += program.caught
            self.known = v, [*q, *[raw(x) for x in program.caught]]
        self.program = program
        return unknowns.structure(bind(solution, operands, {"equations": self}) if operands else v)


def _is_differentiated(x: Any) -> bool:
    return type(x) in TRACED and not x._may_leave()


_UNSEEN = (
    "a solver's equations use a value that is being differentiated and stands neither among its arguments nor in a variable that its "
    "functions close over (it is global, or an attribute of an object), so that the solver cannot be run again for other values of it. "
    "Make it an argument, or a local variable."
)


class Recorded:
    """The equations as they were when they were solved: a recording, in which what the function closed over is constant.

    Attributes
    ----------
    caught : list
        Differentiated values among these constants, that nobody could take out of the function: further operands.
    """

    def __init__(self, equations: Solved, v: Any, q: Sequence[Any]) -> None:
        self.v, self.q = v, list(q)
        self.on = [k for k, x in enumerate(q) if dtype_of(x).kind in "fc"]

        def run(leaves: list[Any]) -> list[Any]:
            given = list(q)
            for k, x in zip(self.on, leaves[1:], strict=True):
                given[k] = x
            return [equations.left(leaves[0], equations.given.at(given))]

        problem = Problem(
            run, [v, *[q[k] for k in self.on]], equations.function, captures_of(equations.function), False, None, True
        )
        self.tape, (self.left,) = record(problem, replayable=True)
        self.caught: list[Any] = []
        self.places: dict[tuple[int, int], int] = {}
        for e, (_, ins, args, _, _, _) in enumerate(self.tape.equations):
            for k, (i, a) in enumerate(zip(ins, args, strict=True)):
                if i is None and type(a) in TRACED and not a._may_leave():
                    if is_replayed(a):
                        raise UnsupportedFunctionError(f"{where()}: {_UNSEEN}")
                    self.places[e, k] = len(self.caught)
                    self.caught.append(alive(a))

    def serves(self, q: Sequence[Any]) -> bool:
        """Whether operands have the values with which it was made."""
        return _same([raw(x) for x in q], self.q)

    def residual(self, v: Any, q: Sequence[Any]) -> Any:
        """Run the recording, the values that were hidden among the operands."""
        own, rest = [v, *[q[k] for k in self.on]], q[len(self.q) :]
        slot = self.tape.outputs[0]
        if slot < 0:
            return np.zeros_like(v) + self.left
        for e, (row, ins, args, params, _, _) in enumerate(self.tape.equations):
            operands = [
                (rest[self.places[e, k]] if (e, k) in self.places else a) if i is None else own[i if i >= 0 else ~i]
                for k, (a, i) in enumerate(zip(args, ins, strict=True))
            ]
            own.append(bind(row, operands, params))
        return own[slot]


def is_plain(values: Sequence[Any]) -> bool:
    """Whether nothing among some values is differentiated."""
    return not any(type(x) in TRACED for x in values)


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists of values are the same, and plain."""
    return len(a) == len(b) and all(
        type(x) not in TRACED
        and type(y) not in TRACED
        and (x is y or (shape_of(x) == shape_of(y) and dtype_of(x) == dtype_of(y) and np.array_equal(x, y)))
        for x, y in zip(a, b, strict=True)
    )


class Solution(General):
    """The row of a solution: its operands are the parameters, its value what the solver finds for them."""

    def __init__(self) -> None:
        super().__init__("a solution", lambda *q, equations: equations.value(q), self._pushed, self._pulled)

    def _pushed(self, sweep: Sweep, tangents: Any, out: Any, *q: Any, equations: Equations) -> Any:
        around = next((t for t in tangents if type(t) is Reached), None)
        found = _quietly(lambda: equations.pushed(sweep.lead, [numbers(t) for t in tangents], out, q))
        return found if around is None else around.run.seed(found)

    def _pulled(self, sweep: Sweep, g: Any, out: Any, *q: Any, equations: Equations) -> Any:
        found = _quietly(lambda: equations.pulled(sweep.lead, numbers(g), out, q))
        return [g.run.seed(c) for c in found] if type(g) is Reached else found


def _quietly(compute: Callable[[], Any]) -> Any:
    """Run the passes of a rule: a careful pass around it knows its zeros by what it gets."""
    token = CAREFUL.set(False)
    try:
        return compute()
    finally:
        CAREFUL.reset(token)


solution = Solution()

__all__ = ["Equations", "Given", "Solved", "Unknowns", "as_vector", "is_plain", "solution"]
