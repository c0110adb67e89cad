"""Our broker as a process: `millrace-broker dev`, or `run` with a server.properties."""

import json
import os
import signal
from pathlib import Path

from e2e.lib.kafka import properties_text
from e2e.lib.process import Process
from tools.lib import paths

PROGRAM = Path(os.environ.get("MILLRACE_BROKER", paths.BUILD / "bin" / "millrace-broker"))


class DevBroker:
    """`millrace-broker dev` on a free port. The same object can be killed and started again on the same data and port."""

    def __init__(self, folder, arguments=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.arguments = list(arguments)
        self.port = 0
        self.process = None
        self.ready = {}

    def start(self, seconds=10.0):
        """Returns when it is ready: it then prints one line of JSON with at least `bootstrap`."""
        argv = [PROGRAM, "dev", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, "--output", "json", *self.arguments]
        self.process = Process(argv, log=self.folder / "broker.log")
        line = self.process.wait_line(r'^\{.*"bootstrap".*\}$', seconds)[0]
        self.ready = json.loads(line)
        self.port = int(self.bootstrap.rsplit(":", 1)[1])
        return self

    @property
    def bootstrap(self):
        return self.ready["bootstrap"]

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
    """`millrace-broker run` with `properties` as its server.properties; the storage is formatted on first start.

    `ready` is the pattern of the log line that says so."""

    def __init__(self, folder, properties, ready=r"started", format_arguments=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "server.properties"
        self.config.write_text(properties_text(properties))
        self._ready = ready
        self.process = None
        self._format_arguments = list(format_arguments)

    def start(self, seconds=10.0):
        self.process = Process([PROGRAM, "run", self.config], log=self.folder / "broker.log")
        self.process.wait_line(self._ready, seconds)
        return self

    def kill(self):
        self.process.kill()

    def stop(self, seconds=10.0):
        return self.process.stop(seconds)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
