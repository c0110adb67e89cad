"""The chart comes, changes and goes; clusters run on."""

import time

import pytest

from e2e.lib.process import wait_until
from tools.lib import deploy, ui

RELEASE = ("millrace", "-n", deploy.NAMESPACE)


@pytest.fixture
def installed_again(millrace, operators):
    """Whatever a test does with the release: afterwards it is as the others expect it."""
    yield
    deploy.install(ui.Silent)
    operators.wait_ready()


def life(scene):
    pod = scene.broker_pod()
    return pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]


def acting(operators):
    holder = operators.holder()
    return bool(holder and operators.metric(holder, "millrace_operator_leader") == 1)


def finalizers(scene, kind, name):
    return scene.get(kind, name)["metadata"].get("finalizers", [])


def test_an_upgrade_of_the_operator_restarts_no_broker(scene, operators, installed_again, took):
    before, image = life(scene), scene.get("Cluster", scene.cluster)["status"]["image"]
    pods = {p["metadata"]["uid"] for p in operators.pods()}
    began = time.monotonic()
    scene.kubernetes.helm("upgrade", RELEASE[0], str(deploy.CHART), *RELEASE[1:], "--set", "image.tag=dev", "--set", "logLevel=debug",
                          "--set", "brokerImage.tag=another")
    operators.wait_ready()
    wait_until(lambda: not pods & {p["metadata"]["uid"] for p in operators.pods()} and acting(operators), 60, "the new operator acts", every=0.2)
    took("helm upgrade until the new operator acts", time.monotonic() - began)
    # It has seen everything when something new is done.
    scene.apply("Topic", "orders-upgraded", partitions=1, replicationFactor=1, onDelete="Delete")
    scene.delete("Topic", "orders-upgraded")
    assert life(scene) == before
    assert scene.get("Cluster", scene.cluster)["status"]["image"] == image  # that of new clusters is another one
    assert not scene.why_not("writer", "orders")


def test_uninstalling_leaves_clusters_running_and_holds_nothing(scene, operators, installed_again, took):
    scene.apply("User", "leaver", authentication={"type": "ScramSha512"})
    before = life(scene)
    assert finalizers(scene, "User", "leaver") and finalizers(scene, "ACL", "writer")
    scene.kubernetes.helm("uninstall", *RELEASE, "--wait", seconds=180)
    wait_until(lambda: not operators.pods(), 60, "the end of the operator", every=0.2)
    assert life(scene) == before
    assert not scene.why_not("writer", "orders")
    # Resources stay and nothing of ours holds them.
    assert not finalizers(scene, "ACL", "writer")
    scene.kubernetes.kubectl("delete", "user.millrace.io/leaver", "-n", scene.namespace, "--timeout=10s")
    began = time.monotonic()
    deploy.install(ui.Silent)
    wait_until(lambda: acting(operators), 10, "the operator acts: it does not wait for the Lease of the one before", every=0.2)
    scene.apply("Topic", "orders-reinstalled", partitions=1, replicationFactor=1, onDelete="Delete")
    took("installed again until a Topic is Ready", time.monotonic() - began)
    wait_until(lambda: finalizers(scene, "ACL", "writer"), 30, "the finalizers are back", every=0.2)
    scene.delete("Topic", "orders-reinstalled")
    assert life(scene) == before
