"""What a message says of the call in which a derivative would be lost: what the user wrote, which argument, and what to write instead.

Only a message is made here, so time does not matter and nothing may fail: the source of the user's line is read where there is one,
and where there is none the message is a general one.
"""

from __future__ import annotations

import ast
import linecache
from contextlib import suppress
from itertools import islice
from types import FrameType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from dualdiff.errors import HERE, STORED_IN_PLAIN_ARRAY, is_numpy, passage, public_name
from dualdiff.trees import slots
from dualdiff.values import CARRYING, TRACED

LONGEST = 60
"""How many characters of the user's source a message repeats."""


class Written(NamedTuple):
    """A call as the user wrote it: its text, the name of the function, and the text of the argument that would lose its derivative."""

    text: str
    function: str
    argument: str | None


# --------------------------------------------------------------------------------------------------
# what the user wrote


def _node(frame: FrameType, at: int) -> ast.expr | None:
    """Return the expression that an instruction carries out, from the source of its line."""
    with suppress(Exception):
        first, last, start, end = next(islice(frame.f_code.co_positions(), at // 2, None))
        if first is None or last is None:
            return None
        lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)[first - 1 : last]
        rows = [line.encode() for line in lines]
        rows[-1] = rows[-1][:end]
        rows[0] = rows[0][start:]
        return ast.parse(f"({b''.join(rows).decode()})", mode="eval").body
    return None


def _is_of(node: ast.expr, frame: FrameType) -> bool:
    """Whether the names of an expression are those of the code: source that was edited since is another one."""
    code = frame.f_code
    known = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    function = node.func if isinstance(node, ast.Call) else node
    names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)}
    return isinstance(function, ast.Call) or names <= known


def _value(node: ast.expr, frame: FrameType) -> Any:
    """Return what a name in the source stands for; modules and generators of random numbers are looked into, nothing else is."""
    if isinstance(node, ast.Name):
        for names in (frame.f_locals, frame.f_globals, vars(__import__("builtins"))):
            if node.id in names:
                return names[node.id]
    elif isinstance(node, ast.Attribute):
        owner = _value(node.value, frame)
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func).rpartition(".")[2] == "default_rng":
            owner = np.random.Generator
        kind = _kind(owner if isinstance(owner, type) else owner.__class__)
        if isinstance(owner, ModuleType) or kind.__module__.partition(".")[0] in ("numpy", "random"):
            return getattr(owner, node.attr, None)
        return getattr(owner, "__dict__", {}).get(node.attr)
    elif isinstance(node, ast.Call):  # np.random.RandomState(0).normal(x)
        return _value(node.func, frame)
    return None


def _kind(kind: type) -> type:
    """Return a class, or NumPy's own where it is a generator of random numbers made after that one."""
    return next((c for c in kind.__mro__ if c.__module__.startswith("numpy.random")), kind)


def _name(function: Any) -> str:
    """Return the name of a function as it is known: ``math.sin``, ``numpy.fromiter``, ``numpy.random.normal`` for all generators."""
    owner = getattr(function, "__self__", None)
    kind = _kind(getattr(function, "__objclass__", None) or owner.__class__)
    name = str(getattr(function, "__name__", ""))
    if kind.__module__.startswith("numpy.random"):
        return f"numpy.random.{name}"
    module = str(getattr(function, "__module__", None) or "")
    if module.startswith("numpy.random."):
        module = "numpy.random"
    return f"{module}.{name}" if module else name


def _is_lost(node: ast.expr, frame: FrameType) -> bool:
    """Whether an argument in the source is, or is an entry of, a value that is being differentiated."""
    while isinstance(node, (ast.Subscript, ast.Starred)):
        node = node.value
    if isinstance(node, ast.Name) and node.id in frame.f_locals:
        return _holds(frame.f_locals[node.id])
    return False


