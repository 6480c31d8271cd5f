"""Where the right-hand side of a differential equation jumps along its solution, which the derivative of the steps does not see.

What moves such a crossing is the state, or a value that the right-hand side closes over. A jump at a time that nothing moves is
harmless, and so is a kink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.scipy import jumps
from dualdiff.scipy.jumps import BESIDE, Function, Jump, Varied
from dualdiff.scipy.stepping import NODES, Explicit
from dualdiff.scipy.systems import Given, slope, uncaptured
from dualdiff.scipy.trajectories import Taken

_WITHIN = (0.25, 0.5, 0.75)
"""Where a step is looked at."""
_AT_ONCE = 1 << 18
"""Numbers that the states of some steps may be."""
_NEAR, _FAR = 1 - 1e-6, 1 - 1e-4
"""Steps that end later than that, of the way to the end, are part of its last one."""
LENIENT = 10.0
"""A jump less than so many times the relative tolerance, of the size of the slope there, is within the solver's error."""
_INSTEAD = (
    "Hold the side in a variable, stop at the crossing with a terminal event, and start another solution there (how-to: "
    "ode-sensitivities, right-hand sides that jump)."
)


def plain_slope(given: Given, inside: Any) -> Any:
    """Return a right-hand side of plain numbers, in the shape of the state."""
    f = given.with_inside(inside)
    f = given.on_plain(f)
    return lambda t, y: np.asarray(slope(f, t, y))


@dataclass(slots=True, eq=False)
class Crossings:
    """The jumps that a solution crosses, looked for once its derivative is asked for.

    Attributes
    ----------
    given : Given
        The right-hand side.
    steps : Taken
        The steps taken.
    last, y_last
        The last time that is asked for, and the state there.
    rtol
        The relative tolerance.
    place : str
        Where in the user's code the solution was asked for.
    """

    given: Given
    steps: Taken
    last: float
    y_last: Any
    rtol: Any
    place: str
    known: list[tuple[Jump, list[int]]] | None = None

    def __call__(self, active: Sequence[bool]) -> None:
        """Raise if the solution crosses a jump whose place moves with those active of the state at the start and what is closed over."""
        if self.known is None:
            self.known = uncaptured(self._found)
        for jump, moved in self.known:
            by_state = 0 in moved and any(active)
            if by_state or any(i and active[i] for i in moved):
                what = f"the right-hand side of {self.given.name}"
                by = "the state" if by_state else "a value that is being differentiated"
                raise jumps.error(self.place, what, "t", jump, by, jump.before[1:], _INSTEAD)

    def _found(self) -> list[tuple[Jump, list[int]]]:
        """Return the jumps that move, and with what."""
        steps = self.steps
        points = steps.points()
        if points is not None and points.is_steady():
            return []
        f = Function(self._one_by_one, lambda z: {0: z[:, 0].real, 1: z[:, 1:]}, points)
        n = steps.states.shape[1]
        size = np.max(np.abs(steps.states), axis=0, initial=0.0)
        inside = {2 + i: (x, np.abs(x)) for i, x in enumerate(steps.inside)}
        each = max(1, _AT_ONCE // (n + 1))
        count = int(np.sum(np.abs(steps.times - steps.times[0]) < _NEAR * abs(self.last - steps.times[0])))
        found = []
        for first in range(0, count, each):
            part = range(first, min(first + each, count))
            path = self._path(part, part.stop == count, points is not None)
            for jump in f.jumps(path, LENIENT * float(np.max(self.rtol))):
                moved = f.moves(jump, {1: (jump.before[1:], size), **inside})
                if moved:
                    found.append((jump, [i - 1 for i in moved]))
        return found

    def _one_by_one(self, varied: Varied) -> Any:
        """Return the slopes at some points."""
        steps, found = self.steps, []
        f = plain_slope(self.given, steps.inside)
        with np.errstate(all="ignore"):
            for k, (t, y) in enumerate(zip(varied[0].tolist(), varied[1])):
                if len(varied) > 2:
                    f = plain_slope(
                        self.given, [varied[2 + i][k] if 2 + i in varied else x for i, x in enumerate(steps.inside)]
                    )
                found.append(f(t, y))
        return np.array(found)

    def _path(self, part: range, last: bool, within: bool) -> Any:
        """Return times and states, one in a row, from the beginning of one step to that of another, or to the end."""
        steps, own = self.steps, slice(part.start, part.stop)
        nodes = np.concatenate([steps.times[own, None], steps.states[own]], axis=1)
        if not last:
            m = part.stop
            nodes = np.concatenate([nodes, np.append(steps.times[m], steps.states[m])[None]])
        whole = nodes
        if within and len(nodes) > 1 and steps.slopes is not None:
            whole = np.concatenate([nodes[:-1, None], self._inner(part.start, len(nodes) - 1)], axis=1)
            whole = np.concatenate([whole.reshape(-1, nodes.shape[1]), nodes[-1:]])
        if last:
            end = np.append(self.last, self.y_last)
            whole = np.concatenate([whole, [whole[-1] + (1 - BESIDE) * (end - whole[-1])]])
        if part.start == 0 and len(whole) > 1:
            whole[0] += BESIDE * (whole[1] - whole[0])
        return whole

    def _inner(self, first: int, count: int) -> Any:
        """Return places within steps, (steps, places, 1 + n)."""
        steps, own = self.steps, slice(first, first + count)
        t, y, slopes = steps.times[first : first + count + 1], steps.states[own], steps.slopes[own]
        h = np.diff(t)[:, None, None]
        if isinstance(steps.scheme, Explicit):
            x = np.array(_WITHIN)[:, None]
            change = (steps.states[first + 1 : first + 1 + count] - y)[:, None]
            f, f_new = h * slopes[:, :1], h * slopes[:, None, steps.scheme.method.n_stages]
            inner = change * x + x * (1 - x) * ((1 - x) * (f - change) - x * (f_new - change))
        else:
            x, inner = NODES[:-1, None], h * slopes[:, :-1]
        return np.concatenate([t[:-1, None, None] + h * x, y[:, None] + inner], axis=2)


def beside(given: Given, steps: Taken, t: float, y: Any, first: bool = False) -> tuple[float, Any] | None:
    """Return where the solution is beside a place at which the slope is another one than there; None where it is the same.

    That is before it, or if it is the ``first`` place after it.
    """
    if not steps.times.size > 1:
        return None
    distance = np.abs(steps.times - steps.times[0])
    m = int(np.argmax(distance > 0)) if first else int(np.sum(distance < _FAR * abs(t - steps.times[0]))) - 1
    if m < 0 or steps.times[m] == t:
        return None
    f = plain_slope(given, steps.inside)
    with np.errstate(all="ignore"):
        return uncaptured(jumps.differs, f, (t, np.asarray(y)), (float(steps.times[m]), steps.states[m]))


__all__ = ["Crossings", "beside", "plain_slope"]
