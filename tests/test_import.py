"""What ``import dualdiff`` loads: NumPy, and nothing that only some programs need."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATER = ("scipy.sparse", "scipy.linalg", "optree", "matplotlib", "rich", "networkx", "platformdirs", "hypothesis")


def loaded(*lines: str) -> set[str]:
    """Return which of the modules above a fresh process holds after some lines, beyond those scipy.special brings."""
    program = "\n".join(
        (
            "import sys, numpy, scipy.special",
            "before = set(sys.modules)",
            *lines,
            f"print(*[m for m in {LATER} if m in sys.modules and m not in before])",
        )
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_import_loads_nothing_that_only_some_programs_need() -> None:
    assert loaded("import dualdiff") == set()


def test_the_derivatives_of_an_array_need_nothing_more() -> None:
    run = loaded(
        "import dualdiff as dd",
        "x = numpy.ones(3)",
        "dd.grad(lambda x: numpy.sum(x * x))(x)",
        "dd.jacfwd(lambda x: numpy.sin(x) * x[0])(x)",
    )
    assert run <= {"platformdirs"}  # which knows where calibrated constants are kept


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("dd.grad(lambda p: p['a'] * p['b'])({'a': 2.0, 'b': 3.0})", "optree"),
        ("dd.jacobian(numpy.sin, sparse=True)(numpy.ones(3))", "scipy.sparse"),
        ("dd.linear_operator(numpy.sin, numpy.ones(3)).matvec(numpy.ones(3))", "scipy.sparse"),
    ],
)
def test_what_is_needed_later_is_loaded_then(line: str, module: str) -> None:
    if module in loaded("before = set()"):
        pytest.skip("this SciPy's scipy.special brings it")
    assert module in loaded("import dualdiff as dd", line)
