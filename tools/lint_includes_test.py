"""The include lint finds each kind of forbidden arrow, and nothing in a clean tree."""

import pytest

from tools import lint_includes

CLEAN = {
    "broker/common/CMakeLists.txt": "add_module(broker_common LAYER 1)",
    "broker/common/ids.h": "",
    "broker/record/CMakeLists.txt": "add_module(broker_record LAYER 2 DEPS broker_common PRIVATE_DEPS ext::zstd)",
    "broker/record/batch.h": '#include "broker/common/ids.h"',
    "broker/storage/CMakeLists.txt": "add_module(broker_storage LAYER 4 DEPS broker_record TEST_DEPS broker_io_sim)",
    "broker/storage/log.cc": '#include "broker/record/batch.h"\n#include "broker/common/ids.h"',
    "broker/storage/log_test.cc": '#include "broker/io/sim/disk.h"',
    "broker/io/sim/CMakeLists.txt": "add_module(broker_io_sim LAYER 3 DEPS broker_common)",
    "broker/io/sim/disk.h": "",
    "operator/kube/CMakeLists.txt": "add_module(op_kube LAYER 3 DEPS broker_common)",
    "operator/kube/client.cc": '#include "broker/common/ids.h"\n#include <cpprest/json.h>',
}


@pytest.fixture
def problems(tmp_path, monkeypatch):
    def run(**changes):
        for name, text in (CLEAN | changes.get("files", {})).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        monkeypatch.setattr(lint_includes, "ROOT", tmp_path)
        return lint_includes.check()
    return run


def test_a_clean_tree_has_no_problem(problems):
    assert problems() == []


def test_an_undeclared_include_is_found(problems):
    assert problems(files={"broker/record/batch.h": '#include "broker/io/sim/disk.h"'}) == [
        "broker/record/batch.h:1: includes broker/io/sim/disk.h, but broker_record does not declare broker_io_sim in its DEPS"]


def test_what_only_tests_may_use_is_refused_in_sources(problems):
    assert "broker_storage does not declare broker_io_sim" in problems(
        files={"broker/storage/log.cc": '#include "broker/io/sim/disk.h"'})[0]


def test_the_operator_may_not_reach_above_layer_three(problems):
    found = problems(files={"operator/kube/CMakeLists.txt": "add_module(op_kube LAYER 3 DEPS broker_storage)",
                            "broker/storage/log.h": "", "operator/kube/client.cc": '#include "broker/storage/log.h"'})
    assert found == ["operator/kube/client.cc:1: operator/ may include broker layers up to 3; broker_storage is layer 4"]


def test_the_broker_never_includes_the_operator(problems):
    found = problems(files={"operator/kube/client.h": "", "broker/storage/log.cc": '#include "operator/kube/client.h"'})
    assert "broker/storage/log.cc:1:" in found[0]


def test_a_source_in_no_target_is_found(problems):
    assert problems(files={"broker/lost/x.cc": ""}) == [
        "broker/lost/x.cc:1: is in no target: its folder has no CMakeLists.txt with add_module"]


def test_a_heavy_library_must_not_reach_other_folders_through_a_header(problems):
    found = problems(files={"broker/common/ids.h": "#include <nlohmann/json.hpp>"})
    assert found == ["broker/common/ids.h:1: nlohmann/json.hpp belongs into a .cc, it is too heavy for a header"]
