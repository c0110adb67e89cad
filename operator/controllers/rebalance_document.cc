#include "operator/controllers/rebalance_document.h"

#include <nlohmann/json.hpp>

namespace op::controllers {
namespace {

using nlohmann::json;

constexpr const char* kId = "id";
constexpr const char* kAfter = "reassignment.json";
constexpr const char* kBefore = "rollback.json";
constexpr const char* kBytes = "bytes.json";  // to be copied, beside reassignment.json

std::string assignment(const plan::RebalanceDocument& document,
                       std::vector<std::int32_t> plan::PlannedMove::*replicas) {
  json partitions = json::array();
  for (const plan::PlannedMove& move : document.moves) {
    partitions.push_back(
        {{"topic", move.topic}, {"partition", move.partition}, {"replicas", move.*replicas}});
  }
  return json{{"version", 1}, {"partitions", std::move(partitions)}}.dump();
}

}  // namespace

kube::ObjectKey document_key(const kube::ObjectKey& rebalance) {
  return {rebalance.ns, "millrace-rebalance-" + rebalance.name};
}

std::string encode_document(const api::Rebalance& rebalance,
                            const plan::RebalanceDocument& document) {
  const api::ObjectMeta& meta = rebalance.metadata;
  json bytes = json::array();
  for (const plan::PlannedMove& move : document.moves) bytes.push_back(move.bytes);
  const json owner{{"apiVersion", api::kApiVersion},
                   {"kind", api::Rebalance::kKind},
                   {"name", meta.name},
                   {"uid", meta.uid},
                   {"controller", true},
                   {"blockOwnerDeletion", false}};
  return json{{"apiVersion", "v1"},
              {"kind", "ConfigMap"},
              {"metadata",
               {{"name", document_key({meta.namespace_, meta.name}).name},
                {"namespace", meta.namespace_},
                {"labels",
                 {{"app.kubernetes.io/managed-by", "millrace-operator"},
                  {"app.kubernetes.io/part-of", "millrace"},
                  {kRebalanceLabel, meta.name}}},
                {"ownerReferences", json::array({owner})}}},
              {"data",
               {{kId, document.id},
                {kAfter, assignment(document, &plan::PlannedMove::after)},
                {kBefore, assignment(document, &plan::PlannedMove::before)},
                {kBytes, bytes.dump()}}}}
      .dump();
}

std::optional<plan::RebalanceDocument> decode_document(const kube::Object& config_map) {
  try {
    const json data = json::parse(config_map.json).at("data");
    const json after = json::parse(data.at(kAfter).get<std::string>()).at("partitions");
    const json before = json::parse(data.at(kBefore).get<std::string>()).at("partitions");
    const json bytes = json::parse(data.at(kBytes).get<std::string>());
    if (after.size() != before.size() || after.size() != bytes.size()) return std::nullopt;
    plan::RebalanceDocument out{data.at(kId).get<std::string>(), {}};
    for (std::size_t i = 0; i < after.size(); ++i) {
      plan::PlannedMove move;
      move.topic = after[i].at("topic").get<std::string>();
      move.partition = after[i].at("partition").get<std::int32_t>();
      move.after = after[i].at("replicas").get<std::vector<std::int32_t>>();
      move.before = before[i].at("replicas").get<std::vector<std::int32_t>>();
      move.bytes = bytes[i].get<std::int64_t>();
      if (move.after.empty() || move.before.empty()) return std::nullopt;
      out.moves.push_back(std::move(move));
    }
    return out;
  } catch (const json::exception&) {
    return std::nullopt;  // edited by hand
  }
}

}  // namespace op::controllers
