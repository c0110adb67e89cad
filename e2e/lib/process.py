"""Child processes that never outlive the test run, with their output at hand."""

import ctypes
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count):
    """Ports of the loopback address that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def wait_until(condition, seconds=10.0, what="the condition", every=0.02):
    """Waits for `condition()` to be true and returns its value; fails with `what` otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(every)


class Process:
    """Starts `argv`; output goes to `log` and is kept in memory line by line. Use it as a context manager."""

    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.log = Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=cwd,
            preexec_fn=die_with_parent)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with open(self.log, "ab") as log:
            for raw in self._process.stdout:
                log.write(raw)
                log.flush()
                with self._changed:
                    self.lines.append(raw.decode(errors="replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.poll()

    def wait_line(self, pattern, seconds=15.0, start=0):
        """The match of the first output line (from number `start` on) that `pattern` finds; fails if it does not come."""
        regex, deadline = re.compile(pattern), time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.lines[start:]:
                    if match := regex.search(line):
                        return match
                start = len(self.lines)
                if self._ended:
                    raise AssertionError(f"{self.argv[0]} ended (code {self._process.wait()}) before {pattern!r}\n{self.tail()}")
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise AssertionError(f"{self.argv[0]} did not print {pattern!r} in {seconds} s\n{self.tail()}")

    def tail(self, count=25):
        return "\n".join(self.lines[-count:])

    def signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        """As a crash: SIGKILL, and wait for its end."""
        if self.returncode is None:
            self._process.kill()
        self._process.wait()

    def stop(self, seconds=10.0):
        """SIGTERM and wait; returns the exit code. Too slow is a failure, after a SIGKILL."""
        if self.returncode is None:
            self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.argv[0]} did not stop within {seconds} s of SIGTERM\n{self.tail()}") from None

    def rss_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
