"""What can go wrong. Each profile makes its fault, proves that it had effect, and mends it; scene.py does the rest."""

import time
from dataclasses import dataclass
from typing import Callable

from e2e.faults.scene import TOPIC
from e2e.lib.process import wait_until

# Longer than every default timeout that makes a cluster act: broker.session.timeout.ms is 9 s.
LONG = 12.0


@dataclass(frozen=True)
class Profile:
    name: str
    fault: Callable
    needs: tuple = ()  # disk, io, clock: what every node must have from its start
    nodes: int = 3
    long: bool = False  # only in the long campaign
    summary: str = ""


def _kill(scene, node):
    led = scene.led_by(node)
    node.kill()
    scene.prove(node.process.returncode == -9 and led, f"node {node.number} died of SIGKILL while it led {sorted(led)}")
    scene.wait_moved(node, led)
    scene.wait_acknowledged()
    node.start()
    scene.wait_whole()
    _prefer(scene)


def _prefer(scene):
    """The first replicas lead again, so that every node leads something when the next fault comes."""
    partitions = list(scene.cluster.partitions(TOPIC))
    scene.cluster.ask(lambda admin: admin.elect_preferred(TOPIC, partitions))


def kill_leader(scene):
    _kill(scene, scene.partition_leader())


def kill_quorum_leader(scene):
    _kill(scene, scene.quorum_leader())


def kill_all(scene):
    for node in scene.cluster.nodes.values():
        node.process.signal(9)
    for node in scene.cluster.nodes.values():
        node.kill()
    scene.prove(not any(n.alive for n in scene.cluster.nodes.values()), "no node was left")
    for node in scene.cluster.nodes.values():
        node.launch()
    for node in scene.cluster.nodes.values():
        node.wait_ready()
    _prefer_soon(scene)


def _prefer_soon(scene):
    scene.wait_acknowledged()
    scene.wait_whole()
    _prefer(scene)


def _freeze(scene, node):
    led = scene.led_by(node)
    begin = time.monotonic()
    node.freeze()
    scene.wait_moved(node, led)
    time.sleep(max(0.0, LONG - (time.monotonic() - begin)))
    scene.wait_acknowledged()
    node.thaw()
    scene.notes.append(f"frozen {time.monotonic() - begin:.1f} s")
    _prefer_soon(scene)


def freeze_leader(scene):
    _freeze(scene, scene.partition_leader())


def freeze_quorum_leader(scene):
    _freeze(scene, scene.quorum_leader())


def _isolated(scene, node, cut):
    led, begin = scene.led_by(node), time.monotonic()
    cut([n.host.name for n in scene.others(node)])
    try:
        scene.wait_moved(node, led)
        time.sleep(max(0.0, LONG - (time.monotonic() - begin)))  # a client may insist on the lonely node: nothing is awaited yet
    finally:
        eaten = scene.network.heal()
    scene.prove(eaten > 0, f"{eaten} packets were lost")
    _prefer_soon(scene)


def partition_leader(scene):
    """From the other nodes, not from the clients: it goes on to believe that it leads."""
    node = scene.partition_leader()
    _isolated(scene, node, lambda others: scene.network.cut([node.host.name], others))


def partition_quorum_leader(scene):
    node = scene.quorum_leader()
    _isolated(scene, node, lambda others: scene.network.cut([node.host.name], others))


def mute_leader(scene):
    """One way: it hears the other nodes, they do not hear it."""
    node = scene.partition_leader()
    _isolated(scene, node, lambda others: [scene.network.cut_one_way(node.host.name, o) for o in others])


def deafen_followers(scene):
    """One way: nothing that the others send reaches the quorum leader, they hear it."""
    node = scene.quorum_leader()
    led = scene.led_by(node)
    for other in scene.others(node):
        scene.network.cut_one_way(other.host.name, node.host.name)
    try:
        time.sleep(LONG)
    finally:
        eaten = scene.network.heal()
    scene.prove(eaten > 0, f"{eaten} packets to the leader of the quorum and of {sorted(led)} were lost")
    _prefer_soon(scene)


def reset_connections(scene):
    node = scene.partition_leader()
    eaten = 0
    for _ in range(3):
        for other in (*(n.host.name for n in scene.others(node)), "clients"):
            scene.network.reset(node.host.name, other)
        time.sleep(0.5)
        eaten += scene.network.heal()
        time.sleep(1.5)
    scene.prove(eaten > 0, f"{eaten} packets were answered with a reset")
    scene.wait_acknowledged()


