"""Gaps in acknowledged writes as text, ours beside what Apache Kafka had on the same kind of run."""

import json
from pathlib import Path

from e2e.faults.clients import LIBRARIES
from e2e.lib.cluster import NAMES

FIGURES = Path(__file__).resolve().parent / "kafka-figures.json"


def kafka_figures():
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {"profiles": {}}


def _gap(value):
    return "–" if value is None else f"{value:.2f} s"


def one(outcome):
    """All about one run."""
    lines = [f"{outcome.profile}: {NAMES.get(outcome.kind, outcome.kind)}, {outcome.acknowledged} acknowledged, {outcome.seconds:.0f} s"]
    theirs = kafka_figures()["profiles"].get(outcome.profile, {}).get("gaps", {})
    for library in LIBRARIES:
        lines.append(f"  longest gap {_gap(outcome.gaps.get(library)):>8} by {library} (before the fault {_gap(outcome.quiet.get(library))}; "
                     f"Apache Kafka {_gap(theirs.get(library))}), records given up: {outcome.errors.get(library, 0)}")
    lines += [f"  proof: {text}" for text in outcome.proofs] + [f"  {text}" for text in outcome.notes]
    lines += [f"  VIOLATION {text}" for text in outcome.violations]
    return "\n".join(lines)


def table(outcomes):
    """One line per profile: the longer gap of the two libraries, of each system."""
    lines = [f"{'profile':<24}{'Millrace':>10}{'Kafka':>10}   measured"]
    figures = kafka_figures()["profiles"]
    for outcome in outcomes:
        theirs = figures.get(outcome.profile, {})
        lines.append(f"{outcome.profile:<24}{_gap(max(outcome.gaps.values(), default=None)):>10}"
                     f"{_gap(max(theirs.get('gaps', {}).values(), default=None)):>10}   {theirs.get('date', '')}, {theirs.get('machine', '')}")
    return "\n".join(lines)
