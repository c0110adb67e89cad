#!/usr/bin/env python3
"""Checks the CRDs against a real API server.

    crds/check.py                     starts etcd and kube-apiserver on loopback for the time of the check
    crds/check.py --kubeconfig FILE   uses a running cluster: installs the CRDs, works in a namespace of its own

Every CRD is established, every file in samples/ is accepted, every file in rejected/ is refused with the words of its
first line. In rejected/ a file of two documents is an update: the first is applied, the second must be refused.
"""
import argparse
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import ssl

HERE = pathlib.Path(__file__).resolve().parent
MAX_CRD_BYTES = 256 * 1024
NAMESPACE = f"millrace-crd-check-{secrets.token_hex(3)}"  # that of an earlier run may still be going
EXPECT = "# expect: "


class Kubectl:
    def __init__(self, binary, kubeconfig):
        self.base = [str(binary), "--kubeconfig", str(kubeconfig)]

    def __call__(self, *args, stdin=None, check=True):
        done = subprocess.run([*self.base, *args], input=stdin, text=True, capture_output=True, timeout=60)
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done


def documents(path):
    text = path.read_text()
    return [part for part in text.split("---\n") if part.strip()]


def check_rejected(kubectl, path):
    """None when the file is refused as it says, else what happened instead."""
    first_line = path.read_text().splitlines()[0]
    if not first_line.startswith(EXPECT):
        return f"{path.name}: the first line must begin with '{EXPECT}'"
    expected = first_line[len(EXPECT):].strip()
    *before, wrong = documents(path)
    for document in before:
        kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=document)
    try:
        done = kubectl("apply", "-n", NAMESPACE, "--dry-run=server", "-f", "-", stdin=wrong, check=False)
    finally:
        for document in before:
            kubectl("delete", "-n", NAMESPACE, "--wait=false", "-f", "-", stdin=document)
    if done.returncode == 0:
        return f"{path.name}: was accepted; expected: {expected}"
    if expected not in done.stderr:
        return f"{path.name}: expected: {expected}\n    got: {done.stderr.strip()}"
    return None


def check_all(kubectl):
    """Installs the CRDs and returns a list of what is wrong."""
    crds = sorted(HERE.glob("*.yaml"))
    problems = [f"{p.name}: {p.stat().st_size} bytes" for p in crds if p.stat().st_size >= MAX_CRD_BYTES]
    for path in crds:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
    names = [f"customresourcedefinition/{p.stem}.millrace.io" for p in crds]
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    for name in names:
        shown = kubectl("get", name, "-o", "jsonpath={.status.conditions[?(@.type=='NonStructuralSchema')].message}")
        if shown.stdout:
            problems.append(f"{name}: {shown.stdout}")
    kubectl("create", "namespace", NAMESPACE, check=False)
    wait_until_served(kubectl)
    for path in sorted((HERE / "samples").glob("*.yaml")):
        done = kubectl("apply", "-n", NAMESPACE, "--dry-run=server", "-f", str(path), check=False)
        if done.returncode != 0:
            problems.append(f"samples/{path.name}: {done.stderr.strip()}")
    rejected = sorted((HERE / "rejected").glob("*.yaml"))
    problems += [problem for path in rejected if (problem := check_rejected(kubectl, path))]
    kubectl("delete", "namespace", NAMESPACE, "--wait=false", check=False)
    print(f"{len(crds)} CRDs, {len(rejected)} rejected resources, {len(problems)} problems")
    return problems


def wait_until_served(kubectl):
    """Established comes a moment before the resource is served."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done = kubectl("get", "clusters.millrace.io,externalclusters.millrace.io", "-n", NAMESPACE, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.2)
    raise RuntimeError("the API server does not serve the new kinds: " + done.stderr)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find_binaries():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    found = sorted(cache.glob("millrace/localkube/*/bin/kube-apiserver"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise RuntimeError("no kube-apiserver in the cache: run ./dev up once")
    return found[-1].parent


class TemporaryApiServer:
    """etcd and kube-apiserver on loopback; nothing else of Kubernetes runs."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="millrace-crds-")
        self.processes = []
        base = pathlib.Path(self.folder.name)
        self.binaries = find_binaries()
        try:
            self.start(base)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def run(self, name, base, *command):
        log = (base / f"{name}.log").open("w")
        self.processes.append(subprocess.Popen([str(c) for c in command], stdout=log, stderr=log))

    def start(self, base):
        etcd, peer, port = free_port(), free_port(), free_port()
        token = secrets.token_hex(16)
        subprocess.run(["openssl", "genrsa", "-out", base / "sa.key", "2048"], check=True, capture_output=True)
        (base / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
        self.run("etcd", base, "etcd", f"--data-dir={base / 'etcd'}", "--unsafe-no-fsync",
                 f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}",
                 f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                 f"--initial-cluster=default=http://127.0.0.1:{peer}")
        self.run("kube-apiserver", base, self.binaries / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}",
                 "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={base / 'certs'}",
                 f"--token-auth-file={base / 'tokens.csv'}", "--authorization-mode=RBAC",
                 f"--service-account-key-file={base / 'sa.key'}", f"--service-account-signing-key-file={base / 'sa.key'}",
                 "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.203.0.0/24")
        self.kubeconfig = base / "kubeconfig"
        self.kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
            f'clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{port}", insecure-skip-tls-verify: true}}}}]\n'
            f"users: [{{name: u, user: {{token: {token}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n")
        self.wait_ready(port, base)

    def wait_ready(self, port, base):
        trust_anything = ssl._create_unverified_context()  # a certificate that the server made a second ago
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(p.poll() is not None for p in self.processes):
                break
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", timeout=2, context=trust_anything):
                    return
            except OSError:
                time.sleep(0.2)
        tail = (base / "kube-apiserver.log").read_text()[-2000:]
        raise RuntimeError(f"the API server did not become ready:\n{tail}")

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.folder.cleanup()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig")
    parser.add_argument("--kubectl", default="kubectl")
    args = parser.parse_args()
    if args.kubeconfig:
        problems = check_all(Kubectl(args.kubectl, args.kubeconfig))
    else:
        with TemporaryApiServer() as server:
            problems = check_all(Kubectl(server.binaries / "kubectl", server.kubeconfig))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