def _holds(v: Any) -> bool:
    if type(v) in TRACED or type(v) in CARRYING:
        return True
    if type(v) is np.ndarray and v.dtype.char == "O":
        v = v.ravel().tolist()
    return type(v) in (list, tuple) and any(type(e) in TRACED for e in v)


def _contents(v: Any) -> list[Any]:
    """Return the values of a dictionary, or of an object's attributes."""
    if type(v) is dict:
        return list(v.values())
    return [*getattr(v, "__dict__", {}).values(), *[getattr(v, n, None) for n in slots(type(v))]]


def written(frame: FrameType, at: int | None = None) -> Written | None:
    """Return the call at which a frame is; None if it is at something else, or its source is not known."""
    node = _node(frame, frame.f_lasti if at is None else at)
    if not isinstance(node, (ast.Call, ast.Subscript)) or not _is_of(node, frame):
        return None
    text = ast.unparse(node)
    if isinstance(node, ast.Subscript):
        if type(_value(node.value, frame)).__name__ not in ("RClass", "CClass"):
            return None
        return Written(_short(text), f"numpy.{ast.unparse(node.value).rpartition('.')[2]}", None)
    given = [*node.args, *[k.value for k in node.keywords]]
    lost = [a for a in given if _is_lost(a, frame)]
    argument = ast.unparse(lost[0]) if lost else ast.unparse(given[0]) if len(given) == 1 else None
    name = ""
    with suppress(Exception):
        name = _name(_value(node.func, frame))
    return Written(_short(text), name, None if argument is None else _short(argument))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def traced_argument(frame: FrameType) -> str | None:
    """Return the name of an argument of a running function that is, or holds, a value that is being differentiated."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + sum([bool(code.co_flags & flag) for flag in (4, 8)])
    for name in code.co_varnames[:count]:
        v = frame.f_locals.get(name)
        if _holds(v) or any(map(_holds, _contents(v))):
            return str(name)
    return None


# --------------------------------------------------------------------------------------------------
# what to write instead

_MATH = {
    "acos": "np.arccos", "acosh": "np.arccosh", "asin": "np.arcsin", "asinh": "np.arcsinh", "atan": "np.arctan", "atan2": "np.arctan2",
    "atanh": "np.arctanh", "pow": "np.power", "fsum": "np.sum", "fabs": "np.abs", "gamma": "scipy.special.gamma",
    "lgamma": "scipy.special.gammaln", "erf": "scipy.special.erf", "erfc": "scipy.special.erfc", "prod": "np.prod",
    "dist": "np.linalg.norm of the difference", "comb": "scipy.special.binom", "isinf": "np.isinf", "phase": "np.angle",
}  # fmt: skip
_ELSEWHERE = {
    "statistics.mean": "np.mean", "statistics.fmean": "np.mean", "statistics.median": "np.median", "statistics.pstdev": "np.std",
    "statistics.stdev": "np.std(x, ddof=1)", "statistics.variance": "np.var(x, ddof=1)", "statistics.pvariance": "np.var",
}  # fmt: skip
_DRAWS = {
    "normal": "loc + scale * rng.normal(size=…)", "uniform": "low + (high - low) * rng.uniform(size=…)",
    "exponential": "scale * rng.exponential(size=…)", "laplace": "loc + scale * rng.laplace(size=…)",
    "logistic": "loc + scale * rng.logistic(size=…)", "gumbel": "loc + scale * rng.gumbel(size=…)",
    "lognormal": "np.exp(mean + sigma * rng.normal(size=…))", "rayleigh": "scale * rng.rayleigh(size=…)",
    "multivariate_normal": "mean + np.linalg.cholesky(cov) @ rng.normal(size=n)",
    "weibull": "(-np.log(rng.uniform(size=…))) ** (1 / a)", "pareto": "rng.uniform(size=…) ** (-1 / a) - 1",
    "triangular": "the inverse of its distribution function, of rng.uniform(size=…)",
}  # fmt: skip
_NUMPY = {
    "fromiter": "Put the numbers together with np.stack(list(…))",
    "nditer": "Go through its entries with x.flat, or with np.ndindex(x.shape)",
    "ndenumerate": "Go through its entries with np.ndindex(x.shape) and x[i]",
    "r_": "Write np.concatenate, with one entry as x[:1] or np.stack([t])",
    "c_": "Write np.stack([a, b], axis=1), or np.concatenate along axis 1",
    "as_strided": "Write np.lib.stride_tricks.sliding_window_view(x, n), or an index x[i[:, None] + j]",
    "fromarrays": "Records have fields of plain numbers; keep the arrays apart, or in a dict",
    "array": "Put the numbers together with np.stack([…]), without dtype=",
    "asarray": "Leave the conversion out (the value is an array already, and x.astype(dtype) changes its precision), or use a numpy that "
    "is imported at the top of the module, where it is captured",
    "float64": "Leave the conversion out: the value is a number already",
    "float32": "Write x.astype(np.float32)",
    "complex128": "Write x.astype(complex), or x + 0j",
    "complex64": "Write x.astype(np.complex64)",
    "bool": "Write x != 0", "int64": "Write int(x), or x.astype(int)", "int32": "Write int(x), or x.astype(int)",
    "require": "Leave the conversion out: the value is an array already",
}  # fmt: skip
_SOLVES = "Write np.linalg.solve(A, b), which is differentiated"
_DISTANCES = "Write np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)), or np.linalg.norm of these differences"
_LINEAR = (
    "It is linear in the signal: give it a derivative with dd.primitive(matvec=f, rmatvec=f_transposed), or write it as a product, A @ x, "
    "with a constant (sparse) matrix"
)
_SPLINE = (
    "Where the knots are constant, s' is the derivative of s: dd.primitive(s, partials=s.derivative()); np.interp is differentiated in "
    "knots and argument"
)
_SPARSE = "Products of a constant matrix are differentiated, written with the matrix itself: S @ x, S.T @ x, x @ S"
_SCIPY = {
    "linalg.solve": _SOLVES, "linalg.cho_factor": _SOLVES, "linalg.cho_solve": _SOLVES, "linalg.lu_factor": _SOLVES,
    "linalg.lu_solve": _SOLVES, "linalg.solve_triangular": _SOLVES, "linalg.solve_banded": _SOLVES, "linalg.solveh_banded": _SOLVES,
    "linalg.inv": "Write np.linalg.inv", "linalg.det": "Write np.linalg.det", "linalg.cholesky": "Write np.linalg.cholesky",
    "linalg.svd": "Write np.linalg.svd", "linalg.qr": "Write np.linalg.qr", "linalg.pinv": "Write np.linalg.pinv",
    "linalg.lstsq": "Write np.linalg.lstsq",
    "linalg.eigh": "Write np.linalg.eigh(A); of A v = w B v, with M = np.linalg.inv(np.linalg.cholesky(B)), np.linalg.eigh(M @ A @ M.T)",
    "spatial.distance.cdist": _DISTANCES, "spatial.distance.pdist": _DISTANCES,
    "signal.lfilter": _LINEAR, "signal.convolve2d": _LINEAR, "signal.savgol_filter": _LINEAR, "signal.sosfilt": _LINEAR,
    "ndimage.gaussian_filter": _LINEAR, "ndimage.laplace": _LINEAR, "ndimage.convolve": _LINEAR, "ndimage.correlate": _LINEAR,
    "ndimage.uniform_filter": _LINEAR, "ndimage.gaussian_filter1d": _LINEAR,
    "interpolate.CubicSpline": _SPLINE, "interpolate.PchipInterpolator": _SPLINE, "interpolate.BSpline": _SPLINE,
    "interpolate.Akima1DInterpolator": _SPLINE,
}  # fmt: skip
_BY_AXIS = (
    "Write the statistic for whole arrays, with the axis that it is given: "
    "lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis)"
)
_OF_SCIPY = {
    "stats.permutation_test": _BY_AXIS, "stats.bootstrap": _BY_AXIS, "stats.monte_carlo_test": _BY_AXIS,
    "stats.cramervonmises": "Pass the distribution function itself: scipy.stats.cramervonmises(x, scipy.stats.norm.cdf)",
    "stats.ttest_ind": "Leave trim=, permutations= and method= out", "stats.pearsonr": "Leave method= out",
}  # fmt: skip
"""How functions of SciPy that are differentiated as they stand are to be called."""
for _same in ("asanyarray", "ascontiguousarray", "asfortranarray", "asarray_chkfinite"):
    _NUMPY[_same] = _NUMPY["asarray"]
_SERVED = ' ({name}, imported at the top of its module and with no capture="never", is differentiated as it stands)'
_CAPTURED = ' (with math imported at the top of its module and no capture="never", math is differentiated as it stands)'


def instead(function: str) -> str | None:
    """Return what to write instead of a function, as a sentence without its full stop; None where nothing is known of it."""
    module, _, name = function.rpartition(".")
    if module in ("math", "cmath"):
        return f"Write {_MATH.get(name, f'np.{name}')} for {function}{_CAPTURED}"
    if module in ("numpy.random", "random"):
        if name in _DRAWS:
            return f"Draw plain numbers and bring the parameters in afterwards: {_DRAWS[name]}, whose derivative is that of the sample path"
        return (
            f"What {function} draws has no derivative by its parameters along a sample path; draw with dd.stop_gradient(x), or "
            "differentiate the logarithm of the probability instead"
        )
    if module in ("struct", "_struct", "array", "_ctypes", "ctypes", "pickle", "_pickle", "json"):
        return "Memory and files of other libraries hold plain numbers only"
    if module in ("", "builtins"):
        return {
            "float": "Leave float() out, or use NumPy's functions: the value is a number already",
            "complex": "Leave complex() out, or write a + 1j * b",
            "array": _NUMPY["array"],
        }.get(name)
    if function.startswith("scipy."):
        name = function.removeprefix("scipy.").replace(".__init__", "")
        known = _SCIPY.get(name)
        if known is None:
            return _OF_SCIPY.get(name, _SPARSE if function.startswith("scipy.sparse.") else None)
        return known + _SERVED.format(name=function.replace(".__init__", ""))
    if function.startswith("pandas."):
        return "pandas objects hold plain numbers: compute with the array itself, and keep labels beside it"
    if function in _ELSEWHERE:
        return f"Write {_ELSEWHERE[function]} for {function}"
    if module.partition(".")[0] == "numpy":
        return _NUMPY.get(name)
    return None


def _passed_numpy(user: FrameType, inner: FrameType | None) -> str | None:
    """Return what to write where NumPy's own Python code stands between: ``np.vectorize`` with types, ``np.piecewise``."""
    frame = inner
    while frame is not None and frame is not user:
        if is_numpy(frame.f_code.co_filename):
            if frame.f_code.co_name == "_vectorize_call":
                return "np.vectorize(f, otypes=…) fills a plain array: leave otypes= out, or write f for whole arrays"
            if frame.f_code.co_name == "as_strided":
                return _NUMPY["as_strided"]
        frame = frame.f_back
    return None


