"""Methods of one's own are registered, held against the zoo before they are timed, and refused if wrong."""

import re
from typing import ClassVar

import numpy as np
import pytest

import dualdiff as dd
from dualdiff import lab
from dualdiff.errors import InputError
from dualdiff.lab.catalogue import METHODS, Given, methods
from dualdiff.lab.subject import Subject
from dualdiff.ways import WAYS, Answer, Way, register

SMALL = lab.problems.zoo("small")
FEW = [case for case in SMALL if case.name.startswith(("rosenbrock-10", "dense-map", "roe"))]


@pytest.fixture
def registered():
    before = list(METHODS.own)
    yield
    METHODS.own[:] = before


def transposed(f, x):
    J = dd.jacfwd(f)(x)
    return J.T if J.ndim == 2 and J.shape[0] == J.shape[1] else J


@pytest.mark.usefixtures("registered")
def test_a_method_of_ones_own_is_in_every_comparison():
    @lab.method("own", on=FEW)
    def own(f, x):
        return dd.jacrev(f)(x)

    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward", "own"], rounds=1)
    assert found["own"].agrees
    assert "own" in {row.name for row in lab.compare(np.sin, np.array([1.0, 2.0]), methods="own", rounds=1).rows}
    assert own(np.sin, np.zeros(1)) == 1.0  # the decorator returns the function


@pytest.mark.usefixtures("registered")
def test_a_wrong_one_is_refused_with_the_problem_and_the_numbers():
    lab.method("turned", on=SMALL[:1])(transposed)
    found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["forward", "turned"], rounds=1)
    row = found["turned"]
    assert (row.outcome, row.verdict, row.times, row.agrees) == ("refused", "REFUSED", None, False)
    assert "wrong on rosenbrock-10: J[" in row.failure
    assert "by hand" in row.failure
    assert not found.agree


def test_verification_says_how_many():
    assert lab.verify(lambda f, x: dd.jacfwd(f)(x), FEW) == len(FEW)
    with pytest.raises(lab.MethodError, match=r"'turned' is wrong on rosenbrock-10: J\[\d, \d\] is .* by hand"):
        lab.verify(transposed, SMALL[:1], name="turned")


def test_every_mode_is_right_on_the_whole_small_zoo():
    assert lab.verify(lambda f, x: dd.jacobian(f)(x)) == len([case for case in SMALL if case.jacobian is not None])


def test_a_method_that_is_not_a_number_somewhere_is_wrong():
    with pytest.raises(lab.MethodError, match="is nan"):
        lab.verify(lambda f, x: dd.jacfwd(f)(x) * np.nan, FEW)


def test_a_method_may_decline_problems_but_not_all():
    def rows_only(f, x):
        if np.size(f(x)) > 5:
            raise NotImplementedError("too many rows")
        return dd.jacrev(f)(x)

    assert 0 < lab.verify(rows_only, FEW) < len(FEW)

    def never(f, x):
        raise NotImplementedError("no rows at all")

    with pytest.raises(lab.MethodError, match=r"raised on all of .* no rows at all"):
        lab.verify(never, FEW)


def test_a_jacobian_of_another_shape_is_wrong():
    with pytest.raises(lab.MethodError, match="wrong on dense-map-3-20"):
        lab.verify(lambda f, x: dd.jacfwd(f)(x).T, [case for case in SMALL if case.name == "dense-map-3-20"])


@pytest.mark.usefixtures("registered")
def test_a_method_for_another_library_is_not_tried_on_the_zoo():
    @lab.method("foreign", on=())
    def foreign(f, x):
        return np.diag(np.cos(x))

    assert lab.compare(np.sin, np.array([1.0, 2.0]), methods="foreign", rounds=1).agree


@pytest.mark.usefixtures("registered")
def test_names_of_the_library_cannot_be_taken_and_ones_own_can():
    with pytest.raises(InputError, match="'forward' in the library"):
        lab.method("forward")(transposed)
    lab.method("own")(transposed)
    lab.method("own")(lambda f, x: dd.jacfwd(f)(x))
    assert len([m for m in METHODS if m.name == "own"]) == 1
    lab.forget("own")
    assert not [m for m in METHODS if m.name == "own"]
    with pytest.raises(InputError, match="no method 'own'"):
        lab.forget("own")


