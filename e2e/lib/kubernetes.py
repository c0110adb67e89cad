"""The local Kubernetes as tests use it."""

import contextlib
import fcntl
import json
import subprocess
import time

from e2e.localkube import cluster, gobuild, layout
from tools.lib import paths


class Kubernetes:
    def __init__(self, owned):
        self.owned = owned  # started by this test run, so that it may also be crashed
        self.nodes = [layout.node_name(i) for i in range(len(self.get("nodes")["items"]))]

    def node_address(self, node):
        return layout.node_address(int(node.removeprefix("n")))

    def kubectl(self, *arguments, stdin=None, check=True, seconds=120):
        """stdout of kubectl; with check=False the whole subprocess result instead."""
        argv = [gobuild.bin_dir() / "kubectl", "--kubeconfig", layout.kubeconfig(), *arguments]
        result = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True, timeout=seconds)
        if not check:
            return result
        if result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {result.stderr.strip()}")
        return result.stdout

    def helm(self, *arguments, seconds=120):
        argv = [gobuild.bin_dir() / "helm", "--kubeconfig", layout.kubeconfig(), *arguments]
        result = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=seconds)
        if result.returncode != 0:
            raise AssertionError(f"helm {' '.join(map(str, arguments))}: {result.stderr.strip()}")
        return result.stdout

    def get(self, kind, name=None, namespace=None):
        """The decoded object or list; None when a named object does not exist."""
        where = ["-n", namespace] if namespace else []
        named = [name] if name else []
        out = self.kubectl("get", kind, *named, *where, "-o", "json", "--ignore-not-found")
        return json.loads(out) if out.strip() else None

    def apply(self, manifest, check=True):
        """Applies YAML text, or an object, or a list of objects."""
        if isinstance(manifest, list):
            manifest = {"apiVersion": "v1", "kind": "List", "items": manifest}
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.kubectl("apply", "-f", "-", stdin=text, check=check)

    def wait(self, resource, condition="Ready", namespace=None, seconds=60):
        where = ["-n", namespace] if namespace else []
        self.kubectl("wait", f"--for=condition={condition}", resource, *where, f"--timeout={seconds}s", seconds=seconds + 10)

    @contextlib.contextmanager
    def namespace(self, name, wait=True, labels=None):
        """A namespace that is gone, with all in it, when the block ends; without `wait` it goes in its own time. (Kubernetes
        looks every eight seconds whether the last pods of a namespace are gone.)"""
        document = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})
        if self.kubectl("create", "-f", "-", stdin=document, check=False).returncode != 0:  # an earlier run's is there, or still goes
            self.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=90s", seconds=100)
            self.kubectl("create", "-f", "-", stdin=document)
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, f"--wait={str(wait).lower()}", "--timeout=90s", seconds=100)

    def unit_pid(self, unit):
        """The pid of a part of Kubernetes itself ("kubelet-n1"), for faults."""
        return cluster.host_pid(unit)

    def without(self, unit):
        """A block during which a part of Kubernetes itself does not run."""
        return cluster.held(unit)

    def wait_for_nodes(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            conditions = [c for n in self.get("nodes")["items"] for c in n["status"]["conditions"] if c["type"] == "Ready"]
            if all(c["status"] == "True" for c in conditions):
                return
            time.sleep(0.3)
        raise AssertionError(f"not all nodes became Ready within {seconds} s")


@contextlib.contextmanager
def alone(wait=True):
    """One test run at a time on this machine: runs share the cluster, its names and its node ports. Yields whether it is ours:
    always, unless it should not `wait`."""
    paths.cache_dir().mkdir(parents=True, exist_ok=True)
    with open(paths.cache_dir() / "e2e.lock", "w") as file:
        ours = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ours = wait
            if wait:
                print("another test run uses the local Kubernetes; waiting for its end", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield ours


@contextlib.contextmanager
def running_cluster():
    """Uses the cluster that is up; otherwise starts one and takes it down again."""
    with alone():
        was_up = cluster.is_running()
        cluster.up()
        try:
            yield Kubernetes(owned=not was_up)
        finally:
            if not was_up:
                cluster.down()
