"""The suites of ./dev test: each has a time budget and counts what passed, failed and was skipped."""

import os
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from e2e.clients import install
from e2e.lib import kubernetes, network
from e2e.localkube import cluster, gobuild, host
from tools.lib import build, lint, paths, simulation, ui

RESULTS = paths.BUILD / "test-results"
KUBERNETES_FOLDERS = ("e2e/localkube", "e2e/kubernetes")


@dataclass
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    note: str = ""
    failures: list = field(default_factory=list)  # (name, first lines of the message)
    log: object = None


@dataclass
class Selection:
    """What the user asked for: all of a suite, or only the tests whose names contain the pattern."""
    pattern: str = ""
    full: bool = False

    def environment(self):
        return dict(os.environ, MILLRACE_FULL="1") if self.full else dict(os.environ)


# --- suites -----------------------------------------------------------------------------------------------------------

def run_build(_, budget):
    try:
        build.build(label="build", timeout=budget)
    except ui.Failure as failure:
        return Result(failed=1, failures=[("build", failure.tail or [failure.what])], log=failure.log)
    return Result()


def run_lint(selection, _):
    result = Result()
    for name, check in lint.CHECKS.items():
        if selection.pattern and selection.pattern not in name:
            continue
        if problems := check():
            result.failed += 1
            result.failures.append((name, problems))
        else:
            result.passed += 1
    return result


def run_unit(selection, budget):
    folder = _fresh("unit")
    env = selection.environment() | {"GTEST_OUTPUT": f"xml:{folder}/", "GTEST_BRIEF": "1"}
    if selection.pattern:
        env["GTEST_FILTER"] = f"*{selection.pattern}*"
    log = paths.log_dir() / "test-unit.log"
    code = _run(["ctest", "--test-dir", paths.BUILD, "-j", str(os.cpu_count()), "--output-on-failure", "--no-tests=ignore",
                 "--output-junit", folder / "ctest.junit"], env, budget, log)
    result = Result(log=log)
    for file in folder.glob("*.xml"):
        _add_junit(result, file)
    # A program that crashed or ran too long wrote no report of its own; ctest knows.
    programs_failed = _failed_programs(folder / "ctest.junit")
    reported = {f.stem.removesuffix("_test") for f in folder.glob("*.xml")}
    for name, message in programs_failed.items():
        if name not in reported or not result.failed:
            result.failed += 1
            result.failures.append((name, message))
    if code is None:
        _over_budget(result, budget)
    _add(result, run_pytest("tools")(selection, budget))
    return result


def _add(result, other):
    result.log = other.log or result.log
    result.passed += other.passed
    result.failed += other.failed
    result.skipped += other.skipped
    result.failures += other.failures


def run_pytest(*folders):
    """A suite of pytest files; `folders` below the root share their fixtures' session."""
    def run(selection, budget):
        if not test_files(folders):
            return Result(note="no tests in this tree")
        name = folders[-1].replace("/", "-")
        report = _fresh(name) / "report.xml"
        log = paths.log_dir() / f"test-{name}.log"
        pattern = ["-k", selection.pattern] if selection.pattern else []
        code = _run(["/usr/bin/python3", "-B", "-m", "pytest", "-v", f"--junit-xml={report}", *pattern, *existing(folders)],
                    selection.environment(), budget, log)
        result = Result(log=log)
        if report.exists():
            _add_junit(result, report)
        if code is None:
            _over_budget(result, budget)
        elif code not in (0, 1, 5) or (code == 1 and not result.failed):  # 5: nothing matched the pattern
            result.failed += 1
            result.failures.append((name, ui.tail_of(log, 6)))
        return result
    return run


def existing(folders):
    return [paths.ROOT / f for f in folders if (paths.ROOT / f).is_dir()]


def test_files(folders):
    return [f for folder in existing(folders) for pattern in ("*_test.py", "test_*.py") for f in folder.rglob(pattern)]


def run_on_hosts(*folders):
    """A suite whose processes need hosts of their own, which a machine may not be able to make."""
    def run(selection, budget):
        if obstacles := network.obstacles():
            return Result(note="not run: " + "; ".join(obstacles))
        return run_pytest(*folders)(selection, budget)
    return run


def run_kubernetes(selection, budget):
    if obstacles := host.obstacles():
        return Result(note="not run: " + "; ".join(obstacles))
    was_up = cluster.is_running()
    try:
        result = run_pytest("charts")(selection, budget)  # needs an API server only, and starts one of its own
        _add(result, run_pytest(*KUBERNETES_FOLDERS)(selection, budget))
        return result
    finally:
        with kubernetes.alone(wait=False) as ours:  # what runs is another test run's if it is not
            if ours and not was_up and cluster.is_running():  # the run was cut off before its own end
                cluster.down(ui.Silent)


def run_simulation(selection, budget):
    """Seeds of the cluster simulation. A failed seed is run again for its trace."""
    if selection.pattern:
        return Result(note="no tests of that name")
    program, log = simulation.PROGRAM, paths.log_dir() / "test-sim.log"
    seconds = budget - simulation.SECONDS_OF_THE_LAST_SEEDS
    seeds = simulation.MAX_SEEDS if selection.full else simulation.GATE_SEEDS
    code = _run([program, "--count", seeds, "--seconds", seconds, "--jobs", os.cpu_count()],
                selection.environment(), budget, log)
    result = Result(log=log)
    if code is None:
        _over_budget(result, budget)
    simulation.count(log.read_text(), result)
    for name, _ in result.failures[:1]:
        simulation.write_trace(name)
    return result


