#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "broker/common/defect.h"

namespace broker::sim {

struct PlantedDefect {
  Defect defect;
  std::string_view name;
};

/// Those that a cluster's clients can notice. The others belong to the log alone, and to
/// storage/crash_test.cc.
const std::vector<PlantedDefect>& planted_defects();

/// Lets the brokers make each mistake, seed after seed until one of at most `seeds` fails, and
/// prints how long that took. Returns how many were not found. Needs a tree with MILLRACE_DEFECTS.
int find_defects(std::uint64_t seeds, int jobs, std::string_view only);

}  // namespace broker::sim
