"""examples/order-pipeline: it builds and tests itself against our broker, and its services run with TLS, users and ACLs."""

import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from e2e.clients import install, pipeline
from e2e.lib import kcat
from e2e.lib.broker import PROGRAM
from e2e.lib.process import free_ports, wait_until
from e2e.standalone.standalone import ORDINARY_USER, Standalone

NAMESPACE = "order-pipeline"
TESTS = 12  # at least so many has the example


@pytest.fixture(scope="module")
def project(millrace_broker_program, tmp_path_factory):
    """(the folder where the example was built and has tested itself, its jar)"""
    folder = tmp_path_factory.mktemp("order-pipeline") / "project"
    return folder, pipeline.build(folder, millrace_broker_program)


@pytest.fixture
def cluster():
    """The example's resources with `millrace-operator standalone`, on a port that is free."""
    folder = Path(tempfile.mkdtemp(prefix="millrace-order-pipeline-"))
    folder.chmod(0o755)
    shutil.copytree(install.PIPELINE / "resources", folder / "resources", ignore=shutil.ignore_patterns("*.status"))
    file = folder / "resources" / "10-cluster.yaml"
    file.write_text(file.read_text().replace("port: 9092", f"port: {free_ports(1)[0]}"))
    for name in ("millrace-broker", "millrace-operator"):
        shutil.copy(PROGRAM.parent / name, folder)
    for path in [folder, *folder.rglob("*")]:
        shutil.chown(path, *ORDINARY_USER)
    with Standalone(folder, folder) as running:
        for file in sorted(running.resources.glob("[1-9]*.yaml")):
            wait_until(lambda file=file: all_ready(file), 30, f"{file.name} ready", 0.1)
        yield running
    shutil.rmtree(folder)


def all_ready(file):
    wanted = len(list(yaml.safe_load_all(file.read_text())))
    status = file.with_suffix(".status")
    found = [document for document in yaml.safe_load_all(status.read_text()) if document] if status.exists() else []
    return len(found) == wanted and all(
        condition["status"] == "True" for document in found for condition in document["status"].get("conditions", [])
        if condition["type"] == "Ready")


def as_user(cluster, user):
    """(address, librdkafka's settings) from the user's Secret."""
    secret = {name: value.decode() for name, value in cluster.secret(NAMESPACE, user).items() if not name.endswith(".p12")}
    return secret["bootstrap.servers"], {
        "security.protocol": secret["security.protocol"], "sasl.mechanism": secret["sasl.mechanism"],
        "sasl.username": secret["username"], "sasl.password": secret["password"],
        "ssl.ca.location": cluster.data / "secrets" / NAMESPACE / user / "ca.crt", "isolation.level": "read_committed"}


def keys(address, topic, settings):
    out = kcat.kcat("-b", address, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k\\n", *kcat.settings(settings))[1]
    return sorted(out.decode().split())


def test_it_builds_and_its_own_tests_pass(project, record_property):
    suites = [ElementTree.parse(file).getroot() for file in project[0].rglob("TEST-*.xml")]
    count = sum(int(suite.get("tests")) for suite in suites)
    record_property("tests", count)
    assert count >= TESTS and not any(int(suite.get(bad)) for suite in suites for bad in ("errors", "failures", "skipped"))


def test_each_service_runs_with_a_user_that_may_no_more_than_it_needs(project, cluster, tmp_path):
    def settings(name):
        secret = cluster.data / "secrets" / NAMESPACE / name
        return [f"--pipeline.process={name}-1"], pipeline.SHORT_LIVED, {"KAFKA_SECRET": str(secret)}

    with pipeline.Pipeline(project[1], tmp_path, settings, ["secured", "transactional"]) as services:
        for begin in range(0, 500, 50):
            assert services["order"].post("/orders", pipeline.orders("good-", range(begin, begin + 50))) == 202
        services["order"].post("/orders", pipeline.orders("poison-", range(3), currency="ZZZ"))
        address, support = as_user(cluster, "support")
        wait_until(lambda: len(keys(address, "stock.reserved", support)) >= 500, 150, "500 orders reserved", 0.5)
        wait_until(lambda: len(keys(address, "orders.dead", support)) >= 3, 90, "three dead letters", 0.5)
        assert keys(address, "stock.reserved", support) == sorted(f"good-{n}" for n in range(500))
        assert keys(address, "orders.dead", support) == [f"poison-{n}" for n in range(3)]
        assert services["inventory"].metric("shop_order_to_inventory_seconds_count") == 500
        wait_until(lambda: services["analytics"].metric("shop_orders_last_minute") > 0, 60, "figures of the last minute", 0.5)
    address, analytics = as_user(cluster, "analytics")
    code, _, error = kcat.produce(address, "orders", [b"x"], analytics, check=False)
    assert code != 0 and "Topic authorization failed" in error


@pytest.mark.full
def test_the_same_jar_runs_with_either_broker(project, secured, tmp_path):
    """`secured` is ours and, in the long form, Apache Kafka."""
    secret = tmp_path / "secret"
    secret.mkdir()
    client = secured.client_properties()
    files = {"bootstrap.servers": client["bootstrap.servers"], "sasl.mechanism": client["sasl.mechanism"],
             "sasl.jaas.config": client["sasl.jaas.config"], "ca.crt": Path(client["ssl.truststore.location"]).read_text()}
    for name, text in files.items():
        (secret / name).write_text(text)
    service = pipeline.Service(project[1], tmp_path / "data", ["all", "secured", "transactional"],
                               ["--spring.kafka.admin.auto-create=true"], pipeline.SHORT_LIVED, {"KAFKA_SECRET": str(secret)})
    try:
        wait_until(service.is_up, 300, "the services", 0.2)
        for begin in range(0, 2000, 50):
            service.post("/orders", pipeline.orders("good-", range(begin, begin + 50)))
        service.post("/orders", pipeline.orders("poison-", range(5), currency="ZZZ"))
        wait_until(lambda: service.metric("shop_order_to_inventory_seconds_count") == 2000, 120, "2,000 orders reserved", 0.5)
        wait_until(lambda: len(keys(secured.plain, "orders.dead", {})) == 5, 30, "five dead letters", 0.5)
        assert keys(secured.plain, "stock.reserved", {"isolation.level": "read_committed"}) == sorted(f"good-{n}" for n in range(2000))
    finally:
        service.process.kill()
