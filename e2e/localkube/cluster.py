"""Brings the cluster up, takes it down, and tells how it is.

State is kept in layout.root(). What a crash or a reboot left is started again on the same state (etcd, volumes, images);
only if that does not become ready is it thrown away and made anew.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

from e2e.localkube import gobuild, host, images, layout, pki, supervisor, units
from e2e.localkube.api import Api
from tools.lib import paths, ui

READY_SECONDS = 90
DOWN_HINT = "./dev down, then try again; if it persists, the logs in {log} tell why"

ADDONS = """
apiVersion: v1
kind: Namespace
metadata: {name: local-path-storage}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: local-path-provisioner, namespace: local-path-storage}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local-path, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
allowVolumeExpansion: true
---
"""


# --- up ---------------------------------------------------------------------------------------------------------------

def up(nodes=3, steps=ui):
    """Makes `nodes` nodes run and waits until they are Ready. Idempotent. Returns True if it had to start anything."""
    if found := host.obstacles():
        raise ui.Failure("this machine cannot run the local Kubernetes: " + "; ".join(found))
    with _lock():
        bin_dir = gobuild.ensure(steps)
        spec = {"layout": layout.LAYOUT_VERSION, "nodes": nodes, "binaries": bin_dir.parent.name, "units": _source_digest()}
        same = _stored_spec() == spec
        with steps.step("Kubernetes") as step:
            if same and is_running() and _wait_ready(nodes, step, 20, since=""):
                step.note = f"{gobuild.KUBERNETES_VERSION}, {nodes} nodes, already running"
                return False
            repaired = _stop() or same
            for keep_state in ([True, False] if same else [False]):
                began = _now()  # a node's word older than this is of its earlier life
                _start(spec, bin_dir, keep_state, step)
                if _wait_ready(nodes, step, READY_SECONDS / 3 if keep_state else READY_SECONDS, since=began):
                    step.note = f"{gobuild.KUBERNETES_VERSION}, {nodes} nodes Ready" + (
                        ", repaired what an earlier run left" if repaired else "")
                    return True
                if not keep_state:
                    _explain_failure()
                step.note = "the old state does not start; making it anew"
                _stop()


def _start(spec, bin_dir, keep_state, step):
    root, nodes = layout.root(), spec["nodes"]
    if not keep_state:
        shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    for folder in ("log", "run", "run/hold"):
        (root / folder).mkdir(exist_ok=True)
    _make_private_folders()
    step.note = "network, certificates"
    host.make_network(nodes, remember=root / "run" / "ip_forward")
    host.make_cgroups(nodes)
    pki.make(nodes)
    for i in range(nodes):
        shutil.rmtree(layout.node_dir(i) / "ipam", ignore_errors=True)  # leases of pods that are gone
    for hold in (root / "run" / "hold").iterdir():
        hold.unlink()
    units.write_configuration(nodes)
    (root / "run" / "units.json").write_text(json.dumps(units.all_units(nodes, bin_dir)))
    tars = images.make()
    step.note = "starting the control plane"
    _spawn_supervisor()
    (root / "spec.json").write_text(json.dumps(spec))
    _load(tars, nodes)
    _wait(lambda: Api().ready(), 60, "the API server")
    _apply_addons(bin_dir)


def _spawn_supervisor():
    root = layout.root()
    with open(root / "log" / "supervisor.log", "a") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--",
             "/usr/bin/python3", "-m", "e2e.localkube.supervisor", str(root)],
            cwd="/", env=dict(os.environ, PYTHONPATH=str(paths.ROOT), PYTHONDONTWRITEBYTECODE="1"), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True)
    (root / "run" / "supervisor.json").write_text(json.dumps(host.identity(process.pid)))


def _wait_ready(nodes, step, seconds, since):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_running():
            return False
        ready = [n for n, (ok, said) in Api().ready_nodes().items() if ok and said >= since]
        if len(ready) == nodes:
            return True
        step.note = f"{len(ready)} of {nodes} nodes Ready"
        time.sleep(0.2)
    return False


def _wait(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or not is_running():
            _explain_failure(what)
        time.sleep(0.1)


def _explain_failure(what="the cluster"):
    log = layout.root() / "log"
    lines = [f"{u['name']}: ended {u['restarts']} times, last with {u['last_exit']}" for u in report() if u["restarts"]]
    worst = max(report(), key=lambda u: u["restarts"], default=None)
    if worst and worst["restarts"]:
        lines += ui.tail_of(log / f"{worst['name']}.log", 5)
    raise ui.Failure(f"{what} does not become ready", log=log, tail=lines, todo=DOWN_HINT.format(log=log))


def _apply_addons(bin_dir):
    data = {f.name: f.read_text() for f in (layout.root() / "provisioner").iterdir()}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": data,
              "metadata": {"name": "local-path-config", "namespace": "local-path-storage"}}
    ui.output([bin_dir / "kubectl", "--kubeconfig", layout.kubeconfig(), "apply", "--server-side", "--force-conflicts",
               "-f", "-"], stdin=None, input=ADDONS + json.dumps(config))


# --- images -----------------------------------------------------------------------------------------------------------

def load_images(archives):
    """Imports docker archives into every node that does not have them yet; returns how many imports were made."""
    with _lock():
        return _load(archives, _stored_spec()["nodes"])


def _load(archives, nodes):
    digests = {str(a): hashlib.sha256(Path(a).read_bytes()).hexdigest() for a in archives}

    def load_node(i):
        ledger = layout.node_dir(i) / "images.json"
        have = json.loads(ledger.read_text()) if ledger.exists() else {}
        todo = [a for a, digest in digests.items() if have.get(a) != digest]
        if todo:
            _wait(lambda: _containerd_answers(i), 30, f"containerd of node {layout.node_name(i)}")
        for archive in todo:
            # Under a tag that it knows, containerd's Kubernetes side would go on with the image of before.
            for tag in _tags_of(archive):
                subprocess.run([*ctr(i), "images", "rm", f"docker.io/{tag}"], capture_output=True)
            ui.output([*ctr(i), "images", "import", archive])
            have[archive] = digests[archive]
            ledger.write_text(json.dumps(have))
        return len(todo)

    with ThreadPoolExecutor(max_workers=nodes) as pool:
        return sum(pool.map(load_node, range(nodes)))


def _tags_of(archive):
    with tarfile.open(archive) as tar:
        return [tag for image in json.load(tar.extractfile("manifest.json")) for tag in image["RepoTags"]]


def ctr(i):
    return ["ctr", "--address", str(layout.containerd_socket(i)), "--namespace", "k8s.io"]


def _containerd_answers(i):
    return subprocess.run([*ctr(i), "version"], capture_output=True).returncode == 0


# --- down -------------------------------------------------------------------------------------------------------------

def down(steps=ui):
    """Removes everything: processes, mounts, networks, cgroups, state. Returns False if there was nothing."""
    if os.geteuid() != 0:
        return False
    with _lock(), steps.step("Kubernetes") as step:
        there = layout.root().exists()
        there = _stop() or there
        shutil.rmtree(layout.root(), ignore_errors=True)
        step.note = "stopped and removed" if there else "was not there"
    return there


def _stop():
    """Ends every process of the cluster and takes its network and cgroups back; True if anything was running."""
    root = layout.root()
    was_running = is_running()
    if was_running:
        outer = supervisor_pid()
        inner = host.children(outer)
        os.kill(outer, signal.SIGKILL)  # its child is PID 1 of the namespace, and takes all of it along
        _wait_gone([outer, *inner])
    strays = _processes_in_namespaces()
    for pid in strays:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_gone(strays)
    host.remove_cgroups()
    host.remove_network(remember=root / "run" / "ip_forward")
    _remove_private_folders()
    return was_running or bool(strays)


def _wait_gone(pids, seconds=20):
    deadline = time.monotonic() + seconds
    for pid in pids:
        while host.start_time(pid) is not None:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # ours when the same process ran `up`
            if time.monotonic() > deadline:
                raise ui.Failure(f"process {pid} of the local Kubernetes does not end", todo="see /proc/%d/stack" % pid)
            time.sleep(0.02)


def _processes_in_namespaces():
    """Processes inside the nodes' network namespaces although nobody remembers them: the state folder was removed by hand."""
    inodes = {f"net:[{os.stat(p).st_ino}]" for i in range(host.MAX_NODES) if (p := layout.netns_path(i)).exists()}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns" / "net") in inodes:
                    found.append(int(entry.name))
    return found


