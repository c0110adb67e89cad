"""Our broker as a process: `millrace-broker dev`, or `run` with a server.properties."""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

from e2e.lib.kafka import properties_text
from e2e.lib.process import Process, free_ports
from tools.lib import paths

PROGRAM = Path(os.environ.get("MILLRACE_BROKER", paths.BUILD / "bin" / "millrace-broker"))


class DevBroker:
    """`millrace-broker dev` on a free port. The same object can be killed and started again on the same data and port."""

    def __init__(self, folder, arguments=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.arguments = list(arguments)
        self.port = self.http_port = 0  # the first start takes free ones
        self.process = None
        self.ready = {}

    def start(self, seconds=10.0):
        """Returns when it is ready: it then prints one line of JSON with `bootstrapServers`, `clusterId`, `nodeId`, `http`."""
        argv = [PROGRAM, "dev", "--listen", f"127.0.0.1:{self.port}", "--http", f"127.0.0.1:{self.http_port}",
                "--data", self.data, "--json", *self.arguments]
        self.process = Process(argv, log=self.folder / "broker.log")
        line = self.process.wait_line(r'^\{"bootstrapServers".*\}$', seconds)[0]
        self.ready = json.loads(line)
        self.port = int(self.bootstrap.rsplit(":", 1)[1])
        self.http_port = int(self.ready["http"].rsplit(":", 1)[1])
        return self

    @property
    def bootstrap(self):
        return self.ready["bootstrapServers"]

    def metrics(self):
        """The Prometheus page as text."""
        return _get(f"http://127.0.0.1:{self.http_port}/metrics")

    def kill(self):
        self.process.kill()

    def stop(self, seconds=10.0):
        return self.process.stop(seconds)

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process:
            self.process.kill()


class Broker:
    """`millrace-broker run` with `properties` as its server.properties; empty storage is formatted before the first start."""

    def __init__(self, folder, properties, arguments=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "server.properties"
        self.config.write_text(properties_text(properties))
        self.arguments = list(arguments)
        self.http_port = free_ports(1)[0]
        self.process = None

    def launch(self):
        """Only executes it: `wait_ready` waits."""
        subprocess.run([PROGRAM, "format", self.config, "--ignore-formatted"], check=True, capture_output=True)
        argv = [PROGRAM, "run", self.config, "--http", f"127.0.0.1:{self.http_port}", *self.arguments]
        self.process = Process(argv, log=self.folder / "broker.log")
        return self

    def wait_ready(self, seconds=10.0):
        self.process.wait_line("serving clients", seconds)
        return self

    def start(self, seconds=10.0):
        return self.launch().wait_ready(seconds)

    def metrics(self):
        """The Prometheus page as text."""
        return _get(f"http://127.0.0.1:{self.http_port}/metrics")

    def kill(self):
        self.process.kill()

    def stop(self, seconds=10.0):
        return self.process.stop(seconds)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process:
            self.process.kill()


def _get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()
