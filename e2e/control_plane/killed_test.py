"""An operator that is killed before or after any of its writes ends where one ends that nobody killed, and repeats nothing that matters.

Every scenario runs once undisturbed; each write that was seen then is a point at which a later run is killed. What Kafka is asked
lies between these writes, and is repeated or not as they are.
"""

import collections
import random
import time

import pytest

from e2e.conftest import FULL
from e2e.control_plane.faults import Kill, KillAlways
from e2e.control_plane.scenarios import SCENARIOS
from e2e.lib.end_state import differences
from e2e.lib.process import wait_until

SAMPLE = {"create": 4, "roll": 1, "delete": 2}  # of the default run; other scenarios are for the long form
SETTLE_SECONDS = 40


def undisturbed(worlds, scenario):
    """(the end state, the points at which one can be killed, what was made or restarted how often)."""
    with worlds() as world:
        world.operator.start()
        scenario.begin(world)
        since = world.wait_quiet()
        scenario.act(world)
        world.wait_quiet()
        assert world.operator.crashes == []
        seen, points = collections.Counter(), []
        for write in world.operator.door.writes(since):
            seen[write.what] += 1
            points += [(write.what, seen[write.what], after) for after in (False, True)]
        return world.state(), points, what_matters(world)


def what_matters(world):
    """Objects made, pods and processes started: each as often as in the undisturbed run."""
    made = collections.Counter(f"{w.resource} {w.name} made" for w in world.operator.door.writes() if w.status == 201 and w.resource != "events")
    return dict(made) | {f"process of {pod}": count for pod, count in world.kubelet.starts.items()}


def problems_after(world, expected, mattered):
    """Once the end state is that of the undisturbed run, or too late: all that is wrong."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (found := differences(expected, world.state())) and time.monotonic() < deadline:
        time.sleep(0.2)
    found += differences(mattered, what_matters(world))
    found += [f"{what} was drawn twice" for what in world.drawn_twice()]
    return found + world.operator.crashes + world.kubelet.problems


def run_killed(worlds, scenario, expected, mattered, point):
    """The problems of one run, and whether the point was reached."""
    what, nth, after = point
    with worlds() as world:
        operator = world.operator
        operator.start()
        scenario.begin(world)
        if scenario.name != "create":
            world.wait_quiet(quiet=0.4)
        kill = Kill(operator.kill, what, nth, after)
        operator.door.faults = [kill]
        scenario.act(world)
        found = problems_after(world, expected, mattered)
        assert operator.lives == 1 + kill.done
        return found, kill.done


@pytest.mark.parametrize("name", [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.full) for name in SCENARIOS])
def test_killed_at_any_write_the_operator_arrives_at_the_same_end(worlds, took, name):
    scenario = SCENARIOS[name]
    expected, points, mattered = undisturbed(worlds, scenario)
    seed = 0 if FULL else random.randrange(1000)
    chosen = points if FULL else random.Random(seed).sample(points, min(SAMPLE[name], len(points)))
    wrong, missed = {}, []
    for point in chosen:
        text = f"killed {'after' if point[2] else 'before'} {point[0]}, time {point[1]}"
        try:
            found, reached = run_killed(worlds, scenario, expected, mattered, point)
        except AssertionError as failure:
            found, reached = [str(failure)[:2000]], True
        if found:
            wrong[text] = found
            print(f"\n    {text}: {found}", flush=True)
        if not reached:  # which statuses are written depends on what is seen together
            missed.append(text)
    took(f"{name}: writes of the undisturbed run", len(points) // 2)
    took(f"{name}: killed runs (seed {seed})", len(chosen) - len(missed))
    if missed:
        took(f"{name}: not come to", ", ".join(missed))
    assert wrong == {}


@pytest.mark.parametrize("name", [pytest.param("create", marks=pytest.mark.full), pytest.param("change", marks=pytest.mark.full), "delete"])
def test_an_operator_that_never_lives_longer_than_a_write_gets_there(worlds, took, name):
    scenario = SCENARIOS[name]
    expected, _, mattered = undisturbed(worlds, scenario)
    with worlds() as world:
        operator = world.operator
        operator.start()
        scenario.begin(world)
        if name != "create":
            world.wait_quiet()
        world.patience = 5
        always = KillAlways(operator.kill)
        operator.on_birth.append(always.born)
        operator.door.faults = [always]
        scenario.act(world)
        assert problems_after(world, expected, mattered) == []
        wait_until(lambda: always.turn > 0, 1)
        took(f"{name}: lives", operator.lives)
