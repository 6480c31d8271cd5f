"""Whole property tests: a function's derivatives hold at every point that Hypothesis draws."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import hypothesis
from hypothesis import assume, event, given
from hypothesis.strategies import SearchStrategy

from dualdiff.errors import InputError
from dualdiff.testing.checks import check, check_jacobian, check_jvp, check_vjp
from dualdiff.testing.report import InconclusiveError, Report, name_of

__all__ = ["derivatives_agree"]

Inconclusive = Literal["ignore", "discard", "raise"]
Test = Callable[[], None]


def derivatives_agree(
    *what: Any,
    jac: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    inconclusive: Inconclusive = "ignore",
    settings: Any = None,
    **options: Any,
) -> Any:
    r"""Make a Hypothesis test that holds derivatives against every witness, at points that strategies draw.

    Written out: *for all points x that the strategies draw, jac(x) is the derivative of f at x*. Without a hand-written
    derivative it is dualdiff's own derivatives of ``f`` that are held to it: both modes, replay, and the witnesses.
    Hypothesis shrinks what it finds, so that the point of a failing test is a simple one::

        test_rosenbrock = derivatives_agree(rosen, rosen_der, vectors((2, 6)))


        @derivatives_agree(vectors(3), jac=slope)
        def test_logistic(x):
            return 1 / (1 + np.exp(-x))

    Parameters
    ----------
    *what
        The function, its Jacobian if there is one by hand, and then one strategy for each argument. Without a function
        the result is a decorator, and the decorated function is the one that is differentiated.
    jac : callable
        A hand-written Jacobian or gradient, as :func:`check_jacobian` takes it.
    jvp, vjp : callable
        A hand-written directional derivative or pullback, as :func:`check_jvp` and :func:`check_vjp` take them. Several
        hand-written derivatives are all checked.
    inconclusive : {"ignore", "discard", "raise"}
        What becomes of a point at which no witness can decide: at a kink, at the edge of a domain, where ``f`` is
        noisy. "ignore": it counts in the statistics and no more. "discard": Hypothesis draws another in its place, and complains if
        most are discarded. "raise": it fails the test.
    settings : hypothesis.settings
        How many examples to try, and the like; by default those of the profile. There is no deadline, because the first
        call takes longest, and no explanation, which would name lines of the check.
    **options
        Of the checks, such as ``argnum=``, ``rtol=``, ``noise=`` or ``directions=``. They draw no further points here unless
        ``points=`` says so: the strategies do.

    Returns
    -------
    callable
        A test without arguments, which pytest collects and Hypothesis runs; or a decorator that makes one.

    Raises
    ------
    InputError
        If there is no strategy, or something that is neither a function nor a strategy.
    CheckError
        When the test runs: if two witnesses disagree at a point.
    InconclusiveError
        When it has run: if every point was inconclusive, so that nothing was tested.

    Examples
    --------
    >>> import numpy as np
    >>> from dualdiff.testing import derivatives_agree
    >>> from dualdiff.testing.strategies import vectors
    >>> def f(x):
    ...     return np.array([x[0] * x[1], x[0] ** 2, x[1]])
    >>> def jac(x):
    ...     return np.array([[x[1], x[0]], [2 * x[0], 0.0], [0.0, 1.0]])
    >>> test_f = derivatives_agree(f, jac, vectors(2))
    >>> test_f()
    """
    functions = [w for w in what if callable(w) and not isinstance(w, SearchStrategy)]
    drawn = [w for w in what if isinstance(w, SearchStrategy)]
    if what != (*functions, *drawn) or len(functions) > 2 or (len(functions) == 2 and jac is not None):
        raise InputError(
            "derivatives_agree takes a function, its Jacobian if there is one, and then a strategy for each argument: "
            "derivatives_agree(f, jac, vectors(3))"
        )
    if not drawn:
        raise InputError(
            "derivatives_agree needs a strategy for each argument of the function, such as "
            "derivatives_agree(f, jac, vectors(3)) with vectors from dualdiff.testing.strategies"
        )
    if inconclusive not in ("ignore", "discard", "raise"):
        raise InputError(f'inconclusive is "ignore", "discard" or "raise", not {inconclusive!r}')
    if len(functions) == 2:
        jac = functions[1]

    def of(f: Callable[..., Any]) -> Test:
        def reports(args: tuple[Any, ...]) -> list[Report]:
            by_hand = {"points": 0, **options}
            found = [check_jacobian(f, jac, *args, **by_hand)] if jac is not None else []
            found += [check_jvp(f, jvp, args, **by_hand)] if jvp is not None else []
            found += [check_vjp(f, vjp, args, **by_hand)] if vjp is not None else []
            return found or [check(f, *args, **options)]

        return _test(f, reports, drawn, inconclusive, settings)

    return of(functions[0]) if functions else of


def _test(
    f: Callable[..., Any],
    reports: Callable[[tuple[Any, ...]], list[Report]],
    drawn: list[SearchStrategy[Any]],
    inconclusive: Inconclusive,
    settings: Any,
) -> Test:
    seen: Counter[str] = Counter()
    undecided: list[str] = []
    arguments = dict(zip(_names(f, len(drawn)), drawn, strict=True))

    def test(**point: Any) -> None:
        __tracebackhide__ = True
        for report in reports(tuple(point[name] for name in arguments)):
            event(f"derivatives: {report.verdict}")
            seen[report.verdict] += 1
            if report.verdict == "agree":
                continue
            undecided[:] = [f"{', '.join(f'{name} = {x!r}' for name, x in point.items())}\n{report}"]
            report.raise_unless_agreed(inconclusive="raise" if inconclusive == "raise" else "ignore")
            assume(inconclusive != "discard")

    test.__name__ = test.__qualname__ = _name(f)
    test.__module__ = getattr(f, "__module__", None) or __name__
    test.__doc__ = f"Derivatives of {_name(f)} agree at every point drawn."
    asked: Any = hypothesis.settings.default if settings is None else settings
    # An explanation would name lines of the check, and takes a hundred runs more.
    phases = [phase for phase in asked.phases if phase is not hypothesis.Phase.explain]
    run = given(**arguments)(hypothesis.settings(asked, deadline=None, phases=phases)(test))

    def whole() -> None:
        __tracebackhide__ = True
        seen.clear()
        undecided.clear()
        run()
        if seen["inconclusive"] and not seen["agree"]:
            raise InconclusiveError(
                f"{_name(f)}: not one of {seen['inconclusive']} points was conclusive, so that nothing was tested; draw "
                f"points away from kinks and inside the domain (domain=, apart=). The last of them: {undecided[0]}"
            )

    # One dictionary for both, so that Hypothesis, its decorators and its plugin take the one for the other.
    whole.__dict__ = run.__dict__
    whole.__name__, whole.__qualname__ = test.__name__, test.__qualname__
    whole.__module__, whole.__doc__ = test.__module__, test.__doc__
    return whole


def _name(f: Callable[..., Any]) -> str:
    name = name_of(f)
    return name if name.isidentifier() else "f"  # a lambda's name is none, and Hypothesis would look for its source


def _names(f: Callable[..., Any], n: int) -> list[str]:
    """Return names for ``n`` arguments: those of the function, where it tells them."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    told = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return told[:n] if len(told) >= n else [f"x{i}" for i in range(n)] if n > 1 else ["x"]
