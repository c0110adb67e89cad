"""Mixed clusters, their files in memory; kept in build/dev/test-results/interop-kept when a test fails."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.faults.scene import save
from e2e.lib import network
from e2e.lib.broker import PROGRAM
from e2e.lib.cluster import COMMON_FEATURES, Cluster
from tools.lib import paths


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    setattr(item, f"report_{outcome.get_result().when}", outcome.get_result())


@pytest.fixture
def mixed(request):
    """mixed({1: KAFKA, 2: (MILLRACE, "broker")}): such a cluster, not started; its parts end with the test."""
    if obstacles := network.obstacles():
        pytest.skip("; ".join(obstacles))
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not built: ./dev build millrace-broker")
    with ExitStack() as stack:
        folder = Path(network.scratch_folder())
        stack.callback(shutil.rmtree, folder, ignore_errors=True)

        def make(kinds):
            hosts = stack.enter_context(network.Network([*(f"n{n}" for n in kinds), "clients"]))
            return stack.enter_context(Cluster(folder, kinds, hosts, features=COMMON_FEATURES))
        yield make
        if getattr(request.node, "report_call", None) is None or request.node.report_call.failed:
            save(folder, paths.BUILD / "test-results" / "interop-kept" / request.node.name)
