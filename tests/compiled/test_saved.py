"""Programs in files give what the programs gave that were saved; a damaged or altered file is refused, and never runs."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import dualdiff as dd
from dualdiff.compiled import flat, saved
from dualdiff.compiled.literals import NAMES, SPARSE, NotSavedError, Writer, read
from dualdiff.compiled.restored import loaded
from dualdiff.compiled.saved import JSON, SUMS, Saved, write
from dualdiff.errors import NoProgramError, ProgramFileError, StaleProgramError
from dualdiff.kinds.base import PRIMITIVES
from dualdiff.lab.problems.zoo import zoo
from dualdiff.testing.strategies import Program, programs
from dualdiff.trees import flatten
from tests.catalogue.collection import samples
from tests.compiled.rows import derivatives_of, points_of

X = np.array([1.0, 2.0, 3.0])


def reloaded(program: Any, *args: Any) -> Any:
    """Save a compiled function and load it again."""
    file = io.BytesIO()
    program.save(file, *args)
    return dd.load_program(file)


# --------------------------------------------------------------------------------------------------
# the same bits


def same_bits(found: Any, right: Any) -> None:
    for x, y in zip(flatten(found)[0], flatten(right)[0], strict=True):
        assert type(x) is type(y)
        a, b = np.asarray(x), np.asarray(y)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert a.dtype.hasobject or a.tobytes() == b.tobytes()


def hold_saved(f: Callable[..., Any], points: list[Any]) -> bool:
    """Compile a function at some points, save and load it, and hold both against each other; say whether there was a program."""
    program = dd.compile(f, check_every=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for args in points:
            try:
                program(*args)
            except StaleProgramError:
                raise
            except Exception:
                return False  # the point is none of the function's
        if not any(known.variants for known in program._known.values()):
            return False
        again = reloaded(program)
        for args in points:
            try:
                found = again(*args)
            except NoProgramError as error:
                found = str(error)
            if isinstance(found, str):
                assert "not finite" in found or "has no program" in found  # which the function computes itself
            else:
                same_bits(found, program(*args))
    return True


REFUSED: set[str] = set()
"""Samples whose programs no file can hold."""
TIERS = {"numbers": 1e9, "arrays": -1.0}
EVERY_TIER = settings().max_examples > 100
CASES = [
    (sample, tier)
    for n, sample in enumerate(samples())
    for k, tier in enumerate(TIERS)
    if EVERY_TIER or n % 12 == 6 * k  # the quick profiles save every sixth row, by numbers and by arrays in turn
]


@pytest.fixture
def tier(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(flat, "STEP", TIERS[request.param])
    return request.param


@pytest.mark.parametrize(("sample", "tier"), CASES, ids=[f"{s.name} {t}" for s, t in CASES], indirect=["tier"])
def test_every_row_comes_back_with_the_same_bits(sample: Any, tier: str) -> None:
    points, derivatives = points_of(sample, 10 if EVERY_TIER else 1), derivatives_of(sample)
    if sample.name in REFUSED:
        with pytest.raises(ProgramFileError, match="cannot be saved"):
            hold_saved(derivatives, points)
    else:
        hold_saved(derivatives, points)


@given(programs())
def test_random_programs_come_back(program: Program) -> None:
    points = [program.point, tuple([0.75 * x for x in program.point])]
    hold_saved(dd.value_and_jacobian(program, tuple(range(len(program.point)))), points)


@pytest.mark.parametrize("case", zoo("small"), ids=lambda c: c.name)
def test_the_zoo_comes_back(case: Any) -> None:
    assert hold_saved(dd.jacobian(case.function), [(case.point.copy(),), (1.25 * case.point,)])


ELSEWHERE = """
import sys
import numpy as np, scipy.special as sp, scipy.fft
import dualdiff as dd
x = np.array([0.3, 0.7, 0.2])
functions = {
    "sinc": np.sinc, "i0": np.i0, "exp1": sp.exp1, "sici": lambda x: sp.sici(x)[0], "dct": scipy.fft.dct,
    "logaddexp": np.logaddexp.reduce, "running": lambda x: x * np.less.accumulate(x > 0),
    "solve": lambda x: np.linalg.solve(np.eye(60) * np.sum(x) + np.outer(np.arange(60.0), np.arange(60.0)), x[0] * np.ones(60)),
}
for name, f in functions.items():
    program = dd.compile(dd.value_and_jacobian(f), capture="always")
    program.save(f"{sys.argv[1]}/{name}.ddp", x)
    np.savez(f"{sys.argv[1]}/{name}.npz", *program(x))
