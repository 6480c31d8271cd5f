"""``scipy.optimize``: solvers of problems whose solution is the parameter they close over."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize as so

try:
    from scipy.optimize import elementwise
except ImportError:  # before SciPy 1.15
    elementwise = None

from tests.catalogue.rooms.base import DropIn, Values, With, of

P, V = np.float64(0.7), np.array([0.7, 1.2])
START = np.array([0.5, 0.9])


def identity(p: Any) -> Any:
    return [p]


def crossing(p: Any) -> Any:
    """Return a function that crosses zero at ``p``."""
    return lambda x, q=0.0: (x - p) * (1 + x * x + q)


def valley(p: Any) -> Any:
    """Return a function that is least at ``p``."""
    return lambda x, q=0.0: np.sum((x - p) ** 2 * (1 + q)) + np.sum((x - p) ** 4)


def downhill(p: Any) -> Any:
    return lambda x, q=0.0: 2 * (x - p) * (1 + q) + 4 * (x - p) ** 3


def bent(p: Any) -> Any:
    return lambda x, q=0.0: np.diag(2 * (1 + q) + 12 * (x - p) ** 2)


def found(result: Any) -> Any:
    """Return where the solution is."""
    for name in ("x", "root"):
        if hasattr(result, name):
            return [getattr(result, name)]
    return [result[0] if isinstance(result, tuple) else result]


def of_solver(function: Any, point: Any, call: Any, given: Any, **options: Any) -> DropIn:
    names = {
        "given": dict.fromkeys(given),
        "shown": found,
        "twin": identity,
        "noise": 1e6,
        "second": False,
        "float32": False,
        "places": 0,
    }

    def called(p: Any, **chosen: Any) -> Any:
        return call(p, **{k: v for k, v in chosen.items() if k not in given})

    return of(function, point, called=called, **names, **options)


SECTION = {"args": (0.3,), "xtol": 1e-11, "rtol": 1e-12, "maxiter": 90, "full_output": True, "disp": False}
OUTPUT = {"full_output": 1, "disp": 0}
QUIET: dict[str, Any] = {"disp": 0}
NONLINEAR = {
    "iter": With(20),
    "maxiter": 50,
    "f_tol": 1e-10,
    "f_rtol": With(1e-10),
    "x_tol": With(1e-9),
    "x_rtol": With(1e-9),
    "tol_norm": np.linalg.norm,
    "line_search": Values("wolfe", None),
    "callback": lambda x, f: None,
    "verbose": False,
}


def bracketed(name: str) -> DropIn:
    f, more = getattr(so, name), {"k": 2} if name == "toms748" else {}
    return of_solver(f, P, lambda p, **o: f(crossing(p), 0.0, 2.0, **o), ("f", "a", "b"), **SECTION, **more)


def nonlinear(name: str) -> DropIn:
    f = getattr(so, name)
    own: dict[str, Any] = {} if name == "newton_krylov" else {"alpha": 0.5}
    own |= {"reduction_method": "svd", "max_rank": 5} if name in ("broyden1", "broyden2") else {}
    own |= {"w0": 0.02, "M": 3} if name == "anderson" else {}
    if name == "newton_krylov":
        own = {"rdiff": 1e-7, "method": "gmres", "inner_maxiter": 10, "inner_M": With(None), "outer_k": 5}

    def call(p: Any, **options: Any) -> Any:
        return f(lambda x: (x - p) * (1 + 0.1 * (x - p) ** 2), START, **{"f_tol": 1e-11, **options})

    return of_solver(f, V, call, ("F", "xin"), **NONLINEAR, **own)


def roots() -> list[DropIn]:
    made = [bracketed(name) for name in ("brentq", "brenth", "bisect", "ridder", "toms748")]
    made += [
        of_solver(
            so.newton,
            P,
            lambda p, **o: so.newton(crossing(p), 0.6, **{"tol": 1e-12, **o}),
            ("func", "x0"),
            fprime=lambda x, q=0.0: 1 + 3 * x * x,
            args=(0.3,),
            tol=1e-13,
            maxiter=60,
            fprime2=With(lambda x, q=0.0: 6 * x, None, {"fprime": lambda x, q=0.0: 1 + 3 * x * x}),
            x1=0.9,
            rtol=1e-12,
            full_output=True,
            disp=False,
        ),
        of_solver(
            so.root_scalar,
            P,
            lambda p, **o: so.root_scalar(crossing(p), **{"x0": 0.6, "x1": 0.8, "xtol": 1e-12, **o}),
            ("f",),
            args=(0.3,),
            method=With("secant"),
            bracket=[0.0, 2.0],
            fprime=With(lambda x, q=0.0: 1 + 3 * x * x, None, {"x1": None}),
            fprime2=With(
                lambda x, q=0.0: 6 * x, None, {"fprime": lambda x, q=0.0: 1 + 3 * x * x, "method": "halley", "x1": None}
            ),
            x0=With(0.65),
            x1=With(0.85),
            xtol=1e-13,
            rtol=1e-12,
            maxiter=60,
            options={"maxiter": 60},
        ),
        of_solver(
            so.fsolve,
            V,
            lambda p, **o: so.fsolve(crossing(p), START, **{"xtol": 1e-12, **o}),
            ("func", "x0"),
            args=(0.3,),
            fprime=With(lambda x, q=0.0: np.diag(1 + q + 3 * x * x)),
            full_output=True,
            col_deriv=With(True, None, {"fprime": lambda x, q=0.0: np.diag(1 + q + 3 * x * x)}),
            xtol=1e-11,
            maxfev=500,
            band=(0, 0),
            epsfcn=1e-10,
            factor=10,
            diag=np.ones(2),
        ),
        of_solver(
            so.root,
            V,
            lambda p, **o: so.root(crossing(p), START, **{"tol": 1e-12, **o}),
            ("fun", "x0"),
            args=(0.3,),
            method=Values("lm", "krylov", "broyden1", "df-sane"),
            jac=lambda x, q=0.0: np.diag(1 + q + 3 * x * x),
            tol=1e-11,
            callback=With(lambda x, f: None, None, {"method": "krylov"}),
            options={"maxfev": 500},
        ),
        of_solver(
            so.fixed_point,
            V,
            lambda p, **o: so.fixed_point(lambda x, q=0.0: p + 0.1 * (1 + q) * (x - p), START, **{"xtol": 1e-12, **o}),
            ("func", "x0"),
            args=(0.3,),
            xtol=1e-11,
            maxiter=400,
            method="iteration",
        ),
    ]
    names = ("broyden1", "broyden2", "anderson", "diagbroyden", "newton_krylov")
    return made + [nonlinear(name) for name in names]


LEAST = {"args": (0.3,), "callback": lambda x: None, "disp": 0, "full_output": 1, "retall": With(1)}


def minima() -> list[DropIn]:
    def simple(
        name: str, given: Any = ("func", "x0"), tight: Any = None, slope: bool = False, **options: Any
    ) -> DropIn:
        f = getattr(so, name)

        def call(p: Any, **o: Any) -> Any:
            gradient = {"fprime": downhill(p)} if slope else {}
            return f(valley(p), START, **{**gradient, **(tight or {}), **o})

        given = (*given, "fprime") if slope else given
        return of_solver(f, V, call, given, **options)

    one = {"args": (0.3,), "full_output": 1}
    return [
        of_solver(
            so.minimize,
            V,
            lambda p, **o: so.minimize(valley(p), START, **{"tol": 1e-12, **o}),
            ("fun", "x0"),
            args=(0.3,),
            method=Values("CG", "L-BFGS-B", "SLSQP", "TNC", "trust-constr"),
            jac=Values("2-point", "3-point"),
            hess=With(None),
            hessp=With(None),
            bounds=[(0, 2), (0, 2)],
            constraints=With(()),
            tol=1e-11,
            callback=lambda x: None,
            options={"maxiter": 300},
        ),
        of_solver(
            so.minimize_scalar,
            P,
            lambda p, **o: so.minimize_scalar(valley(p), **{"tol": 1e-12, **o}),
            ("fun",),
            bracket=(0.0, 1.0),
            bounds=With((0.0, 2.0), None, {"tol": None, "options": {"xatol": 1e-10}}),
            args=(0.3,),
            method=Values("golden", "brent"),
            tol=1e-11,
            options={"maxiter": 300},
        ),
        of_solver(
            so.fminbound,
            P,
            lambda p, **o: so.fminbound(valley(p), 0.0, 2.0, **{"xtol": 1e-10, **o}),
            ("func", "x1", "x2"),
            xtol=1e-11,
            maxfun=400,
            disp=0,
            **one,
        ),
        *[
            of_solver(
                along,
                P,
                lambda p, along=along, **o: along(valley(p), **{"tol": 1e-12, **o}),
                ("func",),
                brack=(0.0, 1.0),
                tol=1e-11,
                maxiter=300,
                **one,
            )
            for along in (so.brent, so.golden)
        ],
        simple(
            "fmin",
            tight={"xtol": 1e-10, "ftol": 1e-14, "disp": 0},
            xtol=1e-9,
            ftol=1e-13,
            maxiter=300,
            maxfun=400,
            initial_simplex=np.array([[0.5, 0.9], [0.6, 0.9], [0.5, 1.1]]),
            **LEAST,
        ),
        simple(
            "fmin_powell",
            tight={"xtol": 1e-10, "ftol": 1e-14, "disp": 0},
            xtol=1e-9,
            ftol=1e-13,
            maxiter=300,
            maxfun=4000,
            direc=np.eye(2),
            **LEAST,
        ),
        simple(
            "fmin_bfgs",
            ("f", "x0"),
            {"gtol": 1e-10, "disp": 0},
            True,
            gtol=1e-9,
            norm=2,
            epsilon=With(1e-7),
            maxiter=300,
            xrtol=1e-14,
            c1=1e-3,
            c2=0.8,
            hess_inv0=np.eye(2),
            **LEAST,
        ),
        simple(
            "fmin_cg",
            ("f", "x0"),
            {"gtol": 1e-10, "disp": 0},
            True,
            gtol=1e-9,
            norm=2,
            epsilon=With(1e-7),
            maxiter=300,
            c1=1e-3,
            c2=0.3,
            **LEAST,
        ),
        simple(
            "fmin_ncg",
            ("f", "x0"),
            {"avextol": 1e-12, "disp": 0},
            True,
            fhess_p=With(None),
            fhess=With(None),
            avextol=1e-11,
            epsilon=1e-7,
            maxiter=300,
            c1=1e-3,
            c2=0.8,
            **LEAST,
        ),
        simple(
            "fmin_l_bfgs_b",
            ("func", "x0"),
            {"pgtol": 1e-12, "factr": 10.0},
            True,
            args=(0.3,),
            approx_grad=With(0),
            bounds=[(0, 2), (0, 2)],
            m=5,
            factr=20.0,
            pgtol=1e-11,
            epsilon=1e-7,
            iprint=With(-1),
            maxfun=1000,
            maxiter=1000,
            disp=With(None),
            callback=lambda x: None,
            maxls=15,
        ),
        simple(
            "fmin_tnc",
            ("func", "x0"),
            {"pgtol": 1e-12, "ftol": 0, "messages": 0},
            True,
            args=(0.3,),
            approx_grad=With(0),
            bounds=[(0, 2), (0, 2)],
            epsilon=1e-7,
            scale=np.ones(2),
            offset=np.full(2, 0.1),
            messages=With(0),
            maxCGit=5,
            maxfun=500,
            eta=0.3,
            stepmx=1.0,
            accuracy=1e-10,
            fmin=-1.0,
            ftol=1e-15,
            xtol=1e-12,
            pgtol=1e-11,
            rescale=1.0,
            disp=With(0),
            callback=lambda x: None,
        ),
        simple(
            "fmin_slsqp",
            ("func", "x0"),
            {"acc": 1e-14, "iprint": 0},
            True,
            eqcons=With(()),
            f_eqcons=With(None),
            ieqcons=With(()),
            f_ieqcons=With(None),
            bounds=[(0, 2), (0, 2)],
            fprime_eqcons=With(None),
            fprime_ieqcons=With(None),
            args=(0.3,),
            iter=200,
            acc=1e-13,
            iprint=With(0),
            disp=With(0),
            full_output=1,
            epsilon=1e-7,
            callback=lambda x: None,
        ),
        simple(
            "fmin_cobyla",
            ("func", "x0", "cons"),
            {"cons": [], "rhoend": 1e-7, "disp": 0},
            args=(0.3,),
            consargs=(),
            rhobeg=0.5,
            rhoend=1e-6,
            maxfun=2000,
            disp=With(0),
            catol=1e-5,
            callback=lambda x: None,
        ),
    ]


A = np.array([[1.0, 0.3], [0.2, 1.5], [0.4, -0.3]])
XS = np.linspace(0.0, 1.0, 6)
YS = 0.5 + 1.3 * XS + 0.05 * np.cos(9 * XS)
LINE = np.stack([XS, np.ones(6)], axis=1)


def line(x: Any, a: Any, b: Any) -> Any:
    return a * x + b


def residual(p: Any) -> Any:
    return lambda x, q=0.0: np.concatenate([(x - p) * (1 + q), (x - p) ** 2])


def slopes(p: Any) -> Any:
    return lambda x, q=0.0: np.concatenate([np.diag(0 * x + 1 + q), np.diag(2 * (x - p))])


TIGHT = {"xtol": 1e-12, "ftol": 1e-14, "gtol": 1e-12}


def fits() -> list[DropIn]:
    return [
        of_solver(
            so.least_squares,
            V,
            lambda p, jac=slopes, **o: so.least_squares(
                residual(p), START, jac(p) if callable(jac) else jac, **{**TIGHT, **o}
            ),
            ("fun", "x0"),
            jac=Values("2-point", "3-point", "cs"),
            bounds=([0, 0], [2, 2]),
            method=Values("dogbox", "lm"),
            ftol=1e-13,
            xtol=1e-11,
            gtol=1e-11,
            x_scale=With([0.5, 2.0]),
            loss=Values("soft_l1", "cauchy", "huber"),
            f_scale=With(0.5, None, {"loss": "soft_l1"}),
            diff_step=1e-7,
            tr_solver="lsmr",
            tr_options={},
            jac_sparsity=With(None),
            max_nfev=100,
            verbose=0,
            args=(0.3,),
            kwargs={"q": 0.3},
            callback=With(lambda x: None),
            workers=With(map),
        ),
        of_solver(
            so.leastsq,
            V,
            lambda p, **o: so.leastsq(residual(p), START, **{"xtol": 1e-12, "ftol": 1e-14, **o}),
            ("func", "x0"),
            args=(0.3,),
            Dfun=With(None),
            full_output=True,
            col_deriv=With(False),
            ftol=1e-13,
            xtol=1e-11,
            gtol=1e-12,
            maxfev=300,
            epsfcn=1e-12,
            factor=10,
            diag=np.ones(2),
        ),
        of(
            so.curve_fit,
            YS,
            given={"f": None, "xdata": None},
            shown=lambda r: [r[0]],
            noise=1e6,
            second=False,
            float32=False,
            called=lambda y, f=None, xdata=None, **o: so.curve_fit(line, XS, y, **o),
            twin=lambda y: [np.linalg.solve(LINE.T @ LINE, LINE.T @ y)],
            p0=[1.0, 0.0],
            sigma=With(np.full(6, 0.5)),
            absolute_sigma=With(True, None, {"sigma": np.full(6, 0.5)}),
            check_finite=False,
            bounds=With((-9.0, 9.0)),
            method="trf",
            jac=lambda x, a, b: np.stack([x, np.ones_like(x)], axis=1),
            full_output=True,
            nan_policy="omit",
        ),
        of_solver(
            so.linprog,
            V,
            lambda p, c=None, **o: so.linprog([-1.0, -1.0], A_ub=np.eye(2), b_ub=p, **o),
            ("c", "A_ub", "b_ub"),
            A_eq=With(None),
            b_eq=With(None),
            bounds=(0, 5),
            method=Values("highs-ds", "highs-ipm"),
            callback=With(None),
            options={"presolve": False},
            x0=With(None),
            integrality=With(0),
        ),
        of(
            so.lsq_linear,
            A,
            np.array([1.0, 2.0, 0.5]),
            shown=found,
            noise=1e4,
            second=False,
            float32=False,
            bounds=(0, 9.0),
            method="bvls",
            tol=1e-12,
            lsq_solver="lsmr",
            lsmr_tol=1e-12,
            max_iter=50,
            verbose=0,
            lsmr_maxiter=50,
        ),
        of(so.nnls, A, np.array([1.0, 2.0, 0.5]), noise=1e4, second=False, float32=False, maxiter=50, atol=With(1e-12)),
    ]


def entry_by_entry() -> list[DropIn]:
    if elementwise is None:
        return []
    options = {"args": (0.3,), "kwargs": {"q": 0.3}, "maxiter": 90, "callback": lambda found: None}
    return [
        of_solver(
            elementwise.find_root,
            P,
            lambda p, **o: elementwise.find_root(crossing(p), (0.0, 2.0), **o),
            ("f", "init"),
            tolerances={"xrtol": 1e-12},
            **options,
        ),
        of_solver(
            elementwise.find_minimum,
            P,
            lambda p, **o: elementwise.find_minimum(
                lambda x, q=0.0: (x - p) ** 2 * (1 + q) + (x - p) ** 4, (-1.0, 0.5, 2.0), **o
            ),
            ("f", "init"),
            tolerances={"xrtol": 1e-9},
            **options,
        ),
    ]


def choices() -> list[DropIn]:
    return [
        of(
            so.milp,
            V,
            called=lambda p, constraints=(), **o: so.milp(
                [-3.0, -1.0], constraints=[so.LinearConstraint(np.eye(2), -np.inf, p), *constraints], **o
            ),
            shown=found,
            second=False,
            float32=False,
            noise=1e4,
            integrality=[1, 0],
            bounds=so.Bounds(0, 0.9),
            constraints=[so.LinearConstraint([[1.0, 1.0]], -np.inf, 1.7)],
            options={"presolve": False},
        ),
        of(
            so.isotonic_regression,
            np.array([1.0, 3.0, 2.0, 4.0, 3.5]),
            shown=found,
            weights=np.array([1.0, 0.5, 2.0, 0.7, 1.1]),
            increasing=False,
        ),
    ]


DROP_INS = [*roots(), *minima(), *fits(), *entry_by_entry(), *choices()]
