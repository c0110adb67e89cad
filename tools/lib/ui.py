"""Terminal output of ./dev: one calm line per step, with its time; failures that say what to do.

On a terminal the running step is redrawn in place; elsewhere (CI, a pipe) each step prints one line when it is done and
a sign of life every 30 s, without colours.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time

TTY = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
COLOUR = TTY and "NO_COLOR" not in os.environ
UNICODE = "utf" in (sys.stdout.encoding or "").lower()
OK, BAD, DOT = ("✓", "✗", "·") if UNICODE else ("ok", "FAILED", "-")
SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if UNICODE else "|/-\\"
SIGN_OF_LIFE_SECONDS = 30
LABEL_WIDTH = 24


class Failure(Exception):
    """Something that the user can act on: what failed, the log that tells more, and what to do."""

    def __init__(self, what, log=None, todo=None, tail=None):
        super().__init__(what)
        self.what, self.log, self.todo, self.tail = what, log, todo, tail


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def bold(text):
    return paint("1", text)


def dim(text):
    return paint("2", text)


def green(text):
    return paint("32", text)


def red(text):
    return paint("31", text)


def yellow(text):
    return paint("33", text)


def duration(seconds):
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def say(text=""):
    print(text, flush=True)


def warn(text):
    say(f"  {yellow('!')} {text}")


def title(text):
    say(f"\n{bold(text)}")


class Step:
    """A running step. `note` is shown behind its name: progress while it runs, the outcome when it is done."""

    def __init__(self, label):
        self.label, self.note = label, ""
        self._start = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._animate, daemon=True)
        self._thread.start()

    def elapsed(self):
        return time.monotonic() - self._start

    def _line(self, mark, note):
        width = shutil.get_terminal_size((100, 24)).columns
        room = max(10, width - LABEL_WIDTH - 20)
        note = note if len(note) <= room or not TTY else note[: room - 1] + "…"
        return f"  {mark} {self.label:<{LABEL_WIDTH}} {dim(f'{duration(self.elapsed()):>11}')}  {note}"

    def _animate(self):
        if not TTY:
            while not self._done.wait(SIGN_OF_LIFE_SECONDS):
                say(self._line(DOT, self.note or "running"))
            return
        frame = 0
        while not self._done.wait(0.1):
            sys.stdout.write("\r\033[K" + self._line(dim(SPIN[frame % len(SPIN)]), dim(self.note)))
            sys.stdout.flush()
            frame += 1

    def finish(self, mark, note):
        self._done.set()
        self._thread.join()
        if TTY:
            sys.stdout.write("\r\033[K")
        say(self._line(mark, note))


@contextlib.contextmanager
def step(label):
    current = Step(label)
    try:
        yield current
    except BaseException:
        current.finish(red(BAD), "")
        raise
    current.finish(green(OK), current.note)


class Silent:
    """Takes the place of this module where the steps of a function are not to be shown."""

    class _Step:
        note = ""

    @classmethod
    @contextlib.contextmanager
    def step(cls, _):
        yield cls._Step()


def show_failure(failure):
    say()
    say(f"  {red(bold(failure.what))}")
    for line in failure.tail or []:
        say(f"    {dim('|')} {line}")
    if failure.log:
        say(f"    log   {failure.log}")
    if failure.todo:
        say(f"    to do {failure.todo}")
    say()


def main(function):
    """Runs a sub-command: a Failure becomes a clear message and exit code 1."""
    try:
        sys.exit(function(sys.argv[1:]) or 0)
    except Failure as failure:
        show_failure(failure)
        sys.exit(1)
    except KeyboardInterrupt:
        say("\n  interrupted; the same command goes on from here")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `./dev help | head` is no error
        sys.exit(0)


def tail_of(log, lines=12):
    try:
        with open(log, errors="replace") as file:
            return [line.rstrip() for line in file.readlines()[-lines:]]
    except OSError:
        return []


def run(argv, log, what=None, todo=None, on_line=None, cwd=None, env=None, timeout=None):
    """Runs a command with its output in `log`; fails with the end of that log. `on_line` sees each line as it comes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [str(a) for a in argv]
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   cwd=cwd, env=env, text=True, errors="replace")
    except OSError as error:
        raise Failure(f"{what or argv[0]}: cannot start {argv[0]}: {error.strerror}", todo=todo) from error
    watchdog = threading.Timer(timeout, process.kill) if timeout else None
    if watchdog:
        watchdog.start()
    try:
        with open(log, "w") as file:
            for line in process.stdout:
                file.write(line)
                file.flush()
                if on_line:
                    on_line(line.rstrip())
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        if watchdog:
            watchdog.cancel()
    if code != 0:
        raise Failure(f"{what or argv[0]} failed (exit code {code})", log=log, todo=todo, tail=tail_of(log))


def output(argv, **options):
    """The standard output of a short command; fails with its standard error."""
    argv = [str(a) for a in argv]
    result = subprocess.run(argv, stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise Failure(f"{' '.join(argv[:4])} failed (exit code {result.returncode})",
                      tail=(result.stderr or result.stdout).strip().splitlines()[-8:])
    return result.stdout