"""
HERE = """
import sys
import numpy as np, dualdiff as dd
for name in ("sinc", "i0", "exp1", "sici", "dct", "logaddexp", "running", "solve"):
    program = dd.load_program(f"{sys.argv[1]}/{name}.ddp")
    kept = np.load(f"{sys.argv[1]}/{name}.npz")
    for found, right in zip(program(np.array([0.3, 0.7, 0.2])), kept.values(), strict=True):
        np.testing.assert_array_equal(found, right)
"""


def test_a_process_that_knows_none_of_the_functions_yet_loads_their_programs(tmp_path: Path) -> None:
    for code in (ELSEWHERE, HERE):
        subprocess.run([sys.executable, "-W", "ignore", "-c", code, tmp_path], check=True)


def test_a_source_tree_that_was_never_installed_saves_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(saved, "version", unknown)
    program = dd.compile(np.sin)
    program(X)
    assert np.array_equal(reloaded(program, X)(X), np.sin(X))


def test_every_row_of_the_house_has_a_name_in_files() -> None:
    from dualdiff.kinds.base import primitive_named

    for name, rows in list(PRIMITIVES.items()):
        for row in rows:
            assert primitive_named(name, row.family or row.number) is row


# --------------------------------------------------------------------------------------------------
# values


NUMBERS: list[Any] = [
    *[
        t(v)
        for t in (np.float64, np.float32, np.float16, np.longdouble)
        for v in (0.0, -0.0, 1 / 3, np.inf, -np.inf, np.nan)
    ],
    *[t(v) for t in (np.int8, np.uint64, np.intp) for v in (0, 7)],
    *[np.complex64(1 / 3 - 2j), np.complex128(complex(np.nan, -0.0)), np.clongdouble(1 / 3), np.True_, np.False_],
    *[np.datetime64("2020-01-01"), np.str_("text"), np.uint64(2**64 - 1)],
    *[
        1,
        -(10**30),
        True,
        False,
        1 / 3,
        -0.0,
        5e-324,
        float("nan"),
        -float("nan"),
        float("inf"),
        -float("inf"),
        1 - 2j,
        "text",
        None,
    ],
]


def roundtrip(x: Any) -> Any:
    writer = Writer()
    text = json.dumps(writer.written(x), allow_nan=False)
    return read(json.loads(text), writer.arrays)


@pytest.mark.parametrize("x", NUMBERS, ids=repr)
def test_numbers_come_back_bit_by_bit(x: Any) -> None:
    found = roundtrip(x)
    assert type(found) is type(x)
    if isinstance(x, (float, complex, np.generic)):
        assert np.asarray(found).dtype == np.asarray(x).dtype
        np.testing.assert_array_equal(found, x)
        if np.asarray(x).dtype.kind in "fc":
            np.testing.assert_array_equal(np.signbit(np.real(found)), np.signbit(np.real(x)))
    else:
        assert found == x


@pytest.mark.parametrize(
    "x",
    [
        (1, 2.5, "a"), [1, [2]], (), [], {}, {"a": (1,), 2: None, (1, "b"): 3.0}, slice(0, None, -1), slice(np.int64(3)), Ellipsis,
        (None, Ellipsis, slice(1, 2), 3), np.dtype("float32"), np.dtype(">i4"), float, int, complex, bool, np.float32, np.int8,
    ],
    ids=repr,
)  # fmt: skip
def test_parameters_come_back(x: Any) -> None:
    assert roundtrip(x) == x
    assert type(roundtrip(x)) is type(x)


@pytest.mark.parametrize(
    "x",
    [
        np.arange(24.0).reshape(2, 3, 4), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0),
        np.arange(6)[::-1], np.arange(12.0).reshape(3, 4).T[::-1], np.zeros((0, 3)), np.array(1.5), np.zeros((1, 3))[:, ::-1],
        np.array([True, False]), np.array([1 + 2j], np.complex64), np.array(["a", "bc"]), np.arange(3, dtype=">f8"),
        np.arange(3.0, dtype=np.longdouble),
    ],
)  # fmt: skip
def test_arrays_come_back_as_they_lie(x: Any) -> None:
    found = roundtrip(x)
    np.testing.assert_array_equal(found, x)
    assert found.dtype == x.dtype
    if x.size:
        order = sorted((i for i in range(x.ndim) if x.shape[i] > 1), key=lambda i: -abs(x.strides[i]))
        assert order == sorted((i for i in range(x.ndim) if x.shape[i] > 1), key=lambda i: -abs(found.strides[i]))
        assert [np.sign(found.strides[i]) for i in order] == [np.sign(x.strides[i]) for i in order]


def test_equal_arrays_are_kept_once() -> None:
    writer = Writer()
    writer.written([np.arange(5.0), np.arange(5.0), (np.arange(5.0).reshape(5, 1).T)])
    assert len(writer.arrays) == 2
    writer.written([np.arange(1e5), np.arange(1e5), np.arange(1e5)[::-1]])
    assert len(writer.arrays) == 3


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_matrices_come_back(name: str) -> None:
    x = getattr(sparse, name)(np.array([[0.0, 1.0, 0.0, 2.0], [3.0, 0.0, 0.0, 4.0]]))
    found = roundtrip(x)
    assert type(found) is type(x)
    np.testing.assert_array_equal(found.toarray(), x.toarray())


@pytest.mark.parametrize(
    "x",
    [object(), np.sin, len, np.array([None]), np.zeros(2, "f8,i4"), {1, 2}, np.object_, b"bytes"],
    ids=["object", "ufunc", "builtin", "objects", "records", "set", "class", "bytes"],
)
def test_what_no_file_holds_is_refused(x: Any) -> None:
    with pytest.raises(NotSavedError):
        Writer().written(x)


def test_every_type_of_number_has_one_name() -> None:
    assert {np.float64, np.float32, np.int64, np.bool_, float, int, bool, complex} <= NAMES.keys()


# --------------------------------------------------------------------------------------------------
# files that are not as they were


def document_of(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zipfile.ZipFile(io.BytesIO(content)).read(JSON))
    return found


def resealed(content: bytes, document: Any = None, members: dict[str, bytes] | None = None) -> bytes:
    """Return a file with another document, or other members, whose digests are right all the same."""
    old = zipfile.ZipFile(io.BytesIO(content))
    new = {n: old.read(n) for n in old.namelist() if n != SUMS} | (members or {})
    if document is not None:
        new[JSON] = document if isinstance(document, bytes) else json.dumps(document).encode()
    names = [JSON, *sorted((n for n in new if n != JSON), key=lambda n: (len(n), n))]
    sums = "".join(f"{hashlib.sha256(new[n]).hexdigest()}  {n}\n" for n in names)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n in names:
            archive.writestr(n, new[n])
        archive.writestr(SUMS, sums)
    return out.getvalue()


WEIGHTS = np.linspace(0.5, 1.5, 40)
MATRIX = sparse.csr_array(np.diag([1.0, 2.0, 3.0]))


def model(x: Any, scale: float = 2.0) -> Any:
    y = np.zeros_like(x)
    y[1:] = x[:-1] * scale
    if x[0] > 0:
        y = y + np.sort(MATRIX @ np.exp(-x))[::-1]
    return {"y": y * np.sum(WEIGHTS) + np.outer(x, x)[[0, 2, 1], 1], "n": (x.size, np.max(x))}


def saved_model() -> bytes:
    file = io.BytesIO()
    program = dd.compile(dd.value_and_jacobian(lambda x, scale=2.0: model(x, scale)["y"]))
    program(X), program(-X), program(X, 3.0)
    program.save(file)
    return file.getvalue()


CONTENT = saved_model()


def outcome(content: bytes, x: Any = X) -> Any:
    """Load a file and run it: return the result, or the error, which has to be one of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dd.load_program(io.BytesIO(content))(x)
        except (ProgramFileError, NoProgramError, TypeError) as error:
            return error


