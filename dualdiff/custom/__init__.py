"""Functions with rules of the user's own. Each is a row more of the house's kinds, and everything follows as from any row.

``primitive`` takes one side of a derivative and derives the other; ``custom_jvp`` and ``custom_vjp`` are the same in JAX's
spelling; ``checkpoint`` is a function whose rule is to run it again.
"""

from dualdiff.custom.checkpointing import checkpoint
from dualdiff.custom.function import CustomFunction
from dualdiff.custom.primitive import primitive
from dualdiff.custom.spelling import custom_jvp, custom_vjp

__all__ = ["CustomFunction", "checkpoint", "custom_jvp", "custom_vjp", "primitive"]
