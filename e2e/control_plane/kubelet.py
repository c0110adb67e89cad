"""What a node does for the pods of one namespace: broker processes on loopback addresses, with the volumes as files.

The smallest that is honest: the process is the real broker, started by the pod's own command with the files of its own ConfigMap and
Secret; Ready is what /readyz says; a deletion is SIGTERM and the process's end. Paths in the files are those of this machine, and
names of pods are in a hosts file that only these processes have.
"""

import base64
import http.client
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request

from e2e.control_plane.plane import Refused
from e2e.lib.broker import PROGRAM
from e2e.lib.process import Process

HTTP_PORT = 9404
POLL_SECONDS = 0.05


def with_hosts(hosts, argv, hostname="operator"):
    """A command line whose process alone has `hosts` as /etc/hosts, and this name; its pid is that of what is started."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'mount --bind "$0" /etc/hosts && hostname "$1" && shift && exec "$@"'
    return ["unshare", *user, "--mount", "--uts", "--propagation", "private", "--", "sh", "-c", script, str(hosts), hostname, *map(str, argv)]


class Pod:
    def __init__(self, document, address, folder):
        self.name, self.uid, self.address, self.folder = document["metadata"]["name"], document["metadata"]["uid"], address, folder
        self.document, self.process, self.ready, self.started = document, None, False, 0
        self.files = None  # what was written last
        self.next_start = 0.0

    @property
    def container(self):
        return self.document["spec"]["containers"][0]


class Kubelet:
    """One thread. `starts`: how often each pod's process was started, by name."""

    def __init__(self, api, namespace, folder, network):
        self.api, self.namespace, self.folder, self.network = api, namespace, folder, network
        self.folder.mkdir(parents=True, exist_ok=True)
        self.hosts = self.folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.starts, self.problems = {}, []
        self._pods, self._addresses, self._events, self._stop = {}, {}, {}, threading.Event()
        self._lock = threading.Lock()
        self._path = f"/api/v1/namespaces/{namespace}"
        self._threads = [threading.Thread(target=self._follow, args=(kind,), daemon=True) for kind in ("pods", "configmaps", "secrets")]
        self._threads.append(threading.Thread(target=self._run, daemon=True))
        for thread in self._threads:
            thread.start()

    def _follow(self, kind):
        def on_event(what, item):
            with self._lock:
                known = self._events.setdefault(kind, {})
                if what == "DELETED":
                    known.pop(item["metadata"]["name"], None)
                else:
                    known[item["metadata"]["name"]] = item
        self.api.follow(f"{self._path}/{kind}", on_event, self._stop.is_set)

    def _known(self, kind):
        with self._lock:
            return dict(self._events.get(kind, {}))

    def _run(self):
        while not self._stop.wait(POLL_SECONDS):
            documents = self._known("pods")
            for document in documents.values():
                self._guarded(self._turn, document)
            for uid in set(self._pods) - {d["metadata"]["uid"] for d in documents.values()}:  # deleted without grace
                self._end(self._pods.pop(uid), signal.SIGKILL)

    def _guarded(self, step, document):
        try:
            step(document)
        except Refused as refused:  # 404 and 409: the world went on, so shall we
            if refused.status not in (404, 409):
                self.problems.append(str(refused))
        except (OSError, http.client.HTTPException) as broken:
            self.problems.append(f"kubelet: {broken!r}")

    def _turn(self, document):
        meta = document["metadata"]
        pod = self._pods.get(meta["uid"])
        if "deletionTimestamp" in meta:
            return self._delete(document, pod)
        if pod is None:
            pod = self._pods[meta["uid"]] = Pod(document, self._address(document), self.folder / meta["name"] / meta["uid"])
            if not document["spec"].get("nodeName"):
                self.api.send("POST", f"{self._path}/pods/{pod.name}/binding", {
                    "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name}, "target": {"kind": "Node", "name": "loopback"}})
        pod.document = document
        self._write_files(pod)
        if pod.process is None:
            if pod.files is not None and time.monotonic() >= pod.next_start:
                self._start(pod)
        elif pod.process.returncode is not None:
            self._crashed(pod)
        else:
            self._probe(pod)

    def _address(self, document):
        name = document["metadata"]["name"]
        if name not in self._addresses:
            self._addresses[name] = f"{self.network}.{len(self._addresses) + 1}"
            service = document["spec"].get("subdomain", "")
            with open(self.hosts, "a") as file:
                file.write(f"{self._addresses[name]} {name}.{service}.{self.namespace}.svc {name}\n")
        return self._addresses[name]

    # --- volumes ---

    def _volume_folder(self, pod, name):
        claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod.document["spec"]["volumes"] if "persistentVolumeClaim" in v}
        return self.folder / "volumes" / claims[name] if name in claims else pod.folder / name

    def _mounts(self, pod):
        return {m["mountPath"]: self._volume_folder(pod, m["name"]) for m in pod.container["volumeMounts"]}

    def _here(self, pod, text):
        for path, folder in self._mounts(pod).items():
            text = text.replace(path, str(folder))
        return text.replace("://:", f"://{pod.address}:")  # all addresses would be those of the other pods too

    def _write_files(self, pod):
        """Of every ConfigMap and Secret, once all are there and whenever one changes."""
        contents = {}
        for volume in pod.document["spec"]["volumes"]:
            if "configMap" in volume:
                found = self._known("configmaps").get(volume["configMap"]["name"])
                data = {k: v.encode() for k, v in (found or {}).get("data", {}).items()}
            elif "secret" in volume:
                found = self._known("secrets").get(volume["secret"]["secretName"])
                data = {k: base64.b64decode(v) for k, v in (found or {}).get("data", {}).items()}
            else:
                continue
            if found is None:
                return
            contents[volume["name"]] = data
        if contents == pod.files:
            return
        for name, data in contents.items():
            folder = self._volume_folder(pod, name)
            folder.mkdir(parents=True, exist_ok=True)
            for key, value in data.items():
                if key.endswith((".properties", ".json")):
                    value = self._here(pod, value.decode()).encode()
                (folder / f".{key}").write_bytes(value)
                os.replace(folder / f".{key}", folder / key)
        for folder in self._mounts(pod).values():
            folder.mkdir(parents=True, exist_ok=True)
        pod.files = contents

    # --- the process ---

    def _start(self, pod):
        fields = {"metadata.name": pod.name, "metadata.namespace": self.namespace, "status.podIP": pod.address}
        env = dict(os.environ)
        for variable in pod.container.get("env", []):
            env[variable["name"]] = variable.get("value", "") if "valueFrom" not in variable else fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        command = [self._here(pod, word) for word in pod.container["command"]]
        command[0] = PROGRAM
        pod.process = Process(with_hosts(self.hosts, [*command, "--http", f"{pod.address}:{HTTP_PORT}"], pod.name),
                              log=self.folder / f"{pod.name}.log", env=env)
        pod.started += 1
        self.starts[pod.name] = self.starts.get(pod.name, 0) + 1
        self._report(pod, {"running": {"startedAt": now()}})

    def _crashed(self, pod):
        self.problems.append(f"{pod.name} ended with {pod.process.returncode}: {pod.process.tail(3)}")
        pod.process, pod.ready, pod.next_start = None, False, time.monotonic() + 1.0
        self._report(pod, {"waiting": {"reason": "CrashLoopBackOff", "message": "ended"}})

    def _probe(self, pod):
        if pod.ready and time.monotonic() < pod.next_start:
            return
        pod.next_start = time.monotonic() + 0.5
        try:
            with urllib.request.urlopen(f"http://{pod.address}:{HTTP_PORT}/readyz", timeout=2) as answer:
                ready = answer.status == 200
        except (OSError, urllib.error.URLError):
            ready = False
        if ready != pod.ready:
            pod.ready = ready
            self._report(pod, {"running": {"startedAt": now()}})

    def _report(self, pod, state):
        def condition(kind, true):
            return {"type": kind, "status": str(bool(true)), "lastTransitionTime": now()}
        image = pod.container["image"]
        self.api.patch(f"{self._path}/pods/{pod.name}/status", {"metadata": {"uid": pod.uid}, "status": {
            "phase": "Running" if pod.process else "Pending", "podIP": pod.address, "podIPs": [{"ip": pod.address}],
            "hostIP": "127.0.0.1", "conditions": [condition("PodScheduled", True), condition("Initialized", True),
                                                  condition("ContainersReady", pod.ready), condition("Ready", pod.ready)],
            "containerStatuses": [{"name": pod.container["name"], "image": image, "imageID": image, "ready": pod.ready,
                                   "restartCount": max(0, pod.started - 1), "state": state}]}})

    def _delete(self, document, pod):
        meta = document["metadata"]
        if pod is not None:
            if pod.process is not None and pod.process.returncode is None:
                if pod.ready is not None:
                    pod.ready = None  # told to stop
                    pod.process.signal(signal.SIGTERM)
                return
            shutil.rmtree(pod.folder, ignore_errors=True)
        self.api.delete(f"{self._path}/pods/{meta['name']}", gracePeriodSeconds=0, preconditions={"uid": meta["uid"]})

    @staticmethod
    def _end(pod, number):
        if pod.process is not None and pod.process.returncode is None:
            pod.process.signal(number)
            pod.process.kill()

    def close(self):
        self._stop.set()
        self._threads[-1].join(10)
        for pod in self._pods.values():
            self._end(pod, signal.SIGKILL)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
