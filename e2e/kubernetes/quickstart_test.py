"""`kubectl apply -f examples/quickstart` and nothing else: records from outside and from a pod, through TLS and SCRAM."""

import random
import time
import uuid

import pytest

from e2e.kubernetes.scene import Scene
from e2e.lib import images, kcat
from e2e.localkube import cluster
from tools.lib import deploy

RECORDS = 100_000
TOPIC = "shop.orders"


@pytest.fixture(scope="module")
def quickstart(millrace, tmp_path_factory):
    millrace.kubectl("apply", "-f", deploy.QUICKSTART)
    scene = Scene(millrace, "kafka", "orders", tmp_path_factory.mktemp("quickstart"))
    for resource in ("cluster/orders", "topic/shop-orders", "user/order-service", "acl/order-service"):
        kind, name = resource.split("/")
        millrace.wait(f"{kind}.millrace.io/{name}", namespace="kafka", seconds=120)
    return scene


def numbered(run, count):
    """Lines of different lengths and with every kind of text; the key in front spreads them over the partitions."""
    return [f"{i % 50}|{run} {i} {'ø' * (i % 7)}{'x' * (i % 97)}".encode() for i in range(count)]


def by_key(lines):
    found = {}
    for line in lines:
        found.setdefault(line.split(b"|", 1)[0], []).append(line)
    return found


def test_records_from_outside_come_back_byte_for_byte_and_in_order(quickstart, took):
    run = uuid.uuid4().hex
    sent = numbered(run, RECORDS)
    began = time.monotonic()
    kcat.kcat("-P", "-t", TOPIC, "-K", "|", *kcat.settings({"acks": "all", **quickstart.client("order-service")}),
              stdin=b"".join(line + b"\n" for line in sent), seconds=120)
    took(f"{RECORDS} records produced with acks=all", time.monotonic() - began)
    began = time.monotonic()
    out = quickstart.consume("order-service", TOPIC, "-K", "|", seconds=120)[1]
    took(f"{RECORDS} records consumed", time.monotonic() - began)
    got = [line for line in out.split(b"\n") if run.encode() in line]  # the topic may hold older ones
    assert len(got) == RECORDS
    assert by_key(got) == by_key(sent)  # one key, one partition: its records are in order


def test_a_pod_with_nothing_but_its_users_secret_produces_and_consumes(quickstart, took):
    kubernetes = quickstart.kubernetes
    cluster.load_images([images.kcat_archive()])
    first = random.randrange(10**9, 10**10)
    options = ("-X security.protocol=$PROTOCOL -X sasl.mechanism=$MECHANISM -X sasl.username=$USERNAME -X sasl.password=$PASSWORD "
               "-X ssl.ca.location=/secret/ca.crt -X ssl.endpoint.identification.algorithm=https")
    script = f"""set -e
seq {first} {first + RECORDS - 1} > /tmp/sent
kcat -b $BOOTSTRAP {options} -X acks=all -P -t {TOPIC} -p 0 -l /tmp/sent
kcat -b $BOOTSTRAP {options} -C -t {TOPIC} -p 0 -o -{RECORDS} -c {RECORDS} -q > /tmp/got
cmp /tmp/sent /tmp/got && echo the same
"""
    key = {"BOOTSTRAP": "bootstrap.servers", "PROTOCOL": "security.protocol", "MECHANISM": "sasl.mechanism",
           "USERNAME": "username", "PASSWORD": "password"}
    name = f"client-{first}"
    kubernetes.apply({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "kafka"},
        "spec": {"restartPolicy": "Never", "volumes": [{"name": "secret", "secret": {"secretName": "order-service"}},
                                                       {"name": "tmp", "emptyDir": {}}],
                 "containers": [{
                     "name": "client", "image": images.KCAT, "command": ["sh", "-c", script],
                     "env": [{"name": k, "valueFrom": {"secretKeyRef": {"name": "order-service", "key": v}}} for k, v in key.items()],
                     "volumeMounts": [{"name": "secret", "mountPath": "/secret"}, {"name": "tmp", "mountPath": "/tmp"}]}]}})
    try:
        began = time.monotonic()
        done = kubernetes.kubectl("wait", f"pod/{name}", "-n", "kafka", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s",
                                  check=False, seconds=130)
        log = kubernetes.kubectl("logs", "-n", "kafka", name)
        assert done.returncode == 0 and log.splitlines()[-1] == "the same", log
        took(f"a pod: {RECORDS} records there and back", time.monotonic() - began)
    finally:
        kubernetes.kubectl("delete", "pod", name, "-n", "kafka", "--wait=false")
