"""python3 -m e2e.faults SUBJECT [PROFILE ...] [--seconds N] [--remember] [--keep]

Runs profiles (default: all) against `millrace` or `kafka` and prints what came out. --seconds repeats each fault for so long.
--remember writes the gaps of Apache Kafka to kafka-figures.json, which the tests print beside ours.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from e2e.faults import report
from e2e.faults.profiles import PROFILES
from e2e.faults.scene import run
from e2e.lib.cluster import KAFKA, MILLRACE
from tools.lib import paths


def remember(outcome):
    figures = report.kafka_figures()
    figures["profiles"][outcome.profile] = {
        "date": time.strftime("%Y-%m-%d"), "machine": f"{os.cpu_count()} cores, Linux {platform.release()}",
        "load": round(os.getloadavg()[0], 1), "gaps": {k: round(v, 3) for k, v in outcome.gaps.items()}, "errors": outcome.errors,
        "violations": outcome.violations}
    figures["profiles"] = dict(sorted(figures["profiles"].items()))
    report.FIGURES.write_text(json.dumps(figures, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", choices=[MILLRACE, KAFKA])
    parser.add_argument("profile", nargs="*", metavar="PROFILE")
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--remember", action="store_true")
    parser.add_argument("--keep", action="store_true", help="logs and histories also of a run that found nothing")
    arguments = parser.parse_args()
    bad = 0
    for name in arguments.profile or PROFILES:
        try:
            outcome = run(PROFILES[name], arguments.subject, seconds=arguments.seconds, keep_always=arguments.keep,
                          keep=paths.BUILD.parent / "faults-kept" / f"{arguments.subject}-{name.replace(' ', '-')}")
        except AssertionError as error:
            print(f"{name}: FAILED {error}", flush=True)
            bad += 1
            continue
        print(report.one(outcome), flush=True)
        bad += bool(outcome.violations)
        if arguments.remember and arguments.subject == KAFKA:
            remember(outcome)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main())
