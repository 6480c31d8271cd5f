"""The zoo prints as a table, and problems are found in it by name."""

import json

import pytest

from dualdiff import lab
from dualdiff.lab.problems import zoo


def test_every_problem_has_a_row():
    listed = lab.problems.listing()
    assert len(listed) == len(zoo("small"))
    for case in zoo("small"):
        assert case.name in str(listed)
    rows = {row["name"]: row for row in listed.records()}
    assert rows["roe-flux"]["outputs"] == 3
    assert rows["roe-flux"]["jacobian"] is True
    assert rows["arrowhead-10"]["nonzeros"] == 28
    assert rows["puma-arm"]["nonzeros"] is None
    assert all(row["source"] for row in rows.values())
    json.loads(listed.to_json())


def test_a_problem_is_found_by_its_name_or_its_beginning():
    listed = lab.problems.listing()
    assert listed["arrowhead"].name == "arrowhead-10"
    assert listed["rosenbrock-10"].name == "rosenbrock-10"
    with pytest.raises(KeyError, match="several problems"):
        listed["rosenbrock"]
    with pytest.raises(KeyError, match="no problem"):
        listed["navier-stokes"]
