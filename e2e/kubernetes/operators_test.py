"""The operator itself: one replica acts, a killed one changes nothing about the end, and at rest nothing is written."""

import collections
import contextlib
import itertools
import json
import random
import threading
import time

import pytest

from e2e.conftest import FULL
from e2e.kubernetes.audit import Audit
from e2e.kubernetes.conftest import apply_small
from e2e.lib.end_state import differences, state_of
from e2e.lib.process import Process, wait_until
from e2e.localkube import gobuild, layout
from tools.lib import deploy, ui

LEASE_SECONDS = 15
KINDS = ("serviceaccounts", "services", "configmaps", "secrets", "statefulsets", "poddisruptionbudgets", "networkpolicies")
RESOURCES = ("clusters", "topics", "users", "acls")


def acting(operators):
    """The replicas that say that they act."""
    return [p["metadata"]["name"] for p in operators.pods() if operators.metric(p, "millrace_operator_leader") == 1]


def test_exactly_one_replica_acts_and_the_other_takes_over(scene, operators, took):
    operators.wait_ready()
    holder = wait_until(operators.holder, 30, "a holder of the Lease", every=0.2)
    assert len(operators.pods()) == 2
    assert acting(operators) == [holder["metadata"]["name"]]
    audit = Audit()
    scene.apply("Topic", "orders-before", partitions=1, replicationFactor=1, onDelete="Delete")
    began = time.monotonic()
    operators.kill(holder)
    scene.apply("Topic", "orders-takeover", partitions=1, replicationFactor=1, onDelete="Delete")
    took(f"the acting replica killed (its Lease runs {LEASE_SECONDS} s) until a Topic is Ready", time.monotonic() - began)
    successor = operators.holder()
    assert successor["metadata"]["uid"] != holder["metadata"]["uid"]
    operators.wait_ready()
    assert acting(operators) == [successor["metadata"]["name"]]
    scene.delete("Topic", "orders-takeover")
    scene.delete("Topic", "orders-before")
    # One after the other, never in turns: the API server knows who wrote.
    writers = [pod for pod, _ in itertools.groupby(w.pod for w in audit.writes())]
    assert writers == [holder["metadata"]["name"], successor["metadata"]["name"]]


# --- killed at any point ----------------------------------------------------------------------------------------------

SHORT_LEASE_SECONDS = 4  # a killed replica is replaced so much sooner; nothing else is different


@pytest.fixture(scope="module")
def short_lease(millrace, operators):
    """The operator with a Lease that ends soon, so that twenty kills take minutes."""
    millrace.helm("upgrade", "millrace", str(deploy.CHART), "-n", deploy.NAMESPACE, "--reuse-values", "--set",
                  f"leaseSeconds={SHORT_LEASE_SECONDS}")
    operators.wait_ready()
    yield
    deploy.install(ui.Silent)
    operators.wait_ready()


