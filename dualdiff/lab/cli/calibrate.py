"""``dualdiff calibrate``: what steps and elements cost on this machine."""

import argparse
import json
import os
import sys

from dualdiff.lab import calibration
from dualdiff.lab.cli.answer import Command
from dualdiff.lab.tables import show
from dualdiff.passes import costs

__all__ = ["CALIBRATE"]


def _add(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="measure and print, but keep nothing")
    what.add_argument("--forget", action="store_true", help="delete what was kept: the shipped prices count again")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _run(arguments: argparse.Namespace) -> int:
    path = costs.file_of_constants()
    if path is None and not arguments.dry_run:
        # Said before anything is measured: nobody waits for what cannot be kept.
        print(
            "calibrate keeps its prices in the user's cache directory, which platformdirs finds; it is not installed: "
            "pip install 'dualdiff[cli]' (or use --dry-run, which keeps nothing)",
            file=sys.stderr,
        )
        return 1
    done: dict[str, object] = {"file": None if path is None else str(path), "written": False, "forgotten": False}
    try:
        if arguments.forget and path is not None:
            done["forgotten"] = calibration.forget(path)
            said = f"Forgotten: {path}" if done["forgotten"] else f"There was nothing to forget: no file {path}"
        else:
            said = "Nothing was kept."
            shipped = costs.Machine()
            samples = calibration.measured(calibration.programs())
            found = calibration.fitted(samples, shipped)
            done |= calibration.document(shipped, found, samples)
            if not arguments.json:
                for table in (
                    calibration.prices_table(shipped, found, samples),
                    calibration.spread_table(shipped, found, samples),
                ):
                    show(table, sys.stdout)
                    print()
            if path is not None and not arguments.dry_run:
                calibration.keep(found, path)
                done["written"] = True
                said = f"Kept in {path}; every new process of this user takes these prices."
    except OSError as failure:
        print(f"{path}: {failure.strerror or failure}; nothing was changed", file=sys.stderr)
        return 1
    print(json.dumps(done, indent=2, allow_nan=False) if arguments.json else said)
    if done["written"] and os.environ.get("DUALDIFF_CALIBRATION") == "shipped":
        print("While DUALDIFF_CALIBRATION=shipped is set, the shipped prices are taken all the same.", file=sys.stderr)
    return 0


CALIBRATE = Command("calibrate", "measure what steps and elements cost on this machine, and choose by that", _add, _run)
