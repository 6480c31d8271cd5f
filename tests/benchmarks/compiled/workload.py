"""What is compared: a function and the derivative wanted of it, or a whole task; what it must keep to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dualdiff as dd

Maker = Callable[[], tuple[Callable[[], Any], Callable[[Any], Any]]]
"""Sets an entrant up: returns the call that is timed, and what brings its result into our form, which is not."""

OPERATOR, FLAT, LLVM = "operator", "flat", "LLVM"
IN_PLACE = "C in place"
OURS = (LLVM, FLAT, OPERATOR)
"""Our columns, the best first: the first that ran is held against the bars."""
COLUMNS = (
    OPERATOR, FLAT, LLVM, "2-point", "NumPy", "numba", "jax.jit", "asdex", "CasADi", "CasADi C", IN_PLACE, "ddx-ad", "PyTorch", "nn.LSTM",
)  # fmt: skip
MICROSECONDS, COMPILED = "µs", "ms of compiling"


@dataclass(frozen=True)
class Bar:
    """What ours may take at most: so many times the time of another column, or so many microseconds."""

    most: float
    of: str = MICROSECONDS


@dataclass(frozen=True, kw_only=True)
class Derivative:
    """A function whose derivative is wanted at a point, with all that the peers need to give the same.

    ``function`` is plain NumPy. ``by_hand`` is its derivative in NumPy, ``by_loops`` the same in loops over numbers, called with the
    point and ``data``, for numba to compile; ``finished`` makes a sparse matrix of what it returns. ``in_jax`` is the function as one
    writes it in JAX where the same code does not serve; False leaves JAX out. With ``symbols`` the function runs on symbols for single
    numbers, as CasADi and ddx-ad want it; ``in_casadi`` makes CasADi's derivative otherwise. ``others`` sets up what this workload alone is
    compared with.
    """

    name: str
    function: Callable[[Any], Any]
    x: Any
    wanted: str = "jacobian"
    bars: tuple[Bar, ...] = ()
    by_hand: Callable[[Any], Any] | None = None
    by_loops: Callable[..., Any] | None = None
    data: tuple[Any, ...] = ()
    finished: Callable[[Any], Any] | None = None
    in_jax: Callable[[Any], Any] | bool = True
    symbols: bool = False
    in_casadi: Callable[[Any], Any] | None = None
    differences: bool = False
    others: Mapping[str, Maker] = field(default_factory=dict)
    rtol: float = 1e-8

    @property
    def sparse(self) -> bool:
        return self.wanted.startswith("sparse")

    @property
    def operator(self) -> Callable[[Any], Any]:
        """The derivative by our operator, eagerly."""
        made = {"gradient": dd.grad, "jacobian": dd.jacobian, "hessian": dd.hessian}[self.wanted.split()[-1]]
        return made(self.function, sparse=True) if self.sparse else made(self.function)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something done with derivatives as a whole, a fit for instance, by each of its ways."""

    name: str
    ways: Mapping[str, Maker]
    bars: tuple[Bar, ...] = ()
    rtol: float = 1e-6


Workload = Derivative | Task


def as_it_is(result: Any) -> Any:
    """Return a result that is in our form already."""
    return result
