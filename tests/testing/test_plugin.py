"""The pytest plugin: counts at the end, short tracebacks, and a run that may demand that everything is decided."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

#: until the package has been installed with its entry points, the plugin is named by hand
NAMED = [] if any(e.name == "dualdiff" for e in entry_points(group="pytest11")) else ["-p", "dualdiff_pytest"]

CHECKS = """
    import numpy as np
    import pytest
    from dualdiff.testing import check, check_jacobian

    def test_smooth():
        for x in (0.5, 2.0, 3.0):
            check(np.sin, x)

    def test_kink():
        check_jacobian(np.abs, lambda x: np.diag(np.sign(x)), np.array([1.0, 2.0]))
        check_jacobian(np.abs, lambda x: np.diag(np.sign(x)), np.array([0.0, 2.0]))

    def test_of_something_else():
        pass
"""
WRONG = """
    import numpy as np
    from dualdiff.testing import check_jacobian

    def slope(x):
        return np.diag(-np.cos(x))

    def test_wrong():
        check_jacobian(np.sin, slope, np.array([1.0, 2.0]))
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    def of(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess(*NAMED, "-p", "no:cacheprovider", *options)

    return of


def test_the_summary_says_how_many_agreed_and_which_could_not_decide(run) -> None:
    found = run(CHECKS)
    found.assert_outcomes(passed=3)
    found.stdout.fnmatch_lines(
        [
            "=* derivatives =*",
            "5 checks in 2 tests: 4 agree, 1 inconclusive",
            "*::test_kink: 1 of 2 inconclusive",
        ]
    )
    assert "test_smooth:" not in found.stdout.str()


def test_a_quiet_run_mentions_only_what_was_not_decided(run) -> None:
    assert "derivatives" not in run(CHECKS, "-q", "-k", "smooth").stdout.str()
    run(CHECKS, "-q").stdout.fnmatch_lines(["*::test_kink: 1 of 2 inconclusive"])


def test_without_checks_nothing_is_said(run) -> None:
    assert "derivatives" not in run("def test_of_something_else(): pass").stdout.str()


def test_workers_send_what_they_heard(run) -> None:
    pytest.importorskip("xdist")
    run(CHECKS, "-n", "1").stdout.fnmatch_lines(["5 checks in 2 tests: 4 agree, 1 inconclusive"])


@pytest.mark.parametrize("how", ["option", "ini"])
def test_what_was_not_decided_may_fail(run, pytester: pytest.Pytester, how: str) -> None:
    if how == "ini":
        pytester.makeini("[pytest]\ndualdiff_inconclusive = raise")
    found = run(CHECKS, *(["--dualdiff-inconclusive=raise"] if how == "option" else []))
    found.assert_outcomes(passed=2, failed=1)
    found.stdout.fnmatch_lines(["1 of 2 checks of derivatives could not decide; the first:", "*inconclusive*"])


def test_the_option_overrides_the_setting(run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ndualdiff_inconclusive = raise")
    run(CHECKS, "--dualdiff-inconclusive=ignore").assert_outcomes(passed=3)


def test_a_setting_that_does_not_exist_is_refused(run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ndualdiff_inconclusive = sometimes")
    found = run(CHECKS)
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    assert 'dualdiff_inconclusive is "ignore" or "raise", not \'sometimes\'' in found.stderr.str()


def test_a_failure_shows_the_test_and_not_the_check(run) -> None:
    found = run(WRONG)
    found.assert_outcomes(failed=1)
    shown = found.stdout.str()
    assert "check_jacobian(np.sin, slope, np.array([1.0, 2.0]))" in shown
    assert "CheckError: slope" in shown
    for inside in ("checks.py", "laws.py", "LawError", "direct cause"):
        assert inside not in shown
    assert len(shown.split("= FAILURES =")[1].split("= short test summary")[0].splitlines()) < 20
    assert "checks.py" in run(WRONG, "--full-trace").stdout.str()


def test_a_property_shows_its_point_and_not_the_check(run) -> None:
    found = run(
        """
        import numpy as np
        from hypothesis import settings
        from dualdiff.testing import derivatives_agree
        from dualdiff.testing.strategies import vectors

        few = settings(max_examples=20, derandomize=True, database=None)
        test_wrong = derivatives_agree(np.square, lambda x: np.diag(x), vectors(2), settings=few)
        test_right = derivatives_agree(np.square, lambda x: np.diag(2 * x), vectors(2), settings=few)
        """,
        "--hypothesis-show-statistics",
    )
    found.assert_outcomes(failed=1, passed=1)
    shown = found.stdout.str()
    assert "checks.py:" not in shown
    assert "square(" in shown
    assert "derivatives: agree" in shown  # in Hypothesis' statistics


def test_reports_do_not_fill_the_log_of_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import logging
        import numpy as np
        from dualdiff.testing import check

        def test_wrong():
            check(np.sin, 0.5)
            assert not logging.getLogger("dualdiff.testing").propagate
            assert False
        """
    )
    # In a process of its own: here the plugin of the test that runs this has quieted the logger already.
    found = pytester.runpytest_subprocess(*NAMED, "-p", "no:cacheprovider", "--log-level=DEBUG")
    found.assert_outcomes(failed=1)
    assert "Captured log" not in found.stdout.str()


def test_the_plugin_imports_neither_dualdiff_nor_hypothesis(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_of_something_else(): pass")
    program = "\n".join(
        (
            "import sys, pytest",
            # As if neither were installed.
            "from importlib.abc import MetaPathFinder",
            "class Nothing(MetaPathFinder):",
            "    def find_spec(self, name, path, target=None):",
            "        if name in ('numpy', 'hypothesis'): raise ModuleNotFoundError(name)",
            "sys.meta_path.insert(0, Nothing())",
            f"code = pytest.main({[*NAMED, '-q', '-p', 'no:cacheprovider', '-p', 'no:hypothesispytest']})",
            "print(int(code), 'dualdiff_pytest' in sys.modules, 'dualdiff' in sys.modules)",
        )
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0 True False", done.stdout + done.stderr
