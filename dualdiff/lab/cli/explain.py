"""``dualdiff explain``: what each way to a Jacobian would cost, and which is chosen."""

import argparse
from typing import Any

import dualdiff as dd
from dualdiff.lab.cli.answer import AGREE, Answer, Command, add_forms, answered
from dualdiff.lab.cli.target import Target, add_target, target
from dualdiff.lab.plots import figure
from dualdiff.ways import Explanation

__all__ = ["EXPLAIN"]


def _add(parser: argparse.ArgumentParser) -> None:
    add_target(parser)
    parser.add_argument("--measure", action="store_true", help="also time every way, three runs each")
    parser.add_argument("--sparse", action="store_true", help="the ways to a sparse Jacobian")
    parser.add_argument("--mode", metavar="NAME", default="auto", help="the way to take; the cheapest by default")
    add_forms(parser)


def _find(arguments: argparse.Namespace) -> Answer:
    given = target(arguments)
    J = dd.jacobian(given.function, _argnums(given), mode=arguments.mode, sparse=arguments.sparse)
    found = J.explain(*given.point, measure=arguments.measure)
    return Answer(
        title=f"Ways to the Jacobian of {given.name}",
        status=AGREE,
        document=_document(found),
        parts=[str(found)],
        figure=lambda: _drawn(found),
    )


def _argnums(given: Target) -> Any:
    """Return the arguments asked for, or all."""
    return tuple(range(len(given.point))) if given.argnums is None else given.argnums


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "outputs": found.outputs,
        "inputs": found.inputs,
        "equations": found.equations,
        "chosen": found.chosen,
        "reason": found.reason,
        "ways": [
            {
                "name": way.name,
                "sweeps": way.sweeps,
                "multiplications": way.multiplications and way.multiplications.count,
                "multiplications_exact": way.multiplications and way.multiplications.exact,
                "bytes": way.bytes,
                "seconds": way.seconds,
                "measured": way.measured,
            }
            for way in found.ways
        ],
    }


def _drawn(found: Explanation) -> Any:
    """Draw the times of all ways, as estimated and as measured."""
    drawn = figure(7.0, 1.2 + 0.5 * len(found.ways))
    axes = drawn.add_subplot()
    for n, way in enumerate(found.ways):
        axes.barh(n, way.seconds, height=0.5, color="C0", alpha=1.0 if way.name == found.chosen else 0.4)
        if way.measured is not None:
            axes.plot(way.measured, n, "k|", markersize=16)
    axes.set_yticks(range(len(found.ways)), [way.name for way in found.ways])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(
        "seconds" + (": bars estimated, marks measured" if any(w.measured for w in found.ways) else ", estimated")
    )
    return drawn


EXPLAIN = Command("explain", "what each way to a Jacobian would cost, and which is chosen", _add, answered(_find))
