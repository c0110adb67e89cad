"""The operator without Kubernetes: YAML files in, status files out, a broker as its child process."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from bench.brokers import folder
from bench.subjects import BROKER
from e2e.lib.process import Process, free_ports
from tools.lib import paths

OPERATOR = Path(os.environ.get("MILLRACE_OPERATOR", paths.BUILD / "bin" / "millrace-operator"))

CLUSTER = """\
apiVersion: v1
kind: Namespace
metadata: {{name: bench}}
---
apiVersion: millrace.io/v1beta1
kind: Cluster
metadata: {{name: bench, namespace: bench}}
spec:
  pools:
    - name: main
      roles: [Controller, Broker]
      replicas: 1
      storage: {{volumes: [{{name: data, size: 10Gi}}]}}
  listeners:
    - name: inside
      port: {port}
      tls: {{}}
      authentication: [{{type: ScramSha512}}]
  authorization: {{type: Simple}}
"""

TOPIC = """\
apiVersion: millrace.io/v1beta1
kind: Topic
metadata: {{name: {name}, namespace: bench}}
spec:
  clusterRef: {{name: bench}}
  partitions: 1
  replicationFactor: 1
"""

READY = re.compile(r'reason: Ready\n\s+status: "True"\n\s+type: Ready')


def apart():
    """A network of its own where the system allows it: brokers of other runs may have the machinery's ports here."""
    prefix = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0 else []


class Standalone:
    """`millrace-operator standalone` on files of its own."""

    def __init__(self):
        self.folder = Path(folder())
        self.resources = self.folder / "resources"
        self.resources.mkdir()
        (self.folder / "data").mkdir()
        (self.resources / "00-cluster.yaml").write_text(CLUSTER.format(port=free_ports(1)[0]))
        self.process = Process([*apart(), OPERATOR, "standalone", "--resources", self.resources, "--data", self.folder / "data",
                                "--broker", BROKER], log=self.folder / "operator.log")

    def is_ready(self, name):
        try:
            return READY.search((self.resources / f"{name}.status").read_text()) is not None
        except FileNotFoundError:
            return False

    def wait_ready(self, names, seconds, every):
        """The moment when the last of `names` (files without suffix) was Ready."""
        left, deadline = set(names), time.monotonic() + seconds
        while left:
            left = {name for name in left if not self.is_ready(name)}
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} of {len(names)} resources not Ready within {seconds} s\n{self.process.tail()}")
            if left:
                time.sleep(every)
        return time.monotonic()

    def write_topic(self, name):
        # As an editor does: the operator never sees half a file.
        scratch = self.folder / name
        scratch.write_text(TOPIC.format(name=name))
        scratch.rename(self.resources / f"{name}.yaml")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.process.stop(20)
        finally:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def topics(samples, bulk, singles, say):
    """`bulk` topics at once, the operator's memory with them, then single ones, each timed from its file to its Ready."""
    add = lambda figure, value: samples.add("Millrace", figure, value)  # noqa: E731
    started = time.monotonic()
    with Standalone() as operator:
        add("cluster_ready_s", operator.wait_ready(["00-cluster"], 30, 0.005) - started)
        time.sleep(1)
        names = [f"bulk-{i:04d}" for i in range(bulk)]
        begin = time.monotonic()
        for name in names:
            operator.write_topic(name)
        took = operator.wait_ready(names, 60, 0.05) - begin
        add("bulk_ready_s", took)
        say(f"{bulk} topics at once: all Ready after {took:.1f} s")
        time.sleep(3)
        cpu = operator.process.cpu_seconds()
        time.sleep(5)
        add("operator_idle_cpu_percent", (operator.process.cpu_seconds() - cpu) / 5 * 100)
        add("operator_rss_mib", operator.process.rss_bytes() / 2**20)
        times = []
        for i in range(singles):
            name = f"single-{i:04d}"
            begin = time.monotonic()
            operator.write_topic(name)
            times.append((operator.wait_ready([name], 20, 0.001) - begin) * 1000)
        add("topic_ready_p50_ms", percentile(times, 0.5))
        add("topic_ready_p99_ms", percentile(times, 0.99))
        say(f"{singles} topics one by one: P50 {percentile(times, 0.5):.0f} ms, P99 {percentile(times, 0.99):.0f} ms")
