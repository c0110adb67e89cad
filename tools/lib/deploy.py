"""From built programs to a running quickstart on the local Kubernetes: images, chart, resources, records."""

import base64
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import yaml

from e2e.localkube import cluster, gobuild, layout
from tools.lib import images, paths, ui

CHART = paths.ROOT / "charts" / "millrace"
QUICKSTART = paths.ROOT / "examples" / "quickstart"
NAMESPACE = "millrace-system"
GROUP = "millrace.io"
READY_SECONDS = 120
PORT_SECONDS = 15
RECORDS = 5


# --- operator ---------------------------------------------------------------------------------------------------------

def install(steps=ui):
    """Images into the nodes, then the chart. What runs an older image of the same tag is restarted."""
    archives = images.build(steps=steps)
    with steps.step("Images into nodes") as step:
        imported = cluster.load_images(archives)
        step.note = f"{imported} imported" if imported else "nothing to do"
    with steps.step("Helm chart") as step:
        log = paths.log_dir() / "helm.log"
        ui.run([gobuild.bin_dir() / "helm", "--kubeconfig", layout.kubeconfig(), "upgrade", "--install", "millrace", CHART,
                "--namespace", NAMESPACE, "--create-namespace", "--set", "image.tag=dev", "--set", "brokerImage.tag=dev"], log=log, what="helm upgrade --install")
        restarted = _restart_outdated()
        _await_operator(log)
        step.note = f"millrace in {NAMESPACE}" + (f"; restarted {', '.join(restarted)}" if restarted else "")


def _restart_outdated():
    """A new image under the tag `dev` reaches only new pods. Returns what was restarted."""
    record = layout.root() / "deployed.json"
    before = json.loads(record.read_text()) if record.exists() else {}
    now = {name: (images.FOLDER / f"{name}.stamp").read_text() for name in images.NAMES}
    restarted = []
    if before and before.get("operator") != now["operator"]:
        cluster.kubectl("rollout", "restart", "deployment", "-n", NAMESPACE)
        restarted.append("operator")
    if before and before.get("broker") != now["broker"]:
        for pod in json.loads(cluster.kubectl("get", "pods", "-A", "-o", "json"))["items"]:
            if any(c["image"].endswith(images.tag("broker")) for c in pod["spec"]["containers"]):
                name = pod["metadata"]["name"]
                cluster.kubectl("delete", "pod", name, "-n", pod["metadata"]["namespace"], "--wait=false")
                restarted.append(name)
    record.write_text(json.dumps(now))
    return restarted


def _await_operator(log):
    try:
        cluster.kubectl("rollout", "status", "deployment", "-n", NAMESPACE, f"--timeout={READY_SECONDS}s")
    except ui.Failure:
        raise ui.Failure("the operator does not become ready", log=log, tail=_pod_troubles(NAMESPACE),
                         todo="./dev logs operator") from None


def _pod_troubles(namespace):
    lines = []
    for pod in json.loads(cluster.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]:
        states = [s for c in pod["status"].get("containerStatuses", []) for s in c["state"].values() if "reason" in s]
        why = [f"{s['reason']} {s.get('message', '')}".strip() for s in states]
        why += [c.get("message", "") for c in pod["status"].get("conditions", []) if c["status"] == "False"]
        lines.append(f"{pod['metadata']['name']}: {pod['status']['phase']} {'; '.join(w for w in why if w)}"[:200])
    return lines or [f"no pods in {namespace}"]


# --- quickstart -------------------------------------------------------------------------------------------------------

class Quickstart:
    """The resources under examples/quickstart."""

    def __init__(self):
        self.documents = []
        for file in sorted(QUICKSTART.glob("*.yaml")):
            self.documents += [d for d in yaml.safe_load_all(file.read_text()) if d]
        if not self.documents:
            raise ui.Failure(f"{QUICKSTART} holds no resources")

    def all(self, kind):
        return [d for d in self.documents if d["kind"] == kind and d["apiVersion"].startswith(f"{GROUP}/")]

    def names(self):
        """The names of the first cluster and topic, and the cluster's namespace."""
        cluster_document, topic = self.all("Cluster")[0], self.all("Topic")[0]
        return {"cluster": cluster_document["metadata"]["name"], "namespace": namespace_of(cluster_document),
                "topic": topic["spec"].get("name", topic["metadata"]["name"])}

    def ours(self):
        return [d for d in self.documents if d["apiVersion"].startswith(f"{GROUP}/")]


def namespace_of(document):
    return document["metadata"].get("namespace", "default")


def resource_of(document):
    return f"{document['kind'].lower()}.{GROUP}/{document['metadata']['name']}"


def apply_quickstart(steps=ui):
    quickstart = Quickstart()
    with steps.step("Quickstart") as step:
        out = cluster.kubectl("apply", "-f", QUICKSTART)
        changed = [line for line in out.splitlines() if not line.endswith("unchanged")]
        step.note = "waiting for Ready"
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(_await_ready, quickstart.ours()))
        step.note = f"{len(quickstart.ours())} resources Ready" + ("" if changed else ", unchanged")
    return quickstart


