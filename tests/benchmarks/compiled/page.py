"""Put measured tables into the documentation: ``python -m tests.benchmarks.compiled.page PAGE MEASURED [MEASURED ...]``.

What was measured is what ``python -m tests.benchmarks --markdown programs`` prints, in one file or a family a file. The times and the first
calls of a family go between the comments that bear its name; what stood there goes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FAMILY = re.compile(r"\| (\w+): (a call, µs|first call, ms) \|")


def families(measured: str) -> dict[str, list[str]]:
    """Return the tables of times and first calls by family."""
    found: dict[str, list[str]] = {}
    for part in measured.split("\n\n"):
        table = part.strip()
        if head := FAMILY.match(table):
            found.setdefault(head[1], []).append(FAMILY.sub(lambda head: f"| {head[2]} |", table, count=1))
    return found


def filled(page: str, measured: str) -> str:
    """Return the page with what was measured, and the rest as it was."""
    for family, tables in families(measured).items():
        begin, end = f"<!-- {family} -->", f"<!-- end of {family} -->"
        if begin not in page or end not in page:
            raise SystemExit(f"the page has no place for {family}: it needs {begin} and {end}")
        before, rest = page.split(begin)
        page = "\n\n".join([before + begin, *tables, end + rest.split(end)[1]])
    return page


def main(page: str, *measured: str) -> None:
    """Fill a page from files."""
    text = "\n\n".join(Path(name).read_text(encoding="utf-8") for name in measured)
    path = Path(page)
    path.write_text(filled(path.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