RIGHT = outcome(CONTENT)


def test_the_file_of_these_tests_is_right_as_it_is() -> None:
    same_bits(RIGHT, outcome(resealed(CONTENT)))
    assert not isinstance(RIGHT, Exception)


@given(st.integers(0, len(CONTENT)))
@settings(max_examples=settings().max_examples * 10)
def test_a_file_that_is_cut_short_is_refused(length: int) -> None:
    if length < len(CONTENT):
        assert isinstance(outcome(CONTENT[:length]), ProgramFileError)


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=settings().max_examples * 25)
def test_other_bytes_are_noticed(changes: list[tuple[int, int]]) -> None:
    altered = bytearray(CONTENT)
    for at, byte in changes:
        altered[at] = byte
    found = outcome(bytes(altered))
    if not isinstance(found, ProgramFileError):
        same_bits(found, RIGHT)  # bytes of the zip that mean nothing, such as times


@given(st.binary(max_size=200))
def test_what_is_no_file_is_refused(content: bytes) -> None:
    assert isinstance(outcome(content), ProgramFileError)


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(document, (list, dict)):
        for key in range(len(document)) if isinstance(document, list) else document:
            yield from places(document[key], (*at, key))


DOCUMENT = document_of(CONTENT)
PLACES = [at for at in places(DOCUMENT) if at]
VALUES: list[Any] = [
    None, True, -1, 0, 1, 10**6, 10**18, 1.5, "", "np.exp", "os.system", [], {}, [0], [[0]], {"array": 0}, {"array": -1},
    {"array": 10**6}, {"float": "nan"}, {"number": ["<f8", 0.5]}, {"number": ["|O", 1]}, {"dtype": "|O"}, {"type": "object"},
    {"tuple": []}, {"slice": [0, None, 1]},
    {"ellipsis": None}, {"array": [0, [0, 0], []]}, {"sparse": ["csr_array", [2, 2], [{"array": 0}, {"array": 0}, {"array": 0}]]},
    {"named tuple": ["__import__('os')", ["a"], [1]]}, {"named tuple": ["A", ["class"], [1]]}, {"call": ["os.system", "true"]},
    {"list": [[1, 2]]},
]  # fmt: skip


