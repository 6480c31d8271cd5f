"""Checks of hand-written derivatives: what they take, what they say, and how they answer misuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import dualdiff as dd
from dualdiff.errors import InputError
from dualdiff.testing import (
    CheckError,
    InconclusiveError,
    check,
    check_gradient,
    check_hessian,
    check_jacobian,
    check_jvp,
    check_vjp,
    kind_of,
)
from dualdiff.testing.points import DOMAINS, drawn

X = np.array([2.0, 3.0])


def f(x):
    return np.stack([x[0] * x[1], x[0] ** 2, np.sin(x[1])])


def jac(x):
    return np.array([[x[1], x[0]], [2 * x[0], 0.0], [0.0, np.cos(x[1])]])


def complaint(*args, **options):
    with pytest.raises(CheckError) as told:
        check_jacobian(*args, **options)
    return str(told.value)


# ------------------------------------------------------------------------------------------------------------- messages
def test_a_message_names_the_entry_and_what_every_witness_says_of_it():
    def wrong(x):
        return jac(x) + np.array([[0, 0], [0.5, 0], [0, 0]])

    text = complaint(f, wrong, X)
    assert text.startswith("wrong: J[1, 0] is 4.5; by differences 4.0")
    for witness in ("by the complex step 4.0", "by forward mode 4.0", "by reverse mode 4.0"):
        assert witness in text
    assert "np.float64" not in text
    assert "one entry of 6 is wrong: it is off by the factor 9/8" in text
    assert text.endswith("at array([2., 3.])")


DISTORTIONS = {
    "all of it is off by the factor 2": lambda J: 2 * J,
    "all of it is off by the factor 3 (3 = n)": lambda J: 3 * J,
    "all of it is off by the factor 1/4": lambda J: J / 4,
    "all of it is off by the factor 57.2958 (180/π)": lambda J: np.rad2deg(J),
    "all of it has the wrong sign": lambda J: -J,
    "all of it is zero": lambda J: 0 * J,
    "it is transposed": lambda J: J.T,
    "it is transposed, and off by the factor 2": lambda J: 2 * J.T,
    "it is made symmetric": lambda J: (J + J.T) / 2,
    "the transposed Jacobian is added to it": lambda J: J + J.T,
    "its rows are out of order: they are rows 2, 0, 1 of the right one": lambda J: np.roll(J, 1, axis=0),
    "its columns are out of order: they are columns 2, 1, 0 of the right one": lambda J: J[:, ::-1],
    "row 1 is wrong: it is off by the factor 1/2": lambda J: J * np.array([[1], [0.5], [1]]),
    "column 2 is wrong: it has the wrong sign": lambda J: J * [1, 1, -1],
    "row 0 is wrong: it is zero, a term is forgotten": lambda J: J * np.array([[0], [1], [1]]),
    "only the diagonal is wrong": lambda J: J + np.diag([1, -2, 5]),
    "only entries off the diagonal are wrong, 6 of 9: all of these are zero, a term is forgotten": lambda J: np.diag(np.diag(J)),
    "one entry of 9 is wrong: it is zero, a term is forgotten": lambda J: J * (1 - np.eye(9)[5].reshape(3, 3)),
    "only entries off the diagonal are wrong, 3 of 9: all of these are zero, a term is forgotten": np.triu,
    "all of it is off by the factor 1 + 2.3e-05": lambda J: J * 1.000023,
    "all of it is not finite, though the function is smooth here": lambda J: np.nan * J,
    "2 of its 9 entries are wrong": lambda J: J + np.array([[0.3, 0, 0], [0, 0, 2.1], [0, 0, 0]]),
}  # fmt: skip


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_a_message_says_what_kind_of_mistake_it_is(kind):
    J = np.array([[1.0, 2.0, -3.5], [0.7, 4.1, 5.0], [6.3, -0.4, 2.2]])
    text = complaint(lambda x: J @ x, lambda x: DISTORTIONS[kind](J), np.array([1.0, 2.0, -1.0]))
    assert kind in (line.strip() for line in text.splitlines()) or text.count(kind) == 1


def test_should_be_zero_is_told():
    J = np.array([[1.0, 0.0], [2.0, 3.0]])
    assert "it should be zero" in complaint(lambda x: J @ x, lambda x: J + np.array([[0, 0.5], [0, 0]]), X)
    assert kind_of(J, J, 0 * J, np.zeros((2, 2), bool)) == ""


def test_a_conjugate_is_told():
    z = np.array([1.0 + 2.0j, -0.5 + 1.0j])
    assert "it is the complex conjugate of the Jacobian" in complaint(np.exp, lambda z: np.diag(np.exp(np.conj(z))), z)


def test_a_jacobian_kept_from_the_first_call_is_told():
    kept = []

    def first(x):
        kept.append(np.diag(2 * x))
        return kept[0]

    assert "it is the Jacobian of the first point, kept from an earlier call" in complaint(lambda x: x**2, first, X)


def test_the_step_with_the_wrong_derivative_is_named_with_its_line():
    wrong = dd.primitive(np.tanh, partials=lambda x: 1 - np.tanh(x))

    def program(x):
        y = np.sin(x) * 2
        z = wrong(y)
        return np.exp(z) + x

    with pytest.raises(
        CheckError, match=r"the step that is wrong is tanh, test_checks.py, line \d+: derivative of output 0"
    ):
        check(program, X)


def test_a_report_says_of_what_is_undecided_how_wide_why_and_what_to_do():
    report = check_jacobian(abs, np.sign, np.float64(0.0))
    assert report.verdict == "inconclusive"
    (doubt,) = report.doubts
    assert doubt.entry == "J"
    assert doubt.error == np.inf
    assert "a kink, with the slope -1.0 on the left and 1.0 on the right; check at a point beside it" in str(report)
    assert report.raise_unless_agreed(inconclusive="ignore") is report
    with pytest.raises(InconclusiveError, match="a kink"):
        report.raise_unless_agreed()
    with pytest.raises(InputError, match="'raise' or 'ignore'"):
        report.raise_unless_agreed(inconclusive="warn")
    assert check_jacobian(f, jac, X).raise_unless_agreed().verdict == "agree"


def test_frames_of_the_library_are_hidden_from_pytest():
    with pytest.raises(CheckError) as told:
        check_jacobian(f, lambda x: 2 * jac(x), X)
    inner = [entry for entry in told.traceback if "testing" in str(entry.path) and "tests" not in str(entry.path)]
    assert inner
    assert all(entry.ishidden(told) for entry in inner)


# ----------------------------------------------------------------------------------------------------- shapes and types
def test_jacobians_may_be_dense_sparse_lists_or_operators():
    for form in (
        jac,
        lambda x: jac(x).tolist(),
        lambda x: scipy.sparse.csr_array(jac(x)),
        lambda x: scipy.sparse.coo_matrix(jac(x)),
        lambda x: scipy.sparse.linalg.aslinearoperator(jac(x)),
    ):
        assert check_jacobian(f, form, X).verdict == "agree"
    assert check_jacobian(lambda x: list(f(x)), jac, X.tolist()).verdict == "agree"


def test_several_arguments_and_nested_ones():
    def g(a, p):
        return {"y": a * p["k"], "s": np.sum(a) * p["c"][0]}

    def nested(a, p):
        by_a = {"s": np.full(2, p["c"][0]), "y": p["k"] * np.eye(2)}
        by_p = {"s": {"c": [np.sum(a)], "k": 0.0}, "y": {"c": [np.zeros(2)], "k": a}}
        return {k: (by_a[k], by_p[k]) for k in ("s", "y")}

    p = {"k": 1.5, "c": [0.5]}
    assert check_jacobian(g, nested, X, p, argnums=(0, 1)).verdict == "agree"
    assert check_jacobian(g, lambda a, p: {k: v[0] for k, v in nested(a, p).items()}, X, p, argnum=0).verdict == "agree"

    def wrong(a, p):
        return {"s": {"c": [np.sum(a)], "k": 0.0}, "y": {"c": [np.ones(2)], "k": a}}

    assert "J['y']['c'][0][0] is 1.0; by differences 0.0" in complaint(g, wrong, X, p, argnum=1)


def test_pullbacks_and_tangents_of_several_arguments():
    def vjp(a, b):
        return a @ b, lambda w: (np.outer(w, b), a.T @ w)

    a = np.arange(6.0).reshape(2, 3) + 1
    assert check_vjp(np.matmul, vjp, (a, np.array([1.0, -2.0, 0.5])), shapes="(m,n),(n)").verdict == "agree"
    assert (
        check_vjp(np.matmul, lambda a, b: dd.vjp(np.matmul, a, b), (a, np.array([1.0, -2.0, 0.5]))).verdict == "agree"
    )
    assert (
        check_jvp(np.matmul, lambda p, t: dd.jvp(np.matmul, p, t), (a, np.array([1.0, -2.0, 0.5]))).verdict == "agree"
    )


def test_gradients_and_hessians():
    rosen, der, hess = scipy.optimize.rosen, scipy.optimize.rosen_der, scipy.optimize.rosen_hess
    x = np.array([-1.2, 1.0, 0.7])
    assert check_gradient(rosen, der, x).verdict == "agree"
    assert check_hessian(rosen, hess, x).verdict == "agree"
    assert check_hessian(rosen, hess, x, gradient=der).verdict == "agree"
    foreign = check_hessian(lambda x: rosen(np.array(json.loads(json.dumps(x.tolist())))), hess, x, points=0)
    assert foreign.lines[0] == "gradient: by differences"
    assert foreign.verdict == "agree"
    with pytest.raises(CheckError, match="zero, a term is forgotten"):
        check_hessian(rosen, lambda x: np.tril(hess(x)), x)
    with pytest.raises(InputError, match="returns 3 numbers; a gradient is of one"):
        check_gradient(f, der, x)
    assert "second derivatives" in str(check(rosen, x, order=2))


# ---------------------------------------------------------------------------------------------------------------- misuse
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_vjp(np.sin, lambda x: (np.sin(x), lambda w: (w,)), X), r"takes the point as a tuple"),
        (lambda: check_jvp(np.sin, lambda p, t: (p, t), X), r"check_jvp\(f, <lambda>, \(x,\)\)"),
        (
            lambda: check_vjp(np.sin, lambda x: (np.sin(x), lambda w: w * np.cos(x)), (X,)),
            r"must return a tuple with one cotangent .* \(c,\)",
        ),
        (
            lambda: check_vjp(np.sin, lambda x: np.sin(x), (X,)),
            r"must return a pair, \(value, pullback\); it returns an array",
        ),
        (
            lambda: check_jvp(np.sin, lambda p, t: t[0], (X,)),
            r"must return a pair, \(value, tangent\); it returns an array",
        ),
        (lambda: check_jacobian(f, jac(X), X), r"the Jacobian must be a function of the point, not 'ndarray'"),
        (lambda: check_jacobian(f, jac), r"the point is missing"),
        (lambda: check_jacobian(f, jac, X, argnum=3), r"there is no argument 3: the point has 1"),
        (lambda: check_jacobian(f, lambda x: jac(x).T, X), r"its shape is \(2, 3\), .* is \(3, 2\): it is transposed"),
        (lambda: check_jacobian(f, lambda x: jac(x).ravel(), X), r"is \(3, 2\): reshape it"),
        (lambda: check_jacobian(f, lambda x: 3.0, 3.0), r"Jacobian|index|shape|subscript|invalid"),
        (
            lambda: check_jacobian(f, jac, X, domain="everywhere"),
            r"domain='everywhere' is no domain: give \(low, high\), one of 'real'",
        ),
        (lambda: check_jacobian(f, jac, X, shapes="(n),(m)"), r"must give a shape for each of the 1 arguments"),
        (lambda: check_jacobian(f, jac, X, points=-1), r"points=-1 is negative"),
        (lambda: check_jacobian(f, jac, X, points=[(X, X)]), r"has 2 arguments, the function 1"),
        (lambda: check_jacobian(lambda x: None, jac, X), r"the function returns None"),
        (lambda: check(f, X, order=3), r"order=3 is neither 1 nor 2"),
    ],
)
def test_misuse_is_answered_in_a_sentence(call, message):
    with pytest.raises((InputError, CheckError, IndexError, TypeError), match=message):
        call()


# ------------------------------------------------------------------------------------------------------- laws of calling
def test_laws_of_calling():
    def writes(x):
        J = jac(x)
        x[0] = 7.0
        return J

    assert "writes writes into its argument 0" in complaint(f, writes, X)
    assert X.tolist() == [2.0, 3.0]
    kept = {}

    def cached(x):
        kept["x"] = np.array(x)
        return f(x)

    assert "is stale: after f was called at another point" in complaint(cached, lambda x: jac(kept["x"]), X)

    class Prepared:
        def f(self, x):
            self.ready = True
            return f(x)

        def jac(self, x):
            if not self.ready:
                raise RuntimeError
            return jac(x)

    p = Prepared()
    assert "works only after f has been called" in complaint(p.f, p.jac, X)
    calls = []

    def changing(x):
        calls.append(x)
        return jac(x) * (1 + 0.1 * (len(calls) > 3) * (len(calls) % 2))

    assert "called twice at one point it gives two answers" in complaint(f, changing, X, points=0)


# ---------------------------------------------------------------------------------------------------------------- points
def test_points_are_drawn_with_zeros_ties_integers_signs_and_borders():
    def branches(x):
        return np.where(x > 1.5, x, 0.0)

    x = np.array([0.75, -1.25, 2.0, 0.5])
    found = [p[0] for p in drawn(branches, (x,), (0,), 200)]
    share = {
        "zeros": np.mean([np.any(p == 0) for p in found]),
        "ties": np.mean([len(set(p.tolist())) < p.size for p in found]),
        "integers": np.mean([np.any(p == np.round(p)) for p in found]),
        "other signs": np.mean([np.any(np.sign(p) == -np.sign(x)) for p in found]),
        "at a border": np.mean([np.any(abs(p) == 1.5) for p in found]),
        "beside a border": np.mean([np.any((p > 1.5) & (p < 1.7)) for p in found]),
    }
    assert all(0.05 < s < 0.95 for s in share.values()), share
    assert all(np.array_equal(p * 2.0**12, np.round(p * 2.0**12)) for p in found)  # few bits
    assert np.max(np.abs(found)) <= 8.5


@pytest.mark.parametrize("name", DOMAINS)
def test_points_lie_in_their_domain(name):
    x = np.array([-0.5, -0.25]) if name == "negative" else np.array([0.5, 0.25])
    found = [p[0] for p in drawn(np.sin, (x,), (0,), 100, domain=name)]
    assert all(np.all(DOMAINS[name].holds(p)) for p in found)
    assert len({p.tobytes() for p in found}) > 20


def test_points_may_be_given_or_drawn_by_a_function():
    def wrong(x):
        return jac(x) if x[0] < 10 else 2 * jac(x)

    assert check_jacobian(f, wrong, X).verdict == "agree"
    assert "at the drawn point array([11.,  1.])" in complaint(f, wrong, X, points=[np.array([11.0, 1.0])])
    assert "at the drawn point" in complaint(f, wrong, X, points=lambda rng: rng.uniform(5, 15, 2))
    assert "at the drawn point" in complaint(f, wrong, X, domain=(0, 20))


def test_other_shapes_are_drawn_where_they_are_named():
    def wrong(x):
        return np.sum(x) * np.ones(x.size) * 2 if x.size == 3 else np.ones(x.size)

    def total(x):
        return np.sum(x) ** 2

    x = np.array([0.5, 1.0, 2.0])
    assert check_jacobian(total, wrong, x).verdict == "agree"
    assert "at the drawn point" in complaint(total, wrong, x, shapes="(n)")


def test_points_outside_the_domain_are_counted_and_not_held_against_the_derivative():
    report = check_jacobian(np.log, lambda x: np.diag(1 / x), X)
    assert report.verdict == "agree"
    assert "outside the domain" in str(report)


@pytest.mark.parametrize(
    "function", [np.sort, np.max, lambda x: np.maximum(x, x[::-1]), abs, lambda x: np.clip(x, 0, 1)]
)
def test_conventions_at_ties_and_kinks_are_not_called_wrong(function):
    M = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.5], [-0.75, 1.0, 2.0]])
    for x in (np.zeros(3), np.array([1.0, 2.0, -1.0])):
        check_jacobian(lambda x: function(M @ x), dd.jacfwd(lambda x: function(M @ x)), x)


def test_a_mistake_beside_kinks_is_still_caught():
    def slope(x):
        return np.diag(np.where(x > 1, 1.0, 0.2))  # the leak is a tenth

    x = np.array([1 + 1e-7, 1 - 1e-7])
    assert "J[1, 1] is 0.2; by differences 0.1" in complaint(lambda x: np.where(x > 1, x - 1, (x - 1) / 10), slope, x)


@pytest.mark.parametrize(
    ("function", "point"),
    [(np.log, [0.0, 1.0]), (np.linalg.norm, [1e308, 1e308]), (lambda x: np.sum(x**4), [1e200, 3.0])],
)
def test_where_the_value_is_not_finite_nothing_is_claimed(function, point):
    with np.errstate(all="ignore"):
        report = check(function, np.array(point))
    assert report.verdict == "inconclusive"
    assert [(d.entry, d.why) for d in report.doubts] == [("output 0", "it is not finite here")]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of steps beyond the largest number
@pytest.mark.parametrize("f", [np.cumsum, lambda x: np.max(x) + np.log(np.sum(np.exp(x - np.max(x))))])
@pytest.mark.parametrize(
    "x", [np.full(3, 7.34435197e307), np.array([9.18943644e307, 0.0, 0.0]), np.full(2, 3e38, np.float32)]
)
def test_points_near_to_infinity_do_not_make_the_laws_overflow(f, x):
    for seed in range(6):
        assert check(f, x, seed=seed).verdict in ("agree", "inconclusive")


@pytest.mark.parametrize("tiny", [0.0, 1e-8, 1e-12, 1e-15, 1e-300])
@pytest.mark.parametrize("entry", [1.01, 0.0, -1.0])
def test_a_wrong_entry_beside_a_tiny_argument_is_never_said_to_agree(tiny, entry):
    """Steps as short as the argument move the value by less than its rounding: any slope would agree with that."""

    def f(x):
        return np.array([np.cos(x[0]) + x[1], np.exp(x[1]) * x[0]])

    def wrong(x):
        return np.array([[-np.sin(x[0]), entry], [np.exp(x[1]), np.exp(x[1]) * x[0]]])

    point = np.array([0.7, tiny])
    with pytest.raises(CheckError):
        check_jacobian(f, wrong, point)
    try:
        assert check_jacobian(f, wrong, point, points=0).verdict == "inconclusive"
    except CheckError as error:
        assert "[0, 1]" in str(error)  # noqa: PT017


@pytest.mark.parametrize("z", [1 + 2j, np.array([1 + 2j, 0.5 - 1j])])
def test_gradients_of_real_functions_of_complex_numbers(z):
    def energy(z):
        return np.sum(abs(z) ** 2 * np.real(z))

    gradient = dd.grad(energy)
    assert check_gradient(energy, gradient, z).verdict == "agree"
    for wrong in (lambda z: np.conj(gradient(z)), lambda z: 1.01 * gradient(z), lambda z: 1j * gradient(z)):
        with pytest.raises(CheckError):
            check_gradient(energy, wrong, z)
    assert check_gradient(lambda z: np.sum(z**2), lambda z: 2 * z, z).verdict == "agree"