def run_planted_defects(selection, budget):
    """Every mistake that the brokers can be told to make is found by some seed."""
    if selection.pattern:
        return Result(note="no tests of that name")
    log = paths.log_dir() / "test-sim-defects.log"
    try:
        program = simulation.build_with_defects()
    except ui.Failure as failure:
        return Result(failed=1, failures=[("build with defects", failure.tail or [failure.what])], log=failure.log)
    code = _run([program, "--defects", "--count", simulation.SEEDS_PER_DEFECT, "--jobs", os.cpu_count()],
                selection.environment(), budget, log)
    result = Result(log=log)
    if code is None:
        _over_budget(result, budget)
    simulation.count_defects(log.read_text(), result)
    return result


def run_go(_, budget):
    """Kubernetes itself, where a suite needs it and the cache has not got it."""
    if host.obstacles():
        return Result(note="not needed")
    built = gobuild.missing()
    try:
        gobuild.ensure()
    except ui.Failure as failure:
        return Result(failed=1, failures=[(failure.what, failure.tail or [])], log=failure.log)
    return Result(note=f"{', '.join(built)}" if built else "cached")


def run_installation(*_):
    """Other people's clients, where the cache has not got them."""
    try:
        made = install.ensure()
    except ui.Failure as failure:
        return Result(failed=1, failures=[(failure.what, failure.tail or [])], log=failure.log)
    return Result(note=", ".join(made) or "cached")


@dataclass(frozen=True)
class Suite:
    name: str
    run: object
    budget: int  # seconds; --full has FULL_FACTOR times as much
    needs: tuple = ()
    folders: tuple = ()  # of pytest files
    asked_for: bool = False  # runs only when it is named, or a pattern finds a test in it

    def may_match(self, selection):
        """False if no test of a pytest suite can match, so that a pattern does not start a cluster in vain."""
        files = test_files(self.folders)
        return not (selection.pattern and files) or any(
            selection.pattern in file.name or selection.pattern in file.read_text() for file in files)


FULL_FACTOR = 6
PREPARATIONS = {
    "build": Suite("build", run_build, 900),
    "installation": Suite("installation", run_installation, 900),
    "localkube": Suite("localkube", run_go, 720),
}
CONFORMANCE_FOLDERS = ("e2e/lib", "e2e/conformance")
CLIENTS_FOLDERS = ("e2e/clients",)
STANDALONE_FOLDERS = ("e2e/standalone",)
CONTROL_PLANE_FOLDERS = ("e2e/control_plane",)
MONITORING_FOLDERS = ("e2e/monitoring",)
FAULTS_FOLDERS = ("e2e/faults",)
INTEROP_FOLDERS = ("e2e/interop",)
SUITES = {
    "lint": Suite("lint", run_lint, 60),
    "unit": Suite("unit", run_unit, 360, ("build",)),
    "sim": Suite("sim", run_simulation, 480, ("build",)),
    "defects": Suite("defects", run_planted_defects, 420, ("build",)),
    "conformance": Suite("conformance", run_pytest(*CONFORMANCE_FOLDERS), 600, ("build", "installation"), CONFORMANCE_FOLDERS),
    "clients": Suite("clients", run_pytest(*CLIENTS_FOLDERS), 600, ("build", "installation"), CLIENTS_FOLDERS),
    "standalone": Suite("standalone", run_pytest(*STANDALONE_FOLDERS), 420, ("build",), STANDALONE_FOLDERS),
    "monitoring": Suite("monitoring", run_pytest(*MONITORING_FOLDERS), 180, ("build", "localkube"), MONITORING_FOLDERS),
    "control_plane": Suite("control_plane", run_pytest(*CONTROL_PLANE_FOLDERS), 300, ("build", "localkube"), CONTROL_PLANE_FOLDERS),
    "faults": Suite("faults", run_on_hosts(*FAULTS_FOLDERS), 600, ("build",), FAULTS_FOLDERS, asked_for=True),
    "interop": Suite("interop", run_on_hosts(*INTEROP_FOLDERS), 600, ("build",), INTEROP_FOLDERS, asked_for=True),
    "e2e": Suite("e2e", run_kubernetes, 1500, ("build", "localkube"), ("charts", *KUBERNETES_FOLDERS)),
}


def execute(suite, selection):
    budget = suite.budget * (FULL_FACTOR if selection.full else 1)
    start = time.monotonic()
    result = suite.run(selection, budget)
    result.seconds = time.monotonic() - start
    return result


# --- running and counting ---------------------------------------------------------------------------------------------

def _fresh(name):
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder


def _run(argv, env, budget, log):
    """Runs a test program in a session of its own; None when it had to be stopped for taking longer than the budget."""
    with open(log, "w") as file:
        process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                   env=env, cwd=paths.ROOT, start_new_session=True)
        try:
            return process.wait(budget)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # pytest then still runs its fixtures' ends
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            return None
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise


def _over_budget(result, budget):
    result.failed += 1
    result.failures.append(("time budget", [f"stopped after {ui.duration(budget)}"]))


def _add_junit(result, file):
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError:
        return
    for case in root.iter("testcase"):
        trouble = case.find("failure") if case.find("failure") is not None else case.find("error")
        if trouble is not None:
            result.failed += 1
            text = (trouble.get("message") or "") + "\n" + (trouble.text or "")
            lines = [line for line in text.splitlines() if line.strip()]
            wanted = [line for line in lines if re.match(r"E  |.*(Failure|Error|Expected|Actual)", line)] or lines
            result.failures.append((f"{case.get('classname')}.{case.get('name')}", wanted[:6]))
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            result.skipped += case.get("status") != "notrun"  # gtest reports what a filter left out as "notrun"
        else:
            result.passed += 1


def _failed_programs(file):
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError):
        return {}
    found = {}
    for case in root.iter("testcase"):
        if case.get("status") == "fail":
            output = (case.findtext("system-out") or "").strip().splitlines()
            found[case.get("name")] = output[-6:]
    return found
