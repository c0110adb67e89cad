"""One Millrace cluster in Kubernetes, as its users see it: resources in, status and Secrets out, clients from outside."""

import base64
import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path
from urllib.request import urlopen

from e2e.lib import kcat
from e2e.lib.kafka import kafka_tool, properties_text
from e2e.lib.process import wait_until

API = "millrace.io/v1beta1"
SECONDS = 60  # for anything that takes about one, on a busy machine


def base64_of(text):
    return base64.b64encode(text.encode()).decode()


class Scene:
    def __init__(self, kubernetes, namespace, cluster, folder):
        self.kubernetes, self.namespace, self.cluster = kubernetes, namespace, cluster
        self.folder = Path(folder)
        self.pod = f"{cluster}-main-0"

    # --- resources ---

    def resource(self, kind, name, spec):
        return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": self.namespace}, "spec": spec}

    def apply(self, kind, name, ready=True, **spec):
        """Applies a resource of this cluster; returns the seconds until it was Ready."""
        began = time.monotonic()
        self.kubernetes.apply(self.resource(kind, name, {"clusterRef": {"name": self.cluster}, **spec}))
        if ready:
            self.kubernetes.wait(f"{kind.lower()}.millrace.io/{name}", namespace=self.namespace, seconds=SECONDS)
        return time.monotonic() - began

    def delete(self, kind, name):
        self.kubernetes.kubectl("delete", f"{kind.lower()}.millrace.io/{name}", "-n", self.namespace, "--timeout=60s")

    def get(self, kind, name):
        return self.kubernetes.get(f"{kind.lower()}.millrace.io" if kind in ("Cluster", "Topic", "User", "ACL") else kind, name,
                                   self.namespace)

    def condition(self, kind, name, condition="Ready"):
        """(status, reason, message); empty strings while there is none."""
        found = self.get(kind, name)
        for c in (found or {}).get("status", {}).get("conditions", []):
            if c["type"] == condition:
                return c["status"], c["reason"], c.get("message", "")
        return "", "", ""

    def wait_reason(self, kind, name, reason, seconds=SECONDS):
        """Waits until Ready carries this reason; returns its message."""
        wait_until(lambda: self.condition(kind, name)[1] == reason, seconds,
                   f"{kind} {name} {reason} (is {self.condition(kind, name)})", every=0.2)
        return self.condition(kind, name)[2]

    def events(self, kind, name):
        """Messages of the Events about a resource of ours."""
        found = self.kubernetes.get("events.events.k8s.io", namespace=self.namespace)["items"]
        return [e["note"] for e in found if e["regarding"].get("kind") == kind and e["regarding"].get("name") == name]

    def secret(self, name):
        data = self.kubernetes.get("secret", name, self.namespace)["data"]
        return {key: base64.b64decode(value) for key, value in data.items()}

    # --- clients ---

    def client(self, user, **overrides):
        """librdkafka's settings for a client outside, from the User's Secret alone. None leaves a setting out."""
        secret = self.secret(user)
        ca = self.folder / f"{user}-ca.crt"
        ca.write_bytes(secret["ca.crt"])
        values = {
            "bootstrap.servers": secret["bootstrap.tls"].decode(), "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": secret["username"].decode(),
            "sasl.password": secret["password"].decode(), "ssl.ca.location": ca, "ssl.endpoint.identification.algorithm": "https",
        }
        return {key: value for key, value in (values | overrides).items() if value is not None}

    def produce(self, user, topic, records, config=None, **options):
        values = self.client(user) if config is None else config
        return kcat.kcat("-P", "-t", topic, *kcat.settings({"acks": "all", **values}),
                         stdin=b"".join(r + b"\n" for r in records), **options)

    def consume(self, user, topic, *arguments, config=None, **options):
        values = self.client(user) if config is None else config
        return kcat.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", *arguments, *kcat.settings(values), **options)

    def why_not(self, user, topic, config=None, seconds=20):
        """What a client is told when it produces one record; "" when the record was acknowledged."""
        values = {"message.timeout.ms": 4000, **(self.client(user) if config is None else config)}
        code, _, error = self.produce(user, topic, [b"?"], values, check=False, seconds=seconds)
        return error if code or "failed" in error.lower() else ""

    def as_operator(self, tool, *arguments, **options):
        """Apache's tool with the operator's own certificate, on the listener between brokers: a super user's hand."""
        return self.with_certificate(self.secret(f"{self.cluster}-operator-client"), 9091, tool, *arguments, **options)

    def with_certificate(self, secret, port, tool, *arguments, check=True, seconds=120):
        """Apache's tool with the key and certificate of a Secret, at a port of the broker's pod. The names of pods are known
        in Kubernetes only, so Java gets a hosts file."""
        host = f"{self.pod}.{self.cluster}-brokers.{self.namespace}.svc"
        (self.folder / "client.pem").write_bytes(secret["tls.key"] + secret["tls.crt"])
        (self.folder / "cluster-ca.crt").write_bytes(self.secret(f"{self.cluster}-cluster-ca")["ca.crt"])
        address = self.kubernetes.get("pod", self.pod, self.namespace)["status"]["podIP"]
        (self.folder / "hosts").write_text(f"{address} {host}\n")
        (self.folder / "client.properties").write_text(properties_text({
            "security.protocol": "SSL", "ssl.keystore.type": "PEM", "ssl.keystore.location": self.folder / "client.pem",
            "ssl.truststore.type": "PEM", "ssl.truststore.location": self.folder / "cluster-ca.crt"}))
        return kafka_tool(tool, "--bootstrap-server", f"{host}:{port}", "--command-config", self.folder / "client.properties",
                          *arguments, options=[f"-Djdk.net.hosts.file={self.folder / 'hosts'}"], check=check, seconds=seconds)

    def java_client_file(self, user, name, **more):
        """client.properties for a Java program outside, with the certificates in place."""
        secret = self.secret(user)
        store = self.folder / f"{user}-truststore.p12"
        store.write_bytes(secret["truststore.p12"])
        file = self.folder / name
        file.write_text(properties_text({
            "bootstrap.servers": secret["bootstrap.tls"].decode(), "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": secret["sasl.jaas.config"].decode().strip(),
            "ssl.truststore.type": "PKCS12", "ssl.truststore.location": store,
            "ssl.truststore.password": secret["store.password"].decode(), **more}))
        return file

    # --- broker ---

    def broker_pod(self):
        return self.kubernetes.get("pod", self.pod, self.namespace)

    def broker_log(self, previous=False):
        more = ["--previous"] if previous else []
        return self.kubernetes.kubectl("logs", "-n", self.namespace, self.pod, "-c", "kafka", "--tail=-1", *more)

    def wait_log(self, since, *words, seconds=20):
        """Waits for a broker log line after the first `since` characters that has all the words; returns it."""
        def found():
            lines = self.broker_log()[since:].splitlines()
            return next((line for line in lines if all(w.lower() in line.lower() for w in words)), None)
        return wait_until(found, seconds, f"a broker log line with {words}", every=0.3)

    def wait_available(self, seconds=SECONDS):
        """Until the broker's pod is Ready, and the Cluster with it."""
        def ready():
            pod = self.broker_pod()
            return pod and not pod["metadata"].get("deletionTimestamp") and any(
                c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
        wait_until(ready, seconds, "the broker's pod Ready", every=0.2)
        wait_until(lambda: self.condition("Cluster", self.cluster)[0] == "True", seconds, "the Cluster Ready", every=0.2)

    def log_folder(self):
        """The broker's log.dir, as the machine sees it."""
        claim = self.kubernetes.get("pvc", f"data-0-{self.pod}", self.namespace)
        spec = self.kubernetes.get("pv", claim["spec"]["volumeName"])["spec"]
        return Path((spec.get("hostPath") or spec["local"])["path"]) / "kafka-log0"

    def metadata_records(self):
        """(milliseconds, type, data) of every record in the metadata log: who did what when, to the controller's own clock."""
        copies = []
        for segment in sorted((self.log_folder() / "__cluster_metadata-0").glob("*.log")):
            copies.append(self.folder / segment.name)
            copies[-1].write_bytes(segment.read_bytes())
        out = kafka_tool("kafka-dump-log", "--cluster-metadata-decoder", "--files", ",".join(map(str, copies))).out
        found = re.finditer(r"\| offset: \d+ CreateTime: (\d+) .*?payload: (\{.*\})", out)
        payloads = [(int(m[1]), json.loads(m[2])) for m in found]
        return [(at, payload["type"], payload["data"]) for at, payload in payloads]

    def broker_process(self):
        return host_processes(self.broker_pod()["metadata"]["uid"], "millrace-broker")[0]


# --- operator ---------------------------------------------------------------------------------------------------------

def host_processes(pod_uid, program):
    """Host pids of a program in a pod's containers; all containers are this machine's processes."""
    wanted = {pod_uid, pod_uid.replace("-", "_")}
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if (entry / "cmdline").read_bytes().split(b"\0")[0].endswith(program.encode()) and any(
                    w in (entry / "cgroup").read_text() for w in wanted):
                pids.append(int(entry.name))
    return pids


class Operators:
    """The replicas of the operator."""
    NAMESPACE = "millrace-system"

    def __init__(self, kubernetes):
        self.kubernetes = kubernetes

    def pods(self):
        found = self.kubernetes.kubectl("get", "pods", "-n", self.NAMESPACE, "-o", "json",
                                        "-l", "app.kubernetes.io/name=millrace-operator")
        return [p for p in json.loads(found)["items"] if "deletionTimestamp" not in p["metadata"] and p["status"]["phase"] == "Running"]

    def holder(self):
        """The pod that the Lease names; None while nobody holds it."""
        lease = self.kubernetes.get("lease", "millrace-operator", self.NAMESPACE)
        identity = (lease or {}).get("spec", {}).get("holderIdentity") or ""
        return next((p for p in self.pods() if identity.startswith(p["metadata"]["name"] + "_")), None)

    def metric(self, pod, name):
        """The value of a metric without labels."""
        with urlopen(f"http://{pod['status']['podIP']}:8080/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.rsplit(" ", 1)[1])
        return None

    def kill(self, pod):
        """SIGKILL, so that the Lease stays held; then a new pod at once instead of the kubelet's back-off."""
        for pid in host_processes(pod["metadata"]["uid"], "millrace-operator"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kubernetes.kubectl("delete", "pod", pod["metadata"]["name"], "-n", self.NAMESPACE, "--grace-period=0", "--force")

    def wait_ready(self):
        self.kubernetes.kubectl("rollout", "status", "deployment/millrace-operator", "-n", self.NAMESPACE, "--timeout=90s", seconds=100)
