"""Who computes a derivative: ours by each tier, the operator, differences, by hand, and every peer that is installed."""

from __future__ import annotations

import inspect
import shutil
import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.sparse import csr_array

import dualdiff as dd
from dualdiff.errors import CompileWarning
from tests.benchmarks.compiled.translation import Symbolic, boxed, translated
from tests.benchmarks.compiled.workload import FLAT, IN_PLACE, LLVM, OPERATOR, Derivative, Maker, as_it_is
from tests.benchmarks.installed import installed

PEERS = {
    "numba": "numba", "jax.jit": "jax", "asdex": "asdex", "CasADi": "casadi", "CasADi C": "casadi", IN_PLACE: "casadi",
    "ddx-ad": "ddx", "PyTorch": "torch", "nn.LSTM": "torch",
}  # fmt: skip
"""The module that a column needs."""
DISTRIBUTIONS = {"ddx": "ddx-ad"}
MANY_IN_C, MOST_IN_C, MOST_IN_DDX = 5_000, 20_000, 1_500
"""Operations of an expression above which a compiler of straight lines takes many seconds, or minutes, and is told less, or left out."""
ELEMENTARY = {
    "exp": "exp",
    "log": "log",
    "sin": "sin",
    "cos": "cos",
    "tanh": "tanh",
    "sqrt": "sqrt",
    "arctan2": "atan2",
}
"""Functions by NumPy's names, and theirs."""


class RunsEagerlyError(Exception):
    """What was to be compiled runs as it is."""


class LeftOutError(Exception):
    """A peer is not measured here, for the reason given."""


def compiled(g: Callable[..., Any], tier: str) -> Any:
    """Return `g` compiled for a tier. Nothing is checked on the clock: what a check costs is the operator's time."""
    options: dict[str, Any] = {"check_every": None}
    known = inspect.signature(dd.compile).parameters
    if "backend" in known:
        options["backend"] = "llvm" if tier == LLVM else "numpy"
    if "now" in known and tier == LLVM:
        options["now"] = True
    return dd.compile(g, **options)


def tiers() -> tuple[str, ...]:
    """Return the tiers that exist here."""
    there = "backend" in inspect.signature(dd.compile).parameters and installed("llvmlite") is not None
    return (FLAT, LLVM) if there else (FLAT,)


def run_compiled(program: Any, *args: Any, **kwargs: Any) -> Any:
    """Make the first call, and raise if it turns out that nothing is compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CompileWarning)
        try:
            return program(*args, **kwargs)
        except CompileWarning as warning:
            raise RunsEagerlyError(str(warning)) from None


def entrants(w: Derivative) -> dict[str, Maker]:
    """Return who can compute a derivative, by column."""
    found: dict[str, Maker] = {OPERATOR: partial(_operator, w)}
    found |= {tier: partial(_program, w, tier) for tier in tiers()}
    if w.differences:
        found["2-point"] = partial(_differences, w)
    if w.by_hand is not None:
        found["NumPy"] = lambda: (partial(w.by_hand, w.x), as_it_is)
    if w.by_loops is not None:
        found["numba"] = partial(_numba, w)
    if w.in_jax is not False:
        found["jax.jit" if not w.sparse else "asdex"] = partial(_jax if not w.sparse else _asdex, w)
    if w.symbols or w.in_casadi is not None:
        found["CasADi"] = partial(_casadi, w, partial(_casadi_function, w, in_c=False))
        if shutil.which("gcc"):
            in_c = cache(partial(_casadi_function, w, in_c=True))
            found["CasADi C"] = partial(_casadi, w, in_c)
            if not w.sparse:
                found[IN_PLACE] = partial(_casadi, w, in_c, in_place=True)
    if w.symbols and not w.sparse:
        found["ddx-ad"] = partial(_ddx, w)
    found |= w.others
    return {column: maker for column, maker in found.items() if column not in PEERS or installed(PEERS[column])}


def missing() -> list[str]:
    """Say who is not here, and what of it is therefore left out."""
    said = [
        f"{module} is not installed: its column is left out"
        for module in dict.fromkeys(PEERS.values())
        if not installed(module)
    ]
    if installed("casadi") and not shutil.which("gcc"):
        said.append("there is no gcc: CasADi's C is left out")
    if LLVM not in tiers():
        said.append("there is no LLVM tier here: the flat one is held against the bars")
    return said


def versions() -> str:
    """Return who was compared."""
    modules = ["numpy", "scipy", "llvmlite", *dict.fromkeys(PEERS.values())]
    names = [DISTRIBUTIONS.get(m, m) for m in modules if installed(m)]
    return ", ".join(f"{name} {version(name)}" for name in names)


# -- ours, and what needs nothing ------------------------------------------------------------------


def _operator(w: Derivative) -> Any:
    return partial(w.operator, w.x), as_it_is


def _program(w: Derivative, tier: str) -> Any:
    program = compiled(w.operator, tier)
    run_compiled(program, w.x)
    return partial(program, w.x), as_it_is


def _differences(w: Derivative) -> Any:
    from scipy.optimize._numdiff import approx_derivative

    return partial(approx_derivative, w.function, w.x, method="2-point"), as_it_is


def _numba(w: Derivative) -> Any:
    made = installed("numba").njit(w.by_loops, error_model="numpy")
    if w.finished is None:
        return partial(made, w.x, *w.data), as_it_is
    return lambda: w.finished(made(w.x, *w.data)), as_it_is


# -- JAX -------------------------------------------------------------------------------------------


def in_jax(w: Derivative) -> Callable[[Any], Any]:
    """Return the function in JAX's names."""
    return w.in_jax if callable(w.in_jax) else translated(w.function, installed("jax").numpy)


