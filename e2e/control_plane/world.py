"""One namespace with its operator behind the proxy, its kubelet, and what a user does in it."""

import os
import random
import threading
import time

from e2e.control_plane.kubelet import Kubelet, with_hosts
from e2e.control_plane.plane import write_kubeconfig
from e2e.lib.end_state import state_of
from e2e.lib.process import Process, free_ports, wait_until
from tools.lib import paths

PROGRAM = paths.BUILD / "bin" / "millrace-operator"
API = "millrace.io/v1beta1"
PLURALS = {"Cluster": "clusters", "Topic": "topics", "User": "users", "ACL": "acls", "Rebalance": "rebalances"}
KINDS = (*(f"{API}/{plural}" for plural in (*PLURALS.values(), "externalclusters")), "/v1/serviceaccounts", "/v1/services",
         "/v1/configmaps", "/v1/secrets", "/v1/pods", "/v1/persistentvolumeclaims", "apps/v1/statefulsets",
         "policy/v1/poddisruptionbudgets", "networking.k8s.io/v1/networkpolicies")
SECONDS = 60  # for anything that takes a few, on a busy machine
NETWORK = random.Random(os.getpid()).randrange(2, 250)


class Operator:
    """A process that is started again when it was killed, for as long as `wanted`. Its door tells what it did."""

    def __init__(self, world, name="operator", token=None, arguments=("--no-leader-election",), namespaces=None, home=None):
        """`namespaces`: those that it watches, the world's unless given, [] for all; `home`: its own."""
        self.world, self.name = world, name
        self.door = world.proxy.door()
        self.http = free_ports(1)[0]
        kubeconfig = write_kubeconfig(world.folder / f"{name}.kubeconfig", self.door.port, world.plane.ca,
                                      token or world.plane.admin_token, world.namespace)
        self.argv = with_hosts(world.kubelet.hosts, [
            PROGRAM, "run", f"--kubeconfig={kubeconfig}", *(f"--namespaces={n}" for n in ([world.namespace] if namespaces is None else namespaces)),
            f"--http=127.0.0.1:{self.http}", f"--operator-namespace={home or world.namespace}",
            "--broker-image=docker.io/millrace/broker:test", *arguments])
        self.log = world.folder / f"{name}.log"
        self.lives, self.crashes, self.process = 0, [], None
        self.on_birth = []
        self._killed = self._wanted = False
        self._stopping = threading.Event()
        # A child dies with the thread that started it, so one thread starts them all.
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self):
        while not self._stopping.wait(0.01):
            ended = self.process is not None and self.process.returncode is not None
            if ended and not self._killed and self._wanted:
                self.crashes.append(f"ended with {self.process.returncode}: {self.process.tail(5)}")
            if self._wanted and (self.process is None or ended):
                self._killed = False
                for callback in self.on_birth:
                    callback()
                self.process = Process(self.argv, log=self.log)
                self.lives += 1
        if self.process is not None:
            self.process.kill()

    def start(self):
        self._wanted = True

    def kill(self):
        """As a crash. It is started again at once."""
        self._killed = True
        self.process.signal(9)

    def stop(self):
        """SIGTERM; it stays away until start()."""
        self._wanted = False
        if self.process is not None and self.process.returncode is None:
            assert self.process.stop() == 0, self.process.tail()

    def log_lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def says(self, *words):
        """The log lines that have all the words."""
        return [line for line in self.log_lines() if all(w.lower() in line.lower() for w in words)]

    def close(self):
        self._wanted = False
        self._stopping.set()
        self._thread.join(10)


