"""How a Jacobian was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.passes.elimination import ORDERS
from dualdiff.ways.base import WAYS, Way, asked_for, modes
from dualdiff.ways.program import Program

Cost = Callable[[Program, Way], float]
"""A model of what a way takes: ``(program, way) -> seconds``."""

FRACTION = 0.5
"""The part of the machine's memory that a Jacobian may take where ``max_bytes`` does not say."""
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
    order: Any = None

    def __post_init__(self) -> None:
        known = modes()
        if self.mode not in known:
            raise InputError(f"mode={self.mode!r} is not a way to a Jacobian; use {listed(known)}")
        for name in ("chunk", "max_bytes"):
            given = getattr(self, name)
            if given is not None and (not isinstance(given, (int, np.integer)) or isinstance(given, bool) or given < 1):
                what = "number of directions" if name == "chunk" else "number of bytes"
                raise InputError(f"{name}={given!r} must be a positive {what}, or None")
        if self.cost is not None and not callable(self.cost):
            raise InputError(f"cost={self.cost!r} must be a function (program, way) -> seconds, or None")
        if self.coloring is not None and not self.sparse:
            raise InputError("coloring= is for sparse Jacobians; give sparse=True as well")
        if self.coloring is not None:
            self._check_coloring()
        known = modes(self.kind)
        if self.mode not in known:
            raise InputError(f"mode={self.mode!r} is not a way to a sparse Hessian; use {listed(known)}")
        if self.sparse and self.holomorphic:
            raise InputError("sparse=True is for real functions; use sparse=False with holomorphic=True")
        if self.order is not None:
            self._check_order()

    def _check_order(self) -> None:
        if not all(w.ordered for w in asked_for(self.kind, self.mode)):
            asking = [m for w in WAYS if w.ordered for m in w.asked.get(self.kind, ())]
            raise InputError(f"order= is an order of elimination; give mode={asking[0]!r} as well")
        if isinstance(self.order, str):
            if self.order not in (*ORDERS, "best"):
                raise InputError(f"order={self.order!r} must be one of {listed((*ORDERS, 'best'))}, or vertices")
            return
        try:
            vertices = tuple([index(v) for v in self.order])
        except TypeError:
            raise InputError(
                f"order={self.order!r} must be the name of a rule, or a sequence of vertices, which are whole numbers"
            ) from None
        object.__setattr__(self, "order", vertices)

    def _check_coloring(self) -> None:
        colored = {w.coloring[self.kind]: w for w in WAYS if self.kind in w.coloring}
        if isinstance(self.coloring, str) and self.coloring not in colored:
            listed = ", ".join(map(repr, colored))
            raise InputError(f"coloring={self.coloring!r} must be one of {listed}, or colours from dualdiff.coloring")
        if self.mode == "auto":
            return
        if isinstance(self.coloring, str):
            asking = [
                m for m in dict.fromkeys(m for a in colored[self.coloring].asked.values() for m in a) if m != "auto"
            ]
            if self.mode not in asking:
                raise InputError(
                    f"mode={self.mode!r} and coloring={self.coloring!r} ask for two ways; give one of them, or "
                    f"mode={asking[0]!r}"
                )
        elif not any(w.coloring for w in asked_for(self.kind, self.mode)):
            raise InputError(f"mode={self.mode!r} uses no colours; leave out coloring=, or mode=")

    @property
    def kind(self) -> str:
        """The kind of Jacobian: dense, sparse, or symmetric."""
        return "symmetric" if self.symmetric else "sparse" if self.sparse else "dense"

    @property
    def colors(self) -> Any:
        """The colours that were given, not only named."""
        return None if isinstance(self.coloring, str) else self.coloring

    @property
    def ways(self) -> tuple[type[Way], ...]:
        """The ways that the options allow; with colours given, which of them they are for is seen at the pattern."""
        if self.coloring is None:
            return asked_for(self.kind, self.mode)
        return tuple([w for w in WAYS if w.coloring.get(self.kind) == self.coloring]) if self.colors is None else ()

    @property
    def is_plain(self) -> bool:
        """Whether nothing was asked that only a recording could answer."""
        return not self.sparse and self.max_bytes is None and self.cost is None and self.chunk is None

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


def listed(names: Sequence[str]) -> str:
    """Return the values of an option as a message lists them."""
    return f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