GENERAL = (
    "Use NumPy's functions of the value itself (np.sin for math.sin), put numbers together with np.stack, and fill arrays that are made "
    "inside the function"
)
LIBRARY = "Write what it does with NumPy's functions, or give it a derivative of its own with dd.primitive"


def of_loss(what: str) -> tuple[str, str]:
    """Return what would lose a derivative, in the user's words where they are known, and what to write instead.

    Parameters
    ----------
    what : str
        What was asked of the value: "float()", "conversion to a plain array".
    """
    user, entered, inner = passage()
    if user is None:
        return what, GENERAL
    call = None
    with suppress(Exception):
        call = written(user)
    if entered is not None:
        name = public_name(entered)
        fix = instead(name) or (instead(call.function) if call is not None else None) or LIBRARY
        argument = traced_argument(entered)
        of = "" if argument is None else f" of its argument {argument!r}"
        return f"{name} asks for plain numbers ({what}){of}, which", fix
    if call is None:
        return what, _passed_numpy(user, inner) or GENERAL
    fix = _passed_numpy(user, inner) or instead(call.function) or GENERAL
    lost = (
        ""
        if call.argument is None or f"{call.argument})" == call.text[-len(call.argument) - 1 :]
        else f" of {call.argument}"
    )
    return f"{call.text} ({what}{lost})", fix


