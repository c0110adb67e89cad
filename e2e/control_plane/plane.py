"""etcd, kube-apiserver and the few controllers that the operator counts on, as processes on loopback. No node, no kubelet."""

import contextlib
import http.client
import json
import secrets
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from e2e.lib.process import Process, free_ports, wait_until
from e2e.localkube import gobuild
from tools.lib import paths

# StatefulSets make pods, owners' ends take what they own along, namespaces go.
CONTROLLERS = ("statefulset-controller", "garbage-collector-controller", "namespace-controller", "serviceaccount-controller",
               "disruption-controller", "persistentvolumeclaim-protection-controller")
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder):
    """ca.crt, and server.crt with server.key for 127.0.0.1: the API server's and the proxy's."""
    for name in ("ca", "server"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / f"{name}.key")
    openssl("req", "-x509", "-new", "-key", folder / "ca.key", "-subj", "/CN=test-ca", "-days", "30", "-out", folder / "ca.crt")
    openssl("req", "-new", "-key", folder / "server.key", "-subj", "/CN=kube-apiserver", "-out", folder / "server.csr")
    (folder / "server.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial",
            "-days", "30", "-out", folder / "server.crt", "-extfile", folder / "server.ext")
    openssl("genrsa", "-out", folder / "sa.key", "2048")


def write_kubeconfig(file, port, ca, token, namespace="default"):
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(ca)}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": namespace}}]}))
    return file


class Refused(AssertionError):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


class Api:
    """Requests of the test itself, past every fault. A connection per thread."""

    def __init__(self, port, ca, token):
        self.port, self.token = port, token
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._local = threading.local()

    def _connection(self, timeout):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self._tls, timeout=timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send(self, method, path, body=None, content_type="application/json"):
        """The decoded answer; Refused for a status of 400 and above."""
        if time.monotonic() - getattr(self._local, "used", 0.0) > 20:  # the server ends idle ones
            self._local.connection = self._connection(30)
        try:
            self._local.connection.request(method, path, None if body is None else json.dumps(body),
                                           {"Authorization": f"Bearer {self.token}", "Content-Type": content_type})
            answer = self._local.connection.getresponse()
            text = answer.read().decode()
            self._local.used = time.monotonic()
        except (OSError, http.client.HTTPException):
            self._local.used = 0.0
            raise
        if answer.status >= 400:
            raise Refused(answer.status, text)
        return json.loads(text) if text.startswith("{") else text

    def get(self, path):
        """None when there is no such object."""
        try:
            return self.send("GET", path)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def apply(self, path, document):
        return self.send("PATCH", f"{path}?fieldManager=test&force=true", document, APPLY)

    def patch(self, path, document):
        return self.send("PATCH", path, document, MERGE)

    def delete(self, path, **options):
        with contextlib.suppress(Refused):
            return self.send("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", **options})

    def follow(self, path, on_event, stopped):
        """List, then watch until `stopped()`: on_event(type, object), on the calling thread."""
        while not stopped():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                found = self.send("GET", path)
                for item in found["items"]:
                    on_event("ADDED", item)
                connection = self._connection(600)
                connection.request("GET", f"{path}?watch=1&resourceVersion={found['metadata']['resourceVersion']}",
                                   headers={"Authorization": f"Bearer {self.token}"})
                for line in connection.getresponse():
                    if stopped():
                        return
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    on_event(event["type"], event["object"])


class Plane:
    """A control plane for the whole test run, with the CRDs in it."""

    def __init__(self, folder):
        self.folder, self.processes = Path(folder), []
        self.etcd_port, peer, self.port = free_ports(3)
        self.admin_token = secrets.token_hex(16)
        make_certificates(self.folder)
        self.ca = self.folder / "ca.crt"
        self.api = Api(self.port, self.ca, self.admin_token)
        self.kubeconfig = write_kubeconfig(self.folder / "kubeconfig", self.port, self.ca, self.admin_token)
        try:
            self._start_server(peer)
            self._install_crds()
            # The collector of orphans learns kinds at its start, and then every half minute.
            self._run("kube-controller-manager", gobuild.bin_dir() / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
                      "--leader-elect=false", f"--controllers={','.join(CONTROLLERS)}", "--kube-api-qps=500", "--kube-api-burst=1000",
                      "--secure-port=0")
            self.api.apply("/api/v1/nodes/loopback", {"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": "loopback", "labels": {"topology.kubernetes.io/zone": "z0"}}})
        except BaseException:
            self.close()
            raise

    def _run(self, name, *argv):
        self.processes.append(Process(argv, log=self.folder / f"{name}.log"))

    def _start_server(self, peer):
        etcd = f"http://127.0.0.1:{self.etcd_port}"
        (self.folder / "tokens.csv").write_text(f'{self.admin_token},admin,admin,"system:masters"\n')
        self._run("etcd", "etcd", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
                  f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                  f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}")
        self._run("kube-apiserver", gobuild.bin_dir() / "kube-apiserver", f"--etcd-servers={etcd}", "--bind-address=127.0.0.1",
                  f"--secure-port={self.port}", f"--cert-dir={self.folder / 'certs'}", f"--tls-cert-file={self.folder / 'server.crt'}",
                  f"--tls-private-key-file={self.folder / 'server.key'}", f"--token-auth-file={self.folder / 'tokens.csv'}",
                  "--authorization-mode=RBAC", f"--service-account-key-file={self.folder / 'sa.key'}",
                  f"--service-account-signing-key-file={self.folder / 'sa.key'}", "--endpoint-reconciler-type=none",
                  "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.203.0.0/16",
                  # Whoever sets an owner must be allowed to set its finalizers, as on OpenShift.
                  "--enable-admission-plugins=OwnerReferencesPermissionEnforcement", "--max-requests-inflight=0", "--max-mutating-requests-inflight=0", "--enable-priority-and-fairness=false",
                  "--storage-media-type=application/json")

        def ready():
            assert all(p.returncode is None for p in self.processes), self.processes[-1].tail()
            with contextlib.suppress(OSError, Refused, http.client.HTTPException):
                return self.api.send("GET", "/readyz") == "ok"
        wait_until(ready, 90, "the API server", every=0.1)

    def _install_crds(self):
        kubectl = [str(gobuild.bin_dir() / "kubectl"), "--kubeconfig", str(self.kubeconfig)]
        files = sorted(f for f in (paths.ROOT / "crds").glob("*.yaml"))
        subprocess.run([*kubectl, "create", *(a for f in files for a in ("-f", str(f)))], check=True, capture_output=True, timeout=60)
        plurals = [f.stem for f in files]

        def served():
            with contextlib.suppress(Refused):
                return all(self.api.get(f"/apis/millrace.io/v1beta1/{p}") for p in plurals)
        wait_until(served, 30, "the API server to serve our kinds", every=0.1)

    def namespace(self, name, labels=None):
        self.api.send("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                                     "metadata": {"name": name, "labels": labels or {}}})

    def token_of(self, namespace, service_account):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        return self.api.send("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                                            "spec": {"expirationSeconds": 7200}})["status"]["token"]

    def close(self):
        for process in reversed(self.processes):
            process.kill()
