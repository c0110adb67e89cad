"""Fixtures for every suite below e2e/. Files of a failed test stay in pytest's temporary folder."""

import os
import shutil

import pytest

from e2e.lib.broker import PROGRAM, DevBroker
from e2e.lib.kafka import ApacheKafka

# So that ACLs can be compared too; an unauthenticated client still may do everything.
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
# Members of consumer groups (KIP-848) hear of changes soon.
CONSUMER_GROUPS = {
    "group.consumer.min.heartbeat.interval.ms": 100,
    "group.consumer.heartbeat.interval.ms": 300,
    "group.consumer.min.session.timeout.ms": 3000,
    "group.consumer.session.timeout.ms": 10000,
}
# Short windows: a client is above its quota after two seconds' worth.
QUOTA_WINDOWS = {"quota.window.num": 3, "controller.quota.window.num": 2}
FULL = os.environ.get("MILLRACE_FULL") == "1"


def pytest_configure(config):
    config.addinivalue_line("markers", "full: a long form, run only by ./dev test --full")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("full") and not FULL:
            item.add_marker(pytest.mark.skip(reason="long form: ./dev test --full"))


@pytest.fixture(scope="session")
def millrace_broker_program():
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not built: ./dev build millrace-broker")
    return PROGRAM


@pytest.fixture
def broker(millrace_broker_program, tmp_path):
    """A fresh development broker of ours, for this test alone."""
    with DevBroker(tmp_path / "broker") as running:
        yield running


@pytest.fixture(scope="module")
def shared_broker(millrace_broker_program, tmp_path_factory):
    """A development broker of ours for all tests of a file; they must use topic and group names of their own."""
    with DevBroker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory):
    """A real Apache Kafka, the oracle; one for the whole run, so use topic and group names of your own."""
    folder = tmp_path_factory.mktemp("apache-kafka")
    with ApacheKafka(folder, AUTHORIZER | CONSUMER_GROUPS | QUOTA_WINDOWS) as running:
        yield running
    shutil.rmtree(running.data, ignore_errors=True)


@pytest.fixture(scope="session")
def kubernetes():
    """The local Kubernetes: the one that is up, else one for this run alone."""
    from e2e.lib import kubernetes as lib
    with lib.running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def millrace(kubernetes):
    """The local Kubernetes with our images loaded and our chart installed."""
    from tools.lib import deploy
    deploy.install()
    return kubernetes
