"""Machine code from LLVM's textual language, by llvmlite, which is imported when the first program is compiled.

The language is described in the LLVM Language Reference Manual; the design in C. Lattner & V. Adve, "LLVM: a compilation
framework for lifelong program analysis & transformation", CGO 2004, doi:10.1109/CGO.2004.1281665.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading
from dataclasses import dataclass
from typing import Any

__all__ = ["Machine", "assembled", "is_there", "may_be_there", "translated"]

_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Machine:
    """Machine code, which lives as long as this does.

    Attributes
    ----------
    engine : object
        What keeps it.
    text : str
        What it was assembled from.
    """

    engine: Any
    text: str

    def address(self, name: str) -> int:
        """Return where a function of the text begins."""
        return int(self.engine.get_function_address(name))


@functools.cache
def _binding() -> Any:
    """Return llvmlite's binding, ready for this processor; None where it is missing or cannot be used."""
    try:
        binding = importlib.import_module("llvmlite.binding")
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
    except (ImportError, OSError, RuntimeError):
        return None
    return binding


def is_there() -> bool:
    """Whether programs can be compiled to machine code here."""
    return _binding() is not None


@functools.cache
def may_be_there() -> bool:
    """Whether llvmlite is installed, which is asked without importing it."""
    return importlib.util.find_spec("llvmlite") is not None


@functools.cache
def host() -> tuple[str, str, frozenset[str]]:
    """Return this machine's triple, its processor's name, and the features that the processor has."""
    binding = _binding()
    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM knows the features of some processors only
        features = {}
    return binding.get_process_triple(), binding.get_host_cpu_name(), frozenset(k for k, v in features.items() if v)


def assembled(text: str, effort: int = 1, passes: bool = False) -> Machine:
    """Return the machine code of a module.

    Parameters
    ----------
    text : str
        The module in LLVM's language. Its functions run at the processor's full width; nothing is contracted that does not ask
        for it.
    effort : int
        How hard the generator of code tries, 0 to 3. Straight lines of thousands of operations take it long from 1 on.
    passes : bool
        Whether LLVM's own passes run before (loops become vectors); they harm long straight lines.
    """
    binding = _binding()
    with _LOCK:
        machine, module = _parsed(binding, text, host(), effort, passes)
        engine = binding.create_mcjit_compiler(module, machine)
        engine.finalize_object()
    return Machine(engine, text)


def translated(text: str, target: tuple[str, str, frozenset[str]] | None = None) -> tuple[str, str]:
    """Return a module as LLVM's passes leave it, and its assembly, to be read.

    Parameters
    ----------
    text : str
        The module in LLVM's language.
    target : tuple, optional
        Another machine than this one: triple, processor, and features.
    """
    binding = _binding()
    with _LOCK:
        if target is not None:
            binding.initialize_all_targets()
            binding.initialize_all_asmprinters()
        machine, module = _parsed(binding, text, target or host(), effort=3, passes=True)
        return str(module), machine.emit_assembly(module)


def _parsed(
    binding: Any, text: str, target: tuple[str, str, frozenset[str]], effort: int, passes: bool
) -> tuple[Any, Any]:
    """Return a machine, and a module that its passes went over or not."""
    triple, cpu, features = target
    machine = binding.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=",".join(f"+{f}" for f in sorted(features)), opt=effort, jit=True
    )
    module = binding.parse_assembly(text)
    module.verify()
    if passes:
        options = binding.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = options.slp_vectorization = True
        builder = binding.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
    return machine, module