class World:
    COUNT = 0

    def __init__(self, plane, proxy, folder, labels=None):
        World.COUNT += 1
        self.plane, self.proxy, self.api, self.folder = plane, proxy, plane.api, folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.namespace = f"world-{World.COUNT}"
        plane.namespace(self.namespace, labels)
        self.kubelet = Kubelet(plane.api, self.namespace, folder / "pods", f"127.{NETWORK}.{World.COUNT % 250 + 1}")
        self.operator = Operator(self)
        self.patience = 1  # how many times as long as elsewhere is waited here
        self.drawn, self._ended = {}, threading.Event()  # every value that what is drawn by lot ever had
        for kind in ("secrets", "Topic"):
            threading.Thread(target=self.api.follow, args=(self.path(kind), self._note_drawn, self._ended.is_set), daemon=True).start()

    def _note_drawn(self, _, item):
        values = {key: item.get("data", {}).get(key) for key in ("password", "ca.key", "store.password")}
        for key, value in (values | {"topicId": item.get("status", {}).get("topicId")}).items():
            if value:
                self.drawn.setdefault(f"{item['metadata']['name']} {item['metadata']['uid']} {key}", set()).add(value)

    def drawn_twice(self):
        return [what for what, values in self.drawn.items() if len(values) > 1]

    # --- resources ---

    def path(self, kind, name=""):
        base = f"/apis/{API}/namespaces/{self.namespace}" if kind in PLURALS else f"/api/v1/namespaces/{self.namespace}"
        return f"{base}/{PLURALS.get(kind, kind)}" + (f"/{name}" if name else "")

    def apply(self, kind, name, spec, annotations=None):
        self.api.apply(self.path(kind, name), {"apiVersion": API, "kind": kind, "metadata": {
            "name": name, "namespace": self.namespace, "annotations": annotations or {}}, "spec": spec})

    def get(self, kind, name):
        return self.api.get(self.path(kind, name))

    def delete(self, kind, name):
        self.api.delete(self.path(kind, name))

    def condition(self, kind, name, condition="Ready"):
        """(status, reason, message) of what was said about this generation; empty while nothing was."""
        found = self.get(kind, name) or {}
        for c in found.get("status", {}).get("conditions", []):
            if c["type"] == condition and c.get("observedGeneration") == found["metadata"]["generation"]:
                return c["status"], c["reason"], c.get("message", "")
        return "", "", ""

    def wait_ready(self, *resources, seconds=SECONDS):
        """Each as (kind, name)."""
        for kind, name in resources:
            wait_until(lambda: self.condition(kind, name)[0] == "True", seconds * self.patience,
                       Late(lambda: f"{kind} {name} Ready ({self.condition(kind, name)})"), every=0.05)

    def wait_gone(self, *resources, seconds=SECONDS):
        for kind, name in resources:
            wait_until(lambda: self.get(kind, name) is None, seconds * self.patience, Late(lambda: f"the end of {kind} {name}: {self.get(kind, name)}"), every=0.05)

    def wait_quiet(self, seconds=SECONDS, quiet=1.0):
        """Until the operator has written nothing for a while; returns that moment."""
        def silent():
            writes = self.operator.door.writes()
            return not writes or time.monotonic() - writes[-1].at > quiet
        wait_until(silent, seconds, Late(lambda: f"an end of writes: {[r.what for r in self.operator.door.writes()[-5:]]}"), every=0.05)
        return time.monotonic()

    def pods(self):
        return {p["metadata"]["name"]: p for p in self.api.get(self.path("pods"))["items"]}

    def state(self):
        """Everything that the operator made and said; of pods and claims, that they are there."""
        items = []
        for path in KINDS:
            group, version, plural = path.split("/")
            found = self.api.get(f"/{'apis' if group else 'api'}/{f'{group}/' if group else ''}{version}/namespaces/{self.namespace}/{plural}")
            kind = found["kind"].removesuffix("List")
            items += [{"apiVersion": f"{group}/{version}".strip("/"), "kind": kind, **item} for item in found["items"]]
        for item in items:
            if item["kind"] in ("Pod", "PersistentVolumeClaim"):
                item["spec"], item["metadata"]["labels"], item["metadata"]["annotations"] = {}, {}, {}
            item["metadata"].pop("deletionTimestamp", None)
        return state_of(items, self.namespace)

    # --- what tests begin with ---

    def apply_cluster(self, replicas=1, **spec):
        self.apply("Cluster", "small", {
            "pools": [{"name": "main", "roles": ["Controller", "Broker"], "replicas": replicas, "storage": {"volumes": [{"name": "data", "size": "1Gi"}]}}],
            "listeners": [{"name": "tls", "port": 9093, "tls": {}, "authentication": [{"type": "ScramSha512"}]}],
            "authorization": {"type": "Simple"}, **spec})

    def apply_rest(self, replicas=1):
        ref = {"clusterRef": {"name": "small"}}
        self.apply("Topic", "shop", {**ref, "partitions": 3, "replicationFactor": replicas, "config": {"retention.ms": 3600000}, "onDelete": "Delete"})
        self.apply("User", "service", {**ref, "authentication": {"type": "ScramSha512"}})
        self.apply("ACL", "service", {**ref, "userRef": {"name": "service"}, "roles": [{"type": "Producer", "topics": [{"name": "shop"}]}]})

    ALL = (("Cluster", "small"), ("Topic", "shop"), ("User", "service"), ("ACL", "service"))

    def make(self, replicas=1):
        """A Cluster, a Topic, a User and an ACL, Ready and quiet."""
        self.operator.start()
        self.apply_cluster(replicas)
        self.apply_rest(replicas)
        self.wait_ready(*self.ALL)
        return self.wait_quiet()

    def close(self):
        """Nothing is left that an operator of all namespaces would look after."""
        self._ended.set()
        self.operator.close()
        self.kubelet.close()
        for kind in (*PLURALS, "pods"):
            for item in self.api.get(self.path(kind))["items"]:
                path = self.path(kind, item["metadata"]["name"])
                if item["metadata"].get("finalizers"):
                    self.api.patch(path, {"metadata": {"finalizers": None}})
                self.api.delete(path, gracePeriodSeconds=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Late:
    """Text that is made when it is needed."""

    def __init__(self, make):
        self.make = make

    def __str__(self):
        return self.make()
