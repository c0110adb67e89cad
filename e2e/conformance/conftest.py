"""Fixtures of the conformance tests: both brokers with the same settings, and Apache's tools in one JVM."""

import pytest

from e2e.conformance.support import logins as login_brokers
from e2e.conformance.support.java import ToolServer
from e2e.conformance.support.transcript import Both, Side
from e2e.conftest import CONSUMER_GROUPS, QUOTA_WINDOWS
from e2e.lib.broker import DevBroker

# What the oracle has (e2e/conftest.py, e2e/lib/kafka.py), so that outputs can be compared.
SAME_AS_ORACLE = {
    "node.id": 0,
    "offsets.topic.num.partitions": 4,
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    **CONSUMER_GROUPS,
    **QUOTA_WINDOWS,
}


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """Apache's tools in one JVM."""
    server = ToolServer(tmp_path_factory.mktemp("tools") / "stderr.log")
    yield server
    server.close()


@pytest.fixture(scope="session")
def our_broker(millrace_broker_program, tmp_path_factory):
    """Our broker with the oracle's settings; one for the whole run, so use topic and group names of your own."""
    overrides = [word for key, value in SAME_AS_ORACLE.items() for word in ("--override", f"{key}={value}")]
    with DevBroker(tmp_path_factory.mktemp("ours"), overrides) as running:
        yield running


@pytest.fixture(scope="session")
def both(apache_kafka, our_broker, tools):
    """Runs a scenario against the oracle and against ours and compares what was printed."""
    def side(server, cluster_id):
        port = server.bootstrap.rsplit(":", 1)[1]
        return Side(server, tools, [(server.bootstrap, "<address>"), (port, "<port>"), (cluster_id, "<cluster>")])
    return Both(side(apache_kafka, apache_kafka.cluster_id), side(our_broker, our_broker.ready["clusterId"]))


@pytest.fixture(scope="session")
def logins(millrace_broker_program, tmp_path_factory):
    """Apache Kafka and our broker with SASL listeners; support/logins.py says which. Users of your own, please."""
    oracle = login_brokers.apache(tmp_path_factory.mktemp("apache-logins"), login_brokers.TOKENS)
    ours = login_brokers.ours(tmp_path_factory.mktemp("our-logins"), login_brokers.TOKENS)
    with oracle.server, ours.server:
        yield oracle, ours
