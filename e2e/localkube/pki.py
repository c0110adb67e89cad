"""The cluster's certificates (one CA for everything), random bearer tokens, and a kubeconfig per component."""

import base64
import os
import secrets
import subprocess

from e2e.localkube import layout

USERS = {  # name -> (user, groups)
    "admin": ("admin", "system:masters"),
    "kcm": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "dns": ("coredns", "system:masters"),
}


def make(nodes):
    """Writes <root>/pki unless it is complete already. The API server reads tokens.csv only at its start."""
    folder = layout.root() / "pki"
    if (folder / "complete").exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _key(folder / "ca.key")
    _openssl("req", "-x509", "-new", "-key", folder / "ca.key", "-subj", "/CN=localkube-ca", "-days", "3650",
             "-out", folder / "ca.crt")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"]
    addresses = ["127.0.0.1", layout.node_address(0), layout.API_SERVICE_ADDRESS]
    _leaf(folder, "apiserver", "/CN=kube-apiserver", [f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses])
    _leaf(folder, "kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", ["DNS:kubelet-client"])
    _openssl("genrsa", "-out", folder / "sa.key", "2048")
    _tokens(folder, nodes)
    (folder / "complete").touch()


def token(name="admin"):
    for line in (layout.root() / "pki" / "tokens.csv").read_text().splitlines():
        value, _, uid, _ = line.split(",", 3)
        if uid == name:
            return value
    raise KeyError(name)


def _tokens(folder, nodes):
    users = dict(USERS)
    users.update({layout.node_name(i): (f"system:node:{layout.node_name(i)}", "system:nodes") for i in range(nodes)})
    ca = base64.b64encode((folder / "ca.crt").read_bytes()).decode()
    lines = []
    for name, (user, groups) in users.items():
        value = secrets.token_hex(24)
        lines.append(f'{value},{user},{name},"{groups}"')
        _write_private(folder / f"{name}.kubeconfig", f"""apiVersion: v1
kind: Config
clusters: [{{name: millrace-dev, cluster: {{server: "{layout.api_url()}", certificate-authority-data: {ca}}}}}]
users: [{{name: {name}, user: {{token: {value}}}}}]
contexts: [{{name: millrace-dev, context: {{cluster: millrace-dev, user: {name}}}}}]
current-context: millrace-dev
""")
    _write_private(folder / "tokens.csv", "\n".join(lines) + "\n")


def _write_private(path, text):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)


def _key(path):
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


def _leaf(folder, name, subject, alternative_names):
    _key(folder / f"{name}.key")
    _openssl("req", "-new", "-key", folder / f"{name}.key", "-subj", subject, "-out", folder / f"{name}.csr")
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={','.join(alternative_names)}\nextendedKeyUsage=serverAuth,clientAuth\n")
    _openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key",
             "-CAcreateserial", "-days", "3650", "-out", folder / f"{name}.crt", "-extfile", extensions)


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