def of_compiled() -> str:
    """Return what to write instead of compiled code that a library function reached, as a sentence without its full stop."""
    entered = passage()[1]
    return (None if entered is None else instead(public_name(entered))) or LIBRARY


def of_own_code(otherwise: str) -> str:
    """Return what to write where a NumPy function stores into a plain array: another sentence where NumPy's own code does so."""
    user, entered, inner = passage()
    below, frame = None, inner
    while frame is not None and frame is not user:
        if not frame.f_code.co_filename.startswith(HERE):
            below = frame
        frame = frame.f_back
    if below is None:
        return otherwise
    name = public_name(below if entered is None else entered)
    return f"It does so inside {name}. {instead(name) or LIBRARY}. To freeze the value on purpose: dd.stop_gradient(x)."


_STORED_BY = {
    "piecewise": "np.piecewise of a plain array stores what its functions return, which is being differentiated, in a plain array, which "
    "would lose its derivative. Write np.where(condition, a, b), or np.select for more than two",
    "_vectorize_call": "np.vectorize(f, otypes=…) stores what f returns, which is being differentiated, in a plain array, which would "
    "lose its derivative. Leave otypes= out, or write f for whole arrays",
}  # fmt: skip
"""What to write where a function of NumPy's stores values, by the name of what it runs."""


