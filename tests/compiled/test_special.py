"""Special functions in machine code: SciPy's own functions of numbers, the ufuncs' to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import dualdiff as dd
from dualdiff.compiled.special import is_special
from dualdiff.errors import CompileWarning

pytest.importorskip("llvmlite")

UFUNCS = {
    name: f
    for name in dir(scipy.special)
    if isinstance(f := getattr(scipy.special, name), np.ufunc) and f.nout == 1 and is_special(f)
}
POINTS = np.random.default_rng(7).uniform(0.05, 0.95, (8, 5)) * np.geomspace(0.1, 20, 8)[:, None]


def test_most_of_them_can_be_called():
    assert len(UFUNCS) > 140
    assert not {"gamma", "gammaln", "psi", "erf", "ndtr", "jv", "xlogy", "betainc", "stdtr"} - set(UFUNCS)


def test_they_are_the_ufuncs():
    """Of every function by its last argument, and of those that have a derivative by all by all of them."""
    ran, refused = [], []
    for name, f in UFUNCS.items():
        for given in range(f.nin):
            first = [0.7, 1.3, 0.4, 0.6][:given]

            def of_numbers(x, f=f, first=first):
                return 2.0 * f(*first, *x[: f.nin - len(first)])

            program = dd.compile(of_numbers, now=True, backend="llvm")
            try:
                with np.errstate(all="ignore"):
                    for x in POINTS:
                        assert np.array_equal(program(x), of_numbers(x), equal_nan=True), (name, x)
                    finite = [x for x in POINTS if np.isfinite(of_numbers(x))]
                    assert not finite or "machine code" in str(program.explain(finite[0])), name
            except CompileWarning:  # no derivative by an argument
                refused.append(name)
            else:
                ran.append(name)
                break
    assert len(ran) > 110
    assert set(ran) | set(refused) == set(UFUNCS)


@pytest.mark.parametrize(
    "f",
    [
        scipy.special.gammaln,
        scipy.special.erf,
        scipy.special.log_ndtr,
        lambda t: scipy.special.xlogy(t - 0.3, t),
        lambda t: scipy.special.jv(0.5, t),
    ],
)
def test_gradients_run_as_machine_code(f):
    def total(x):
        s = 0.0
        for t in x:
            s = s + f(t) * t
        return s

    program = dd.compile(dd.grad(total), now=True, backend="llvm")
    for x in (np.array([0.3, 0.7, 2.0]), np.array([1.3, 0.3, 4.0])):
        assert np.array_equal(program(x), dd.grad(total)(x))
    assert "machine code" in str(program.explain(np.array([0.3, 0.7, 2.0])))
