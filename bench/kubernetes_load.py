"""The operator on the local Kubernetes: topics from POST to Ready as a watch shows it, and the memory of the acting replica."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from bench.operator_load import percentile
from e2e.kubernetes.scene import Operators, host_processes
from e2e.lib.kubernetes import Kubernetes, alone
from e2e.lib.process import wait_until
from e2e.localkube import cluster
from e2e.localkube.api import Api
from tools.lib import deploy

NAMESPACE = "millrace-bench"
TOPICS = f"/apis/millrace.io/v1beta1/namespaces/{NAMESPACE}/topics"
CLIENTS = 8
CLUSTER = {
    "apiVersion": "millrace.io/v1beta1", "kind": "Cluster", "metadata": {"name": "bench", "namespace": NAMESPACE},
    "spec": {"pools": [{"name": "main", "roles": ["Controller", "Broker"], "replicas": 1,
                        "storage": {"volumes": [{"name": "data", "size": "1Gi"}]}}],
             "listeners": [{"name": "inside", "port": 9092, "tls": {}, "authentication": [{"type": "ScramSha512"}]}],
             "authorization": {"type": "Simple"}}}


def topic(name):
    return {"apiVersion": "millrace.io/v1beta1", "kind": "Topic", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"clusterRef": {"name": "bench"}, "partitions": 1, "replicationFactor": 1}}


class ReadyTimes:
    """When each topic was seen Ready, by a watch."""

    def __init__(self, api):
        self.seen = {}
        self._changed = threading.Condition()
        since = api.get(TOPICS, timeout=10)["metadata"]["resourceVersion"]
        threading.Thread(target=self._follow, args=(api.watch(f"{TOPICS}?watch=true&resourceVersion={since}"),), daemon=True).start()

    def _follow(self, events):
        for event in events:
            item = event["object"]
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))
            if ready and item["metadata"]["name"] not in self.seen:
                with self._changed:
                    self.seen[item["metadata"]["name"]] = time.monotonic()
                    self._changed.notify_all()

    def wait(self, names, seconds):
        """The moment when the last of `names` was Ready."""
        with self._changed:
            if not self._changed.wait_for(lambda: all(n in self.seen for n in names), seconds):
                missing = [n for n in names if n not in self.seen]
                raise TimeoutError(f"{len(missing)} of {len(names)} topics not Ready within {seconds} s")
            return max(self.seen[n] for n in names)


def status_of(pid):
    """Resident MiB: in all, and what is not a file's."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        values = dict(line.split(":", 1) for line in file)
    return int(values["VmRSS"].split()[0]) / 1024, int(values["RssAnon"].split()[0]) / 1024


def topics(samples, bulk, singles, say):
    """`bulk` topics from several clients at once, the acting replica's memory with them, then single ones."""
    if not cluster.is_running():
        say("the local Kubernetes is not up: ./dev up, then again")
        return
    with alone():
        deploy.install()
        _measure(samples, bulk, singles, say)


def _measure(samples, bulk, singles, say):
    add = lambda figure, value: samples.add("Millrace", figure, value)  # noqa: E731
    kubernetes, api = Kubernetes(owned=False), Api()
    kubernetes.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    # An operator that has just begun: what earlier objects left in its memory is not this load's.
    kubernetes.kubectl("rollout", "restart", "deployment", "-n", deploy.NAMESPACE)
    kubernetes.kubectl("rollout", "status", "deployment", "-n", deploy.NAMESPACE, "--timeout=120s")
    with kubernetes.namespace(NAMESPACE):
        kubernetes.apply(CLUSTER)
        kubernetes.wait("cluster.millrace.io/bench", namespace=NAMESPACE, seconds=120)
        acting = wait_until(Operators(kubernetes).holder, 60, "a holder of the Lease", every=0.2)
        pid = host_processes(acting["metadata"]["uid"], "millrace-operator")[0]
        say(f"operator with one cluster: {status_of(pid)[0]:.1f} MiB")
        times, names = ReadyTimes(api), [f"bulk-{i:04d}" for i in range(bulk)]
        begin = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda name: api.send("POST", TOPICS, topic(name)), names))
        posted = time.monotonic() - begin
        took = times.wait(names, 120) - begin
        add("k8s_bulk_ready_s", took)
        say(f"{bulk} topics: posted in {posted:.1f} s, all Ready after {took:.1f} s")
        time.sleep(10)  # it gives freed memory back when it has been idle
        resident, anonymous = status_of(pid)
        add("k8s_operator_rss_mib", resident)
        say(f"operator with {bulk} topics: {resident:.1f} MiB, of them {anonymous:.1f} not a file's")
        single(times, api, singles, add, say)


def single(times, api, count, add, say):
    taken = []
    for i in range(count):
        name = f"single-{i:04d}"
        begin = time.monotonic()
        api.send("POST", TOPICS, topic(name))
        taken.append((times.wait([name], 30) - begin) * 1000)
    add("k8s_topic_ready_p50_ms", percentile(taken, 0.5))
    add("k8s_topic_ready_p99_ms", percentile(taken, 0.99))
    say(f"{count} topics one by one: P50 {percentile(taken, 0.5):.0f} ms, P99 {percentile(taken, 0.99):.0f} ms")