def of_store() -> str:
    """Return what would store a value in plain memory and lose its derivative, and what to write instead, as sentences."""
    user, entered, inner = passage()
    frame = inner
    while frame is not None and frame is not user:
        if is_numpy(frame.f_code.co_filename) and frame.f_code.co_name in _STORED_BY:
            return f"{_STORED_BY[frame.f_code.co_name]}. To freeze the value on purpose: dd.stop_gradient(x)."
        frame = frame.f_back
    if user is None:
        return STORED_IN_PLAIN_ARRAY
    if entered is not None:
        argument = traced_argument(entered)
        of = "" if argument is None else f" (its argument {argument!r})"
        return (
            f"{public_name(entered)} stores a value that is being differentiated{of} in a plain array, which would lose its derivative. "
            f"{LIBRARY}. To freeze it on purpose: dd.stop_gradient(x)."
        )
    target = _node(user, user.f_lasti)
    if not isinstance(target, ast.Subscript) or not _is_of(target.value, user):
        return STORED_IN_PLAIN_ARRAY
    text, array = _short(ast.unparse(target)), _short(ast.unparse(target.value))
    return (
        f"{text} = … stores a value that is being differentiated in a plain NumPy array{_origin(target.value, user)}, which would lose "
        f"its derivative. Make {array} inside the function, with np.zeros_like(x), or with np.zeros(n) of a numpy imported at the top of "
        'the module (and no capture="never"), or collect the entries in a list and use np.stack or np.array. To freeze the value on '
        "purpose: dd.stop_gradient(x)."
    )


def _origin(node: ast.expr, frame: FrameType) -> str:
    """Say where an array comes from that is not made inside the function, as far as its name tells."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return f" that {_short(ast.unparse(node.value))} holds"
    if isinstance(node, ast.Name) and node.id not in frame.f_locals and node.id in frame.f_globals:
        return " of the module"
    code = frame.f_code
    if isinstance(node, ast.Name) and node.id in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        return " that was there before the call"
    return ""


__all__ = ["Written", "instead", "of_compiled", "of_loss", "of_own_code", "of_store", "traced_argument", "written"]
