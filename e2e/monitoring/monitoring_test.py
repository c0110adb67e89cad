"""Three brokers and the operator under a real Prometheus: queries have data, and alerts fire when their fault is made."""

import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from e2e.lib import chart, kcat
from e2e.lib.process import free_ports, wait_until
from e2e.lib.prometheus import Prometheus
from e2e.monitoring import scene
from e2e.standalone.conftest import programs  # noqa: F401: a fixture
from e2e.standalone.replicated_test import SECONDS, TOPIC, cluster, make, numbered
from e2e.standalone.standalone import resource

GROUP = "order-service"
CLUSTER = 'namespace="kafka",kafka_cluster="orders"'
RULES = scene.quick_rules(
    MillraceConsumerLagGrowing={"threshold": 10, "window": "10s"}, MillraceConsumerGroupStalled={"window": "5s"},
    MillraceHandshakesFailing={"threshold": 0.1, "window": "20s"}, MillraceLoginsFailing={"threshold": 0.1, "window": "20s"},
    MillraceReconcilesFailing={"window": "30s"})
# Of a machine that is full or slow, not of what is tested here.
OF_THE_MACHINE = {"MillraceDiskFilling", "MillraceEventLoopsBusy", "MillraceProduceLatencyHigh", "MillraceFetchLatencyHigh"}
VALUES = {"podMonitor.enabled": True, "dashboards.enabled": True, "alerts.enabled": True, "alerts.rules": RULES,
          "strimziDashboards.enabled": True}


@pytest.fixture(scope="module")
def rendered():
    return chart.render(VALUES)


@pytest.fixture(scope="module")
def nodes(programs):  # noqa: F811
    port, http = free_ports(2)
    document = cluster(port, [{"name": "main", "replicas": 3}], certificates={"leafValidity": "1h"})
    running = make(programs, document)
    running.options = ["--http", f"127.0.0.1:{http}", "--offsets-seconds", "1"]
    running.http = f"127.0.0.1:{http}"
    with running:
        for name in ("10-cluster.yaml", "20-topic.yaml", "30-user.yaml", "40-acl.yaml"):
            running.wait_ready(name, SECONDS)
        yield running
    shutil.rmtree(running.folder)


@pytest.fixture(scope="module")
def prometheus(nodes, rendered):
    folder = Path(tempfile.mkdtemp(prefix="millrace-prometheus-"))
    targets = scene.Targets(folder, nodes, nodes.http)
    monitors = {m["metadata"]["name"].rsplit("-", 1)[1]: m for m in chart.of_kind(rendered, "PodMonitor")}
    rules = {"groups": [g for r in chart.of_kind(rendered, "PrometheusRule") for g in r["spec"]["groups"]]}
    with Prometheus(folder, [scene.scrape_config(monitors["brokers"], targets.brokers),
                             scene.scrape_config(monitors["operator"], targets.operator)], rules) as running:
        yield running
    targets.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def traffic(nodes):
    """Records, and a group that has read some of them and stopped."""
    write(nodes, numbered("record", 600))
    read(nodes, 300)


def write(nodes, records):
    """To all partitions: what a group has never committed has no lag."""
    kcat.produce(nodes.bootstrap(), TOPIC, records, nodes.client(**{"sticky.partitioning.linger.ms": 0}))


def read(nodes, count):
    """The group reads so many records, commits and leaves."""
    kcat.kcat("-b", nodes.bootstrap(), "-G", GROUP, "-c", count, "-q",
              *kcat.settings({"auto.offset.reset": "earliest", **nodes.client()}), TOPIC)


def dashboards(rendered):
    for one in chart.of_kind(rendered, "ConfigMap"):
        if one["metadata"]["labels"].get("grafana_dashboard") == "1":
            yield from ((name, json.loads(text)) for name, text in one["data"].items())


def queries(dashboard):
    """(title, expression) of each panel with its variables filled in, and of the variables themselves."""
    values = {"$namespace": "kafka", "$cluster": "orders", "$pod": ".*", "$topic": ".*", "$group": ".*", "$__rate_interval": "20s",
              "[5m]": "[20s]"}

    def filled(text):
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            yield f"variable {variable['name']}", filled(f'count by ({label}) ({metric}) unless count by ({label}) '
                                                         f'({metric.split("{")[0]}{{{label}=""}})')
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], filled(target["expr"])


def without_data(prometheus, wanted):
    return [(title, expression) for title, expression in wanted if not prometheus.query(expression)]


def wait_for_data(prometheus, wanted, seconds=30):
    """All at once take a while: rates need two scrapes."""
    wanted = list(wanted)
    deadline = time.monotonic() + seconds
    while missing := without_data(prometheus, wanted):
        if time.monotonic() > deadline:
            raise AssertionError("no data:\n" + "\n".join(f"{title}: {expression}" for title, expression in missing))
        time.sleep(1)
    return len(wanted)


def test_every_query_of_our_dashboards_returns_data(prometheus, rendered, traffic, nodes, record_property):
    # A second reading, so that the offsets of the group move while they are looked at.
    wait_until(lambda: prometheus.query("kafka_consumergroup_lag"), 30, "lag")
    read(nodes, 100)
    count = wait_for_data(prometheus, ((f"{name}: {title}", query) for name, dashboard in dashboards(rendered)
                                       for title, query in queries(dashboard)))
    record_property("queries", count)
    assert count > 80 and not prometheus.unhealthy_rules()


def test_what_dashboards_of_others_ask_for_is_there(prometheus, traffic, record_property):
    wanted = []
    for name, entry in yaml.safe_load((Path(__file__).parent / "community.yaml").read_text()).items():
        selector = ",".join(f'{label}!=""' for label in entry["labels"])
        wanted += [(name, f"{metric}{{{selector}}}") for metric in entry["metrics"]]
    record_property("metrics", wait_for_data(prometheus, wanted))


