"""One cluster under load while something goes wrong: what a profile may do, and what is found afterwards."""

import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from e2e.faults import checker, history, log_reader
from e2e.faults.clients import LIBRARIES, Clients, failing_io, false_clock
from e2e.lib.cluster import Cluster
from e2e.lib.network import Network, scratch_folder, small_disk
from e2e.lib.process import wait_until

TOPIC, PARTITIONS = "history", 6
DISK_MEGABYTES = 96


@dataclass
class Outcome:
    profile: str
    kind: str
    gaps: dict = field(default_factory=dict)  # library -> longest gap in acknowledged writes of the worst partition, seconds
    quiet: dict = field(default_factory=dict)  # the same before the fault
    errors: dict = field(default_factory=dict)  # library -> errors that the producer's application saw (records given up)
    acknowledged: int = 0
    violations: list = field(default_factory=list)
    proofs: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    seconds: float = 0.0


class Scene:
    def __init__(self, cluster, clients, folder, network):
        self.cluster, self.clients, self.folder, self.network = cluster, clients, folder, network
        self.proofs, self.notes = [], []
        self.ballast = []

    # --- who is who

    def quorum_leader(self, seconds=30):
        return wait_until(self.cluster.quorum_leader, seconds, "a quorum leader", 0.1)

    def partition_leader(self):
        """A node that leads partitions and not the quorum."""
        quorum = self.quorum_leader()
        leaders = [p.leader for p in self.cluster.partitions(TOPIC).values()]
        return next(self.cluster.nodes[n] for n in leaders if n != quorum.number)

    def led_by(self, node):
        return {n for n, p in self.cluster.partitions(TOPIC).items() if p.leader == node.number}

    def others(self, node):
        return [n for n in self.cluster.nodes.values() if n is not node]

    # --- proof and patience

    def prove(self, fact, text):
        """A fault without effect proves nothing: then the profile itself fails."""
        assert fact, f"the fault had no effect: not {text}"
        self.proofs.append(text)

    def wait_moved(self, node, partitions, seconds=60):
        """The others have new leaders for what `node` led."""
        def moved():
            found = self.cluster.ask(lambda admin: admin.metadata(TOPIC)[1].get(TOPIC, {}), self.others(node)) or {}
            return found and all(found[p].leader not in (-1, node.number) for p in partitions if p in found)
        wait_until(moved, seconds, f"other leaders for {sorted(partitions)} than node {node.number}", 0.05)
        self.prove(True, f"partitions {sorted(partitions)} left node {node.number}")

    def wait_acknowledged(self, seconds=90):
        """Every producer had an acknowledgement in every partition that it did not have when this was called."""
        begin = time.monotonic_ns()

        def done():
            producers = [c.read() for c in self.clients.producers]
            assert not any(p.fatal for p in producers), f"a client gave up: {[p.fatal for p in producers]}"
            return all({p for t, p, _ in producer.acks.values() if t > begin} == set(range(PARTITIONS)) for producer in producers)
        wait_until(done, seconds, "acknowledgements in all partitions", 0.2)

    def wait_whole(self, seconds=90):
        self.cluster.wait_whole(TOPIC, seconds)
        self.cluster.wait_whole("__consumer_offsets", seconds)

    # --- disks and clocks, prepared before the start by what the profile `needs`

    def fill_disk(self, node):
        """No byte is left on the node's disk."""
        ballast = node.data / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue
        return ballast

    def switch(self, node):
        return node.folder / "failing-io"

    def fail_io(self, node, what):
        scratch = self.switch(node).with_suffix(".next")
        scratch.write_text(what)
        scratch.rename(self.switch(node))

    def refusals(self, node):
        count = Path(f"{self.switch(node)}.count")
        return count.stat().st_size if count.exists() else 0

    def set_clock(self, node, seconds):
        """The node's time of day is off by so many seconds; returns when it has been seen to be."""
        scratch, clock = node.folder / "clock.next", node.folder / "clock"
        seen = Path(f"{clock}.seen")
        before = seen.stat().st_size if seen.exists() else 0
        scratch.write_text(f"{seconds:+d}\n")
        scratch.rename(clock)
        wait_until(lambda: seen.exists() and seen.stat().st_size > before, 10, f"node {node.number} reads the clock that was set")


