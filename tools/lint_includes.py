#!/usr/bin/python3
"""tools/lint_includes.py

Compares every #include of a file of ours with the DEPS that its folder declares in its CMakeLists.txt. CMake itself checks
only what is declared; this finds what is included without being declared, which links by accident and hides an arrow.

Rules: a module may include itself, its DEPS and what those bring along; tests also TEST_DEPS; operator/ of broker/ only
layers 1 to 3; a lower layer never a higher one; heavy headers only in .cc files.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TREES = ("broker", "operator")
INCLUDE = re.compile(r'^\s*#\s*include\s*"((?:broker|operator)/[^"]+)"')
HEAVY = re.compile(r"^\s*#\s*include\s*[<\"](cpprest/|nlohmann/json\.hpp|boost/|yaml-cpp/|prometheus/|regex>|openssl/|CLI/)")
TEST_NAME = re.compile(r"(^|_)(test|tests|testing|fuzz)(_|$)")
KEYWORDS = {"LAYER", "DEPS", "PRIVATE_DEPS", "TEST_DEPS", "GENERATED", "TEST_ONLY"}
MAX_BROKER_LAYER_FOR_OPERATOR = 3


@dataclass
class Module:
    name: str
    folder: Path
    layer: int = 99
    deps: list = field(default_factory=list)
    private_deps: list = field(default_factory=list)
    test_deps: list = field(default_factory=list)
    programs: list = field(default_factory=list)  # DEPS of the add_program in the same folder
    has_module: bool = True


def calls(text, function):
    text = re.sub(r"#.*", "", text)
    for match in re.finditer(rf"\b{function}\s*\(([^()]*)\)", text):
        yield match[1].split()


def sections(words):
    found, key = {}, None
    for word in words:
        if word in KEYWORDS:
            key = word
            found[key] = []
        elif key:
            found[key].append(word)
    return found


def load_modules():
    """folder -> Module, for every folder with an add_module or add_program."""
    modules = {}
    for tree in TREES:
        for lists in sorted((ROOT / tree).rglob("CMakeLists.txt")):
            text, folder = lists.read_text(), lists.parent.relative_to(ROOT)
            declared = list(calls(text, "add_module"))
            programs = [d for words in calls(text, "add_program") for d in sections(words[1:]).get("DEPS", [])]
            if not declared and not programs:
                continue
            module = Module(name=str(folder), folder=folder, programs=programs, has_module=bool(declared))
            for words in declared[:1]:
                parts = sections(words[1:])
                module.name, module.layer = words[0], int(parts.get("LAYER", ["99"])[0])
                module.deps, module.private_deps = parts.get("DEPS", []), parts.get("PRIVATE_DEPS", [])
                module.test_deps = parts.get("TEST_DEPS", [])
            modules[folder] = module
    return modules


def owner(path, modules):
    """The module of the nearest folder upwards; generated headers live in sub-folders of their module."""
    for folder in path.parents:
        if folder in modules:
            return modules[folder]
    return None


def closure(names, by_name):
    seen, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name in by_name and name not in seen:
            seen.add(name)
            todo += by_name[name].deps
    return seen


def is_test(path):
    """Test programs, and the headers that serve only them."""
    return bool(TEST_NAME.search(path.stem)) or path.parent.name == "testing"


def allowed_for(path, module, by_name):
    names = [module.name, *module.deps]
    if path.suffix == ".cc":
        names += module.private_deps
    if is_test(path):
        names += module.test_deps + module.private_deps
    if path.name == "main.cc":
        names += module.programs
    return closure(names, by_name) | {module.name}


def check():
    """Problems as 'file:line: sentence'."""
    modules = load_modules()
    by_name = {m.name: m for m in modules.values()}
    files = {path.relative_to(ROOT): path.read_text() for tree in TREES for path in sorted((ROOT / tree).rglob("*"))
             if path.suffix in (".h", ".cc") and path.is_file()}
    problems = heavy_headers(files)
    for relative, text in files.items():
        module = modules.get(relative.parent) or owner(relative, modules)
        if module is None:
            problems.append(f"{relative}:1: is in no target: its folder has no CMakeLists.txt with add_module")
        else:
            problems += check_file(text, relative, module, modules, by_name)
    return problems


def heavy_headers(files):
    """Headers that bring a heavy library to other folders; one that only its own folder's sources include may do so."""
    includers = {}
    for relative, text in files.items():
        for line in text.splitlines():
            if match := INCLUDE.match(line):
                includers.setdefault(Path(match[1]), set()).add(relative)
    problems = []
    for relative, text in files.items():
        private = all(f.parent == relative.parent and f.suffix == ".cc" for f in includers.get(relative, ()))
        if relative.suffix == ".h" and not private and not is_test(relative):
            for number, line in enumerate(text.splitlines(), 1):
                if heavy := HEAVY.match(line):
                    problems.append(f"{relative}:{number}: {heavy[1]} belongs into a .cc, it is too heavy for a header")
    return problems


def check_file(text, relative, module, modules, by_name):
    problems, allowed = [], allowed_for(relative, module, by_name)
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{relative}:{number}"
        match = INCLUDE.match(line)
        if not match:
            continue
        target = owner(Path(match[1]), modules)
        if target is None:
            problems.append(f"{where}: {match[1]} belongs to no module")
        elif target.name not in allowed:
            problems.append(f"{where}: includes {match[1]}, but {module.name} does not declare {target.name} in its DEPS")
        elif relative.parts[0] == "operator" and target.folder.parts[0] == "broker":
            if target.layer > MAX_BROKER_LAYER_FOR_OPERATOR and "sim" not in relative.parts:
                problems.append(f"{where}: operator/ may include broker layers up to {MAX_BROKER_LAYER_FOR_OPERATOR}; "
                                f"{target.name} is layer {target.layer}")
        elif relative.parts[0] == "broker" and target.folder.parts[0] == "operator":
            problems.append(f"{where}: broker/ never includes operator/")
    return problems


if __name__ == "__main__":
    found = check()
    print("\n".join(found))
    sys.exit(1 if found else 0)
