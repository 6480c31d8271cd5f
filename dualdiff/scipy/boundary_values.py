r"""``scipy.integrate.solve_bvp`` of values that are being differentiated.

SciPy finds the mesh and the solution with plain numbers. On that mesh, frozen, the solution z (the states at the nodes and the
unknown parameters) makes the equations of collocation F(z, θ) zero, so that :math:`F_z\,\dot z = -F_θ\,\dot θ` by the implicit
function theorem. Values are SciPy's; the derivative is right to the order of ``tol``.

References
----------
Kierzenka & Shampine, A BVP solver based on residual control and the Matlab PSE, *ACM Trans. Math. Softw.* 27 (2001),
doi:10.1145/502800.502801. Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 15.1,
doi:10.1137/1.9780898717761.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.integrate import solve_bvp as solve
from scipy.interpolate import PPoly
from scipy.sparse.linalg import splu

from dualdiff.capture.captures import Captured
from dualdiff.errors import DerivativeError, UnsupportedFunctionError, where
from dualdiff.kinds import General
from dualdiff.operators import jacfwd, jacobian
from dualdiff.scipy import jumps
from dualdiff.scipy.initial_values import ROOM
from dualdiff.scipy.systems import Given, carries, plain_of, recentred, uncaptured
from dualdiff.shapes import shape_of, size_of
from dualdiff.values import TRACED, bind, decided, fixed, is_replayed, operand, raw

_ITERATIONS = 12
_INSTEAD = (
    "Make the place of the crossing an unknown parameter of two problems side by side, with the side held in each and continuity between "
    "them as conditions; or let a smooth step of some width take the place of the jump."
)


class Collocation:
    """The equations of collocation on a mesh, whose nodes keep their places between the ends of the interval.

    Parameters
    ----------
    fun, bc : Given
        The right-hand side, of ``(x, y, p)``, and what vanishes at the ends, of ``(y(a), y(b), p)``.
    x, y, p
        SciPy's solution.
    singular : bool
        Whether there is a singular term, S y / (x - a), whose matrix S is the operand after the ends of the interval.
    tol : float
        Its tolerance.
    """

    def __init__(self, fun: Given, bc: Given, x: Any, y: Any, p: Any, singular: bool, tol: float) -> None:
        self.fun, self.bc, self.singular, self.tol = fun, bc, singular, tol
        self.place, self.looked = where(), False
        self.n, self.m = y.shape
        self.places = (x - x[0]) / (x[-1] - x[0])
        self.start = np.concatenate([y.ravel(), p])
        self.whole = Given(lambda z, *rest: self.residual(z, *rest), "solve_bvp", fun.users)
        self.captured = Captured(self.residual, "auto")
        self.captured.captures = fun.captures()

    def look_for_jumps(self, z: Any, operands: Sequence[Any]) -> None:
        """Raise if the right-hand side jumps between the nodes, where the solution or a differentiated value moves that."""
        z, a, b, *inside = map(raw, (z, *operands))
        if self.looked or any(type(v) in TRACED for v in (z, a, b, *inside)):
            return
        inside = inside[int(self.singular) :][: len(self.fun.inside)]
        size = self.n * self.m
        y, p, x = np.reshape(z[:size], (self.n, self.m)), z[size:], self.nodes(a, b)
        known = dict(enumerate([p, *inside], start=2))

        def one_by_one(varied: jumps.Varied) -> Any:
            rows = (
                [varied]
                if len(varied) == 2
                else [{i: v[[k]] for i, v in varied.items()} for k in range(len(varied[0]))]
            )
            found = []
            with np.errstate(all="ignore"):
                for row in rows:
                    p, *inside = [row[i][0] if i in row else v for i, v in known.items()]
                    fun = self.fun.on_plain(self.fun.with_inside(inside))
                    found.append(np.transpose(slopes(fun, row[0], np.transpose(row[1]), p)))
            return np.concatenate(found)

        f = jumps.Function(one_by_one, lambda places: {0: places[:, 0], 1: places[:, 1:]})
        inputs = {i: (v, np.abs(v)) for i, v in known.items()}
        for jump in f.jumps(np.transpose(np.concatenate([x[None], y])), 10 * self.tol):
            moved = f.moves(jump, {1: (jump.before[1:], np.max(np.abs(y), axis=1)), **inputs})
            if moved:
                by = "the solution" if 1 in moved else "a value that is being differentiated"
                raise jumps.error(
                    self.place, "the right-hand side of solve_bvp", "x", jump, by, jump.before[1:], _INSTEAD
                )
        self.looked = True

    def nodes(self, a: Any, b: Any) -> Any:
        """Return the mesh."""
        return a * (1.0 - self.places) + b * self.places

    def residual(self, z: Any, a: Any, b: Any, *rest: Any) -> Any:
        """Return what vanishes for a solution."""
        S, inside = (rest[0], rest[1:]) if self.singular else (None, rest)
        fun = self.fun.with_inside(inside[: len(self.fun.inside)])
        bc = self.bc.with_inside(inside[len(self.fun.inside) :])
        size = self.n * self.m
        y, p, x = np.reshape(z[:size], (self.n, self.m)), z[size:], self.nodes(a, b)
        h = x[1:] - x[:-1]
        f = slopes(fun, x, y, p, S)
        middle = 0.5 * (y[:, 1:] + y[:, :-1]) - 0.125 * h * (f[:, 1:] - f[:, :-1])
        f_middle = slopes(fun, x[:-1] + 0.5 * h, middle, p, S, a)
        equations = y[:, 1:] - y[:, :-1] - h / 6 * (f[:, :-1] + f[:, 1:] + 4 * f_middle)
        return np.concatenate([np.reshape(equations, (-1,)), np.reshape(operand(bc(y[:, 0], y[:, -1], p)), (-1,))])

    def solver(self, z: Any, operands: Sequence[Any]) -> Callable[..., Any]:
        """Return what solves with the derivative of the equations by z, or with its transpose."""
        if any(type(v) in TRACED for v in (z, *operands)):
            matrix = jacfwd(self.captured)(z, *operands)
            return lambda right, transposed=False: np.linalg.solve(
                np.transpose(matrix) if transposed else matrix, right
            )
        sparse = jacobian(self.captured, sparse=True)(z, *operands)
        try:
            factors = splu(sparse.tocsc())
        except RuntimeError as error:
            raise DerivativeError(
                f"{where()}: the equations of solve_bvp are singular at its solution, so it has no derivative: {error}"
            ) from None

        def solved(right: Any, transposed: bool = False) -> Any:
            if type(right) in TRACED:
                dense = sparse.toarray()
                return np.linalg.solve(dense.T if transposed else dense, right)
            return factors.solve(right, trans="T" if transposed else "N")

        return solved

    def solved(self, *operands: Any) -> Any:
        """Return the solution on this mesh, to rounding."""
        z, before = self.start, np.inf
        for _ in range(_ITERATIONS):
            change = self.solver(z, operands)(self.residual(z, *operands))
            z = z - change
            size = float(np.max(np.abs(change))) / (float(np.max(np.abs(z))) + 1e-300)
            if size < 1e-14 or (size < 1e-9 and size >= 0.5 * before):
                return z
            before = size
        raise DerivativeError(
            f"{where()}: what solve_bvp returned is not near a solution on its mesh, and has no derivative. Look at its "
            "status and message; a better guess or a smaller tol may help."
        )


def slopes(fun: Callable[..., Any], x: Any, y: Any, p: Any, S: Any = None, a: Any = None) -> Any:
    """Return the slopes at all nodes, in the shape of the states, with a singular term's at a, which is the first node by default.

    There S y vanishes, and S y / (x - a) has the limit S y', so that y' = f + S y'.
    """
    found = operand(fun(x, y, p))
    found = found if shape_of(found) == shape_of(y) else np.broadcast_to(found, shape_of(y))
    if S is None:
        return found
    if a is not None:
        return found + S @ y / (x - a)
    first = np.linalg.pinv(np.eye(shape_of(y)[0]) - S) @ found[:, :1]
    return np.concatenate([first, found[:, 1:] + S @ y[:, 1:] / (x[1:] - x[0])], axis=1)


def _value(*operands: Any, equations: Collocation) -> Any:
    return equations.solved(*operands)


def _columns(solve: Callable[..., Any], right: Any, lead: tuple[int, ...], transposed: bool = False) -> Any:
    """Solve for one right-hand side, or for several of them, one in a row."""
    return np.transpose(solve(np.transpose(right), transposed)) if lead else solve(right, transposed)


def _push(sweep: Any, tangents: Sequence[Any], out: Any, *operands: Any, equations: Collocation) -> Any:
    equations.look_for_jumps(out, operands)
    _, right = equations.whole.pushed((out, *operands), (), (None, *tangents), sweep.lead)
    return -_columns(equations.solver(out, operands), right, sweep.lead)


def _pull(sweep: Any, g: Any, out: Any, *operands: Any, equations: Collocation) -> list[Any]:
    equations.look_for_jumps(out, operands)
    covectors = _columns(equations.solver(out, operands), g, sweep.lead, transposed=True)
    return equations.whole.recorded((out, *operands), ())(-covectors, sweep.lead)[1:]


SOLUTION = General("the solution of solve_bvp", _value, _push, _pull)


class Spline(PPoly):
    """A cubic spline of differentiated values, which only its own values and derivatives are asked of."""

    c: Any = None  # which are properties in SciPy
    x: Any = None
    axis: Any = 0
    extrapolate: Any = None

    def __init__(self, y: Any, slope: Any, x: Any, plain: PPoly) -> None:
        h = x[1:] - x[:-1]
        steep = (y[:, 1:] - y[:, :-1]) / h
        bent = (slope[:, :-1] + slope[:, 1:] - 2 * steep) / h
        parts = [bent / h, (steep - slope[:, :-1]) / h - bent, slope[:, :-1], y[:, :-1]]
        self.c = np.stack([np.transpose(c) for c in parts])
        self.x, self.axis, self.extrapolate = x, plain.axis, plain.extrapolate
        self._plain = plain

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """Return the solution, or its derivative of order ``nu``, at places of any shape: (n, *shape)."""
        x = operand(x)
        plain = np.asarray(raw(x), float)
        where_at = np.clip(np.searchsorted(raw(self.x), plain, side="right") - 1, 0, len(raw(self.x)) - 2)
        s = np.expand_dims(x - self.x[where_at], -1)
        found: Any = 0.0
        for power, c in zip(range(3, -1, -1), self.c, strict=False):
            if power < nu:
                break
            factor = float(np.prod(np.arange(power, power - nu, -1)))
            found = found * s + factor * c[where_at]
        value = self._plain(plain, nu, extrapolate)
        return recentred(
            np.moveaxis(found + np.zeros_like(value.T if value.ndim < 2 else np.moveaxis(value, 0, -1)), -1, 0), value
        )


def _refused(name: str) -> Callable[..., Any]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedFunctionError(
            f"{where()}: {name} of the spline that solve_bvp returned is not differentiated. Call the spline itself: sol(x), sol(x, 1)."
        )

    return refuse


for _name in ("derivative", "antiderivative", "integrate", "solve", "roots", "extend"):
    setattr(Spline, _name, _refused(_name))


@ROOM.function("solve_bvp", kind="composite", solver=True)
def solve_bvp(
    fun: Callable[..., Any],
    bc: Callable[..., Any],
    x: Any,
    y: Any,
    p: Any = None,
    S: Any = None,
    fun_jac: Any = None,
    bc_jac: Any = None,
    tol: Any = 1e-3,
    max_nodes: Any = 1000,
    verbose: Any = 0,
    bc_tol: Any = None,
) -> Any:
    """``scipy.integrate.solve_bvp``: the implicit function theorem on the mesh that SciPy found.

    The derivative does not depend on the guesses ``y`` and ``p``, nor on the nodes of ``x`` between its ends.
    """
    known = p is None
    right = Given((lambda x, y, p: fun(x, y)) if known else (lambda x, y, p: fun(x, y, p)), "solve_bvp", fun)
    ends = Given((lambda ya, yb, p: bc(ya, yb)) if known else (lambda ya, yb, p: bc(ya, yb, p)), "solve_bvp by bc=", bc)
    if not (right.inside or ends.inside or carries([x, y, p, S])):
        return uncaptured(
            solve, right.seen(fun), ends.seen(bc), x, y, p, S, fun_jac, bc_jac, tol, max_nodes, verbose, bc_tol
        )
    none = np.zeros(0)
    plain = uncaptured(
        solve,
        (lambda x, y: right.plain(x, y, none)) if known else right.plain,
        (lambda ya, yb: ends.plain(ya, yb, none)) if known else ends.plain,
        np.asarray(plain_of(x)),
        np.asarray(plain_of(y)),
        None if known else np.asarray(plain_of(p)),
        None if S is None else np.asarray(plain_of(S)),
        None if fun_jac is None else Given(lambda *a: fun_jac(*a), "solve_bvp by fun_jac=", fun_jac).plain,
        None if bc_jac is None else Given(lambda *a: bc_jac(*a), "solve_bvp by bc_jac=", bc_jac).plain,
        *(fixed(v, "an option of solve_bvp") for v in (tol, max_nodes, verbose, bc_tol)),
    )
    if plain.y.dtype.kind == "c":
        raise UnsupportedFunctionError(
            f"{where()}: solve_bvp is not differentiated where its solution is complex. Write the equation for the real and the imaginary "
            "part."
        )
    if not (right.inside or ends.inside or carries([x, S])):
        return plain
    return _differentiated(right, ends, x, S, plain, tol)


def _differentiated(fun: Given, bc: Given, x: Any, S: Any, plain: Any, tol: float) -> Any:
    """Return SciPy's result with derivatives."""
    unknown = np.zeros(0) if plain.p is None else plain.p
    equations = Collocation(fun, bc, plain.x, plain.y, unknown, S is not None, tol)
    a, b = operand(x)[0] * 1.0, operand(x)[-1] * 1.0
    S = None if S is None else operand(S) * 1.0
    z = bind(SOLUTION, (a, b, *([] if S is None else [S]), *fun.inside, *bc.inside), {"equations": equations})
    if is_replayed(z):
        decided(z)  # the mesh was chosen for this point: at another one a recording has to be made again
    size = size_of(plain.y.shape)
    y = recentred(np.reshape(z[:size], plain.y.shape), plain.y)
    p = recentred(z[size:], unknown)
    nodes = recentred(equations.nodes(a, b), plain.x) if carries(x) else plain.x
    yp = recentred(slopes(fun.f, nodes, y, p, S), plain.yp)
    found = dict(plain)
    found |= {"x": nodes, "y": y, "yp": yp, "p": None if plain.p is None else p, "sol": Spline(y, yp, nodes, plain.sol)}
    return type(plain)(**found)


__all__ = ["Collocation", "Spline", "solve_bvp"]
