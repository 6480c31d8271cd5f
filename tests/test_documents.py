"""What the documents claim: their examples run, and the notebooks give what they show."""

from __future__ import annotations

import re

import nbformat
import pytest

from dualdiff import errors
from dualdiff.passes.costs import machine
from tests.documents import NOTEBOOKS, PAGES, ROOT, blocks, executed, masked, run, runs_here, shown, store_page


@pytest.fixture(autouse=True)
def shipped(monkeypatch):
    """Choose by the shipped constants, as the documents do, whatever this machine has been measured to be."""
    monkeypatch.setenv("DUALDIFF_CALIBRATION", "shipped")
    machine.cache_clear()
    yield
    machine.cache_clear()


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p)], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_examples_run_and_print_what_they_say(path):
    names: dict[str, object] = {}
    for block in filter(runs_here, blocks(path)):
        printed = run(block, path, names)
        for claim in block.claims:
            assert claim in printed.split("\n"), f"{path.name} says {claim!r}, but the example printed {printed}"
        if block.output is not None:
            assert masked(printed) == masked(block.output), f"{path.name}, line {block.line + 1}"


def test_every_output_shown_stands_below_the_block_that_prints_it():
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert text.count("```output") == sum(b.output is not None for b in blocks(path)), path.name


PAGE = "```python\nprint(1 + 1)  # 2\n```\n\ntext\n\n```python\nprint(6 * 7)\n```\n\n```output\n41\n```\n"


def test_what_a_page_shows_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert [(b.claims, b.output) for b in blocks(page)] == [(["2"], None), ([], "41\n")]
    assert [run(b, page, {}) for b in blocks(page)] == ["2\n", "42\n"]
    store_page(page)
    assert [(b.claims, b.output) for b in blocks(page)] == [([], "2\n"), ([], "42\n")]


def test_a_fault_in_an_example_is_shown_at_its_line_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as caught:
        run(blocks(page)[0], page, {})
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno + 1) == (page, 4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("forward  4  42.5 µs  147 µs", "forward  4   1.2 ms   1 s"),
        ("reverse  1,000  12.1 ms       -", "reverse  1,000  9 ms  91.4 ms"),
        ("estimated 283.7 times faster", "estimated 3 times faster"),
        ("Measured, it is the fastest.", "Measured, rows takes 0.98 of its time."),
        ("is 0.49888887516538133 ± 5e-15", "is 0.49888887516538111 ± 1.2e-14"),
    ],
)
def test_what_differs_from_run_to_run_is_masked(one, other):
    assert masked(one) == masked(other)


def test_all_else_is_not_masked():
    for one, other in [
        ("4 columns", "5 columns"),
        ("407.2 KiB", "407.3 KiB"),
        ("x - 1", "x + 1"),
        ("is 0.4988888751", "is 0.4988988751"),
        ("± 2.707008e+00", "± 2.707009e+00"),
    ]:
        assert masked(one) != masked(other)


def test_readme_begins_with_the_two_commands():
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("make ")]
    assert [line.split("#")[0].strip() for line in lines[:2]] == ["make demo", "make test"]


def test_links_between_documents_lead_somewhere():
    texts = {path: path.read_text(encoding="utf-8") for path in PAGES}
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        texts[path] = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    drawn = re.findall(
        r'"(\w+)"', (ROOT / "docs" / "pictures.py").read_text(encoding="utf-8")
    )  # when the site is built
    for path, text in texts.items():
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)  # f[i](w) is no link
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose):
            there = path.parent / target
            assert there.exists() or (there.parent.name == "pictures" and there.stem in drawn), (
                f"{path.name} links to {target}"
            )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_notebooks_run_and_show_the_same(path):
    saved = nbformat.read(path, as_version=4)
    for before, after in zip(saved.cells, executed(path).cells, strict=True):
        if before.cell_type == "code":
            assert [*map(masked, shown(after))] == [*map(masked, shown(before))], before.source


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