def _bad_disk(scene, node, begin, mend, proof, heals=False):
    """A broker with one disk that fails either stops or gives its leaderships away; it is started again when the disk is mended,
    but where it goes on to run and `heals`."""
    led = scene.led_by(node)
    begin()
    try:
        scene.wait_moved(node, led, 90)
        scene.wait_acknowledged()
        text = proof()
        scene.prove(text, text)
        scene.notes.append("it stopped by itself" if not node.alive else "it went on to run")
    finally:
        stopped = not node.alive
        if stopped or not heals:
            node.kill()
        mend()
    if stopped or not heals:
        node.start()
    _prefer_soon(scene)


def disk_full(scene):
    node = scene.partition_leader()
    ballast = []

    def fill():
        ballast.append(scene.fill_disk(node))

    _bad_disk(scene, node, fill, lambda: [b.unlink() for b in ballast],
              lambda: "its log speaks of 'No space left on device'" if "No space left" in node.log_text() else "", heals=True)


def _failing_io(scene, what):
    node = scene.partition_leader()
    _bad_disk(scene, node, lambda: scene.fail_io(node, what), lambda: scene.switch(node).unlink(),
              lambda: f"{scene.refusals(node)} calls had EIO" if scene.refusals(node) else "")


def failing_writes(scene):
    _failing_io(scene, "write")


def failing_fsync(scene):
    _failing_io(scene, "sync")


def clock_skew(scene):
    """Two clocks jump, an hour forward and an hour back, stay so, and come back; one of them leads the quorum."""
    ahead, behind = scene.quorum_leader(), scene.partition_leader()
    begin = time.monotonic()
    for node, seconds in ((ahead, 3600), (behind, -3600)):
        scene.set_clock(node, seconds)
        scene.prove(True, f"node {node.number} reads a clock {seconds:+d} s off")
    time.sleep(5)
    scene.wait_acknowledged()
    for node in (ahead, behind):
        scene.set_clock(node, 0)
    scene.notes.append(f"wrong for {time.monotonic() - begin:.1f} s")
    time.sleep(2)


def rolling_restart(scene):
    slowest = 0.0
    for node in scene.cluster.nodes.values():
        begin = time.monotonic()
        code = node.stop(60)
        slowest = max(slowest, time.monotonic() - begin)
        scene.prove(code in (0, 143), f"node {node.number} stopped in order (code {code})")
        node.start()
        scene.wait_whole()
        _prefer(scene)
    scene.notes.append(f"slowest stop {slowest:.1f} s")


def reassignment(scene):
    """All partitions move to other nodes; meanwhile one that has to give something is killed."""
    cluster = scene.cluster
    before = cluster.partitions(TOPIC)
    wanted = {p: [n % 4 + 1 for n in (p, p + 1, p + 2)] for p in before}
    scene.prove(any(set(wanted[p]) != set(before[p].replicas) for p in before), "replicas have to move")
    cluster.ask(lambda admin: admin.reassign(TOPIC, wanted))
    node = scene.partition_leader()
    node.kill()
    time.sleep(2)
    node.start()

    def moved():
        found = cluster.partitions(TOPIC)
        return len(found) == len(wanted) and all(found[p].replicas == wanted[p] for p in wanted)
    wait_until(moved, 90, "the reassignment's end", 0.2)
    scene.prove(True, "all partitions are where they were sent")


PROFILES = {p.name: p for p in (
    Profile("leader killed", kill_leader),
    Profile("quorum leader killed", kill_quorum_leader),
    Profile("all killed", kill_all),
    Profile("leader frozen", freeze_leader),
    Profile("quorum leader frozen", freeze_quorum_leader, long=True),
    Profile("leader cut off", partition_leader),
    Profile("quorum leader cut off", partition_quorum_leader),
    Profile("leader mute", mute_leader),
    Profile("quorum leader deaf", deafen_followers, long=True),
    Profile("connections reset", reset_connections),
    Profile("disk full", disk_full, needs=("disk",)),
    Profile("writes fail", failing_writes, needs=("io",)),
    Profile("fsync fails", failing_fsync, needs=("io",)),
    Profile("clocks jump", clock_skew, needs=("clock",)),
    Profile("rolling restart", rolling_restart),
    Profile("reassignment", reassignment, nodes=4),
)}
