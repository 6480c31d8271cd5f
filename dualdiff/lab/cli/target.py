"""What a command works on: a function named on the command line, and the point at which it is looked at."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from dualdiff.errors import line_of_traceback
from dualdiff.lab.problems import Case, zoo

__all__ = ["Misuse", "Target", "add_target", "argument", "function", "target"]


class Misuse(Exception):  # noqa: N818  (it is the user's, and not always an error)
    """What was asked for makes no sense; the message says it in a sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function at a point.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    function : callable
    point : tuple
        The arguments.
    argnums : int, str, tuple of them, or None
        Which of the arguments are differentiated; None for all.
    case : Case or None
        The problem of the zoo, if it is one.
    module : module or None
        The module in which the function was found.
    """

    name: str
    function: Callable[..., Any]
    point: tuple[Any, ...]
    argnums: Any = None
    case: Case | None = None
    module: ModuleType | None = None


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a function and a point."""
    parser.add_argument(
        "function",
        metavar="FUNCTION",
        help="path/to/file.py:function, package.module:function, or the name of a problem (see dualdiff problems)",
    )
    parser.add_argument(
        "--at",
        metavar="VALUE",
        nargs="+",
        action="extend",
        help="the arguments, one value each: 1.5, 1,2,3 or a Python literal, a .npy file, a .npz file (all its arrays) or "
        "file.npz:name",
    )
    parser.add_argument(
        "--argnums",
        metavar="N",
        type=_argnum,
        nargs="+",
        help="differentiate by these arguments only, by position from 0 or by name",
    )


def target(arguments: argparse.Namespace) -> Target:
    """Return the function and the point that the arguments name.

    Raises
    ------
    Misuse
        If there is no such function, or the point does not fit it.
    """
    name: str = arguments.function
    argnums = None if arguments.argnums is None else tuple(arguments.argnums)
    if ":" not in name and not name.endswith(".py"):
        case = _case(name)
        point = (np.array(case.point),) if arguments.at is None else _point(arguments.at, case.function, name)
        return Target(name, case.function, point, argnums, case)
    found, module = function(name)
    if arguments.at is None:
        raise Misuse(f"{name} needs a point: --at gives its arguments, one value each (--at 1,2,3 or --at x.npy)")
    return Target(name, found, _point(arguments.at, found, name), argnums, module=module)


def _case(name: str) -> Case:
    for scale in ("small", "medium"):
        for case in zoo(scale):
            if case.name == name:
                return case
    raise Misuse(
        f"there is no problem {name!r} (dualdiff problems lists them), and a function is named path/to/file.py:function"
    )


def function(name: str, module: ModuleType | None = None) -> tuple[Callable[..., Any], ModuleType]:
    """Return a function by its name on the command line, and its module; a bare name is looked up in a module at hand."""
    where, _, attribute = name.rpartition(":")
    if not where:
        if name.endswith(".py"):
            loaded = _loaded(name)
            raise Misuse(
                f"{name} holds several functions; name one: {name}:function, where function is {_listed(loaded)}"
            )
        if module is None:
            raise Misuse(f"{name!r} names no file: write path/to/file.py:{name}")
        where, attribute = str(getattr(module, "__file__", module.__name__)), name
    else:
        module = _loaded(where)
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise Misuse(f"{where} has no function {attribute!r}; it has {_listed(module)}")
    if not callable(found):
        raise Misuse(f"{attribute!r} in {where} is not a function but a {type(found).__name__!r}")
    return found, module


def _listed(module: ModuleType) -> str:
    own = [n for n, v in vars(module).items() if inspect.isfunction(v) and v.__module__ == module.__name__]
    return ", ".join(own) or "no functions of its own"


def _loaded(where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where).resolve()
        if not path.is_file():
            raise Misuse(f"there is no file {where}")
        # A file may be called as a module is that is in use: signal.py, random.py.
        name = f"_{path.stem}" if path.stem in sys.modules else path.stem
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise Misuse(f"{where} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        # As when Python runs the file: its neighbours can be imported, and it by them.
        sys.path.insert(0, str(path.parent))
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    except Misuse:
        raise
    except Exception as error:
        place = f" ({line_of_traceback(error)})" if error.__traceback__ and where.endswith(".py") else ""
        raise Misuse(f"{where} cannot be imported: {type(error).__name__}: {error}{place}") from error


# --------------------------------------------------------------------------------------------------
# the point


def argument(word: str) -> Any:
    """Return the value that a word of the command line stands for: a number, an array, or a structure of them.

    Examples
    --------
    >>> argument("1.5"), argument("1,2,3"), argument("[[1, 2]]")
    (1.5, array([1., 2., 3.]), array([[1., 2.]]))
    >>> argument("{'a': 2, 'b': [1, inf]}")
    {'a': 2, 'b': array([ 1., inf])}
    """
    try:
        return _converted(ast.literal_eval(ast.unparse(_Infinite().visit(ast.parse(word.strip(), mode="eval")))))
    except (ValueError, SyntaxError, TypeError) as error:
        raise Misuse(
            f"{word!r} is no value: write a number, numbers with commas between them, a Python literal, or the name of a .npy or .npz file"
        ) from error


class _Infinite(ast.NodeTransformer):
    """Puts the numbers that Python has no literal for in the place of their names."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == "inf":
            return ast.Constant(float("inf"))
        return node


def _converted(value: Any) -> Any:
    """Make arrays of lists of numbers; other structures keep their form."""
    if isinstance(value, dict):
        return {k: _converted(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            return type(value)(map(_converted, value))
        return array
    return value


def _point(words: Sequence[str], f: Callable[..., Any], name: str) -> tuple[Any, ...]:
    point: list[Any] = []
    for word in words:
        file, _, member = word.partition(".npz:")
        if member:
            point.append(_member(f"{file}.npz", member))
        elif word.endswith(".npz"):
            if len(words) > 1:
                raise Misuse(f"beside other values name one array of {word}: {word}:name")
            return _arguments(word, f, name)
        elif word.endswith(".npy"):
            point.append(_file(word))
        else:
            point.append(argument(word))
    _fits(f, tuple(point), name)
    return tuple(point)


def _fits(f: Callable[..., Any], point: tuple[Any, ...], name: str) -> None:
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*point)
    except TypeError as error:
        count = f"{len(point)} argument{'' if len(point) == 1 else 's'}"
        raise Misuse(f"{name} takes {signature}, and --at gives {count}") from error


def _file(path: str) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise Misuse(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _member(path: str, member: str) -> Any:
    arrays = _file(path)
    if member not in arrays:
        raise Misuse(f"{path} has no array {member!r}; it has {', '.join(arrays)}")
    return arrays[member]


def _arguments(path: str, f: Callable[..., Any], name: str) -> tuple[Any, ...]:
    """Return all arrays of a file, in the order of the function's parameters where they have their names."""
    arrays = _file(path)
    found = list(arrays)
    if all(n.startswith("arr_") for n in found):
        point = tuple(arrays[n] for n in found)
        _fits(f, point, name)
        return point
    try:
        parameters = inspect.signature(f).parameters
        bound = inspect.signature(f).bind(**{n: arrays[n] for n in found})
    except (TypeError, ValueError) as error:
        raise Misuse(f"{path} has the arrays {', '.join(found)}, and {name} takes {', '.join(parameters)}") from error
    return tuple(bound.arguments[n] for n in parameters if n in bound.arguments)


def _argnum(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text
