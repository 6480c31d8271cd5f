"""The clock: every call gets its turns, the first run stands apart, and time runs out."""

import time

import pytest

from dualdiff.lab.timing import Times, interleaved, interleaved_minima


def test_every_call_gets_its_turns():
    counts = dict.fromkeys("ab", 0)

    def count(name):
        counts[name] += 1

    times = interleaved_minima({name: lambda name=name: count(name) for name in counts}, rounds=3, block=0.0)
    # One to warm up, one to see how long it takes, three turns of one.
    assert counts == {"a": 5, "b": 5}
    assert list(times) == ["a", "b"]
    assert all(0 < seconds < 1 for seconds in times.values())


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        interleaved_minima({}, rounds=0)


def test_turns_are_taken_in_turn():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    interleaved(calls, rounds=3, block=0.0)
    assert "".join(order) == "abc" + "abc" + "abc" + "bca" + "cab"


def test_a_first_run_that_was_made_is_not_made_again():
    runs = []
    found = interleaved({"a": lambda: runs.append(0)}, rounds=2, block=0.0, first={"a": 5.0})
    assert len(runs) == 3
    assert found["a"].first == 5.0
    assert len(found["a"].samples) == 2


def test_when_time_is_out_no_turns_are_left():
    found = interleaved({"slow": lambda: time.sleep(0.02), "quick": lambda: None}, rounds=50, block=0.0, seconds=0.2)
    assert len(found["slow"].samples) < 50
    assert found["slow"].minimum >= 0.02


def test_what_had_no_turn_has_its_first_time():
    found = interleaved({"a": lambda: None}, seconds=1.0, first={"a": 2.0})
    assert found["a"].samples == ()
    assert found["a"].minimum == found["a"].median == 2.0
    assert found["a"].spread == 0


def test_times_are_summarised():
    times = Times(10.0, (4.0, 1.0, 2.0, 3.0))
    assert (times.minimum, times.median, times.spread) == (1.0, 2.5, 1.5)


def test_progress_is_told():
    told = []
    interleaved({"a": lambda: None, "b": lambda: None}, rounds=2, block=0.0, progress=told.append)
    assert told == ["a", "b", "b", "a"]
