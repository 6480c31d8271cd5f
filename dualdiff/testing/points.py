"""Further points to check at: near the first one and across the domain, on a grid of numbers that exist exactly.

Random real numbers never hit a zero, a tie, an integer or the border between two branches, where derivatives written by hand
go wrong. These points do, at rates that are set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.trees import flatten

__all__ = ["DOMAINS", "Domain", "domain_of", "drawn", "shapes_of"]


@dataclass(frozen=True, slots=True)
class Domain:
    """An interval, with or without zero.

    Attributes
    ----------
    low, high : float
        Its ends, which belong to it where they are finite and ``open`` is False.
    zero : bool
        Whether zero belongs to it.
    open : bool
        Whether the ends do not belong to it.
    declared : bool
        Whether points are drawn from all of it, and not only near the first point.
    """

    low: float = -np.inf
    high: float = np.inf
    zero: bool = True
    open: bool = False
    declared: bool = True

    def holds(self, x: Any) -> Any:
        """Say, entry by entry, whether numbers lie in it."""
        inside = (x > self.low) & (x < self.high) if self.open else (x >= self.low) & (x <= self.high)
        return inside if self.zero else inside & (x != 0)


ANYWHERE = Domain(declared=False)
DOMAINS: dict[str, Domain] = {
    "real": Domain(),
    "nonzero": Domain(zero=False),
    "positive": Domain(low=0.0, open=True),
    "nonnegative": Domain(low=0.0),
    "negative": Domain(high=0.0, open=True),
    "unit": Domain(low=0.0, high=1.0),
    "inside unit": Domain(low=0.0, high=1.0, open=True),
}
"""The domains that have a name."""
NEAR = 16
"""Steps of the grid by which an entry moves at most, 1/64 of it each: a quarter."""
SCALE = 4.0
"""Constants and integers up to this many times the largest entry are tried."""


def domain_of(said: Any) -> Domain:
    """Return a domain from its name, from a pair (low, high), or from None."""
    if said is None:
        return ANYWHERE
    if isinstance(said, Domain):
        return said
    if isinstance(said, str) and said in DOMAINS:
        return DOMAINS[said]
    if not isinstance(said, str) and np.shape(said) == (2,):
        low, high = (float(b) for b in said)
        if low < high:
            return Domain(low, high)
    names = ", ".join(repr(n) for n in DOMAINS)
    raise InputError(
        f"domain={said!r} is no domain: give (low, high), one of {names}, or a list with one of these for each argument"
    )


def shapes_of(signature: str, arguments: int) -> list[tuple[int | str, ...]]:
    """Read shapes with named sizes, one for each argument: ``"(m,k),(k,n)"``, as NumPy's generalized ufuncs write them."""
    cores = re.findall(r"\(([^()]*)\)", signature) if isinstance(signature, str) else []
    if len(cores) != arguments or re.sub(r"\([^()]*\)|[,\s]", "", signature):
        raise InputError(
            f"shapes={signature!r} must give a shape for each of the {arguments} arguments, with a letter for a size that may "
            'vary: shapes="(m,k),(k,n)"'
        )
    return [tuple(int(s) if s.isdigit() else s for s in re.findall(r"\w+", core)) for core in cores]


def drawn(
    f: Callable[..., Any],
    args: Sequence[Any],
    argnums: Sequence[int],
    count: int,
    domain: Any = None,
    shapes: str | None = None,
    seed: int = 0,
) -> Iterator[tuple[Any, ...]]:
    """Yield points: the given arguments with those of ``argnums`` drawn anew.

    Parameters
    ----------
    f : callable
        The function; numbers that its code names are tried as entries, and so are numbers to both sides of them.
    args : sequence
        The first point.
    argnums : sequence of int
        Which arguments are drawn.
    count : int
        How many points.
    domain : optional
        Of all arguments, or a list with one for each.
    shapes : str, optional
        Shapes of all arguments with named sizes; these are drawn as well, so that all differ.
    seed : int
        Seed of the draws.

    Yields
    ------
    tuple
        Arguments.
    """
    rng = np.random.default_rng(seed)
    domains = [domain_of(d) for d in domain] if isinstance(domain, list) else [domain_of(domain)] * len(args)
    if len(domains) != len(args):
        raise InputError(f"domain= has {len(domains)} entries for {len(args)} arguments")
    cores = None if shapes is None else shapes_of(shapes, len(args))
    constants = np.array(sorted(_constants(f)), float)
    for k in range(count):
        sizes = _sizes(cores, rng) if cores is not None else {}
        new = list(args)
        for i in range(len(args)):
            if i not in argnums and cores is None:
                continue
            leaves, build = flatten(args[i])
            if cores is not None:
                if len(leaves) != 1:
                    raise InputError(f"shapes= is for arguments that are arrays, which argument {i} is not")
                shape = tuple(s if isinstance(s, int) else sizes[s] for s in cores[i])
                leaves = [np.resize(np.asarray(leaves[0]), shape)]
            moved = [_drawn(np.asarray(x), k, domains[i], constants, rng) for x in leaves]
            new[i] = build([_like(m, x) for m, x in zip(moved, leaves, strict=True)])
        yield tuple(new)


