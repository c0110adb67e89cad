"""PID 1 of the cluster's own PID and mount namespace: starts every process, restarts what ends, reaps all orphans.

Because it is PID 1 there, its end takes each container, shim and mount of the cluster with it, however it ends; nothing
can be left running. Commands reach it as files: run/hold/<unit> keeps a unit stopped (tests take a kubelet away so).
"""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

# Folders that Kubernetes components write to by fixed path; private here, so that the machine's own stay untouched.
PRIVATE_FOLDERS = ["/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/var/log/containers"]
FIRST_BACKOFF, LAST_BACKOFF, STABLE_AFTER = 0.2, 5.0, 10.0
MAX_LOG_BYTES = 64 << 20


class Unit:
    def __init__(self, spec):
        self.name, self.argv, self.log = spec["name"], spec["argv"], spec["log"]
        self.env = dict(os.environ, **spec.get("env", {}))
        self.gate = spec["gate"]
        self.pid, self.started, self.restarts, self.last_exit = None, 0.0, 0, None
        self.backoff, self.not_before = FIRST_BACKOFF, 0.0

    def gate_is_open(self):
        """A unit is started when what it needs is there: their own retries are slow, or they give up.

        A gate may name the path of a Unix socket that must accept, and a URL (with its CA) that must answer 200."""
        return self._socket_accepts() and self._url_answers()

    def _socket_accepts(self):
        if "socket" not in self.gate:
            return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(self.gate["socket"]) == 0

    def _url_answers(self):
        if "url" not in self.gate:
            return True
        try:
            tls = ssl.create_default_context(cafile=self.gate["ca"])
            with urllib.request.urlopen(self.gate["url"], timeout=1, context=tls) as answer:
                return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def start(self, now):
        if os.path.exists(self.log) and os.path.getsize(self.log) > MAX_LOG_BYTES:
            os.replace(self.log, self.log + ".1")
        files = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                 (os.POSIX_SPAWN_OPEN, 1, self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                 (os.POSIX_SPAWN_DUP2, 1, 2)]
        self.pid = os.posix_spawnp(self.argv[0], self.argv, self.env, file_actions=files, setsid=True, setsigmask=[],
                                   setsigdef=[signal.SIGPIPE])
        self.started = now

    def ended(self, status, now):
        code = os.waitstatus_to_exitcode(status)
        self.last_exit = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.pid = None
        self.restarts += 1
        self.backoff = FIRST_BACKOFF if now - self.started > STABLE_AFTER else min(2 * self.backoff, LAST_BACKOFF)
        self.not_before = now + self.backoff


def main(root):
    run = root / "run"
    _private_mounts()
    signals = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    units = [Unit(spec) for spec in json.loads((run / "units.json").read_text())]
    by_log = None
    while True:
        now = time.monotonic()
        _reap(units, now)
        waiting = _start_due(units, run / "hold", now)
        report = [{"name": u.name, "pid": u.pid, "restarts": u.restarts, "last_exit": u.last_exit} for u in units]
        if report != by_log:
            _write_report(run / "report.json", report)
            by_log = report
        arrived = signal.sigtimedwait(signals, 0.05 if waiting else 0.5)
        if arrived and arrived.si_signo != signal.SIGCHLD:
            return  # as PID 1: the kernel now kills everything else in this namespace


def _reap(units, now):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for unit in units:
            if unit.pid == pid:
                print(f"{time.strftime('%H:%M:%S')} {unit.name} (pid {pid}) ended: {os.waitstatus_to_exitcode(status)}", flush=True)
                unit.ended(status, now)


def _start_due(units, holds, now):
    waiting = False
    for unit in units:
        held = (holds / unit.name).exists()
        if held and unit.pid:
            os.kill(unit.pid, signal.SIGKILL)
        elif not held and not unit.pid:
            waiting = True
            if now >= unit.not_before and unit.gate_is_open():
                unit.start(now)
                print(f"{time.strftime('%H:%M:%S')} {unit.name} started (pid {unit.pid})", flush=True)
    return waiting


def _write_report(path, report):
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(report))
    scratch.replace(path)


def _private_mounts():
    for folder in PRIVATE_FOLDERS:
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=64m", "millrace-localkube", folder], check=True)
    # Containers ask for mounts that follow their host's: that needs a shared tree. It is shared only in this namespace.
    subprocess.run(["mount", "--make-rshared", "/"], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
