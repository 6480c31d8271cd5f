"""The calibration: prices from times, what is kept of them, and the command. No test reads a clock."""

import json
from dataclasses import asdict, replace
from zlib import crc32

import numpy as np
import pytest

import dualdiff as dd
from dualdiff.lab import calibration
from dualdiff.lab.calibration import PRICES, Case, Sample, fitted, predictions
from dualdiff.lab.cli import main
from dualdiff.lab.problems import zoo
from dualdiff.passes import costs
from dualdiff.passes.costs import Machine, seconds
from dualdiff.ways import WAYS, Program, Reverse

FEW = ("elementwise-5", "many-to-one-30", "scalar-loop-8", "slices-50", "waist-30-2-30")


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where prices are kept, in a test."""
    found = tmp_path / "cache" / "machine.json"
    monkeypatch.delenv("DUALDIFF_CALIBRATION", raising=False)
    monkeypatch.setattr(costs, "file_of_constants", lambda: found)
    costs.machine.cache_clear()
    yield found
    monkeypatch.undo()
    costs.machine.cache_clear()


@pytest.fixture
def quick(monkeypatch):
    """The command with few programs, and with the times of a machine three times as slow as the shipped one."""
    few = tuple(p for p in calibration.programs() if p.name in FEW)
    assert len(few) == len(FEW)
    monkeypatch.setattr(calibration, "programs", lambda: few)
    monkeypatch.setattr(calibration, "interleaved_minima", on(times(Machine(), 3.0)))


def times(prices, factor):
    """Return prices that are all so many times as high."""
    return replace(prices, **{k: factor * v for k, v in asdict(prices).items()})


def on(prices, evaluation=1e-5):
    """Return a timer: what a machine with these prices would say if the model were right."""

    def timer(calls, rounds=1):
        found = {}
        for key, call in calls.items():
            if isinstance(call.func, calibration.Jacobian):
                program = calibration.program_of(call.func, call.args)
                taken = calibration.choose(program, call.func.options)[0].quantities(program)
                found[key] = evaluation + sum(getattr(prices, k) * v for k, v in taken.items())
            else:
                found[key] = evaluation
        return found

    return timer


def synthetic(prices, count=300):
    """Return samples of all prices together, exact by the given ones."""
    rng = np.random.default_rng(5)
    found = []
    for i in range(count):
        shares = rng.dirichlet(np.full(len(PRICES), 0.2))
        taken = {k: s * 1e-3 / getattr(prices, k) for k, s in zip(PRICES, shares, strict=True)}
        found.append(Sample(f"program-{i}", "reverse", taken, 1e-3))
    return found


# ----------------------------------------------------------------------------------------------------- the prices


def test_known_prices_are_recovered():
    rng = np.random.default_rng(4)
    truth = replace(Machine(), **{k: v * float(rng.uniform(0.2, 5)) for k, v in asdict(Machine()).items()})
    found = fitted(synthetic(truth), trust=1e-4)
    np.testing.assert_allclose([getattr(found, k) for k in PRICES], [getattr(truth, k) for k in PRICES], rtol=1e-3)


def test_a_few_wild_times_do_not_move_them():
    samples = synthetic(Machine())
    wild = [replace(s, seconds=50 * s.seconds) if i % 30 == 0 else s for i, s in enumerate(samples)]
    found = fitted(wild)
    ratios = [getattr(found, k) / getattr(Machine(), k) for k in PRICES]
    assert min(ratios) > 0.8
    assert max(ratios) < 1.3


def test_prices_without_a_sample_go_with_the_others_of_their_group():
    samples = [
        Sample(str(n), "reverse", {"frame": 1.0, "record": n}, 4 * (Machine().frame + n * Machine().record))
        for n in (1.0, 5.0, 90.0)
    ]
    found = fitted(samples)
    assert found.vertex == pytest.approx(4 * Machine().vertex, rel=0.01)
    assert found.far == Machine().far
    assert fitted([]) == Machine()


def test_a_price_moves_by_no_more_than_the_bounds_allow():
    found = fitted([Sample("f", "reverse", {"frame": 1.0}, 1e6)])
    assert found.frame == pytest.approx(20 * Machine().frame)


def test_slopes_are_the_derivatives(monkeypatch):
    seen = {}

    def instead(residual, start, jac, bounds):
        x = np.random.default_rng(1).normal(size=start.shape) / 3
        seen["both"] = jac(x), dd.jacobian(residual, mode="forward")(x)
        return right(residual, start, jac=jac, bounds=bounds)

    right = calibration.least_squares
    monkeypatch.setattr(calibration, "least_squares", instead)
    fitted(synthetic(Machine(), 20))
    np.testing.assert_allclose(*seen["both"], atol=1e-9)


def test_programs_and_samples_agree_with_the_model():
    chosen = [p for p in calibration.programs() if p.name in FEW]
    samples = calibration.measured(chosen, on(Machine()))
    assert [s.program for s in samples] == [p.name for p in chosen for _ in p.ways]
    np.testing.assert_allclose(predictions(samples, Machine()), [s.seconds for s in samples])


def test_every_price_has_a_program():
    told = set()
    for p in calibration.programs():
        if p.point.size <= 300:
            for way in p.ways:
                operator = p.operator(way)
                found = calibration.program_of(operator, (p.point,))
                taken = calibration.choose(found, operator.options)[0].quantities(found)
                told |= {price for price, much in taken.items() if much}
    assert told | {"far"} == set(PRICES)


def test_programs_are_right_and_apart_from_what_the_choice_is_judged_by():
    chosen = calibration.programs()
    names = [p.name for p in chosen]
    assert len(set(names)) == len(names)
    known = {case.name for case in zoo("medium")}
    assert known & set(names)
    for name in known & set(names):
        assert crc32(name.encode()) % 3 != 2  # tests/benchmarks/regret.py keeps these unseen
    for p in chosen:
        assert set(p.ways) <= {w.name for w in WAYS}
        if p.point.size <= 60 and p.ways != ("acyclic",):
            found = [p.operator(way)(p.point) for way in p.ways]
            found = [J.toarray() if hasattr(J, "toarray") else J for J in found]
            for J in found:
                assert np.isfinite(J).all(), p.name
                np.testing.assert_allclose(J, found[0], rtol=1e-9, atol=1e-12, err_msg=p.name)


def test_a_way_is_timed_as_it_is_asked_for():
    p = Case("f", np.sin, np.ones(20), ("row-sparse", "columns", "rows"))
    assert [s.way for s in calibration.measured([p], on(Machine()))] == ["row-sparse", "columns", "rows"]


# ----------------------------------------------------------------------------------------------------- what is kept


def test_what_is_kept_is_what_the_machine_reads(path):
    tape, _ = dd.tape.record(lambda x: np.sin(x) * x, np.ones(10))
    program, way = Program(tape), Reverse(rows=10, outputs=10, inputs=10, entries=100)
    before = seconds(program, way)
    calibration.keep(times(Machine(), 2.0), path)
    assert costs.machine() == times(Machine(), 2.0)
    assert seconds(program, way) == pytest.approx(2 * before)
    assert list(path.parent.iterdir()) == [path]
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert set(kept) == {"version", "numpy", "constants"}
    assert calibration.forget(path)
    assert costs.machine() == Machine()
    assert not calibration.forget(path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"constants": {"frame": 0}}', '{"constants": {"frame": NaN}}', '{"constants": 3}']
)
def test_a_broken_file_leaves_the_shipped_prices(path, text):
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert costs.machine() == Machine()


def test_a_file_of_another_version_gives_what_it_has(path):
    path.parent.mkdir()
    path.write_text('{"version": "9", "constants": {"frame": 1.0, "of_tomorrow": 2.0}}', encoding="utf-8")
    assert costs.machine() == replace(Machine(), frame=1.0)


def test_the_environment_overrules_the_file(path, monkeypatch):
    calibration.keep(times(Machine(), 2.0), path)
    monkeypatch.setenv("DUALDIFF_CALIBRATION", "shipped")
    assert costs.machine() == Machine()


def test_nothing_is_left_half_written(path, monkeypatch):
    calibration.keep(times(Machine(), 2.0), path)

    def broken(*_):
        raise OSError("no")

    monkeypatch.setattr(calibration.os, "replace", broken)
    with pytest.raises(OSError, match="no"):
        calibration.keep(Machine(), path)
    assert list(path.parent.iterdir()) == [path]
    costs.machine.cache_clear()
    assert costs.machine() == times(Machine(), 2.0)


# ----------------------------------------------------------------------------------------------------- the command


@pytest.mark.usefixtures("quick")
def test_the_command_prints_and_keeps(path, capsys):
    assert main(["calibrate"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for part in (*PRICES, "shipped", "measured", "ratio", "median", "95 %", str(path)):
        assert part in printed.out
    # The whole machine is slower, so every price is, also those without a program.
    for k in PRICES:
        assert getattr(costs.machine(), k) == pytest.approx(3 * getattr(Machine(), k), rel=0.1)


@pytest.mark.usefixtures("quick")
def test_a_dry_run_keeps_nothing(path, capsys):
    assert main(["calibrate", "--dry-run"]) == 0
    assert "Nothing was kept" in capsys.readouterr().out
    assert not path.parent.exists()


@pytest.mark.usefixtures("quick")
def test_json_is_one_document(path, capsys):
    assert main(["calibrate", "--json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document["written"] is True
    assert document["file"] == str(path)
    assert list(document["prices"]) == list(PRICES)
    for price in document["prices"].values():
        assert price["ratio"] == pytest.approx(price["measured"] / price["shipped"])
    spreads = document["predicted/measured"]
    assert spreads["shipped"]["median"] == pytest.approx(1 / 3)
    assert spreads["measured"]["median"] == pytest.approx(1, rel=0.05)


@pytest.mark.usefixtures("quick")
def test_what_was_kept_is_forgotten(path, capsys):
    assert main(["calibrate"]) == 0
    assert path.is_file()
    assert main(["calibrate", "--forget"]) == 0
    assert not path.exists()
    assert costs.machine() == Machine()
    capsys.readouterr()
    assert main(["calibrate", "--forget", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["forgotten"] is False


@pytest.mark.parametrize("words", [(), ("--json",), ("--forget",)])
def test_without_platformdirs_it_says_what_to_install(monkeypatch, capsys, words):
    monkeypatch.setattr(costs, "file_of_constants", lambda: None)
    monkeypatch.setattr(calibration, "measured", lambda *_: pytest.fail("measured for nothing"))
    assert main(["calibrate", *words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "pip install 'dualdiff[cli]'" in printed.err


@pytest.mark.usefixtures("quick")
def test_a_dry_run_does_without_platformdirs(monkeypatch, capsys):
    monkeypatch.setattr(costs, "file_of_constants", lambda: None)
    assert main(["calibrate", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] is None


@pytest.mark.usefixtures("quick")
def test_a_directory_that_cannot_be_made_is_said(path, capsys):
    path.parent.write_text("a file where the directory should be", encoding="utf-8")
    assert main(["calibrate"]) == 1
    printed = capsys.readouterr()
    assert "nothing was changed" in printed.err
    assert str(path) in printed.err


@pytest.mark.usefixtures("quick")
def test_prices_that_are_not_taken_are_said_to_be(path, monkeypatch, capsys):
    monkeypatch.setenv("DUALDIFF_CALIBRATION", "shipped")
    assert main(["calibrate"]) == 0
    assert path.is_file()
    assert "DUALDIFF_CALIBRATION" in capsys.readouterr().err
