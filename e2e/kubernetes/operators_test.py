"""The operator itself: one replica acts, a killed one changes nothing about the end, and at rest nothing is written."""

import contextlib
import json
import random
import re
import threading
import time

import pytest

from e2e.conftest import FULL
from e2e.kubernetes.conftest import cluster_document
from e2e.kubernetes.scene import Scene
from e2e.lib.process import Process, wait_until
from e2e.localkube import gobuild, layout

# Long form until it has run twenty times on a quiet machine.
pytestmark = pytest.mark.full

LEASE_SECONDS = 15
KINDS = {"serviceaccounts": "/api/v1", "services": "/api/v1", "configmaps": "/api/v1", "secrets": "/api/v1",
         "statefulsets": "/apis/apps/v1", "poddisruptionbudgets": "/apis/policy/v1", "networkpolicies": "/apis/networking.k8s.io/v1"}
RESOURCES = ("clusters", "topics", "users", "acls")


def acting(operators):
    """The replicas that say that they act."""
    return [p["metadata"]["name"] for p in operators.pods() if operators.metric(p, "millrace_operator_leader") == 1]


def test_exactly_one_replica_acts_and_the_other_takes_over(scene, operators, took):
    operators.wait_ready()
    holder = wait_until(operators.holder, 30, "a holder of the Lease", every=0.2)
    assert len(operators.pods()) == 2
    assert acting(operators) == [holder["metadata"]["name"]]
    began = time.monotonic()
    operators.kill(holder)
    scene.apply("Topic", "orders-takeover", partitions=1, replicationFactor=1, onDelete="Delete")
    took(f"the acting replica killed (its Lease runs {LEASE_SECONDS} s) until a Topic is Ready", time.monotonic() - began)
    successor = operators.holder()
    assert successor["metadata"]["uid"] != holder["metadata"]["uid"]
    operators.wait_ready()
    assert acting(operators) == [successor["metadata"]["name"]]
    scene.delete("Topic", "orders-takeover")


# --- killed at any point ----------------------------------------------------------------------------------------------

