"""What every Kubernetes scenario relies on: volumes, names, node ports, zones, and a cluster that survives its own end."""

import os
import signal
import time
import urllib.request

import pytest

from e2e.lib.process import wait_until
from e2e.localkube import cluster, host, layout

NODE_PORT = 30999
WORKLOAD = f"""
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{type: NodePort, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: peers}}
spec: {{clusterIP: None, publishNotReadyAddresses: true, selector: {{app: web}}, ports: [{{port: 8080}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: peers
  replicas: 3
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {{runAsUser: 65532, runAsNonRoot: true, fsGroup: 65532}}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: DoNotSchedule
          labelSelector: {{matchLabels: {{app: web}}}}
      containers:
        - name: web
          image: localkube/busybox:1
          command: [sh, -c, "hostname >> /data/index.html; exec httpd -f -p 8080 -h /data"]
          readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
          volumeMounts: [{{name: data, mountPath: /data}}]
  volumeClaimTemplates:
    - metadata: {{name: data}}
      spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 64Mi}}}}}}
"""


@pytest.fixture(scope="module")
def web(kubernetes):
    with kubernetes.namespace("localkube-test") as namespace:
        kubernetes.kubectl("apply", "-n", namespace, "-f", "-", stdin=WORKLOAD)
        kubernetes.kubectl("rollout", "status", "-n", namespace, "statefulset/web", "--timeout=60s")
        yield namespace


def fetch(address):
    with urllib.request.urlopen(f"http://{address}/", timeout=2) as answer:
        return answer.read().decode().split()


def answers(address):
    try:
        return fetch(address)
    except OSError:
        return None


def test_pods_spread_over_three_zones(kubernetes, web):
    zones = {n["metadata"]["name"]: n["metadata"]["labels"]["topology.kubernetes.io/zone"] for n in kubernetes.get("nodes")["items"]}
    nodes = [p["spec"]["nodeName"] for p in kubernetes.get("pods", namespace=web)["items"]]
    assert sorted(zones[n] for n in nodes) == ["z0", "z1", "z2"]


def test_node_ports_answer_at_every_node_from_outside(kubernetes, web):
    for node in kubernetes.nodes:
        assert fetch(f"{kubernetes.node_address(node)}:{NODE_PORT}")[0].startswith("web-")


def test_pods_find_each_other_by_name(kubernetes, web):
    out = kubernetes.kubectl("exec", "-n", web, "web-0", "--", "nslookup", f"web-1.peers.{web}.svc.cluster.local")
    address = kubernetes.get("pod", "web-1", web)["status"]["podIP"]
    assert f"Address: {address}" in out


def test_a_deleted_pod_returns_with_its_volume(kubernetes, web):
    before = kubernetes.get("pod", "web-2", web)["metadata"]["uid"]
    kubernetes.kubectl("delete", "pod", "web-2", "-n", web)
    wait_until(lambda: kubernetes.get("pod", "web-2", web), 20, "the pod's return")
    kubernetes.wait("pod/web-2", namespace=web)
    pod = kubernetes.get("pod", "web-2", web)
    assert pod["metadata"]["uid"] != before
    assert fetch(f"{pod['status']['podIP']}:8080") == ["web-2", "web-2"]  # one line per life, on the same volume


def test_a_killed_part_of_kubernetes_is_started_again(kubernetes, web):
    before = kubernetes.unit_pid("kube-scheduler")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: kubernetes.unit_pid("kube-scheduler") not in (None, before), 10, "a new scheduler")


def test_a_crashed_cluster_is_repaired_with_its_data(kubernetes, web):
    if not kubernetes.owned:
        pytest.skip("would crash the cluster that you are using")
    supervisor = cluster.supervisor_pid()
    kubelet = kubernetes.unit_pid("kubelet-n1")
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: host.start_time(kubelet) is None, 10, "the end of all its processes")
    assert cluster.up() is True
    address = f"{layout.node_address(0)}:{NODE_PORT}"
    pods = wait_until(lambda: answers(address), 60, "an answer after the repair")
    assert len(pods) >= 2 and len(set(pods)) == 1  # what it wrote in its first life, then its second
    kubernetes.kubectl("rollout", "status", "-n", web, "statefulset/web", "--timeout=60s")


def test_up_again_changes_nothing_and_is_quick(kubernetes):
    start = time.monotonic()
    assert cluster.up() is False
    assert time.monotonic() - start < 5