def _make_private_folders():
    made = [f for f in supervisor.PRIVATE_FOLDERS if not os.path.exists(f)]
    record = layout.root() / "run" / "made_folders"
    earlier = json.loads(record.read_text()) if record.exists() else []
    for folder in made:
        os.makedirs(folder, exist_ok=True)
    record.write_text(json.dumps(sorted(set(earlier + made))))


def _remove_private_folders():
    record = layout.root() / "run" / "made_folders"
    for folder in json.loads(record.read_text()) if record.exists() else []:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


# --- status -----------------------------------------------------------------------------------------------------------

def is_running():
    try:
        stored = json.loads((layout.root() / "run" / "supervisor.json").read_text())
    except (OSError, ValueError):
        return False
    return host.is_alive(stored)


def supervisor_pid():
    """The process whose end ends the whole cluster."""
    return json.loads((layout.root() / "run" / "supervisor.json").read_text())["pid"]


def report():
    """One entry per process: name, pid inside the cluster's PID namespace, restarts, last_exit."""
    try:
        return json.loads((layout.root() / "run" / "report.json").read_text())
    except (OSError, ValueError):
        return []


def host_pid(unit):
    """The pid, as the machine sees it, of a process of the cluster; None when it is not running."""
    inside = next((u["pid"] for u in report() if u["name"] == unit), None)
    if inside is None or not is_running():
        return None
    for pid in (c for s in host.children(supervisor_pid()) for c in host.children(s)):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("NSpid:") and line.split()[-1] == str(inside):
                    return pid
    return None


@contextlib.contextmanager
def held(unit):
    """Keeps a process of the cluster stopped while the block runs: a node without its kubelet, a cluster without scheduler."""
    hold = layout.root() / "run" / "hold" / unit
    hold.touch()
    try:
        yield
    finally:
        hold.unlink(missing_ok=True)


def environment():
    """What a user's shell needs to talk to the cluster."""
    return {"KUBECONFIG": str(layout.kubeconfig()), "PATH": f"{gobuild.bin_dir()}:{os.environ['PATH']}"}


def kubectl(*arguments, **options):
    return ui.output([gobuild.bin_dir() / "kubectl", "--kubeconfig", layout.kubeconfig(), *arguments], **options)


# --- small things -----------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def _lock():
    paths.state_dir().mkdir(parents=True, exist_ok=True)
    with open(paths.state_dir() / "localkube.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ui.warn("another ./dev works on the local Kubernetes; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        os.set_inheritable(file.fileno(), False)
        yield


def _now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _stored_spec():
    try:
        return json.loads((layout.root() / "spec.json").read_text())
    except (OSError, ValueError):
        return {}


def _source_digest():
    """Changes when the processes or their configuration would: a cluster of an older tree is then made anew."""
    folder = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for name in ("units.py", "supervisor.py", "layout.py", "pki.py", "images.py", "pause.c"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit("use: python3 -m e2e.localkube")