def _equip(node, needs, stack):
    """What must be there before a node starts, so that a fault can be switched on later."""
    node.folder.mkdir(parents=True, exist_ok=True)
    if "disk" in needs:
        stack.enter_context(small_disk(node.data, DISK_MEGABYTES))
    if "io" in needs:
        node.environment = {"LD_PRELOAD": str(failing_io()), "FAILING_IO_SWITCH": str(node.folder / "failing-io"),
                            "FAILING_IO_FOLDER": str(node.data)}
    if "clock" in needs:
        node.environment = {"LD_PRELOAD": str(false_clock()), "FALSE_CLOCK": str(node.folder / "clock")}


def replicas_of(cluster, seconds=60):
    """Every replica's log, once all of them end at the same offsets or the time is over."""
    def read(values):
        return {n.number: {p: log_reader.read(n.data / f"{TOPIC}-{p}", values) for p in range(PARTITIONS)
                           if (n.data / f"{TOPIC}-{p}").is_dir()} for n in cluster.nodes.values() if "broker" in n.roles}

    def equal():
        found = read(False)
        return all(len({logs[p].end for logs in found.values() if p in logs}) == 1 for p in range(PARTITIONS))
    try:
        wait_until(equal, seconds, "equal replicas", 0.5)
    except AssertionError:
        pass  # the checker says how they differ
    return read(True)


def run(profile, kind, properties=None, seconds=0, keep=None, keep_always=False, heap="256m"):
    """Runs one profile against a cluster of `kind` (or {node: kind}). Returns the Outcome; raises if the fault had no effect.

    `keep`: a folder for logs and histories of a run that failed, or of any with `keep_always`."""
    started = time.monotonic()
    folder = Path(scratch_folder())
    outcome = Outcome(profile.name, kind if isinstance(kind, str) else "mixed")
    kinds = dict.fromkeys(range(1, profile.nodes + 1), kind) if isinstance(kind, str) else dict(kind)
    if isinstance(kind, str) and profile.nodes > 3:
        kinds |= {n: (kind, "broker") for n in range(4, profile.nodes + 1)}
    good = False
    try:
        with ExitStack() as stack:
            network = stack.enter_context(Network([*(f"n{n}" for n in kinds), "clients"]))
            cluster = Cluster(folder, kinds, network, properties or {}, heap=heap)
            for node in cluster.nodes.values():
                _equip(node, profile.needs, stack)
            stack.enter_context(cluster)
            cluster.start()
            placement = {"min.insync.replicas": 2}
            cluster.create_topic(TOPIC, PARTITIONS, 3, placement)
            with Clients(cluster, folder, TOPIC, PARTITIONS) as clients:
                scene = Scene(cluster, clients, folder, network)
                _play(profile, scene, outcome, seconds)
        outcome.proofs, outcome.notes = scene.proofs, scene.notes + outcome.notes
        good = not outcome.violations
    finally:
        if keep and (keep_always or not good):
            save(folder, Path(keep))
        shutil.rmtree(folder, ignore_errors=True)
    outcome.seconds = time.monotonic() - started
    return outcome


def _play(profile, scene, outcome, seconds):
    scene.clients.wait_flowing()
    scene.wait_whole()
    quiet = time.monotonic_ns()
    time.sleep(2)
    begin = time.monotonic_ns()
    rounds = 0
    while rounds == 0 or time.monotonic_ns() - begin < seconds * 1e9:
        profile.fault(scene)
        rounds += 1
        for node in scene.cluster.nodes.values():
            assert node.alive and not node.frozen, f"{profile.name} must leave node {node.number} running"
        scene.wait_acknowledged()
        scene.wait_whole()
    time.sleep(0.5)
    end = time.monotonic_ns()
    found = scene.clients.end()
    for producer, library in zip(found.producers, LIBRARIES):
        alone = history.History([producer]).acks()
        outcome.gaps[library] = history.longest_gap(alone, begin, end)
        outcome.quiet[library] = history.longest_gap(alone, quiet, begin)
        outcome.errors[library] = len(producer.failures)
        outcome.acknowledged += len(producer.acks)
        outcome.notes += [f"{library} began a new session: {text}" for _, text in producer.given_up]
    outcome.violations = [str(v) for v in checker.check(found, replicas_of(scene.cluster))]


def save(folder, keep):
    """Logs, histories and data of a run that found something; small, as the loads are."""
    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "ballast" and os.path.getsize(path) < 64 << 20 and path.suffix not in (".index", ".timeindex"):
            target = keep / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