def _await_ready(document):
    where = ("-n", namespace_of(document))
    try:
        cluster.kubectl("wait", "--for=condition=Ready", resource_of(document), *where, f"--timeout={READY_SECONDS}s")
    except ui.Failure:
        found = json.loads(cluster.kubectl("get", resource_of(document), *where, "-o", "json"))
        conditions = found.get("status", {}).get("conditions", [])
        tail = [f"{c['type']}={c['status']} {c.get('reason', '')}: {c.get('message', '')}" for c in conditions]
        if document["kind"] == "Cluster":
            tail += _pod_troubles(namespace_of(document))
        raise ui.Failure(f"{document['kind']} {document['metadata']['name']} does not become Ready",
                         tail=tail or ["it has no status: does the operator run?"], todo="./dev logs operator") from None


# --- records ----------------------------------------------------------------------------------------------------------

def secret_in_kubernetes(namespace, name):
    data = json.loads(cluster.kubectl("get", "secret", name, "-n", namespace, "-o", "json"))["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


def credentials(quickstart, read_secret=secret_in_kubernetes):
    """What a client outside needs: the Secret of the first User, and the listener that is reachable from here.
    `read_secret(namespace, name)` returns a Secret's values as bytes."""
    cluster_document, user = quickstart.all("Cluster")[0], quickstart.all("User")[0]
    listeners = cluster_document["spec"].get("listeners", [])
    outside = [li["name"] for li in listeners if li.get("expose", {}).get("type", "ClusterIP") != "ClusterIP"]
    secret_name = user["spec"].get("secret", {}).get("name", user["metadata"]["name"])
    secret = read_secret(namespace_of(user), secret_name)

    def value(key):
        if key not in secret:
            raise ui.Failure(f"Secret {secret_name} has no {key}", tail=[f"it has {', '.join(sorted(secret))}"])
        return secret[key].decode()

    return {"bootstrap": value(f"bootstrap.{outside[0]}" if outside else "bootstrap.servers"), "username": value("username"),
            "mechanism": "SCRAM-SHA-256" if user["spec"]["authentication"]["type"] == "ScramSha256" else "SCRAM-SHA-512",
            "password": value("password"), "ca": value("ca.crt")}


def write_client_file(access, folder):
    """A kcat configuration: `kcat -F FILE -L`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "ca.crt").write_text(access["ca"])
    file = folder / "kcat.conf"
    file.touch(mode=0o600)
    file.write_text(f"bootstrap.servers={access['bootstrap']}\nsecurity.protocol=SASL_SSL\n"
                    f"sasl.mechanism={access['mechanism']}\nsasl.username={access['username']}\n"
                    f"sasl.password={access['password']}\nssl.ca.location={folder / 'ca.crt'}\n"
                    "ssl.endpoint.identification.algorithm=https\n")
    return file


def round_trip(quickstart, access, folder, broker_log, steps=ui):
    """Produces and consumes a few records from outside, with TLS and the User's password. Returns the client's file, in
    `folder`; `broker_log` is the command that shows what the broker says."""
    name = quickstart.names()["topic"]
    with steps.step("Records") as step:
        file = write_client_file(access, folder)
        now = f"{time.strftime('%H:%M:%S')}.{time.time_ns() // 1000000 % 1000:03}"
        sent = [f"hello {n} from ./dev up at {now}" for n in range(1, RECORDS + 1)]
        _await_answer(file)
        start = time.monotonic()
        _kcat("-F", file, "-P", "-t", name, "-X", "acks=all", stdin="\n".join(sent) + "\n", todo=broker_log)
        got = _kcat("-F", file, "-C", "-t", name, "-o", f"-{RECORDS}", "-e", "-q", todo=broker_log).splitlines()
        if lost := [s for s in sent if s not in got]:
            raise ui.Failure(f"{len(lost)} of {RECORDS} records did not come back from topic {name}", tail=got[-5:], todo=broker_log)
        step.note = f"{RECORDS} through topic {name} and back in {ui.duration(time.monotonic() - start)}"
    return file


def _await_answer(file):
    """A node port opens a moment after the pod behind it is Ready. What is wrong after that, the next call tells."""
    deadline = time.monotonic() + PORT_SECONDS
    while subprocess.run(["kcat", "-F", file, "-L", "-m", "5"], capture_output=True).returncode and time.monotonic() < deadline:
        time.sleep(0.1)


def _kcat(*arguments, stdin="", todo=None):
    result = subprocess.run(["kcat", *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60)
    if result.returncode != 0:
        raise ui.Failure("kcat could not talk to the cluster", tail=result.stderr.strip().splitlines()[-6:], todo=todo)
    return result.stdout
