"""The eager face: tensors that remember how they were computed, and ``backward``.

A tensor holds its own equation; an equation holds the equations and values of its operands (``graph.py``). ``backward``
collects the equations it can reach, orders them by serial number and reads them backwards with the same ``pull`` as the
functional face: one reverse mode, two faces (``backward.py``). What users hold and call is in ``face.py``.
"""

from dualdiff.tensor.backward import gradients
from dualdiff.tensor.face import Tensor, arange, empty, eye, full, linspace, ones, tensor, zeros
from dualdiff.tensor.graph import is_grad_enabled, no_grad

__all__ = [
    "Tensor",
    "arange",
    "empty",
    "eye",
    "full",
    "gradients",
    "is_grad_enabled",
    "linspace",
    "no_grad",
    "ones",
    "tensor",
    "zeros",
]
