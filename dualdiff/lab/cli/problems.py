"""``dualdiff problems``: the zoo of functions with known Jacobians."""

import argparse
from typing import get_args

from dualdiff.lab.cli.answer import AGREE, Answer, Command, add_forms, answered
from dualdiff.lab.cli.target import Misuse
from dualdiff.lab.problems import PROBLEMS, zoo
from dualdiff.lab.problems.zoo import Scale
from dualdiff.lab.tables import Table

__all__ = ["LIST_PROBLEMS"]


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("word", metavar="WORD", nargs="?", default="", help="only those whose name or title holds it")
    parser.add_argument("--scale", choices=get_args(Scale), default="small", help="how large; small by default")
    add_forms(parser, plot=False)


def _find(arguments: argparse.Namespace) -> Answer:
    found = [
        {
            "name": case.name,
            "title": case.title,
            "source": case.source,
            "outputs": case.outputs,
            "inputs": case.inputs,
            "nonzeros": None if case.pattern is None else int(case.pattern().nnz),
            "jacobian": case.jacobian is not None,
        }
        for case in zoo(arguments.scale)
        if arguments.word.lower() in f"{case.name} {case.title}".lower()
    ]
    if not found:
        raise Misuse(f"no {arguments.scale} problem has {arguments.word!r} in its name or title")
    table = Table(
        f"Problems, {arguments.scale}",
        ("name", "m", "n", "nonzeros", "by hand", "what"),
        tuple(
            (
                str(c["name"]),
                f"{c['outputs']:,}",
                f"{c['inputs']:,}",
                "-" if c["nonzeros"] is None else f"{c['nonzeros']:,}",
                "yes" if c["jacobian"] else "no",
                str(c["title"]),
            )
            for c in found
        ),
        (f"Measurements to fit (dualdiff fit --problem NAME): {', '.join(p.name for p in PROBLEMS)}",),
    )
    document = {"scale": arguments.scale, "problems": found, "measurements": [p.name for p in PROBLEMS]}
    return Answer(f"Problems with known Jacobians, {arguments.scale}", AGREE, document, [table])


LIST_PROBLEMS = Command("problems", "the problems with known Jacobians, by name", _add, answered(_find))
