"""Topics, users and ACLs of an Apache Kafka that somebody else runs, declared as files."""

import shutil
import tempfile
import time
from pathlib import Path

import pytest

from e2e.lib.kafka import kafka_tool
from e2e.lib.process import wait_until
from e2e.standalone.standalone import ORDINARY_USER, Standalone, resource

LEGACY = {"clusterRef": {"kind": "ExternalCluster", "name": "legacy"}}
SECONDS = 60


@pytest.fixture(scope="module")
def managed(programs, apache_kafka):
    folder = Path(tempfile.mkdtemp(prefix="millrace-external-"))
    operator = Standalone(programs, folder)
    operator.resources.mkdir()
    for path in (folder, operator.resources):
        shutil.chown(path, *ORDINARY_USER)
    operator.bootstrap_servers = apache_kafka.bootstrap
    operator.apply("00-namespace.yaml", resource("Namespace", "kafka"))
    operator.apply("10-legacy.yaml", resource("ExternalCluster", "legacy", bootstrapServers=apache_kafka.bootstrap))
    with operator:
        operator.wait_ready("10-legacy.yaml", SECONDS)
        yield operator
    shutil.rmtree(folder)


def tool(managed, name, *arguments):
    return kafka_tool(name, "--bootstrap-server", managed.bootstrap_servers, *arguments).out


def test_a_topic_is_made_grown_and_configured(managed, record_property):
    topic = {**LEGACY, "name": "external.orders", "partitions": 2, "replicationFactor": 1, "config": {"retention.ms": 60000}}
    managed.apply("topic.yaml", resource("Topic", "orders", **topic))
    record_property("seconds_until_ready", round(managed.wait_ready("topic.yaml", SECONDS), 2))
    managed.apply("topic.yaml", resource("Topic", "orders", **{**topic, "partitions": 3}))
    wait_until(lambda: "PartitionCount: 3" in tool(managed, "kafka-topics", "--describe", "--topic", "external.orders"), SECONDS,
               "three partitions", every=0.5)
    assert "retention.ms=60000" in tool(managed, "kafka-topics", "--describe", "--topic", "external.orders")


def test_drift_is_repaired_within_a_round(managed, record_property):
    tool(managed, "kafka-configs", "--alter", "--entity-type", "topics", "--entity-name", "external.orders", "--add-config",
         "retention.ms=5,segment.ms=77777")
    began = time.monotonic()

    def repaired():
        text = tool(managed, "kafka-topics", "--describe", "--topic", "external.orders")
        return "retention.ms=60000" in text and "segment.ms=77777" in text  # what nobody named stays

    wait_until(repaired, SECONDS, "the drift repaired", every=0.5)
    record_property("seconds_until_repaired", round(time.monotonic() - began, 2))


def test_a_user_and_its_rights(managed):
    managed.apply("user.yaml", resource("User", "billing", **LEGACY, authentication={"type": "ScramSha512"}))
    managed.apply("acl.yaml", resource("ACL", "billing", **LEGACY, userRef={"name": "billing"},
                                       roles=[{"type": "Consumer", "topics": [{"name": "external.orders"}], "group": {"name": "billing"}}]))
    managed.wait_ready("user.yaml", SECONDS)
    managed.wait_ready("acl.yaml", SECONDS)
    assert "SCRAM-SHA-512" in tool(managed, "kafka-configs", "--describe", "--entity-type", "users", "--entity-name", "billing")
    listed = tool(managed, "kafka-acls", "--list", "--principal", "User:billing")
    assert "operation=READ" in listed and "name=external.orders" in listed
    managed.remove("acl.yaml")
    wait_until(lambda: "operation=READ" not in tool(managed, "kafka-acls", "--list", "--principal", "User:billing"), SECONDS,
               "the rights gone", every=0.5)


def test_a_users_quotas_are_repaired_and_go_with_the_user(managed):
    def described():
        return tool(managed, "kafka-configs", "--describe", "--entity-type", "users", "--entity-name", "reports")

    managed.apply("reports.yaml", resource("User", "reports", **LEGACY, quotas={"producerByteRate": "1Mi", "requestPercentage": 50}))
    managed.wait_ready("reports.yaml", SECONDS)
    assert "producer_byte_rate=1048576.0" in described() and "request_percentage=50.0" in described()
    tool(managed, "kafka-configs", "--alter", "--entity-type", "users", "--entity-name", "reports", "--add-config",
         "producer_byte_rate=5,consumer_byte_rate=7")
    wait_until(lambda: "producer_byte_rate=1048576.0" in described(), SECONDS, "the quota repaired", every=0.5)
    managed.remove("reports.yaml")
    wait_until(lambda: "producer_byte_rate" not in described(), SECONDS, "the quotas gone", every=0.5)
    assert "consumer_byte_rate=7.0" in described()  # what nobody named stays


def test_an_operator_that_starts_anew_finds_everything_in_place(managed):
    managed.stop()
    managed.start()
    for name in ("10-legacy.yaml", "topic.yaml", "user.yaml"):
        managed.wait_ready(name, SECONDS)
    assert "PartitionCount: 3" in tool(managed, "kafka-topics", "--describe", "--topic", "external.orders")
