"""One Cluster for all tests of this folder: the quickstart's, in a namespace and on ports of its own."""

import copy

import pytest

from e2e.kubernetes.scene import Operators, Scene
from tools.lib import deploy

NAMESPACE = "millrace-e2e"
BOOTSTRAP_PORT, BROKER_PORT = 31100, 31101
SUPER_USER = "chief"
MTLS_LISTENER = {"name": "mtls", "port": 9094, "tls": {}, "authentication": [{"type": "Mtls"}]}
TENANT = {"millrace-e2e": "tenant"}  # the label of namespaces that may declare any name


def cluster_document(namespace, name, **spec):
    """The quickstart's Cluster elsewhere."""
    document = copy.deepcopy(deploy.Quickstart().all("Cluster")[0])
    document["metadata"] |= {"name": name, "namespace": namespace}
    document["spec"] |= spec
    for listener in document["spec"]["listeners"]:
        if "expose" in listener:
            listener["expose"] |= {"bootstrapPort": BOOTSTRAP_PORT, "brokerBasePort": BROKER_PORT}
    return document


class Small(Scene):
    """A Cluster `small` with Topic `shop`, User and ACL `service`: for tests that need one to break, in a namespace of its own."""

    def wait_all_ready(self, seconds):
        names = ("cluster.millrace.io/small", "topic.millrace.io/shop", "user.millrace.io/service", "acl.millrace.io/service")
        self.kubernetes.kubectl("wait", "--for=condition=Ready", *names, "-n", self.namespace, f"--timeout={seconds}s", seconds=seconds + 10)


def apply_small(kubernetes, namespace, folder="/nonexistent"):
    cluster = cluster_document(namespace, "small")
    cluster["spec"]["listeners"] = [li for li in cluster["spec"]["listeners"] if "expose" not in li]  # node ports are for one
    scene = Small(kubernetes, namespace, "small", folder)
    ref = {"clusterRef": {"name": "small"}}
    kubernetes.apply([
        cluster,
        scene.resource("Topic", "shop", {**ref, "partitions": 3, "replicationFactor": 1, "config": {"retention.ms": 3600000},
                                         "onDelete": "Delete"}),
        scene.resource("User", "service", {**ref, "authentication": {"type": "ScramSha512"}}),
        scene.resource("ACL", "service", {**ref, "userRef": {"name": "service"}, "roles": [{"type": "Producer", "topics": [{"name": "shop"}]}]}),
    ])
    return scene


@pytest.fixture(scope="session")
def scene(millrace, tmp_path_factory):
    """A Cluster with the Topic `orders`, the User `writer`, and an ACL that lets it do everything with names that begin so."""
    millrace.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")  # of a run that was cut off
    with millrace.namespace(NAMESPACE):
        scene = Scene(millrace, NAMESPACE, "e2e", tmp_path_factory.mktemp("clients"))
        millrace.apply(cluster_document(NAMESPACE, scene.cluster,
                                        authorization={"type": "Simple", "superUsers": [f"User:{SUPER_USER}"]},
                                        tenants=[{"namespaceSelector": {"matchLabels": TENANT}, "prefixes": ["*"]}],
                                        listeners=[*deploy.Quickstart().all("Cluster")[0]["spec"]["listeners"], MTLS_LISTENER]))
        scene.apply("User", "writer", authentication={"type": "ScramSha512"})
        scene.apply("Topic", "orders", partitions=3, replicationFactor=1)
        scene.apply("ACL", "writer", userRef={"name": "writer"}, rules=[
            {"resource": {"type": "Topic", "name": "orders", "pattern": "Prefixed"}, "operations": ["All"]},
            {"resource": {"type": "Group", "name": "orders", "pattern": "Prefixed"}, "operations": ["All"]},
            {"resource": {"type": "Cluster"}, "operations": ["IdempotentWrite"]}])
        scene.wait_available()
        yield scene


@pytest.fixture(scope="session")
def operators(millrace):
    return Operators(millrace)


@pytest.fixture
def took(record_property):
    """Notes a measured time: took("an ACL works", seconds)."""
    def note(what, seconds):
        record_property(what, round(seconds, 2))
        print(f"\n    {what}: {seconds:.2f} s", flush=True)
    return note