class SecretWatch:
    """Every content that the Secrets of a namespace ever had."""
    DRAWN = ("password", "ca.key", "store.password")  # by lot, once

    def __init__(self, kubernetes, namespace, folder):
        path = f"/api/v1/namespaces/{namespace}/secrets"
        since = json.loads(kubernetes.kubectl("get", "--raw", path))["metadata"]["resourceVersion"]
        argv = [gobuild.bin_dir() / "kubectl", "--kubeconfig", layout.kubeconfig(), "get", "--raw",
                f"{path}?watch=true&resourceVersion={since}"]
        self.process = Process(argv, log=folder / "secrets.json")

    def drawn_twice(self):
        seen = collections.defaultdict(set)
        for line in list(self.process.lines):
            if line.startswith("{"):
                secret = json.loads(line)["object"]
                for key in self.DRAWN:
                    if value := secret.get("data", {}).get(key):
                        seen[f"{secret['metadata']['name']}/{key}"].add(value)
        assert seen, "the watch saw nothing"
        return [f"{what} was drawn {len(values)} times" for what, values in seen.items() if len(values) > 1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()


def surprises(writes):
    """What was made more than once, or removed."""
    made = collections.Counter(f"{w.resource} {w.name}" for w in writes if w.made)
    assert made, "the audit log saw nothing"
    return [str(w) for w in writes if w.removed] + [f"{what} made {count} times" for what, count in made.items() if count > 1]


def everything(kubernetes, namespace):
    kinds = (*KINDS, *(f"{r}.millrace.io" for r in RESOURCES))
    return kubernetes.get(",".join(kinds), namespace=namespace)["items"]


def end_state(kubernetes, namespace):
    return state_of(everything(kubernetes, namespace), namespace)


@pytest.fixture(scope="module")
def undisturbed(millrace):
    """The end state of a run in which nobody was killed."""
    with millrace.namespace("millrace-e2e-calm", wait=False) as namespace:
        scene = apply_small(millrace, namespace)
        scene.wait_all_ready(60)
        states = [None]

        def settled():  # a last status may follow the first Ready
            states.append(end_state(millrace, namespace))
            return states[-1] == states[-2]
        wait_until(settled, 30, "an end of all changes", every=1.0)
        yield states[-1]


@pytest.mark.parametrize("seed", range(100 if FULL else 20))
def test_killed_at_any_point_the_operator_arrives_at_the_same_end(millrace, operators, undisturbed, short_lease, seed, took, tmp_path):
    lot = random.Random(seed)
    holder = wait_until(operators.holder, 60, "a holder of the Lease", every=0.2)
    audit = Audit()
    with millrace.namespace(f"millrace-e2e-killed-{seed}", wait=False) as namespace, SecretWatch(millrace, namespace, tmp_path) as secrets:
        delay = lot.choice((lot.uniform(0, 0.5), lot.uniform(0, 3)))  # most of it happens in the first half second
        victims = operators.pods() if seed % 3 == 0 else [holder]
        killer = threading.Timer(delay, lambda: [operators.kill(pod) for pod in victims])
        killer.start()
        began = time.monotonic()
        scene = apply_small(millrace, namespace)
        killer.join()
        scene.wait_all_ready(120)
        took(f"seed {seed}: {len(victims)} replicas killed after {delay:.2f} s; all Ready after", time.monotonic() - began)
        with contextlib.suppress(AssertionError):  # told in full below
            wait_until(lambda: end_state(millrace, namespace) == undisturbed, 30, "the same end state", every=0.5)
        assert differences(undisturbed, end_state(millrace, namespace)) == []
        assert surprises(audit.writes(namespace)) == []
        assert secrets.drawn_twice() == []


# --- at rest ----------------------------------------------------------------------------------------------------------

REST_SECONDS = 60


def versions(kubernetes, namespace):
    items = everything(kubernetes, namespace) + kubernetes.get("events.events.k8s.io", namespace=namespace)["items"]
    return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items}


def test_at_rest_nothing_is_written(scene, operators, took):
    operators.wait_ready()
    wait_until(operators.holder, 60, "a holder of the Lease", every=0.2)
    scene.wait_available()

    def quiet():  # the end of what earlier tests began, to the last object of their namespaces
        if any("deletionTimestamp" in n["metadata"] for n in scene.kubernetes.get("namespaces")["items"]):
            return False
        audit = Audit()
        time.sleep(3)
        return not audit.writes()
    wait_until(quiet, 90, "three seconds without a write")
    audit, objects = Audit(), versions(scene.kubernetes, scene.namespace)
    time.sleep(REST_SECONDS)  # what is measured: the Lease alone is renewed in it
    assert [str(w) for w in audit.writes()] == []
    assert versions(scene.kubernetes, scene.namespace) == objects
    # The audit log would have told.
    took("a Topic until Ready, after the rest", scene.apply("Topic", "orders-awake", partitions=1, replicationFactor=1, onDelete="Delete"))
    assert [w for w in audit.writes(scene.namespace) if w.name == "orders-awake"]
    scene.delete("Topic", "orders-awake")
