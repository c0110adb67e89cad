"""The same commands against Apache Kafka and against our broker: what they print must be the same, ids and times masked."""

import difflib
import re

MASKS = [
    (re.compile(r"\bat [\w.$/<>]+\([\w.: ]+\)"), None),  # lines of a stack trace: dropped
    (re.compile(r"^\s*\.\.\. \d+ more$"), None),
    (re.compile(r"TopicId: [\w-]{22}"), "TopicId: <id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,:]\d+)?"), "<time>"),
    (re.compile(r"\b1[6-9]\d{11}\b"), "<ms>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
]


# Differences that are meant. Each line says why.
KNOWN = [
    # We say how large the batch is; Apache Kafka says nothing, and its client fills in its own words.
    (re.compile(r"(RecordTooLargeException): (?:The request included a message larger.*|a batch of \d+ bytes, .*)"), r"\1"),
]


def masked(text, own):
    """`own`: (text, name) pairs of what is this broker's alone, such as its address and its cluster id."""
    for literal, name in own:
        text = text.replace(literal, name)
    lines = []
    for line in text.splitlines():
        for pattern, replacement in MASKS + KNOWN:
            if replacement is None:
                if pattern.search(line):
                    break
            else:
                line = pattern.sub(replacement, line)
        else:
            # Tools pad columns to the longest value, so a masked one would shift its neighbours.
            lines.append(re.sub(r"[ \t]+", " ", line).strip())
    return [line for line in lines if line]


class Side:
    """One of the two brokers under the same commands. Calling it runs a tool and notes what it printed."""

    def __init__(self, server, tools, own):
        self.server, self.tools, self.own = server, tools, own
        self.transcript = []

    @property
    def bootstrap(self):
        return self.server.bootstrap

    def __call__(self, tool, *arguments, stdin="", ordered=True, edit=None, fails=False, bootstrap=True):
        """ordered=False: the order of lines means nothing. `edit` takes away from a line what may differ (None drops the line)."""
        address = ["--bootstrap-server", self.bootstrap] if bootstrap else []
        outcome = self.tools.run(tool, *address, *arguments, stdin=stdin)
        lines = [*masked(outcome.out, self.own), *("! " + line for line in masked(outcome.err, self.own))]
        if edit:
            lines = [line for line in map(edit, lines) if line is not None]
        self.note(*masked(f"$ {tool} {' '.join(map(str, arguments))}", self.own), f"exit code {outcome.code}", *(lines if ordered else sorted(lines)))
        assert (outcome.code != 0) == fails, f"{tool} {' '.join(map(str, arguments))} on {self.bootstrap}\n{outcome}"
        return outcome

    def note(self, *lines):
        self.transcript += lines


class Both:
    """Runs a scenario against the oracle and against ours and compares."""

    def __init__(self, oracle, ours):
        self.oracle, self.ours = oracle, ours

    def __call__(self, scenario):
        failures = []
        for side in (self.oracle, self.ours):
            side.transcript = []
            try:
                scenario(side)
            except AssertionError as failure:
                failures.append(failure)
                side.note("the scenario ended here")
        difference = list(difflib.unified_diff(self.oracle.transcript, self.ours.transcript, "Apache Kafka", "Millrace", "", "", 2, ""))
        assert not difference, "the brokers differ:\n" + "\n".join(difference)
        if failures:
            raise failures[0]