def put(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    changed = json.loads(json.dumps(document))
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return changed


def is_harmless(found: Any) -> bool:
    """Whether an altered program, whose digests were made anew, was refused or gave numbers: nothing of it can be more."""
    return isinstance(found, (ProgramFileError, NoProgramError, TypeError)) or all(
        isinstance(x, (np.ndarray, np.generic, int, float, str, bool, complex)) or sparse.issparse(x)
        for x in flatten(found)[0]
    )


@given(st.sampled_from(PLACES), st.sampled_from(VALUES))
@settings(max_examples=settings().max_examples * 100)
def test_an_altered_document_is_refused_or_computes_with_known_functions(at: Any, value: Any) -> None:
    assert is_harmless(outcome(resealed(CONTENT, put(DOCUMENT, at, value))))


@given(st.sampled_from(PLACES), st.sampled_from(PLACES))
@settings(max_examples=settings().max_examples * 50)
def test_parts_in_the_place_of_others_do_no_harm(at: Any, other: Any) -> None:
    part: Any = DOCUMENT
    for key in other:
        part = part[key]
    assert is_harmless(outcome(resealed(CONTENT, put(DOCUMENT, at, part))))


def altered(**changes: Any) -> bytes:
    return resealed(CONTENT, DOCUMENT | changes)


FIRST = DOCUMENT["programs"][0]["programs"][0]


def with_program(**changes: Any) -> bytes:
    return resealed(CONTENT, put(DOCUMENT, ("programs", 0, "programs", 0), FIRST | changes))


def with_step(n: int, **changes: Any) -> bytes:
    step = list(FIRST["steps"][n])
    for name, value in changes.items():
        step[("row", "operands", "params", "form", "line").index(name)] = value
    return with_program(steps=[*FIRST["steps"][:n], step, *FIRST["steps"][n + 1 :]])


ROWS = [row[0] for row in DOCUMENT["rows"]]
HEADER = np.lib.format.magic(1, 0)


def header(descr: str, size: int) -> str:
    return str({"descr": descr, "fortran_order": False, "shape": (size,)})


def npy(text_of: str) -> bytes:
    text = text_of.encode().ljust(118) + b"\n"
    return HEADER + len(text).to_bytes(2, "little") + text + b"\0" * 16


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no zip archive"),
        (CONTENT[: len(CONTENT) // 2], "cut short"),
        (altered(version=2, dualdiff="9.9"), "of version 2, and this dualdiff reads versions up to 1.*dualdiff 9.9"),
        (altered(version="1"), "has version '1'"),
        (altered(format="other"), "does not say format"),
        (resealed(CONTENT, b"[" * 100000), "no JSON"),
        (resealed(CONTENT, b"{"), "no JSON"),
        (altered(rows=[["os.system", "discrete", 0], *DOCUMENT["rows"][1:]]), "has no row 'os.system'"),
        (altered(rows=[[ROWS[0], "linear", 99], *DOCUMENT["rows"][1:]]), f"has no row {ROWS[0]!r}"),
        (altered(rows=[[ROWS[0], "discrete", 0], *DOCUMENT["rows"][1:]]), "'discrete' there, and 'movement' in this dualdiff"),
        (altered(rows=[["np.sinc", "elementwise", {"tuple": ["os", {"tuple": [1]}, 0]}]]), "has no row 'np.sinc'"),
        (altered(rows=[["np.sinc", "elementwise", {"tuple": ["np.sinc", {"tuple": ["x"]}, 0]}]]), "has no row 'np.sinc'"),
        (with_step(0, operands=[-1]), "an operand of .* is -1"),
        (with_step(0, operands=[10**6]), "an operand of .* is 1000000, where"),
        (with_step(0, operands=[len(FIRST["constants"]) + 1]), "an operand of"),  # itself
        (with_step(0, operands=[0, 0, 0, 0]), "does not take 4 operands"),
        (with_step(0, params=None), "does not take|takes"),
        (with_step(0, form=10**6), "the number of a form is"),
        (with_step(0, line="import os"), "the number of a line is"),
        (with_program(outputs=[0, 0]), "a result is"),
        (with_program(checks=[[10**6, True, 0, 0]]), "what a decision looks at is"),
        (with_program(checks=[[len(FIRST["constants"]) + len(FIRST["steps"]), True, 0, 0]]), "comes before what it looks at"),
        (with_program(result={"tuple": [0, 0]}), "does not hold each result once"),
        (with_program(more=1), "there is"),
        (altered(forms=[[[10**12], "<f8", "array"], *DOCUMENT["forms"][1:]]), "too large"),
        (altered(forms=[[[-3], "<f8", "array"], *DOCUMENT["forms"][1:]]), "the length of an axis is -3"),
        (altered(forms=[[[3], "|O", "array"], *DOCUMENT["forms"][1:]]), "a dtype is"),
        (altered(forms=[[[3], "<f8", "array); import os"], *DOCUMENT["forms"][1:]]), "a form is"),
        (altered(signature=[["x; import os", "POSITIONAL_ONLY"]]), "not a valid parameter name"),
        (altered(signature=[["x", "ANY"]]), "a parameter is"),
        (resealed(CONTENT, members={"arrays/0.npy": b"no array"}), "holds no program that can be run"),
        (resealed(CONTENT, members={"arrays/0.npy": npy(header("<f8", 10**12))}), "as long as its shape"),
        (resealed(CONTENT, members={"arrays/0.npy": npy(header("|O", 2))}), "a dtype is"),
        (resealed(CONTENT, members={"arrays/0.npy": npy("__import__('os').system('true')")}), "holds no program that can be run"),
        (resealed(CONTENT, members={"code.py": b"import os"}), "has others than a saved program has"),
        (resealed(CONTENT, members={"../evil": b""}), "has others than a saved program has"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(content: bytes, words: str) -> None:
    with pytest.raises(ProgramFileError, match=words):
        dd.load_program(io.BytesIO(content))


def test_an_array_that_was_changed_is_not_used() -> None:
    out = io.BytesIO()
    old = zipfile.ZipFile(io.BytesIO(CONTENT))
    with zipfile.ZipFile(out, "w") as archive:
        for name in old.namelist():
            content = bytearray(old.read(name))
            if name == "arrays/0.npy":
                content[-1] ^= 1
            archive.writestr(name, bytes(content))
    with pytest.raises(ProgramFileError, match=r"was altered: arrays/0.npy is not what its digest in SHA256SUMS says"):
        dd.load_program(io.BytesIO(out.getvalue()))


def test_two_members_of_one_name_are_refused() -> None:
    out = io.BytesIO(CONTENT)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(out, "a") as archive:
        archive.writestr(JSON, "{}")
    with pytest.raises(ProgramFileError, match="two of its members have one name"):
        dd.load_program(out)


def test_arrays_are_not_compressed_so_that_none_is_larger_than_its_file() -> None:
    out, old = io.BytesIO(), zipfile.ZipFile(io.BytesIO(CONTENT))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in old.namelist():
            archive.writestr(name, old.read(name))
    with pytest.raises(ProgramFileError, match=r"arrays/0\.npy is compressed"):
        dd.load_program(out)


def test_a_form_that_is_wrong_is_noticed_by_the_first_run() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.exp(x * WEIGHTS[:3]) * 2.0)

    file = io.BytesIO()
    dd.compile(f).save(file, X)
    document = document_of(file.getvalue())
    at = document["forms"].index([[3], "<f8", "array"])
    forms = [*document["forms"], [[5, 3], "<f8", "array"]]
    steps = document["programs"][0]["programs"][0]["steps"]
    changed = next(n for n, s in enumerate(steps) if s[3] == at)
    document = put(document | {"forms": forms}, ("programs", 0, "programs", 0, "steps", changed, 3), len(forms) - 1)
    program = dd.load_program(io.BytesIO(resealed(file.getvalue(), document)))
    with pytest.raises(
        ProgramFileError, match=r"was altered, or NumPy computes otherwise.*gives float64\[3\], where float64\[5, 3\]"
    ):
        program(X)


def test_a_sparse_matrix_whose_places_lie_outside_is_refused() -> None:
    file = io.BytesIO()
    dd.compile(lambda x: MATRIX @ x).save(file, X)
    old = zipfile.ZipFile(io.BytesIO(file.getvalue()))
    refused = 0
    for name in old.namelist():
        if name.endswith(".npy"):
            x = np.load(io.BytesIO(old.read(name)))
            if x.dtype.kind == "i":
                changed = io.BytesIO()
                np.save(changed, np.where(x == x.max(), 10**8, x).astype(x.dtype))
                with pytest.raises(ProgramFileError, match="holds no program that can be run"):
                    dd.load_program(io.BytesIO(resealed(file.getvalue(), members={name: changed.getvalue()})))
                refused += 1
    assert refused == 2


def test_factors_with_pivots_that_are_no_rows_are_refused() -> None:
    from dualdiff.rules.linalg.solving import _factors, _solve_by_factors

    a = np.eye(5) + 1 / np.arange(1.0, 26.0).reshape(5, 5)
    a[0, 4] = 3.0
    factors = _factors(a)
    for pivot in (5.0, 1e9, np.nan):
        wrong = factors.copy("K")
        wrong[2, -1] = pivot
        with pytest.raises(ValueError, match="factors"):
            _solve_by_factors(a, np.ones((5, 1)), wrong, transposed=False)


# --------------------------------------------------------------------------------------------------
# files as such


def test_the_same_programs_make_the_same_file(tmp_path: Path) -> None:
    program = dd.compile(dd.grad(lambda x: np.sum(WEIGHTS[:3] * x**2)))
    program.save(tmp_path / "a.ddp", X)
    program.save(str(tmp_path / "b.ddp"), X)
    assert (tmp_path / "a.ddp").read_bytes() == (tmp_path / "b.ddp").read_bytes()
    np.testing.assert_array_equal(dd.load_program(tmp_path / "a.ddp")(X), program(X))
    with pytest.raises(FileNotFoundError):
        dd.load_program(tmp_path / "c.ddp")
    (tmp_path / "d.ddp").write_bytes(b"PK")
    with pytest.raises(ProgramFileError, match=r"d\.ddp: the file is no saved program"):
        dd.load_program(tmp_path / "d.ddp")


def test_nothing_is_written_unless_all_of_it_can_be(tmp_path: Path) -> None:
    thing = object()
    program = dd.compile(lambda x: (x, thing))
    with pytest.raises(ProgramFileError, match=r"holds an object of class 'object' as a constant"):
        program.save(tmp_path / "a.ddp", X)
    assert not (tmp_path / "a.ddp").exists()


def test_what_is_read_is_what_was_written() -> None:
    found = loaded(io.BytesIO(CONTENT))
    assert type(found) is Saved
    file = io.BytesIO()
    write(file, found)
    assert document_of(file.getvalue()) == DOCUMENT


def test_loading_runs_no_function_and_imports_only_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a row ran")

    before = set(sys.modules)
    for rows in PRIMITIVES.values():
        for row in rows:
            if not isinstance(row.fn, np.ufunc):
                monkeypatch.setattr(row, "fn", stopped)
    loaded(io.BytesIO(resealed(CONTENT)))
    assert {m for m in set(sys.modules) - before if not m.startswith(("dualdiff", "scipy", "numpy"))} == set()
