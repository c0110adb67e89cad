"""Configures and builds the C++ tree."""

import os
import re

from tools.lib import paths, ui

NINJA_LINE = re.compile(r"\[(\d+)/(\d+)\] ?(.*)")


def build(targets=(), steps=ui, label="Build", timeout=None):
    """ninja with preset `dev`; `targets` empty means all. Compiler errors are shown, the rest goes to the log."""
    log = paths.log_dir() / "build.log"
    with steps.step(label) as step:
        step.note = "configuring"
        if not (paths.BUILD / "build.ninja").exists():
            ui.run(["cmake", "--preset", "dev"], log=paths.log_dir() / "configure.log", what="cmake", cwd=paths.ROOT,
                   todo="if a library is missing, add its package to tools/packages.txt")
        errors, done = [], "0"

        def on_line(line):
            nonlocal done
            if match := NINJA_LINE.match(line):
                done = match[2]
                step.note = f"{match[1]} of {match[2]}"
            elif re.search(r"(error:|FAILED:|CMake Error|undefined (reference|symbol))", line) and len(errors) < 12:
                errors.append(line)

        env = dict(os.environ, NINJA_STATUS="[%f/%t] ")
        try:
            ui.run(["ninja", "-C", paths.BUILD, *targets], log=log, what="the build", env=env, on_line=on_line, timeout=timeout)
        except ui.Failure as failure:
            raise ui.Failure(failure.what, log=log, tail=errors or failure.tail, todo="fix it and run ./dev build") from None
        step.note = "nothing to do" if done == "0" else f"{done} steps"
