"""Under which conditions something was measured: versions, hardware, threads, allocator, seed."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dualdiff import allocator

__all__ = ["Conditions", "conditions"]

_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a measured figure depends on beside what was measured.

    Attributes
    ----------
    versions : tuple of (str, str)
        Python, dualdiff and the packages that did the work.
    machine : str
        System, architecture and processor.
    cores : int
        How many this process may use.
    threads : str
        What the environment says of the threads of linear algebra.
    allocator : str
        What becomes of freed memory.
    seed : int
        The seed of everything that was drawn.
    """

    versions: tuple[tuple[str, str], ...]
    machine: str
    cores: int
    threads: str
    allocator: str
    seed: int

    def __str__(self) -> str:
        names = ", ".join([f"{name} {number}" for name, number in self.versions])
        return (
            f"{names}; {self.machine}, {self.cores} cores; threads: {self.threads}; allocator: {self.allocator}; "
            f"seed {self.seed}"
        )


def conditions(seed: int = 0) -> Conditions:
    """Return the conditions of this process, as they are now.

    Parameters
    ----------
    seed : int
        The seed in use.

    Returns
    -------
    Conditions

    Examples
    --------
    >>> [name for name, _ in conditions().versions]
    ['Python', 'dualdiff', 'NumPy', 'SciPy']
    """
    packages = [("Python", platform.python_version())]
    packages += [(name, _version(name.lower())) for name in ("dualdiff", "NumPy", "SciPy")]
    said = [f"{name}={os.environ[name]}" for name in _THREADS if name in os.environ]
    return Conditions(
        versions=tuple(packages),
        machine=", ".join(filter(None, [f"{platform.system()} {platform.machine()}", _processor()])),
        cores=_cores(),
        threads=", ".join(said) or "as the libraries choose",
        allocator=allocator.state(),
        seed=seed,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from its source
        return "(not installed)"


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system says which cores a process may use
        return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
