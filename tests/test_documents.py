"""What the documents claim: their examples run, and the notebooks give what they show."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from dualdiff import errors

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PEERS = "advect|autograd|casadi|jax|lmfit|numdifftools|torch"  # a block that imports one runs where it is installed
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def examples(path: Path) -> list[str]:
    """Return the Python blocks of a document."""
    return re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)


def runs_here(block: str) -> bool:
    """Return whether the peers that a block imports are installed."""
    return all(map(find_spec, re.findall(rf"^ *(?:import|from) ({PEERS})\b", block, flags=re.MULTILINE)))


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if examples(p)], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_examples_run_and_print_what_they_say(path, capsys):
    names: dict[str, object] = {}
    for block in filter(runs_here, examples(path)):
        exec(compile(block, str(path), "exec"), names)
        printed = capsys.readouterr().out.split("\n")
        said = re.findall(
            r"^ *print\(.*\)  # ((?:[\[({\d-]|True|False|tensor|forward|reverse).*)$", block, flags=re.MULTILINE
        )
        for claim in said:
            assert claim in printed, f"{path.name} says {claim!r}, but the example printed {printed}"


def test_readme_begins_with_the_two_commands():
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("make ")]
    assert [line.split("#")[0].strip() for line in lines[:2]] == ["make demo", "make test"]


def test_links_between_documents_lead_somewhere():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def shown(outputs: list) -> list:
    """Return the text of a cell's outputs."""
    return [o.get("text") or o.get("data", {}).get("text/plain") for o in outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_notebooks_run_and_show_the_same(path):
    saved = nbformat.read(path, as_version=4)
    again = nbformat.read(path, as_version=4)
    client = NotebookClient(
        again, timeout=120, kernel_name="python3", coalesce_streams=True, resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    for before, after in zip(saved.cells, again.cells, strict=True):
        if before.cell_type == "code":
            assert shown(after.outputs) == shown(before.outputs), before.source


def _kinds(kind: type) -> list[type]:
    return [k for sub in kind.__subclasses__() for k in (sub, *_kinds(sub))]


def test_every_error_and_warning_has_a_section_and_points_to_it():
    import dualdiff.testing  # noqa: F401  (its errors are subclasses as well)

    headings = re.findall(r"^#+ (\w+)$", (ROOT / "docs" / "reference" / "errors.md").read_text(), flags=re.MULTILINE)
    kinds = [*_kinds(errors.DerivativeError), *_kinds(errors.DocumentedWarning)]
    assert len(kinds) > 20
    for kind in kinds:
        if kind.__module__.startswith("dualdiff"):
            assert kind.__name__ in headings
    error = errors.TracedConversionError("what happened")
    assert error.__notes__ == ["docs: reference/errors#tracedconversionerror"]
    assert str(errors.CaptureWarning("what happened")).endswith("(docs: reference/errors#capturewarning)")
