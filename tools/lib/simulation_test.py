"""What millrace-sim prints becomes a suite's result."""

from tools.lib import simulation
from tools.lib.suites import Result

OUTPUT = """seed 17: 12.3 s: orders-0 at 7: record 0.7 was acknowledged and never read (300 s simulated)
2041 seeds, 212.5 simulated hours, 1 failed
9 faults, 8 records acknowledged, 7 read, 6 offsets committed, 5 events
"""


def test_failed_seeds_are_named_with_how_to_replay_them():
    result = Result()
    simulation.count(OUTPUT, result)
    assert (result.passed, result.failed) == (2040, 1)
    assert result.failures[0][0] == "seed 17"
    assert "./dev sim --seed 17" in result.failures[0][1][1]


def test_a_program_that_ends_without_totals_has_failed():
    result = Result()
    simulation.count("Segmentation fault\n", result)
    assert result.failed == 1


def test_a_defect_that_no_seed_found_is_a_failure():
    result = Result()
    simulation.count_defects("votes are not stored                      seed 7: 1.0 s: two leaders\n"
                             "no truncation on a new epoch              NOT FOUND\n"
                             "1 of 2 planted defects not found\n", result)
    assert (result.passed, result.failed) == (1, 1)
    assert result.failures[0][0] == "defect: no truncation on a new epoch"