class Watch:
    """Which objects of a namespace were made and removed, all along."""

    def __init__(self, namespace, folder):
        def start(kind, group):
            argv = [gobuild.bin_dir() / "kubectl", "--kubeconfig", layout.kubeconfig(), "get", "--raw",
                    f"{group}/namespaces/{namespace}/{kind}?watch=true&resourceVersion=0"]
            return Process(argv, log=folder / f"{kind}.json")
        self.processes = {kind: start(kind, group) for kind, group in KINDS.items()}

    def surprises(self):
        """What was made more than once, or removed."""
        made, odd = {}, []
        for kind, process in self.processes.items():
            for line in list(process.lines):
                if not line.startswith("{"):
                    continue
                event = json.loads(line)
                key = f"{kind}/{event['object']['metadata'].get('name')}"
                if event["type"] == "ADDED":
                    made[key] = made.get(key, 0) + 1
                elif event["type"] != "MODIFIED":
                    odd.append(f"{event['type']} {key}")
        assert made, "the watches saw nothing"
        return odd + [f"{key} made {count} times" for key, count in made.items() if count > 1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()


def apply_quickstart(kubernetes, namespace):
    cluster = cluster_document(namespace, "small")
    cluster["spec"]["listeners"] = [li for li in cluster["spec"]["listeners"] if "expose" not in li]  # node ports are for one
    scene = Scene(kubernetes, namespace, "small", folder="/nonexistent")
    ref = {"clusterRef": {"name": "small"}}
    kubernetes.apply([
        cluster,
        scene.resource("Topic", "shop", {**ref, "partitions": 3, "replicationFactor": 1, "config": {"retention.ms": 3600000},
                                         "onDelete": "Delete"}),
        scene.resource("User", "service", {**ref, "authentication": {"type": "ScramSha512"}}),
        scene.resource("ACL", "service", {**ref, "userRef": {"name": "service"}, "roles": [{"type": "Producer", "topics": [{"name": "shop"}]}]}),
    ])
    return scene


def wait_all_ready(scene, seconds):
    for kind, name in (("cluster", "small"), ("topic", "shop"), ("user", "service"), ("acl", "service")):
        scene.kubernetes.wait(f"{kind}.millrace.io/{name}", namespace=scene.namespace, seconds=seconds)


def end_state(kubernetes, namespace):
    """Everything that the operator made and said, without what is drawn by lot or is a time."""
    state = {}
    for kind in (*KINDS, *(f"{r}.millrace.io" for r in RESOURCES)):
        for item in kubernetes.get(kind, namespace=namespace)["items"]:
            if item["metadata"]["name"] in ("default", "kube-root-ca.crt"):
                continue
            text = json.dumps(normal(kind, item), sort_keys=True).replace(namespace, "NAMESPACE")
            state[f"{kind}/{item['metadata']['name']}"] = json.loads(text)
    identity = kubernetes.get("cluster.millrace.io", "small", namespace)["status"]
    text = json.dumps(state)
    text = text.replace(identity["clusterId"], "CLUSTER").replace(identity["initialControllers"][0]["directoryId"], "DIRECTORY")
    return json.loads(text)


def differences(expected, actual, path=""):
    """Where two documents differ, one line each."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [line for key in sorted({*expected, *actual})
                for line in differences(expected.get(key, "absent"), actual.get(key, "absent"), f"{path}.{key}")]
    return [] if expected == actual else [f"{path}: {expected} became {actual}"]


def normal(kind, item):
    meta = {key: item["metadata"].get(key) for key in ("name", "labels", "annotations", "finalizers")}
    for note in ("kubectl.kubernetes.io/last-applied-configuration", "millrace.io/applied-digest"):
        (meta["annotations"] or {}).pop(note, None)
    found = {"metadata": meta, "owners": [o["kind"] for o in item["metadata"].get("ownerReferences", [])]}
    for part in ("spec", "data", "status"):
        if part in item and not (part == "status" and kind in KINDS):
            found[part] = json.loads(json.dumps(item[part]))
    if kind == "secrets":
        found["data"] = sorted(found["data"])
    if kind == "services":
        found["spec"].pop("clusterIPs", None)
        found["spec"]["clusterIP"] = found["spec"].get("clusterIP") == "None"
    if kind == "statefulsets":  # a digest of addresses too, which name the namespace
        found["spec"]["template"]["metadata"]["annotations"].pop("millrace.io/declared-digest")
    for condition in found.get("status", {}).get("conditions", []):
        condition.pop("lastTransitionTime", None)
    if kind == "topics.millrace.io":
        found["status"].pop("topicId")
    return found


@pytest.fixture(scope="module")
def undisturbed(millrace):
    """The end state of a run in which nobody was killed."""
    with millrace.namespace("millrace-e2e-calm", wait=False) as namespace:
        scene = apply_quickstart(millrace, namespace)
        wait_all_ready(scene, 60)
        time.sleep(1)  # a last status may follow the first Ready
        yield end_state(millrace, namespace)


@pytest.mark.parametrize("seed", range(20 if FULL else 3))
def test_killed_at_any_point_the_operator_arrives_at_the_same_end(millrace, operators, undisturbed, seed, took, tmp_path):
    lot = random.Random(seed)
    operators.wait_ready()
    wait_until(operators.holder, 60, "a holder of the Lease", every=0.2)
    with millrace.namespace(f"millrace-e2e-killed-{seed}", wait=False) as namespace, Watch(namespace, tmp_path) as watch:
        time.sleep(0.5)  # the watches are on
        delay = lot.choice((lot.uniform(0, 0.5), lot.uniform(0, 3)))  # most of it happens in the first half second
        victims = operators.pods() if seed % 3 == 0 else [operators.holder()]
        killer = threading.Timer(delay, lambda: [operators.kill(pod) for pod in victims])
        killer.start()
        began = time.monotonic()
        scene = apply_quickstart(millrace, namespace)
        killer.join()
        wait_all_ready(scene, 120)
        took(f"seed {seed}: {len(victims)} replicas killed after {delay:.2f} s; all Ready after", time.monotonic() - began)
        with contextlib.suppress(AssertionError):  # told in full below
            wait_until(lambda: end_state(millrace, namespace) == undisturbed, 10, "the same end state", every=0.5)
        assert differences(undisturbed, end_state(millrace, namespace)) == []
        assert watch.surprises() == []


# --- at rest ----------------------------------------------------------------------------------------------------------

REST_SECONDS = 60 if FULL else 30
WRITES = {"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
OURS_ALONE = set(KINDS) | {"pods"}


def writes(kubernetes):
    """Requests that nobody but our operator makes at rest, counted by the API server itself: writes to resources of ours
    and to what we declare. The Lease is not among them, nor is what kubelets and Kubernetes' controllers report."""
    found = {}
    for line in kubernetes.kubectl("get", "--raw", "/metrics").splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        label = dict(re.findall(r'(\w+)="([^"]*)"', line))
        ours = label["group"] == "millrace.io" or (label["resource"] in OURS_ALONE and not label["subresource"])
        if label["verb"] in WRITES and ours:
            key = f"{label['verb']} {label['resource']}/{label['subresource']} {label['code']}"
            found[key] = found.get(key, 0) + float(line.rsplit(" ", 1)[1])
    return found


def versions(kubernetes, namespace):
    return {f"{kind}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for kind in (*KINDS, *(f"{r}.millrace.io" for r in RESOURCES), "events.events.k8s.io")
            for item in kubernetes.get(kind, namespace=namespace)["items"]}


def test_at_rest_nothing_is_written(scene, operators):
    operators.wait_ready()
    wait_until(operators.holder, 60, "a holder of the Lease", every=0.2)
    kubernetes = scene.kubernetes

    def quiet():
        before = writes(kubernetes)
        time.sleep(3)
        return writes(kubernetes) == before
    wait_until(quiet, 60, "the end of what earlier tests began")
    before, objects = writes(kubernetes), versions(kubernetes, scene.namespace)
    time.sleep(REST_SECONDS)
    assert writes(kubernetes) == before
    assert versions(kubernetes, scene.namespace) == objects
