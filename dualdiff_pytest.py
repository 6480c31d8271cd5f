"""A pytest plugin that says what the checks of derivatives found: how many agreed, and which could not decide.

It stands beside the package, so that pytest, which loads plugins at every start, does not import dualdiff with it: what
the checks report it hears through the standard library's logging, and where no check runs it does nothing.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any

import pytest

INI = "dualdiff_inconclusive"
PROPERTY = "dualdiff"
"""The name of a test's property that holds the counts; properties travel from the workers of xdist."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option, and the setting that it overrides."""
    text = 'what becomes of a test with checks of derivatives that could not decide: "ignore" (default) or "raise"'
    parser.addini(INI, text, default="ignore")
    parser.getgroup("dualdiff").addoption("--dualdiff-inconclusive", choices=("ignore", "raise"), help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen."""
    policy = config.getoption("dualdiff_inconclusive") or config.getini(INI)
    if policy not in ("ignore", "raise"):
        raise pytest.UsageError(f'{INI} is "ignore" or "raise", not {policy!r}')
    config.pluginmanager.register(Derivatives(policy), "dualdiff derivatives")


class Derivatives(logging.Handler):
    """Hears the reports of checks while a test runs, and sums them up at the end."""

    def __init__(self, policy: str) -> None:
        super().__init__()
        self.policy = policy
        self.heard: Counter[str] = Counter()
        self.undecided = ""
        self.logger = logging.getLogger("dualdiff.testing")

    def emit(self, record: logging.LogRecord) -> None:
        """Count one report."""
        report = getattr(record, "report", None)
        if report is None:
            return
        self.heard[report.verdict] += 1
        if report.verdict == "inconclusive" and not self.undecided:
            self.undecided = str(report)

    # Innermost: pytest hears loggers that do not propagate as well, if they say so before it begins to listen.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Listen while a test runs."""
        __tracebackhide__ = True
        self.heard.clear()
        self.undecided = ""
        level, propagates = self.logger.level, self.logger.propagate
        # Nor do hundreds of reports belong into the log that pytest shows of a failed test.
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self.logger.addHandler(self)
        try:
            result = yield
        finally:
            self.logger.removeHandler(self)
            self.logger.setLevel(level)
            self.logger.propagate = propagates
            if self.heard:
                item.user_properties.append((PROPERTY, dict(self.heard)))
        if self.policy == "raise" and self.undecided:
            pytest.fail(
                f"{self.heard['inconclusive']} of {self.heard.total()} checks of derivatives could not decide; the first:\n"
                f"{self.undecided}",
                pytrace=False,
            )
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Show of a check that failed the lines of the test, and not those of the check."""
        error = None if call.excinfo is None else call.excinfo.value
        if error is not None and _is_check(error) and not item.config.getoption("fulltrace"):
            if type(error.__cause__).__module__.startswith("dualdiff."):  # which the message repeats
                error.__cause__, error.__suppress_context__ = None, True
            call.excinfo = pytest.ExceptionInfo.from_exception(error.with_traceback(_shown(error.__traceback__)))
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was heard."""
        tests = dict(_counts(terminalreporter))
        total = sum(tests.values(), Counter[str]())
        if not total or (terminalreporter.verbosity < 0 and not total["inconclusive"]):
            return
        terminalreporter.section("derivatives")
        said = ", ".join(f"{total[verdict]} {verdict}" for verdict in sorted(total))
        terminalreporter.line(f"{_number(total.total(), 'check')} in {_number(len(tests), 'test')}: {said}")
        for name, found in tests.items():
            if found["inconclusive"]:
                terminalreporter.line(f"{name}: {found['inconclusive']} of {found.total()} inconclusive")


def _counts(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, Counter[str]]]:
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    if name == PROPERTY:
                        yield report.nodeid, Counter(value)


def _number(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _is_check(error: BaseException) -> bool:
    """Whether an error says that a check failed; those classes are there only where their module has been imported."""
    checks: Any = sys.modules.get("dualdiff.testing")
    return checks is not None and isinstance(error, (checks.CheckError, checks.InconclusiveError))


def _shown(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of dualdiff and of Hypothesis, but those that pytest hides itself."""
    if traceback is None:
        return None
    rest, frame = _shown(traceback.tb_next), traceback.tb_frame
    module = str(frame.f_globals.get("__name__", ""))
    if module.split(".")[0] in ("dualdiff", "hypothesis") and "__tracebackhide__" not in frame.f_locals:
        return rest
    return TracebackType(rest, frame, traceback.tb_lasti, traceback.tb_lineno)
