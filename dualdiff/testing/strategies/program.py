"""Random programs: plain NumPy functions, drawn statement by statement, that print as code to run."""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from hypothesis import strategies as st

from dualdiff.errors import InputError
from dualdiff.testing.strategies.entries import Draw
from dualdiff.testing.strategies.grid import arrays
from dualdiff.testing.strategies.vocabulary import vocabulary_of
from dualdiff.testing.strategies.writer import Writer

Shape = tuple[int, ...]

SHAPES: tuple[Shape, ...] = ((), (3,), (2,), (1,), (2, 3), (3, 1), (1, 3), (3, 3), (2, 1, 3))
"""Shapes of arguments, where the caller names none."""
NAMES = "xyzuvw"
"""What arguments are called."""
KEPT = 1000
"""How many compiled programs are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    r"""A function of arrays with its source and a point. Calling it runs the source; it prints as code to run.

    Attributes
    ----------
    source : str
        The definition of a function ``f``.
    point : tuple of array
        One argument each, inside the domain of all that the program does.
    features : frozenset of str
        What occurs in it: "indexing", "assignment", "view", "branch", "loop", "reduction", "broadcasting", "matmul",
        "movement", "packing", "two results".

    Examples
    --------
    >>> import numpy as np
    >>> program = Program("def f(x):\n    return np.sin(x)", (np.array([0.5, 0.0]),))
    >>> program
    import numpy as np
    <BLANKLINE>
    def f(x):
        return np.sin(x)
    <BLANKLINE>
    x = np.array([0.5, 0.0])
    f(x)
    """

    source: str
    point: tuple[Any, ...]
    features: frozenset[str] = frozenset()

    @property
    def __name__(self) -> str:
        return "f"

    def __call__(self, *args: Any) -> Any:
        """Run the source."""
        return _compiled(self.source)(*args)

    def __repr__(self) -> str:
        names = NAMES[: len(self.point)]
        return "\n".join(
            [
                "import numpy as np",
                *(["from scipy import special"] if "special." in self.source else []),
                "",
                self.source,
                "",
                *(f"{name} = {_literal(x)}" for name, x in zip(names, self.point, strict=True)),
                f"f({', '.join(names)})",
            ]
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        # Hypothesis writes "f=" before it, and a comma behind.
        printer.text(f"\n{self!r}\n")


def _literal(x: Any) -> str:
    if not np.shape(x):
        return f"np.float64({float(x)!r})"
    return f"np.array({x.tolist()})" if x.size else f"np.zeros({x.shape})"


_cache: dict[str, Any] = {}


def _compiled(source: str) -> Any:
    if source not in _cache:
        if len(_cache) >= KEPT:
            _cache.clear()
        name = f"<program {hash(source) & 0xFFFFFFFF:08x}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)  # tracebacks show its lines
        space: dict[str, Any] = {"__name__": "program", "np": np, "special": scipy.special}
        exec(compile(source, name, "exec"), space)
        _cache[source] = space["f"]
    return _cache[source]


def programs(
    vocabulary: str | Iterable[Any] = "numpy",
    *,
    max_ops: int = 10,
    inputs: Sequence[Shape] | None = None,
    in_place: bool = True,
    scalar: bool = False,
) -> st.SearchStrategy[Program]:
    r"""Programs of one or more arrays, drawn statement by statement, each with a point at which to differentiate it.

    Every statement makes a new variable, or writes into one, from earlier ones, so that subexpressions are shared;
    shapes are known while it is drawn, so that broadcasting, indices and axes fit; and a bound on every variable keeps
    values in the functions' domains and of moderate size. Results and arguments have different shapes more often than
    the same.

    Parameters
    ----------
    vocabulary : str or iterable of functions
        The functions to use beside arithmetic and indexing: a name of :data:`VOCABULARIES` ("numpy", all that
        statements know; "smooth", without kinks and branches; "elementwise", without reductions, products and
        movements), or functions. Elementwise functions of NumPy and ``scipy.special`` that no statement knows are
        applied inside their domain. ``np.tanh`` may occur in any program: it keeps numbers from growing.
    max_ops : int
        The most statements.
    inputs : sequence of shape
        The shape of each argument. By default one or two arguments of small shapes, scalars included.
    in_place : bool
        Whether programs write into arrays and views.
    scalar : bool
        Whether the result is one number.

    Returns
    -------
    hypothesis.strategies.SearchStrategy
        Of :class:`Program`.

    Raises
    ------
    InputError
        If the vocabulary names what programs cannot use.

    Examples
    --------
    >>> import dualdiff as dd
    >>> import numpy as np
    >>> from hypothesis import given, settings
    >>> @settings(deadline=None)
    ... @given(programs("smooth", max_ops=5, inputs=[(3,)]))
    ... def test(f):
    ...     forward, reverse = dd.jacfwd(f)(*f.point), dd.jacrev(f)(*f.point)
    ...     assert np.allclose(forward[0], reverse[0]) if type(forward) is tuple else np.allclose(forward, reverse)
    >>> test()
    """
    words = vocabulary_of(vocabulary)
    if max_ops < 1:
        raise InputError(f"a program has at least one statement; max_ops is {max_ops}")
    if inputs is not None and not 1 <= len(inputs) <= len(NAMES):
        raise InputError(f"inputs names the shapes of one to {len(NAMES)} arguments, not of {len(inputs)}")

    @st.composite
    def program(draw: Draw) -> Program:
        shapes = inputs if inputs is not None else draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2))
        w = Writer(draw, words, in_place)
        for name, shape in zip(NAMES, shapes):
            w.takes(name, tuple(shape))
        # Whether to go on is drawn before each statement, so that any of them can be left out while a failure shrinks.
        for n in range(max_ops):
            if n and not draw(st.integers(0, max_ops)):
                break
            w.statement()
        result = w.scalar_result() if scalar else w.result(len(shapes))
        head = f"def f({', '.join(NAMES[: len(shapes)])}):"
        source = "\n".join([head, *w.lines, f"    return {result}"])
        point = tuple(draw(arrays(tuple(shape), scale=2.0))[()] for shape in shapes)
        return Program(source, point, frozenset(w.features))

    return program()
