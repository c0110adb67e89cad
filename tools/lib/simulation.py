"""The cluster simulation: millrace-sim, what it prints, and the trace of a seed."""

import re
import subprocess

from tools.lib import paths

PROGRAM = paths.BUILD / "bin" / "millrace-sim"
MAX_SEEDS = 100_000
SECONDS_OF_THE_LAST_SEEDS = 20  # those that were begun when the time was over
SEED_LINE = re.compile(r"^seed (\d+): (.*)$", re.M)
TOTALS_LINE = re.compile(r"^(\d+) seeds, ([\d.]+) simulated hours, (\d+) failed$", re.M)


def count(output, result):
    """Adds what millrace-sim printed to a suite's result. Only failed seeds have a line of their own."""
    for seed, what in SEED_LINE.findall(output):
        result.failures.append((f"seed {seed}", [what, f"its trace: ./dev sim --seed {seed}"]))
    totals = TOTALS_LINE.search(output)
    if not totals:
        result.failed += 1
        result.failures.append(("millrace-sim", output.splitlines()[-6:]))
        return
    result.failed += int(totals[3])
    result.passed += int(totals[1]) - int(totals[3])
    result.note = f"{totals[1]} seeds, {totals[2]} h simulated"


def write_trace(failure):
    """The trace of `seed N` beside the other logs."""
    seed = failure.removeprefix("seed ")
    if not seed.isdigit():
        return
    with open(paths.log_dir() / f"sim-seed-{seed}.log", "w") as file:
        subprocess.run([PROGRAM, "--seed", seed], stdout=file, stderr=subprocess.STDOUT, timeout=300, check=False)
