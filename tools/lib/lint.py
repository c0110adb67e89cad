"""The checks of ./dev lint: what a formatter or a compiler cannot see."""

import ast
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tools import lint_includes
from tools.lib import paths

MAX_LINES = 600
# Files that outgrew MAX_LINES, with the length that they may have: it only ever shrinks.
RATCHET = paths.ROOT / "tools" / "long_files.txt"
TEXT_SUFFIXES = {".cc", ".h", ".py", ".sh", ".cmake", ".yaml", ".yml", ".md", ".json", ".c", ".proto", ""}
CODE_SUFFIXES = {".cc", ".h", ".c", ".py"}
UNDONE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b(?!\s*\(#\d+\))")


def tracked(*suffixes):
    """Files that git knows or would add; without git (an unpacked archive) all outside build folders."""
    result = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=paths.ROOT,
                            capture_output=True, text=True)
    if result.returncode == 0:
        found = [paths.ROOT / name for name in set(result.stdout.split("\0")) if name]
    else:
        found = [p for p in paths.ROOT.rglob("*") if not p.relative_to(paths.ROOT).parts[0].startswith(("build", ".git"))]
    return sorted(p for p in found if p.is_file() and (not suffixes or p.suffix in suffixes))


def includes():
    return lint_includes.check()


def formatting():
    """C++ files that clang-format 14 would change."""
    tool = shutil.which("clang-format-14")
    if not tool:
        return ["clang-format-14 is not installed: ./dev packages"]
    files = tracked(".cc", ".h")
    chunks = [files[i::8] for i in range(8)]

    def run(chunk):
        if not chunk:
            return []
        out = subprocess.run([tool, "--dry-run", *map(str, chunk)], capture_output=True, text=True, cwd=paths.ROOT).stderr
        return re.findall(r"^(\S+?):\d+:\d+: warning: code should be clang-formatted", out, re.M)

    with ThreadPoolExecutor(2) as pool:
        bad = sorted({name for names in pool.map(run, chunks) for name in names})
    return [f"{name.removeprefix(str(paths.ROOT) + '/')}: not formatted; ./dev fmt" for name in bad]


def undone():
    """Notes of unfinished work must name an issue, as in `(#12)`."""
    problems = []
    for path in tracked():
        if path.suffix in CODE_SUFFIXES:
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if match := UNDONE.search(line):
                    problems.append(f"{path.relative_to(paths.ROOT)}:{number}: {match[1]} without an issue number")
    return problems


def whitespace():
    """Text files end with one newline and have no spaces at the end of a line."""
    problems = []
    for path in tracked():
        relative = path.relative_to(paths.ROOT)
        if path.suffix not in TEXT_SUFFIXES or "testdata" in relative.parts or relative.name == "LICENSE":
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if text and not text.endswith("\n"):
            problems.append(f"{relative}: no newline at the end")
        if path.suffix != ".md" and (match := re.search(r"[ \t]+$", text, re.M)):
            problems.append(f"{relative}:{text.count(chr(10), 0, match.start()) + 1}: spaces at the end of the line")
    return problems


def python():
    """Python parses and imports only what it uses."""
    problems = []
    for path in tracked():
        if path.suffix != ".py" and not (path.parent.name == "tools" and path.read_bytes().startswith(b"#!/usr/bin/python3")):
            continue
        name = path.relative_to(paths.ROOT)
        try:
            tree = ast.parse(path.read_text())
        except SyntaxError as error:
            problems.append(f"{name}:{error.lineno}: {error.msg}")
            continue
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
                problems += [f"{name}:{node.lineno}: {n} is imported but not used" for n in names if n not in used]
    return problems


def length():
    """No source file over MAX_LINES, but for those in the ratchet list, and those never longer than listed."""
    allowed = {}
    if RATCHET.exists():
        for line in RATCHET.read_text().splitlines():
            if line and not line.startswith("#"):
                name, lines = line.split()
                allowed[name] = int(lines)
    problems = []
    for path in tracked():
        name = str(path.relative_to(paths.ROOT))
        if path.suffix not in CODE_SUFFIXES:
            continue
        lines = path.read_bytes().count(b"\n")
        if lines > allowed.get(name, MAX_LINES):
            problems.append(f"{name}: {lines} lines, {allowed.get(name, MAX_LINES)} allowed; look for the second idea in it")
        elif name in allowed and lines <= MAX_LINES:
            problems.append(f"{name}: has {lines} lines now; take it out of {RATCHET.relative_to(paths.ROOT)}")
    return problems


def commands():
    """Every command of ./dev is explained and has its tool."""
    text = (paths.ROOT / "dev").read_text()
    explained = set(re.findall(r"^  ([a-z]+) +\S", text[text.index("<<'TEXT'"):text.index("\nTEXT")], re.M)) - {"help"}
    accepted = {w for line in re.findall(r"^  ([a-z |]+)\) ", text, re.M) for w in line.split(" | ")} - {"help"}
    return [f"./dev accepts {c} but does not explain it" for c in sorted(accepted - explained)] + [
        f"./dev explains {c} but does not accept it" for c in sorted(explained - accepted)] + [
        f"tools/{c} does not exist" for c in sorted(accepted) if not (paths.ROOT / "tools" / c).exists()]


def chart_copies():
    """The chart carries copies of crds/*.yaml, and the dashboards that tools/dashboards makes."""
    tool = paths.ROOT / "tools" / "sync_crds"
    if not tool.exists():
        return []
    result = subprocess.run([tool, "--check"], capture_output=True, text=True)
    problems = [] if result.returncode == 0 else ["charts/millrace/files/crds: not what crds/ says; run tools/sync_crds"]
    if subprocess.run([paths.ROOT / "tools" / "dashboards", "--check"], capture_output=True).returncode != 0:
        problems.append("charts/millrace/files/dashboards: not what tools/dashboards makes; run it")
    return problems


def documentation():
    """What users see has its place in docs/: reasons, APIs, metrics."""
    def read(name):
        return (paths.ROOT / name).read_text()

    problems = []
    runbooks = read("docs/runbooks/README.md")
    for reason in re.findall(r'string_view k\w+ = "(\w+)"', read("operator/api/meta.h").split("namespace reason {")[1].split("}")[0]):
        if reason not in runbooks:
            problems.append(f"docs/runbooks/README.md: nothing about the reason {reason} of operator/api/meta.h")
    for page in re.findall(r"\]\((\w+\.md)\)", runbooks):
        if not (paths.ROOT / "docs/runbooks" / page).exists():
            problems.append(f"docs/runbooks/README.md: {page} does not exist")
    compatibility = read("docs/compatibility.md")
    for api in re.findall(r"add<protocol::(\w+)Request>", read("broker/handlers/register_apis.cc")):
        if not re.search(rf"\b{api}\b", compatibility.split("Not served:")[0]):
            problems.append(f"docs/compatibility.md: nothing about {api}, which broker/handlers/register_apis.cc serves")
    metrics = read("docs/metrics.md")
    for source in ("broker/app/metrics_text.cc", "broker/replication/metrics.h", "operator/app/metrics.cc", "operator/app/offset_series.cc"):
        for name in re.findall(r'"((?:kafka|millrace|process)_\w+)"', read(source)):
            if f"`{name}`" not in metrics:
                problems.append(f"docs/metrics.md: nothing about {name} of {source}")
    return problems


CHECKS = {
    "includes against layers": includes,
    "C++ formatting": formatting,
    "Python": python,
    "unfinished notes": undone,
    "white space": whitespace,
    "length of files": length,
    "commands of ./dev": commands,
    "CRDs in the chart": chart_copies,
    "documentation": documentation,
}
