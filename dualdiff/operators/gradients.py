"""Gradients of scalar functions, and products with their Hessians."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualdiff.capture import asked
from dualdiff.errors import NonScalarError
from dualdiff.operators.calls import Argnums, Call, Operator, as_given
from dualdiff.operators.modes import jvp
from dualdiff.shapes import dtype_of, shape_of
from dualdiff.ways.problem import apart, pull_rows, record


@dataclass(frozen=True, repr=False)
class ValueAndGrad(Operator):
    """See :func:`value_and_grad`."""

    has_aux: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value and the gradient at the arguments."""
        call = Call(self.f, self.argnums, args, kwargs, self.has_aux)
        problem = call.problem(self.check, self.strict)
        tape, values = record(problem)
        name = getattr(self.f, "__name__", "the function")
        if len(values) != 1 or shape_of(values[0]) != ():
            shapes = ", ".join(str(shape_of(v)) for v in values)
            raise NonScalarError(
                f"{name} returned shape {shapes}; a gradient needs one scalar. Use dd.jacobian for all derivatives, "
                "or take the gradient of a sum: dd.grad(lambda x: f(x).sum())."
            )
        (v,) = values
        if dtype_of(v).kind == "c":
            raise NonScalarError(
                f"{name} returned a complex number; a gradient needs a real one (np.real or np.abs of it)"
            )
        one = 1.0 if type(v) is float else dtype_of(v).type(1)
        found = apart(pull_rows(problem, tape, [(tape.outputs[0], one)], (), True), ())
        gradient = call.build_inputs(
            [as_given(np.zeros_like(x) if c is None else c, x) for c, x in zip(found, call.leaves)]
        )
        value = call.build_outputs(values)
        return ((value, call.plain_aux()), gradient) if self.has_aux else (value, gradient)


@dataclass(frozen=True, repr=False)
class Grad(ValueAndGrad):
    """See :func:`grad`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the gradient at the arguments."""
        value, gradient = super().__call__(*args, **kwargs)
        return (gradient, value[1]) if self.has_aux else gradient


def grad(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    capture: Any = "auto",
    check: bool | str = "auto",
    strict: bool = False,
) -> Callable[..., Any]:
    r"""Return the gradient :math:`\nabla f` of a scalar function, by one reverse sweep.

    Parameters
    ----------
    f : callable
        A function that returns one real scalar (shape ``()``).
    argnums : int, str, or sequence of them
        Which arguments to differentiate with respect to, by position or by name; by name they may be keyword arguments.
    has_aux : bool
        Whether ``f`` returns a pair (value, auxiliary data); the gradient then comes with the data.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.
    check : {"auto", True, False}
        Hold one random direction against differences of the function: where the recording looks suspicious, always, or never.
    strict : bool
        Raise :class:`~dualdiff.errors.NoDerivativeError` where a result depends on no argument, or an argument reaches no result.

    Returns
    -------
    callable
        It takes ``f``'s arguments and returns the gradient: the structure, shapes and dtypes of the argument
        (a tuple of them if ``argnums`` is a sequence). For a complex argument it is the adjoint of 1 under the
        real inner product, ∂f/∂x + i ∂f/∂y.

    Raises
    ------
    NonScalarError
        If ``f`` does not return a real scalar.

    References
    ----------
    Griewank & Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, section 3.2, doi:10.1137/1.9780898717761.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0, 3.0]))
    array([2., 4., 6.])
    >>> dd.grad(dd.grad(np.sin))(0.5) == -np.sin(0.5)
    np.True_
    """
    return Grad(asked(f, capture), argnums, has_aux, check=check, strict=strict)  # type: ignore[arg-type]


def value_and_grad(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    capture: Any = "auto",
    check: bool | str = "auto",
    strict: bool = False,
) -> Callable[..., Any]:
    """Return a function that computes a scalar function and its gradient in one recording.

    Parameters, errors and conventions are those of :func:`grad`.

    Returns
    -------
    callable
        It returns ``(value, gradient)``; with ``has_aux=True``, ``((value, aux), gradient)``.

    Examples
    --------
    >>> import dualdiff as dd
    >>> dd.value_and_grad(lambda x: x**2)(3.0)
    (9.0, 6.0)
    """
    return ValueAndGrad(asked(f, capture), argnums, has_aux, check=check, strict=strict)  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class HessianVector(Operator):
    """See :func:`hvp`."""

    def __call__(self, x: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the product of the Hessian at ``x`` with ``v``."""
        gradient = Grad(self.f, 0)

        @functools.wraps(self.f)
        def at(p: Any) -> Any:
            return gradient(p, *args, **kwargs)

        return jvp(at, (x,), (v,))[1]


def hvp(f: Callable[..., Any], *, capture: Any = "auto") -> Callable[..., Any]:
    r"""Return Hessian-vector products :math:`(x, v) \mapsto H(x)\,v` of a scalar function, forward over reverse.

    The signature ``(x, v, *args)`` is the one ``scipy.optimize.minimize`` wants for ``hessp``.

    Parameters
    ----------
    f : callable
        A scalar function; its first argument is differentiated.
    capture : {"auto", "always", "never"} or sequence of modules
        Which modules speak with differentiated values while ``f`` runs: see :func:`capture`.

    Returns
    -------
    callable
        ``h(x, v, *args, **kwargs)``; ``v`` and the result have the structure and shapes of ``x``.

    References
    ----------
    Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994), doi:10.1162/neco.1994.6.1.147.

    Examples
    --------
    >>> import numpy as np
    >>> import dualdiff as dd
    >>> dd.hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    return HessianVector(asked(f, capture))
