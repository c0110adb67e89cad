"""Hosts of their own for processes: network namespaces on one bridge, cut and healed with nftables. Needs root.

Nothing of it is visible outside: the bridge has a namespace too, and no interface of the machine is touched.
"""

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

PREFIX = "millrace-net"
SUBNET = "10.99.0"


def obstacles():
    """What this machine lacks, as text; empty when namespaces can be made."""
    missing = [f"{tool} is not installed" for tool in ("ip", "nft") if not shutil.which(tool)]
    return missing if missing or os.geteuid() == 0 else ["network namespaces need root"]


def _run(*argv, stdin=None, check=True):
    result = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True, timeout=20)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {result.stderr.strip()}")
    return result.stdout


def _sweep():
    """Removes what a run that was killed has left: the names carry its pid."""
    for line in _run("ip", "netns", "list", check=False).splitlines():
        match = re.match(rf"({PREFIX}-(\d+)-\S+)", line)
        if match and not os.path.exists(f"/proc/{match[2]}"):
            _run("ip", "netns", "del", match[1], check=False)


class Host:
    """A namespace (or none) with one address. `prefix` before a command line runs it there, with the same pid as without."""

    def __init__(self, name, namespace, address):
        self.name, self.namespace, self.address = name, namespace, address
        self.prefix = ["ip", "netns", "exec", namespace] if namespace else []

    def nft(self, script, check=True):
        _run(*self.prefix, "nft", "-f", "-", stdin=script, check=check)

    def dropped(self):
        """How many packets the cuts of this host have eaten so far."""
        rules = json.loads(_run(*self.prefix, "nft", "-j", "list", "ruleset"))["nftables"]
        return sum(part["counter"]["packets"] for entry in rules if "rule" in entry for part in entry["rule"]["expr"]
                   if "counter" in part)


class Loopback:
    """`names` become loopback addresses of their own, without root and without faults: for measurements."""

    def __init__(self, names):
        block = f"127.{random.randrange(16, 240)}.{random.randrange(256)}"
        self.hosts = {name: Host(name, None, f"{block}.{i}") for i, name in enumerate(names, 1)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Network:
    """`names` become hosts 10.99.0.1 and so on. A context manager."""

    _made = 0

    def __init__(self, names):
        _sweep()
        Network._made += 1
        base = f"{PREFIX}-{os.getpid()}-{Network._made}"
        self._hub = f"{base}-hub"
        self.hosts = {name: Host(name, f"{base}-{name}", f"{SUBNET}.{i}") for i, name in enumerate(names, 1)}
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self):
        for namespace in (self._hub, *(h.namespace for h in self.hosts.values())):
            _run("ip", "netns", "add", namespace)
        _run("ip", "-n", self._hub, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self._hub, "link", "set", "bridge", "up")
        for i, host in enumerate(self.hosts.values()):
            _run("ip", "link", "add", "eth0", "netns", host.namespace, "type", "veth", "peer", "name", f"port{i}", "netns", self._hub)
            _run("ip", "-n", self._hub, "link", "set", f"port{i}", "master", "bridge", "up")
            for command in (("addr", "add", f"{host.address}/24", "dev", "eth0"), ("link", "set", "eth0", "up"), ("link", "set", "lo", "up")):
                _run("ip", "-n", host.namespace, *command)

    def close(self):
        for namespace in (*(h.namespace for h in self.hosts.values()), self._hub):
            _run("ip", "netns", "del", namespace, check=False)

    def _rules(self, target, sources, verdict):
        rules = "\n".join(f"ip saddr {self.hosts[s].address} {verdict}" for s in sources)
        self.hosts[target].nft("add table inet cuts\nadd chain inet cuts input { type filter hook input priority 0 ; policy accept ; }\n"
                               + "\n".join(f"add rule inet cuts input {r}" for r in rules.splitlines()) + "\n")

    def cut_one_way(self, source, target):
        """What `source` sends to `target` is lost; the other direction works."""
        self._rules(target, [source], "counter drop")

    def cut(self, group, others):
        """No packet between a member of `group` and one of `others`."""
        for one in group:
            for other in others:
                self.cut_one_way(one, other)
                self.cut_one_way(other, one)

    def reset(self, a, b):
        """Every connection between `a` and `b` that says something is answered with a reset, until `heal`."""
        self._rules(a, [b], "ip protocol tcp counter reject with tcp reset")
        self._rules(b, [a], "ip protocol tcp counter reject with tcp reset")

    def heal(self):
        """Ends all cuts; returns how many packets they ate."""
        eaten = sum(host.dropped() for host in self.hosts.values())
        for host in self.hosts.values():
            host.nft("add table inet cuts\ndelete table inet cuts\n")
        return eaten

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def small_disk(path, megabytes):
    """A file system of its own below `path`, in memory."""
    path.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "millrace-test", path)
    try:
        yield path
    finally:
        _run("umount", "--lazy", path, check=False)


def scratch_folder():
    """A folder in memory if the machine has one: the faults are about crashes and not about the speed of a disk."""
    base = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
    for left in base.glob(f"{PREFIX}-*"):  # by runs that were killed
        if not os.path.exists(f"/proc/{left.name.split('-')[2]}"):
            for mount in sorted((line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()), reverse=True):
                if mount.startswith(f"{left}/"):
                    _run("umount", "--lazy", mount, check=False)
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{PREFIX}-{os.getpid()}-", dir=base)
