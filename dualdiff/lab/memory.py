"""How much memory a method takes, measured in a fresh process: ``python -m dualdiff.lab.memory`` reads a job and does it."""

from __future__ import annotations

import base64
import gc
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dualdiff.errors import InputError
from dualdiff.lab.catalogue import Method
from dualdiff.lab.subject import Subject

__all__ = ["growth", "peaks"]

STATUS = Path("/proc/self/status")
"""Linux's account of this process."""
RESET = Path("/proc/self/clear_refs")
"""Written into, it makes the present size the peak."""


def peaks(methods: Mapping[str, Method], subject: Subject) -> dict[str, int]:
    """Run each method in a fresh process and return by how many bytes the peak of that process's resident size grew.

    Before that the method ran once there, so that what is imported late is there.

    Parameters
    ----------
    methods : mapping of str to Method
    subject : Subject

    Returns
    -------
    dict of str to int
        Of the methods that came to an end.

    Raises
    ------
    InputError
        If the system keeps no such account, or the function cannot be sent to another process.
    """
    if not (STATUS.exists() and RESET.exists()):
        raise InputError("memory=True reads the peak of a process from Linux's /proc, which is not there; leave it out")
    found = {}
    for name, method in methods.items():
        job = _packed((method, subject.f, subject.args, subject.argnums))
        done = subprocess.run(
            [sys.executable, "-m", "dualdiff.lab.memory"], input=job, capture_output=True, check=False, cwd=Path.cwd()
        )
        if done.returncode == 0:
            found[name] = int(done.stdout.split()[-1])
    return found


def _packed(job: Any) -> bytes:
    """Return a job as bytes; functions of a notebook, a script or a function travel with their code."""
    try:
        import cloudpickle

        packed = cloudpickle.dumps(job)
    except ImportError:
        try:
            packed = pickle.dumps(job)
        except Exception as error:
            raise InputError(
                f"memory=True sends the function to a fresh process, which failed ({error}); install cloudpickle "
                "(pip install 'dualdiff[lab]'), or define it in a module"
            ) from None
    return base64.b64encode(pickle.dumps((sys.path, packed)))


def growth(call: Callable[[], Any]) -> int:
    """Return by how many bytes the peak resident size of this process grows in a call."""
    gc.collect()
    RESET.write_text("5", encoding="ascii")
    before = _status("VmRSS")
    kept = call()
    grown = _status("VmHWM") - before
    del kept
    return max(0, grown)


def _status(field: str) -> int:
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def main() -> int:
    """Do the job that stands on the standard input, and print the bytes."""
    path, packed = pickle.loads(base64.b64decode(sys.stdin.buffer.read()))
    sys.path[:] = path
    method, f, args, argnums = pickle.loads(packed)
    # What a call frees goes back to the system, so that the next one asks for it again and is seen to.
    from dualdiff import keep_freed_memory

    keep_freed_memory(0)
    subject = Subject(f, args, argnums)
    with np.errstate(all="ignore"):
        call = method.prepared(subject)
        call()
        print(growth(call))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
