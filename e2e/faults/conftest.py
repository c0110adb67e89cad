"""Where campaigns keep what they found, and the table at the end of a run."""

import pytest

from e2e.faults import report
from e2e.lib import network
from tools.lib import paths

OUTCOMES = []


@pytest.fixture(scope="session")
def hosts():
    """Namespaces can be made here."""
    if obstacles := network.obstacles():
        pytest.skip("; ".join(obstacles))


@pytest.fixture
def outcomes():
    return OUTCOMES


@pytest.fixture
def keep(request):
    """A folder for the logs and histories of a run that finds something."""
    return paths.BUILD / "test-results" / "faults-kept" / request.node.name.replace(" ", "-")


def pytest_terminal_summary(terminalreporter):
    if OUTCOMES:
        terminalreporter.section("longest gap in acknowledged writes")
        terminalreporter.write_line(report.table(OUTCOMES))
