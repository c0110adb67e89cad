"""What the machine lends the cluster: network namespaces, a bridge and cgroups; and taking all of it back."""

import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

from e2e.localkube import layout
from tools.lib import ui

CGROUPS = Path("/sys/fs/cgroup")
MAX_NODES = 16
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def obstacles():
    """What keeps this machine from running the cluster, each as a sentence; empty when nothing does."""
    if os.geteuid() != 0:
        return ["root is needed to make network namespaces, mounts and cgroups"]
    found = []
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        found.append(f"namespaces cannot be made here ({probe.stderr.strip()})")
    try:
        for folder in cgroup_folders("millrace-probe"):
            folder.mkdir(exist_ok=True)
            folder.rmdir()
    except OSError as error:
        found.append(f"cgroups cannot be made here ({error.strerror}: {error.filename})")
    link = subprocess.run(["ip", "link", "add", "mrprobe0", "type", "bridge"], capture_output=True, text=True)
    if link.returncode != 0:
        found.append(f"network bridges cannot be made here ({link.stderr.strip()})")
    else:
        _ip("link del mrprobe0")
    return found


def foreign_networks():
    """Routes of somebody else that overlap the three ranges which the cluster uses."""
    routes = subprocess.run(["ip", "-4", "route", "show"], capture_output=True, text=True).stdout.splitlines()
    return [r for r in routes if re.match(r"10\.20[123]\.", r) and layout.BRIDGE not in r]


# --- cgroups ----------------------------------------------------------------------------------------------------------

def is_cgroup_v2():
    return (CGROUPS / "cgroup.controllers").exists()


def cgroup_folders(name):
    """The folder of a cgroup in every hierarchy: one under v2, one per controller under v1."""
    if is_cgroup_v2():
        return [CGROUPS / name]
    return [c / name for c in sorted(CGROUPS.iterdir()) if c.is_dir() and not c.is_symlink()]


def make_cgroups(nodes):
    if is_cgroup_v2():
        have = (CGROUPS / "cgroup.controllers").read_text().split()
        for controller in have:  # the kubelet needs them delegated below the root
            try:
                (CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:
                pass  # one that cannot be delegated is reported by the kubelet, by name, if it needs it
    for i in range(nodes):
        for folder in cgroup_folders(layout.cgroup(i)):
            folder.mkdir(exist_ok=True)
            if folder.parent.name == "cpuset":  # v1 starts empty, and an empty cpuset accepts no process
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (folder / file).write_text((folder.parent / file).read_text())


def remove_cgroups():
    deadline = time.monotonic() + 5
    for i in range(MAX_NODES):
        for folder in cgroup_folders(layout.cgroup(i)):
            while folder.exists() and not _remove_cgroup_tree(folder) and time.monotonic() < deadline:
                time.sleep(0.05)  # the kernel is still collecting the processes


def _remove_cgroup_tree(folder):
    gone = True
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            gone = False
    return gone


# --- network ----------------------------------------------------------------------------------------------------------

def _ip(*commands, check=True):
    """Many `ip` commands in one process."""
    result = subprocess.run(["ip", "-force", "-batch", "-"], input="\n".join(commands), capture_output=True, text=True)
    if check and result.returncode != 0:
        raise ui.Failure("setting up the network failed", tail=result.stderr.strip().splitlines()[-6:],
                         todo="./dev down, then try again")


def _in_node(i, *commands):
    result = subprocess.run(["ip", "-n", layout.namespace(i), "-force", "-batch", "-"], input="\n".join(commands),
                            capture_output=True, text=True)
    if result.returncode != 0:
        raise ui.Failure(f"setting up the network of node {layout.node_name(i)} failed",
                         tail=result.stderr.strip().splitlines()[-6:], todo="./dev down, then try again")


def _forward_rule(action):
    return subprocess.run(["iptables", "-w", action, "FORWARD", "-i", layout.BRIDGE, "-o", layout.BRIDGE, "-m", "comment",
                           "--comment", layout.RULE_COMMENT, "-j", "ACCEPT"], capture_output=True).returncode


def make_network(nodes, remember):
    """A bridge in the root namespace; per node a namespace with a veth and a pod subnet. Nodes, pods and services are all
    reachable from the root namespace. `remember`: the file that keeps what has to be put back."""
    if foreign := foreign_networks():
        raise ui.Failure("the address ranges 10.201-10.203 are in use here", tail=foreign,
                         todo="the local Kubernetes cannot run beside that network; use the standalone form")
    if not remember.exists():
        remember.write_text(IP_FORWARD.read_text())
    IP_FORWARD.write_text("1")
    _ip(f"link add {layout.BRIDGE} type bridge", f"addr add {layout.BRIDGE_ADDRESS}/24 dev {layout.BRIDGE}",
        f"link set {layout.BRIDGE} up")
    if _forward_rule("-C") != 0:
        _forward_rule("-I")
    for i in range(nodes):
        ns, address = layout.namespace(i), layout.node_address(i)
        _ip(f"netns add {ns}", f"link add {layout.veth(i)} type veth peer name eth0 netns {ns}",
            f"link set {layout.veth(i)} master {layout.BRIDGE} up")
        _in_node(i, "link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up",
                 f"route add default via {layout.BRIDGE_ADDRESS}",
                 *[f"route replace {layout.pod_subnet(j)} via {layout.node_address(j)}" for j in range(nodes) if j != i])
        subprocess.run(["nsenter", f"--net={layout.netns_path(i)}", "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
        _ip(f"route replace {layout.pod_subnet(i)} via {address}")
    _ip(f"route replace {layout.SERVICE_NETWORK} via {layout.node_address(0)}")


def remove_network(remember):
    """Takes back all that `make_network` may have made, also half-way; never fails on what is not there."""
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    mounted = {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()}
    for name in names:
        if re.fullmatch(r"mr-n\d+", name):
            _ip(f"netns del {name}", check=False)
        elif name.startswith("cni-") and f"/run/netns/{name}" not in mounted:
            # A pod's namespace: it was mounted in the cluster's own mount namespace and died with that; the name is left.
            Path("/run/netns", name).unlink(missing_ok=True)
    if "/run/netns" in mounted and not os.listdir("/run/netns"):  # `ip netns add` mounts it, `ip netns del` leaves it
        subprocess.run(["umount", "/run/netns"], capture_output=True)
        with contextlib.suppress(OSError):
            os.rmdir("/run/netns")
    if Path(f"/sys/class/net/{layout.BRIDGE}").exists():
        _ip(f"link del {layout.BRIDGE}", check=False)
    for i in range(MAX_NODES):
        if Path(f"/sys/class/net/{layout.veth(i)}").exists():
            _ip(f"link del {layout.veth(i)}", check=False)
    while _forward_rule("-D") == 0:
        pass
    if remember.exists():
        IP_FORWARD.write_text(remember.read_text())
        remember.unlink()


# --- processes --------------------------------------------------------------------------------------------------------

def start_time(pid):
    """A process' start in clock ticks since boot: with it, a pid in a file names one process and not its successor."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])


def identity(pid):
    """What names one process for ever, to be kept in a file: pids come again, also after a reboot."""
    return {"pid": pid, "start": start_time(pid), "boot": BOOT_ID.read_text().strip()}


def is_alive(stored):
    return (stored.get("boot") == BOOT_ID.read_text().strip() and stored["start"] is not None
            and start_time(stored["pid"]) == stored["start"])


def children(pid):
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