def test_lag_is_what_the_group_has_not_read(prometheus, nodes, traffic):
    group = f'{CLUSTER},consumergroup="{GROUP}",topic="{TOPIC}"'
    offset, lag, end = (f"kafka_consumergroup_current_offset{{{group}}}", f"kafka_consumergroup_lag{{{group}}}",
                        f'kafka_topic_partition_current_offset{{{CLUSTER},topic="{TOPIC}"}}')

    def agree():
        joined = prometheus.query(f"{lag} == on (partition) ({end} - on (partition) {offset})")
        return (len(joined) == len(prometheus.query(offset)) > 0 and prometheus.value(f"sum ({offset})") == 400
                and prometheus.value(f"sum ({end})") == 600
                and prometheus.value(f"sum ({lag})") == prometheus.value(f"sum (kafka_consumergroup_lag_sum{{{group}}})"))
    wait_until(agree, 20, f"offsets and lag: {prometheus.query(offset)} {prometheus.query(lag)} {prometheus.query(end)}")
    # Told once: the brokers' own view of it is left out of the scrape.
    assert {labels["pod"] for labels, _ in prometheus.query("kafka_consumergroup_lag")} == {"millrace-operator-0"}


def test_a_healthy_cluster_is_quiet_but_for_certificates_that_live_an_hour(prometheus, nodes, traffic):
    read(nodes, 200)  # nothing is left to read
    expected = {"MillraceCertificateExpiring"}
    wait_until(lambda: prometheus.firing() - OF_THE_MACHINE == expected, 30, f"only {expected}")
    expiring = [a for a in prometheus.alerts() if a["labels"]["alertname"] == "MillraceCertificateExpiring"]
    assert {(a["labels"]["type"], a["labels"]["name"]) for a in expiring} == {
        *(("broker", f"orders-main-{id}") for id in range(3)), ("operator", "orders-operator-client")}
    for alert in expiring:
        assert "{{" not in alert["annotations"]["summary"] and "orders" in alert["annotations"]["summary"]
        assert alert["annotations"]["runbook_url"].endswith("MillraceCertificateExpiring.md")


def wait_firing(prometheus, *names, seconds=40):
    began = time.monotonic()
    while missing := set(names) - prometheus.firing():
        assert time.monotonic() < began + seconds, f"quiet: {missing}; firing: {prometheus.firing()}"
        time.sleep(0.2)
    return time.monotonic() - began


def wait_quiet(prometheus, *names, seconds=60):
    deadline = time.monotonic() + seconds
    while firing := set(names) & prometheus.firing():
        assert time.monotonic() < deadline, f"still firing: {firing}"
        time.sleep(0.2)


def test_a_consumer_that_stopped_is_told_of(prometheus, nodes, traffic):
    for i in range(6):
        write(nodes, numbered(f"unread {i}", 20))
        time.sleep(1)
    wait_firing(prometheus, "MillraceConsumerLagGrowing", "MillraceConsumerGroupStalled")
    read(nodes, 120)
    wait_quiet(prometheus, "MillraceConsumerLagGrowing", "MillraceConsumerGroupStalled")


def test_what_cannot_be_done_is_told_of(prometheus, nodes):
    nodes.apply("50-lost.yaml", resource("Topic", "lost", clusterRef={"name": "nowhere"}, partitions=1))
    wait_firing(prometheus, "MillraceResourcesNotReady")
    nodes.remove("50-lost.yaml")
    wait_quiet(prometheus, "MillraceResourcesNotReady")


def test_strangers_at_the_door_are_told_of(prometheus, nodes):
    host, port = nodes.bootstrap().split(",")[0].rsplit(":", 1)

    def knock():
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            stranger.settimeout(5)
            try:
                stranger.recv(100)
            except OSError:
                pass

    def come():
        for _ in range(5):
            knock()
        kcat.kcat("-b", nodes.bootstrap(), "-L", "-m", "1", *kcat.settings(nodes.client(**{"sasl.password": "wrong"})), check=False)
        return {"MillraceHandshakesFailing", "MillraceLoginsFailing"} <= prometheus.firing()
    wait_until(come, 40, "both alerts", every=0.5)


def test_dead_brokers_are_told_of_until_they_are_back(prometheus, nodes, programs, record_property):  # noqa: F811
    program, away = programs / "millrace-broker", programs / "away"
    program.rename(away)  # what is killed stays dead
    first = next(pod for pod, _ in sorted(nodes.pids().items()))
    pids = nodes.pids()
    os.kill(pids[first], signal.SIGKILL)
    record_property("seconds_until_told", round(wait_firing(
        prometheus, "MillraceBrokerDown", "MillraceUnderReplicatedPartitions", "MillraceClusterNotReady"), 1))
    assert "MillraceNoActiveController" not in prometheus.firing()
    second = sorted(pids)[1]
    os.kill(pids[second], signal.SIGKILL)
    assert set(nodes.pids().items()) == set(pids.items()), f"another process: {pids} {nodes.pids()}"
    wait_firing(prometheus, "MillraceNoActiveController", "MillraceClusterUnreachable")
    away.rename(program)
    nodes.wait_whole()
    wait_quiet(prometheus, "MillraceBrokerDown", "MillraceUnderReplicatedPartitions", "MillraceClusterNotReady",
               "MillraceNoActiveController", "MillraceClusterUnreachable")


def test_a_dead_operator_is_told_of(prometheus, nodes):
    assert "MillraceOperatorDown" not in prometheus.firing()
    nodes.stop()
    wait_firing(prometheus, "MillraceOperatorDown")
