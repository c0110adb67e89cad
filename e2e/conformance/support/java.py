"""Java programs of the tests: compiled once per machine, run on Apache's jars."""

import json
import queue
import subprocess
import threading
from pathlib import Path

from e2e.lib import jars
from e2e.lib.kafka import TOOLS, Outcome

SOURCES = Path(__file__).resolve().parents[1] / "java"


def compiled(name):
    """The folder with the classes of java/<name>.java."""
    return jars.compiled(SOURCES / f"{name}.java")


def command(name, *arguments, heap="256m"):
    """The command line of java/<name>.java."""
    argv = jars.java(name, *arguments, heap=heap, options=["-Dmillrace.log.level=INFO"])
    argv[argv.index("-cp") + 1] += f":{compiled(name)}"
    return argv


def run(name, *arguments, seconds=90, heap="256m"):
    result = subprocess.run(command(name, *arguments, heap=heap), capture_output=True, text=True, timeout=seconds)
    outcome = Outcome(result.returncode, result.stdout, result.stderr)
    if outcome.code != 0:
        raise AssertionError(f"{name} {' '.join(map(str, arguments))}\n{outcome}")
    return outcome


class ToolServer:
    """Apache's tools in one JVM, one after the other; java/ToolServer.java says how. After a tool that hangs it starts anew."""

    def __init__(self, log):
        self.log = log  # what the clients inside log, from INFO on
        self._process = None

    def _start(self):
        with open(self.log, "ab") as stderr:
            self._process = subprocess.Popen(command("ToolServer"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=stderr, text=True)
        self._answers = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, self._answers), daemon=True).start()

    @staticmethod
    def _read(process, answers):
        for line in process.stdout:
            answers.put(line)
        answers.put(None)

    def run(self, tool, *arguments, stdin="", seconds=60):
        if self._process is None:
            self._start()
        request = {"main": TOOLS.get(tool, tool), "args": [str(a) for a in arguments], "stdin": stdin}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise AssertionError(f"{tool} {' '.join(request['args'])}: not done within {seconds} s") from None
        assert line is not None, f"{tool} {' '.join(request['args'])}: the JVM ended"
        return Outcome(**json.loads(line))

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
