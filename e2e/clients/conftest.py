"""Fixtures: the brokers that other people's clients talk to, ours, and in the long form Apache Kafka's too."""

import shutil

import pytest

from e2e.clients import install
from e2e.clients.brokers import Secured, three_brokers
from e2e.conftest import FULL

KINDS = ["millrace", *(["kafka"] if FULL else [])]


@pytest.fixture(scope="session", params=KINDS)
def secured(request, millrace_broker_program, tmp_path_factory):
    """A broker with users, one for the whole run: use topic and group names of your own."""
    folder = tmp_path_factory.mktemp(request.param)
    running = Secured(folder, request.param)
    try:
        yield running.start(install.python(), install.HERE / "python" / "add_users.py")
    finally:
        running.stop()
        shutil.rmtree(folder / "data", ignore_errors=True)


@pytest.fixture(scope="session", params=KINDS)
def replicated(request, millrace_broker_program, tmp_path_factory):
    """Three brokers without users, for the whole run: use names of your own, and leave all three running."""
    with three_brokers(tmp_path_factory.mktemp(f"three-{request.param}"), request.param) as cluster:
        yield cluster.start()
        for node in cluster.nodes.values():
            shutil.rmtree(node.data, ignore_errors=True)
