"""The chart, the quickstart and the rendered objects against a real API server (etcd and kube-apiserver on loopback)."""
import json
import pathlib
import subprocess
import sys
import time

import pytest

yaml = pytest.importorskip("yaml")

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "crds"))
import check  # noqa: E402

CHART = ROOT / "charts" / "millrace"
GOLDEN = ROOT / "operator" / "model" / "testdata"
NAMESPACE = "millrace-system"


class Installed:
    def __init__(self, server):
        self.kubectl = check.Kubectl(server.binaries / "kubectl", server.kubeconfig)
        self.helm_base = [str(server.binaries / "helm"), "--kubeconfig", str(server.kubeconfig), "-n", NAMESPACE]

    def helm(self, *args):
        done = subprocess.run([*self.helm_base, *args], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *args):
        return json.loads(self.kubectl("get", "-o", "json", *args).stdout)


@pytest.fixture(scope="module")
def cluster():
    try:
        check.find_binaries()
    except RuntimeError as problem:
        pytest.skip(str(problem))
    with check.TemporaryApiServer() as server:
        installed = Installed(server)
        notes = installed.helm("upgrade", "--install", "millrace", str(CHART), "--create-namespace")
        assert "rollout status deployment/millrace-operator" in notes
        for namespace in ("kafka", "team"):
            installed.kubectl("create", "namespace", namespace)
            installed.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        installed.kubectl("create", "priorityclass", "important", "--value=1")
        check.wait_until_served(installed.kubectl)
        yield installed


def test_quickstart_is_accepted(cluster):
    cluster.kubectl("apply", "-f", str(ROOT / "examples" / "quickstart"))
    assert cluster.get("topics.millrace.io", "-n", "kafka")["items"][0]["spec"]["onDelete"] == "Retain"


@pytest.mark.parametrize("name", ["one_broker_nodeport", "one_broker_template"])
def test_rendered_objects_are_accepted_and_applying_them_again_writes_nothing(cluster, name):
    for rendered in yaml.safe_load_all((GOLDEN / f"{name}.out.yaml").read_text()):
        versions = []
        for _ in range(2):
            done = cluster.kubectl("apply", "--server-side", "--field-manager=millrace-operator", "-o", "json", "-f", "-",
                                   stdin=json.dumps(rendered))
            versions.append(json.loads(done.stdout)["metadata"]["resourceVersion"])
        assert versions[0] == versions[1], f"{rendered['kind']} {rendered['metadata']['name']}"


@pytest.mark.parametrize("name", ["one_broker_nodeport", "one_broker_template"])
def test_broker_pods_pass_restricted_pod_security(cluster, name):
    documents = yaml.safe_load_all((GOLDEN / f"{name}.out.yaml").read_text())
    stateful_set = next(d for d in documents if d["kind"] == "StatefulSet")
    spec = stateful_set["spec"]["template"]["spec"]
    # A sidecar answers for itself.
    spec["containers"] = [c for c in spec["containers"] if c["name"] == "kafka"]
    spec["volumes"].append({"name": "data-0", "emptyDir": {}})
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec,
           "metadata": {"name": "trial", "namespace": stateful_set["metadata"]["namespace"]}}
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_a_protected_cluster_cannot_be_deleted(cluster):
    name = ("clusters.millrace.io/orders", "-n", "kafka")
    cluster.kubectl("apply", "-f", str(ROOT / "examples" / "quickstart"))
    cluster.kubectl("patch", *name, "--type=merge", "-p", '{"spec": {"deletionProtection": true}}')
    deadline = time.monotonic() + 20  # a new policy is in force some seconds after it is there
    while time.monotonic() < deadline:
        done = cluster.kubectl("delete", *name, "--dry-run=server", check=False)
        if done.returncode != 0:
            break
        time.sleep(0.5)
    assert "spec.deletionProtection is true" in done.stderr
    cluster.kubectl("patch", *name, "--type=merge", "-p", '{"spec": {"deletionProtection": false}}')
    cluster.kubectl("delete", *name, "--dry-run=server")


def test_upgrade_brings_crds_up_to_date(cluster):
    crd = "customresourcedefinition/topics.millrace.io"
    cluster.kubectl("patch", crd, "--type=json", "-p", '[{"op": "remove", "path": "/spec/names/shortNames"}]')
    cluster.helm("upgrade", "millrace", str(CHART), "--set", "replicas=1")
    assert cluster.get(crd)["spec"]["names"]["shortNames"] == ["mrt"]


def test_uninstall_leaves_crds_and_resources(cluster):
    cluster.kubectl("apply", "-f", str(ROOT / "examples" / "quickstart"))
    cluster.helm("uninstall", "millrace", "--no-hooks")  # no kubelet here would run the hook's pod
    assert cluster.get("clusters.millrace.io", "-n", "kafka")["items"]
    assert not cluster.get("deployments", "-n", NAMESPACE)["items"]
