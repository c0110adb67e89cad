"""What `helm template` makes of charts/millrace: run with pytest; needs the helm that ./dev up builds, or one in PATH."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

yaml = pytest.importorskip("yaml")

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "millrace"


def helm_binary():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    built = sorted(cache.glob("millrace/localkube/*/bin/helm"), key=lambda p: p.stat().st_mtime)
    return str(built[-1]) if built else shutil.which("helm")


HELM = helm_binary()
pytestmark = pytest.mark.skipif(HELM is None, reason="no helm: run ./dev up once")


def helm(*args):
    return subprocess.run([HELM, *args], capture_output=True, text=True, timeout=60)


def render(values=None):
    done = helm("template", "millrace", str(CHART), "-n", "millrace-system", "--kube-version", "1.34.0",
                "--set-json", "podMonitor=" + json.dumps({"enabled": True}),
                *[arg for key, value in (values or {}).items() for arg in ("--set-json", f"{key}={json.dumps(value)}")])
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(objects, kind):
    return [o for o in objects if o["kind"] == kind]


def pod_specs(objects):
    return [o["spec"]["template"]["spec"] for o in objects if o["kind"] in ("Deployment", "Job")]


def test_lint_is_clean():
    done = helm("lint", "--strict", str(CHART), "--kube-version", "1.34.0")
    assert done.returncode == 0, done.stdout


def test_chart_carries_the_crds_of_this_tree_and_keeps_them():
    assert subprocess.run([ROOT / "tools" / "sync_crds", "--check"]).returncode == 0
    rendered = {o["metadata"]["name"]: o for o in of_kind(render(), "CustomResourceDefinition")}
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        source = yaml.safe_load(path.read_text())
        shown = rendered.pop(source["metadata"]["name"])
        assert shown["spec"] == source["spec"], path.name
        assert shown["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not rendered
    assert not of_kind(render({"crds.install": False}), "CustomResourceDefinition")


def test_rights_name_every_verb_and_resource():
    for role in of_kind(render(), "ClusterRole") + of_kind(render(), "Role"):
        for rule in role["rules"]:
            for field in ("apiGroups", "resources", "verbs"):
                assert rule[field] and "*" not in rule[field], (role["metadata"]["name"], rule)
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])


def test_rights_end_at_the_watched_namespaces():
    everywhere = of_kind(render(), "ClusterRoleBinding")
    assert {b["roleRef"]["name"] for b in everywhere} == {"millrace-operator", "millrace-operator-namespaces"}
    objects = render({"watch.namespaces": ["shop", "billing"]})
    assert [b["roleRef"]["name"] for b in of_kind(objects, "ClusterRoleBinding")] == ["millrace-operator-namespaces"]
    bound = {b["metadata"]["namespace"] for b in of_kind(objects, "RoleBinding") if b["roleRef"]["kind"] == "ClusterRole"}
    assert bound == {"shop", "billing"}
    for spec in pod_specs(objects):
        assert "--namespaces=shop,billing" in spec["containers"][0]["args"]


def test_pods_are_restricted():
    specs = pod_specs(render())
    assert len(specs) == 2  # the operator, and the hook that strips finalizers
    for spec in specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}


def test_two_replicas_elect_a_leader_by_a_lease_they_may_write():
    objects = render()
    deployment = of_kind(objects, "Deployment")[0]
    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert deployment["spec"]["replicas"] == 2 and "--leader-election" in args
    lease = next(a.split("=", 1)[1] for a in args if a.startswith("--lease="))
    named = [r for o in of_kind(objects, "Role") for r in o["rules"] if "resourceNames" in r]
    assert [r["resourceNames"] for r in named] == [[lease]]
    hook = of_kind(objects, "Job")[0]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--lease={lease}" in hook


def test_images_follow_the_chart_and_can_be_pinned():
    args = pod_specs(render())[0]["containers"][0]["args"]
    assert "--broker-image=millrace/broker:1.0" in args
    digest = "sha256:" + "0" * 64
    objects = render({"image.registry": "r.example.com:5000", "image.digest": digest})
    assert {s["containers"][0]["image"] for s in pod_specs(objects)} == {f"r.example.com:5000/millrace/operator@{digest}"}


@pytest.mark.parametrize("values", [["replica=3"], ["replicas=0"], ["watch.namespaces=shop"], ["image.digest=latest"]])
def test_misspelt_and_wrong_values_are_refused(values):
    done = helm("template", "millrace", str(CHART), "--kube-version", "1.34.0", "--set", *values)
    assert done.returncode != 0 and "schema" in done.stderr


def test_monitoring_comes_only_when_wanted():
    objects = render()
    assert not of_kind(objects, "PrometheusRule") and not of_kind(objects, "ConfigMap")
    objects = render({"alerts.enabled": True, "alerts.labels": {"release": "prometheus"}, "dashboards.enabled": True})
    rule, = of_kind(objects, "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert {g["name"] for g in rule["spec"]["groups"]} == {"millrace-brokers", "millrace-consumers", "millrace-operator"}
    dashboards = of_kind(objects, "ConfigMap")
    assert len({d["metadata"]["name"] for d in dashboards}) == 5
    assert all(d["metadata"]["labels"]["grafana_dashboard"] == "1" for d in dashboards)


def test_series_carry_the_cluster_and_lag_is_told_once():
    operator, brokers = of_kind(render(), "PodMonitor")
    assert operator["spec"]["podMetricsEndpoints"][0]["honorLabels"] is True
    endpoint, = brokers["spec"]["podMetricsEndpoints"]
    assert [r["targetLabel"] for r in endpoint["relabelings"]] == ["kafka_cluster"]
    assert endpoint["metricRelabelings"][0]["action"] == "drop"
    names = {r["targetLabel"] for m in of_kind(render({"strimziDashboards.enabled": True}), "PodMonitor")
             for key in ("relabelings", "metricRelabelings") for r in m["spec"]["podMetricsEndpoints"][0].get(key, [])
             if "targetLabel" in r}
    assert {"strimzi_io_cluster", "strimzi_io_name", "kubernetes_pod_name"} <= names


@pytest.mark.parametrize("values", [["alerts.rules.MillraceBrokenDown.for=1m"], ["alerts.rules.MillraceBrokerDown.for=soon"],
                                    ["dashboards.folder=x"], ["strimziDashboards=true"]])
def test_misspelt_monitoring_is_refused(values):
    done = helm("template", "millrace", str(CHART), "--kube-version", "1.34.0", "--set", ",".join(["alerts.enabled=true", *values]))
    assert done.returncode != 0