def test_methods_are_asked_for_by_name_group_function_and_mapping():
    assert [m.name for m in methods(["2-point", "differences"])] == ["2-point", "3-point", "richardson"]
    assert all(m.group == "orders" for m in methods("orders"))
    assert [m.name for m in methods(transposed)] == ["transposed"]
    (renamed,) = methods({"rows": "reverse"})
    assert (renamed.name, renamed.group) == ("rows", "ways")
    (given,) = methods([Given(name="mine", call=transposed)])
    assert given.call is transposed
    assert methods() == tuple(METHODS)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("backwards", "there is no method 'backwards'"),
        ([transposed, Given(name="transposed", call=np.sin)], "two methods are called 'transposed'"),
        ({"both": "differences"}, "a group of methods"),
        ([3.0], "not 'float'"),
        ({"": transposed}, "a method is a name"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        methods(asked)


def test_a_way_that_is_registered_later_is_a_method():
    class OneByOne(Way):
        name = "one by one"
        asked: ClassVar = {"dense": ("one-by-one",)}

        @classmethod
        def at(cls, program, options, exact=True):
            n, m = program.inputs, program.outputs
            return cls(inputs=n, outputs=m, entries=n * m, columns=n)

        def quantities(self, program):
            return {"frame": self.columns}

        def memory(self, program):
            return self.entries * program.itemsize

        @property
        def says(self):
            return f"{self.columns} runs"

        def run(self, problem, options, program):
            (x,) = problem.inputs
            columns = [dd.jvp(lambda x: problem.call([x])[0], (x,), (e,)) for e in np.eye(len(x))]
            return Answer([columns[0][0]], whole=np.stack([t for _, t in columns], axis=-1))

    register(OneByOne)
    try:
        found = lab.compare(np.sin, np.array([1.0, 2.0]), methods=["one by one"], rounds=1)
        assert found.agree
        assert found["one by one"].work.passes == 2
        assert "one by one" in [m.name for m in METHODS]
    finally:
        WAYS.remove(OneByOne)
    assert "one by one" not in [m.name for m in METHODS]


def test_one_method_by_its_name_and_its_group_is_one():
    found = methods(["2-point", "differences", "2-point"])
    assert len(found) == 3


def test_a_compiled_program_is_a_method_whose_first_call_is_said_apart():
    runs = []

    def f(x):
        runs.append(1)
        return np.cumsum(np.sin(x)) * x[0]

    found = lab.compare(f, np.array([1.0, 2.0, 3.0]), methods=["auto", "compiled"], rounds=3)
    row = found["compiled"]
    assert (row.outcome, row.agrees, row.exact) == ("done", True, True)
    assert "first" in str(found)
    assert row.times.first == found.records()[1]["first"] != row.times.minimum
    call = methods("programs", lab_subject(f))[0].prepared(lab_subject(f))
    call()
    runs.clear()
    for _ in range(100):
        call()
    assert len(runs) == 7  # held against the function at calls 1, 2, 4, … 64, and no run otherwise


def lab_subject(f):
    return Subject(f, (np.array([1.0, 2.0, 3.0]),))


def test_what_is_no_program_says_why_in_its_row():
    rng = np.random.default_rng(0)
    black_box = dd.primitive(lambda x: float(np.sum(x**2)), derivative="difference")
    for f, words in (
        (lambda x: x * rng.normal(), "StaleProgramError|stale"),
        (lambda x: black_box(x), "runs as it is, not as a program: it cannot be recorded"),
    ):
        row = lab.compare(
            f, np.array([1.0, 2.0]), methods=["compiled"], oracle=np.eye(2)[: np.size(f(np.ones(2)))], rounds=1
        )["compiled"]
        assert row.outcome == "failed"
        assert re.search(words, row.failure)
