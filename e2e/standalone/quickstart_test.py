"""The quickstart without Kubernetes: the same resources, the same records, the same refusals."""

import os
import signal
import time

import pytest
import yaml

from e2e.lib import kcat
from e2e.lib.process import wait_until

TOPIC = "shop.orders"
ACL = {
    "apiVersion": "millrace.io/v1beta1",
    "kind": "ACL",
    "metadata": {"name": "notes", "namespace": "kafka"},
    "spec": {"clusterRef": {"name": "orders"}, "userRef": {"name": "order-service"},
             "roles": [{"type": "Producer", "topics": [{"name": "notes"}]}]},
}


def topic(name, **spec):
    return {"apiVersion": "millrace.io/v1beta1", "kind": "Topic", "metadata": {"name": name, "namespace": "kafka"},
            "spec": {"clusterRef": {"name": "orders"}, "name": name, "partitions": 1, "replicationFactor": 1, **spec}}


def broker_pid(standalone):
    line = [line for line in standalone.process.lines if '"broker started"' in line][-1]
    return int(line.split('"pid":')[1].split(",")[0])


def test_a_secured_cluster_is_ready_within_seconds(standalone, record_property):
    for name in ("10-cluster.yaml", "20-topic.yaml", "30-user.yaml", "40-acl.yaml"):
        standalone.wait_ready(name)
    seconds = time.monotonic() - standalone.process.started
    record_property("seconds_to_ready", seconds)
    assert seconds < 6  # 0.3 s on a quiet machine; the goal is 2
    assert standalone.status("10-cluster.yaml")["readyBrokers"] == 1
    assert os.stat(standalone.data).st_uid != 0  # nothing here needed root


def test_records_flow_with_nothing_but_the_users_secret(standalone):
    standalone.wait_ready("40-acl.yaml")
    records = [b"%d" % n for n in range(20_000)]
    standalone.produce(TOPIC, records)
    assert sorted(standalone.consume(TOPIC), key=int) == records


def test_a_topic_without_an_acl_is_refused_and_allowed_within_a_moment(standalone):
    standalone.apply("notes.yaml", topic("notes"))
    standalone.wait_ready("notes.yaml")
    code, _, error = standalone.produce("notes", [b"x"], check=False)
    assert code != 0 and "Topic authorization failed" in error
    standalone.apply("notes-acl.yaml", ACL)
    standalone.wait_ready("notes-acl.yaml")
    standalone.produce("notes", [b"x"])
    standalone.remove("notes-acl.yaml")
    wait_until(lambda: "Topic authorization failed" in standalone.produce("notes", [b"x"], check=False)[2], 10, "refused again")


@pytest.mark.parametrize("overrides, complaint", [
    ({"sasl.password": "wrong"}, "Authentication failed"),
    ({"security.protocol": "SASL_PLAINTEXT", "ssl.ca.location": None}, "Disconnected"),
    ({"ssl.ca.location": "/etc/ssl/certs/ca-certificates.crt"}, "certificate"),
], ids=["wrong password", "plaintext on the TLS port", "unknown CA"])
def test_who_is_not_known_is_refused(standalone, overrides, complaint):
    code, _, error = kcat.kcat("-b", standalone.bootstrap(), "-L", "-m", "3", *kcat.settings(standalone.client(**overrides)), check=False)
    assert code != 0
    assert complaint.lower() in error.lower()


def test_a_bad_value_shows_in_status_with_its_name(standalone):
    standalone.apply("bad.yaml", topic("bad", config={"retention.mss": "1"}))
    wait_until(lambda: standalone.ready("bad.yaml")[0] == "False", 10, "refused")
    assert "retention.mss" in standalone.ready("bad.yaml")[2]
    assert standalone.ready("20-topic.yaml")[0] == "True"
    standalone.apply("bad.yaml", topic("bad", config={"retention.ms": 60000}))
    standalone.wait_ready("bad.yaml")
    standalone.remove("bad.yaml")


def test_a_users_quotas_are_applied_and_taken_back(standalone):
    user = yaml.safe_load((standalone.resources / "30-user.yaml").read_text())
    limited = {**user, "spec": {**user["spec"], "quotas": {"producerByteRate": "100Mi", "controllerMutationRate": 2.5}}}
    standalone.apply("30-user.yaml", limited)
    wait_until(lambda: standalone.status("30-user.yaml").get("ownedQuotas") == ["controller_mutation_rate", "producer_byte_rate"], 10, "written")
    standalone.wait_ready("30-user.yaml")
    standalone.produce(TOPIC, [b"0"])
    standalone.apply("30-user.yaml", user)
    wait_until(lambda: "ownedQuotas" not in standalone.status("30-user.yaml"), 10, "taken back")
    standalone.wait_ready("30-user.yaml")


def test_what_is_not_there_yet_is_refused_by_name(standalone):
    cluster = yaml.safe_load((standalone.resources / "10-cluster.yaml").read_text())
    good = (standalone.resources / "10-cluster.yaml").read_text()
    cluster["spec"]["hibernate"] = True
    standalone.apply("10-cluster.yaml", cluster)
    wait_until(lambda: "NotSupportedYet" in str(standalone.status("10-cluster.yaml").get("conditions")), 10, "NotSupportedYet")
    standalone.produce(TOPIC, [b"0"])  # the running cluster is untouched
    standalone.apply("10-cluster.yaml", yaml.safe_load(good))
    standalone.wait_ready("10-cluster.yaml")


def test_a_killed_broker_comes_back_with_its_records(standalone):
    before = sorted(standalone.consume(TOPIC), key=int)
    pid = broker_pid(standalone)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: broker_pid(standalone) != pid, 10, "a new broker process")
    standalone.wait_ready("10-cluster.yaml", 20)
    after = wait_until(lambda: standalone.consume(TOPIC, check=False), 20, "records after the restart")
    assert sorted(after, key=int) == before


def test_an_operator_that_comes_back_changes_nothing(standalone):
    password = standalone.secret("kafka", "order-service")["password"]
    topic_id = standalone.status("20-topic.yaml")["topicId"]
    before = sorted(standalone.consume(TOPIC), key=int)
    assert standalone.stop() == 0
    standalone.start()
    standalone.process.wait_line("in step with the metadata log", 20)
    standalone.wait_ready("10-cluster.yaml")
    assert standalone.secret("kafka", "order-service")["password"] == password
    assert standalone.status("20-topic.yaml")["topicId"] == topic_id
    after = wait_until(lambda: standalone.consume(TOPIC, check=False), 20, "records after the restart")
    assert sorted(after, key=int) == before