def _aligned(x: Any) -> Any:
    """Return a copy that begins at a multiple of 64 bytes: JAX reads such an array in place, and copies any other one at each call."""
    room = np.empty(x.size + 8)
    start = -room.ctypes.data % 64 // 8
    found = room[start : start + x.size].reshape(x.shape)
    found[...] = x
    return found


def _jax(w: Derivative) -> Any:
    jax = installed("jax")
    tall = w.x.size <= 200
    operator = {"gradient": jax.grad, "jacobian": jax.jacfwd if tall else jax.jacrev, "hessian": jax.hessian}[w.wanted]
    made = jax.jit(operator(in_jax(w)))
    x = _aligned(w.x)
    return lambda: np.asarray(made(x)), as_it_is


def _asdex(w: Derivative) -> Any:
    """Return asdex's fastest: entries gathered inside of what is compiled, a CSR matrix around them."""
    asdex, jax = installed("asdex"), installed("jax")
    f, n = in_jax(w), w.x.size
    if w.wanted.endswith("hessian"):
        coloring = asdex.hessian_coloring(f, w.x)
        compressed = asdex.compressed_hessian_from_coloring(f, coloring)
    else:
        coloring = asdex.jacobian_coloring(f, w.x)
        compressed = asdex.compressed_jacobian_from_coloring(f, coloring)
    made = jax.jit(lambda x: asdex.decompress_data(compressed(x), coloring))
    rows, columns = np.asarray(coloring.sparsity.rows), np.asarray(coloring.sparsity.cols)
    order = np.lexsort((columns, rows))
    m = coloring.sparsity.shape[0]
    indptr = np.searchsorted(rows[order], np.arange(m + 1)).astype(np.int32)
    indices = columns[order].astype(np.int32)
    by_rows = bool(np.all(order == np.arange(order.size)))

    point = _aligned(w.x)

    def call() -> Any:
        data = np.asarray(made(point))
        return csr_array((data if by_rows else data[order], indices, indptr), shape=(m, n))

    return call, as_it_is


# -- libraries of expressions ----------------------------------------------------------------------


def _casadi_function(w: Derivative, in_c: bool) -> Any:
    """Return the derivative as a function of CasADi's; of a matrix transposed, which lies in its columns as ours does in rows."""
    casadi = installed("casadi")
    if w.in_casadi is not None:
        x, derivative = w.in_casadi(casadi)
    else:
        x = casadi.SX.sym("x", w.x.size)
        names = Symbolic({ours: getattr(casadi, theirs) for ours, theirs in ELEMENTARY.items()} | {"abs": abs})
        y = translated(w.function, names)(boxed([x[i] for i in range(w.x.size)]))
        y = casadi.vertcat(*y) if isinstance(y, np.ndarray) else y
        derivative = {
            "gradient": lambda: casadi.gradient(y, x),
            "jacobian": lambda: casadi.jacobian(y, x).T,
            "hessian": lambda: casadi.hessian(y, x)[0].T,
        }[w.wanted.split()[-1]]()
    if not w.sparse:
        derivative = casadi.densify(derivative)
    options: dict[str, Any] = {"cse": True}
    made = casadi.Function("d", [x], [derivative], options)
    if in_c:
        if made.n_instructions() > MOST_IN_C:
            raise LeftOutError(f"an expression of {made.n_instructions():,} instructions")
        level = "-O2" if made.n_instructions() < MANY_IN_C else "-O1"
        flags = {"compiler": "gcc", "flags": [level, "-march=native"]}
        made = casadi.Function(
            "d", [x], [derivative], options | {"jit": True, "compiler": "shell", "jit_options": flags}
        )
    return made


def _casadi(w: Derivative, given: Callable[[], Any], in_place: bool = False) -> Any:
    """Return CasADi's function called by its buffers, which is its fastest.

    A whole call copies its argument in and its result out, as ours gives an array that is the caller's own; in place, it does neither.
    """
    made = given()
    buffers, evaluate = made.buffer()
    pattern = made.sparsity_out(0)
    shape = (w.x.size,) if w.wanted == "gradient" else (pattern.size2(), pattern.size1())
    point, out = np.array(w.x), np.zeros(pattern.nnz() if w.sparse else shape)
    buffers.set_arg(0, memoryview(point))
    buffers.set_res(0, memoryview(out))
    indptr, indices, x = np.array(pattern.colind()), np.array(pattern.row()), w.x

    def whole() -> Any:
        point[:] = x
        evaluate()
        return csr_array((out.copy(), indices, indptr), shape=shape) if w.sparse else out.copy()

    # The buffers keep neither what they point to nor the function.
    return (
        evaluate if in_place else whole,
        lambda result, kept=(made, buffers, point): out.copy() if in_place else result,
    )


def _ddx(w: Derivative) -> Any:
    """Return ddx-ad's derivative, compiled, called by its buffers."""
    ddx = installed("ddx")

    def model() -> Any:
        names = Symbolic({ours: getattr(ddx, theirs) for ours, theirs in ELEMENTARY.items()} | {"abs": abs})
        y = translated(w.function, names)(boxed([ddx.var(f"x{i}") for i in range(w.x.size)]))
        return tuple(y) if isinstance(y, np.ndarray) else y

    made = ddx.equation(model)
    nodes = max(made.nodes(want=ddx.Want.VALUE), made.outputs)
    nodes = nodes if nodes > MOST_IN_DDX else made.nodes(want=ddx.Want.GRADIENT)
    if nodes > MOST_IN_DDX:
        raise LeftOutError(f"a model of {nodes:,} nodes")
    made.compile()
    bound = made.buffer(np.array(w.x), want=ddx.Want.GRADIENT)
    point, out, x = bound.x, bound.jacobian, w.x

    def whole() -> Any:
        point[:] = x
        bound()
        return out.copy()

    return whole, as_it_is