def _like(x: Any, given: Any) -> Any:
    """Return numbers as the kind of thing that was given."""
    if type(given) in (float, int):
        return float(x)
    return x if shape_of(given) or isinstance(given, np.ndarray) else x[()]


def _sizes(cores: Sequence[tuple[int | str, ...]], rng: np.random.Generator) -> dict[str, int]:
    names = list(dict.fromkeys(s for core in cores for s in core if isinstance(s, str)))
    return dict(zip(names, (int(s) for s in rng.permutation(np.arange(1, max(6, len(names) + 2))))))


def _drawn(x: Any, k: int, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Draw an array in the manner that is ``k``'s turn."""
    dtype = dtype_of(x) if dtype_of(x).kind in "fc" else np.dtype(np.float64)
    if not x.size:
        return x
    if dtype.kind == "c":
        real, imaginary = (_drawn(part, k, domain, constants, rng) for part in (x.real, x.imag))
        return np.asarray(real + 1j * imaginary, dtype)
    start = x.astype(np.float64)
    scale = float(np.max(np.abs(start), initial=0.0, where=np.isfinite(start))) or 1.0
    found = MANNERS[k % len(MANNERS)](start, scale, domain, constants, rng)
    inside = domain.holds(found)
    near = _near(start, scale, domain, constants, rng)
    found = np.where(inside, found, np.where(domain.holds(near), near, start))
    return np.asarray(_on_grid(found), dtype)


def _on_grid(x: Any) -> Any:
    """Round to eight bits."""
    with np.errstate(all="ignore"):
        fraction, exponent = np.frexp(x)
        return np.where(np.isfinite(x), np.ldexp(np.round(fraction * 256), exponent - 8), x)


Manner = Callable[[Any, float, Domain, Any, np.random.Generator], Any]


def _near(x: Any, scale: float, _domain: Domain, _constants: Any, rng: np.random.Generator) -> Any:
    """Move every entry by up to a quarter of it."""
    size = np.where(x == 0, 0.25 * scale, x)
    return x + size * rng.integers(-NEAR, NEAR + 1, x.shape) / 64


def _signs(x: Any, scale: float, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Turn signs."""
    return _near(x, scale, domain, constants, rng) * rng.choice([-1.0, 1.0], x.shape)


def _zeros(x: Any, scale: float, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Put zeros in."""
    return np.where(rng.random(x.shape) < 0.5, 0.0, _near(x, scale, domain, constants, rng))


def _ties(x: Any, scale: float, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Make entries equal."""
    near = _near(x, scale, domain, constants, rng)
    return np.where(rng.random(x.shape) < 0.5, near.reshape(-1)[int(rng.integers(x.size))], near)


def _permuted(x: Any, scale: float, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Change places."""
    return rng.permutation(_near(x, scale, domain, constants, rng).reshape(-1)).reshape(x.shape)


def _integers(x: Any, scale: float, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Round to integers."""
    return np.round(_near(x, scale, domain, constants, rng)) + 0.0


def _borders(x: Any, scale: float, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Put numbers that the function's code names, and numbers on both sides of them."""
    usable = constants[np.abs(constants) <= SCALE * scale]
    near = _near(x, scale, domain, constants, rng)
    if not usable.size:
        return near
    beside = rng.choice(usable, x.shape) * (1 + rng.choice([-0.0625, 0.0, 0.0625], x.shape))
    return np.where(rng.random(x.shape) < 0.6, beside, near)


def _anywhere(x: Any, scale: float, domain: Domain, constants: Any, rng: np.random.Generator) -> Any:
    """Draw from the whole of a declared domain, else near."""
    if not domain.declared:
        return _near(x, scale, domain, constants, rng)
    reach = SCALE * scale
    low = domain.low if np.isfinite(domain.low) else min(-reach, domain.high - reach)
    high = domain.high if np.isfinite(domain.high) else max(reach, domain.low + reach)
    return low + (high - low) * rng.integers(0, 65, x.shape) / 64


MANNERS: tuple[Manner, ...] = (
    _near,
    _borders,
    _signs,
    _zeros,
    _anywhere,
    _borders,
    _ties,
    _permuted,
    _integers,
    _anywhere,
)
"""How points are drawn, by turns."""


def _constants(f: Any) -> set[float]:
    """Return the numbers that a function's code names, and those it keeps."""
    found: set[float] = {0.0, 1.0, -1.0}
    code = getattr(getattr(f, "__func__", f), "__code__", None)
    if not isinstance(code, CodeType):
        return found
    kept = [c.cell_contents for c in getattr(f, "__closure__", None) or () if _is_full(c)]
    for c in (*code.co_consts, *kept):
        for n in c if isinstance(c, tuple) else (c,):
            if type(n) in (int, float) and np.isfinite(n):
                found |= {float(n), -float(n)}
    return found


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a variable that was deleted
        return False
