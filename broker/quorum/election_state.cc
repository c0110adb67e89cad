#include "broker/quorum/election_state.h"

#include <nlohmann/json.hpp>

namespace broker::quorum {
namespace {

constexpr std::string_view kFileName = "/quorum-state";

std::optional<BrokerId> optional_id(std::int32_t id) {
  return id < 0 ? std::nullopt : std::optional(BrokerId{id});
}

}  // namespace

std::string to_text(const ElectionState& state) {
  nlohmann::ordered_json json;
  json["leaderId"] = state.leader ? state.leader->value : -1;
  json["leaderEpoch"] = state.epoch.value;
  json["votedId"] = state.voted ? state.voted->value : -1;
  json["votedDirectoryId"] = state.voted_directory.to_string();
  json["data_version"] = 1;
  return json.dump();
}

Result<ElectionState> parse_election_state(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    ElectionState state;
    state.leader = optional_id(json.at("leaderId").get<std::int32_t>());
    state.epoch = LeaderEpoch{json.at("leaderEpoch").get<std::int32_t>()};
    state.voted = optional_id(json.at("votedId").get<std::int32_t>());
    if (json.contains("votedDirectoryId")) {
      ASSIGN_OR_RETURN(state.voted_directory,
                       Uuid::parse(json.at("votedDirectoryId").get<std::string>()));
    }
    return state;
  } catch (const nlohmann::json::exception& e) {
    return Error{ErrorCode::kCorruptMessage, std::string("quorum-state: ") + e.what()};
  }
}

Result<std::optional<ElectionState>> read_election_state(io::FileSystem& fs,
                                                         const std::string& directory) {
  const std::string path = directory + std::string(kFileName);
  if (!fs.exists(path)) return std::optional<ElectionState>();
  ASSIGN_OR_RETURN(const std::string text, io::read_file(fs, path));
  ASSIGN_OR_RETURN(auto state, parse_election_state(text));
  return std::optional(std::move(state));
}

Result<void> write_election_state(io::FileSystem& fs, const std::string& directory,
                                  const ElectionState& state) {
  return io::write_file_atomically(fs, directory + std::string(kFileName), to_text(state));
}

}  // namespace broker::quorum
