"""Names, addresses and folders of the local Kubernetes. Everything it makes on the machine is named here."""

from pathlib import Path

from tools.lib import paths

LAYOUT_VERSION = 1  # a state folder of another version is thrown away rather than repaired

BRIDGE = "mrbr0"
BRIDGE_ADDRESS = "10.201.0.1"
NODE_NETWORK = "10.201.0.0/24"
POD_NETWORK = "10.202.0.0/16"  # 10.202.<node>.0/24 each
SERVICE_NETWORK = "10.203.0.0/16"
API_SERVICE_ADDRESS = "10.203.0.1"
API_PORT = 6443
RULE_COMMENT = "millrace-localkube"


def root():
    return paths.state_dir() / "localkube"


def node_name(i):
    return f"n{i}"


def node_address(i):
    return f"10.201.0.{10 + i}"


def pod_subnet(i):
    return f"10.202.{i}.0/24"


def namespace(i):
    return f"mr-n{i}"


def veth(i):
    return f"mrv{i}"


def cgroup(i):
    return f"millrace-n{i}"


def node_dir(i):
    return root() / node_name(i)


def containerd_socket(i):
    return node_dir(i) / "containerd.sock"


def kubeconfig(name="admin"):
    return root() / "pki" / f"{name}.kubeconfig"


def audit_policy():
    return root() / "audit-policy.json"


def audit_log():
    return root() / "log" / "audit.log"


def api_url():
    return f"https://{node_address(0)}:{API_PORT}"


def netns_path(i):
    return Path("/run/netns") / namespace(i)
