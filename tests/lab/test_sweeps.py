"""Over the sizes of a problem: exponents and crossovers are those of the numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dualdiff import lab
from dualdiff.errors import InputError
from dualdiff.lab.conditions import conditions
from dualdiff.lab.problems.chains import arrowhead
from dualdiff.lab.timing import Times


def widening(n):
    A = np.random.default_rng(0).normal(size=(n, 5))
    return lambda x: np.tanh(A @ x), np.linspace(0.5, 1.0, 5)


@pytest.fixture(scope="module")
def found():
    return lab.sweep(widening, [2, 4, 8, 16], ["forward", "reverse"], seconds=240, rounds=1)


def timed(found, **seconds):
    """Return a sweep with other times: powers of the size."""
    comparisons = []
    for size, comparison in zip(found.sizes, found.comparisons, strict=True):
        rows = [replace(row, times=Times(1.0, (seconds[row.name](size),))) for row in comparison.rows]
        comparisons.append(replace(comparison, rows=tuple(rows)))
    return replace(found, comparisons=tuple(comparisons))


def test_counts_grow_as_they_should(found):
    assert found.agree
    assert found.values("forward", "multiplications").tolist() == [10, 20, 40, 80]
    growth = found.growth("forward", "multiplications")
    assert growth.exponent == pytest.approx(1.0)
    assert growth.error == pytest.approx(0.0, abs=1e-12)


def test_an_exponent_is_that_of_the_times(found):
    powers = timed(found, forward=lambda n: 1e-6 * n**2, reverse=lambda n: 3e-5 * n**0.5)
    assert powers.growth("forward").exponent == pytest.approx(2.0)
    assert powers.growth("reverse").exponent == pytest.approx(0.5)


def test_a_crossover_is_where_the_powers_meet(found):
    # 1e-6 n² = 8e-6 n^0.5 at n = 4: exactly, since both are straight lines.
    powers = timed(found, forward=lambda n: 1e-6 * n**2, reverse=lambda n: 8.1e-6 * n**0.5)
    (turn,) = powers.crossovers("forward", "reverse")
    assert turn.size == pytest.approx(8.1 ** (1 / 1.5))
    assert (turn.below, turn.above) == ("forward", "reverse")
    (other,) = powers.crossovers("reverse", "forward")
    assert (other.below, other.above, other.size) == (turn.below, turn.above, pytest.approx(turn.size))
    assert powers.turns == (turn,)
    assert powers.fastest == ("forward", "forward", "reverse", "reverse")
    assert "forward is faster up to 4.03, reverse beyond" in str(powers)


def test_counts_cross_too(found):
    # Of A of n rows and five columns: forward takes 2·5·n products, and reverse as many.
    assert found.crossovers("forward", "reverse", "multiplications") == ()
    narrow = lab.sweep(
        lambda n: (lambda x: np.tanh(np.ones((8, 8)) @ np.tanh(np.ones((8, n)) @ x)), np.ones(n)),
        [2, 4, 8, 16, 32],
        ["forward", "reverse"],
        seconds=240,
        rounds=1,
    )
    (turn,) = narrow.crossovers("forward", "reverse", "multiplications")
    assert (turn.below, turn.above) == ("forward", "reverse")
    assert 4 < turn.size < 16
    assert "takes fewer multiplications up to" in str(turn)


def test_a_method_that_always_wins_is_never_overtaken(found):
    powers = timed(found, forward=lambda n: n, reverse=lambda n: 2 * n)
    assert powers.crossovers("forward", "reverse") == ()
    assert powers.turns == ()


def test_a_method_may_miss_sizes(found):
    first, *rest = found.comparisons
    shorter = replace(found, comparisons=(replace(first, rows=first.rows[:1]), *rest))
    assert np.isnan(shorter.values("reverse")[0])
    assert np.isfinite(shorter.growth("reverse").exponent)
    json.loads(shorter.to_json(), parse_constant=pytest.fail)


def test_cases_of_the_zoo_are_problems():
    swept = lab.sweep(arrowhead, [4, 8], ["forward"], seconds=60, rounds=1)
    assert [c.inputs for c in swept.comparisons] == [4, 8]
    assert swept.problem == "arrowhead"


@pytest.mark.parametrize(
    ("problem", "sizes", "message"),
    [
        (widening, [], "increasing"),
        (widening, [4, 2], "increasing"),
        (widening, [0, 2], "positive"),
        (lambda n: np.sin, [2], "return a case"),
        (lambda n: 3, [2], "return a case"),
    ],
)
def test_what_makes_no_sense_is_refused(problem, sizes, message):
    with pytest.raises(InputError, match=message):
        lab.sweep(problem, sizes, "forward")


def test_unknown_names_are_refused(found):
    with pytest.raises(InputError, match="no method 'backwards'"):
        found.values("backwards")
    with pytest.raises(InputError, match="quantity='joules'"):
        found.values("forward", "joules")


def test_it_is_written_out_and_drawn(found, tmp_path):
    assert found.to_csv().splitlines()[0].startswith("size,method")
    assert len(found.to_csv().splitlines()) == 1 + 2 * 4
    assert json.loads(found.to_json())["sizes"] == [2, 4, 8, 16]
    assert str(conditions(0)).split(";")[0] in str(found)
    pytest.importorskip("matplotlib")
    figure = found.plot(tmp_path / "sweep.svg")
    assert [line.get_label().split(" ")[0] for line in figure.axes[0].lines[:2]] == ["forward", "reverse"]
    assert (tmp_path / "sweep.svg").stat().st_size > 0
