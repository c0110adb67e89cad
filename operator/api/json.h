#pragma once

#include <nlohmann/json_fwd.hpp>

#include "broker/common/result.h"
#include "operator/api/fwd.h"

/// The one place where resources meet JSON. Parsing applies every default of the CRD schemas, so
/// resources read from files behave like those from the API server. Errors are kInvalidRequest and
/// name the field ("spec.pools[0].replicas: wants a number").
namespace op::api {

/// The API server drops fields it does not know; files on disk have nobody to do that, and there
/// a misspelt field is an error.
enum class Unknown { kIgnored, kRefused };

broker::Result<ObjectMeta> parse_meta(const nlohmann::json& metadata);
broker::Result<Cluster> parse_cluster(const nlohmann::json& object,
                                      Unknown unknown = Unknown::kIgnored);
broker::Result<Topic> parse_topic(const nlohmann::json& object,
                                  Unknown unknown = Unknown::kIgnored);
broker::Result<User> parse_user(const nlohmann::json& object, Unknown unknown = Unknown::kIgnored);
broker::Result<Acl> parse_acl(const nlohmann::json& object, Unknown unknown = Unknown::kIgnored);
broker::Result<Rebalance> parse_rebalance(const nlohmann::json& object,
                                          Unknown unknown = Unknown::kIgnored);
broker::Result<ExternalCluster> parse_external_cluster(const nlohmann::json& object,
                                                       Unknown unknown = Unknown::kIgnored);

/// One call for templates over kinds: parse<Topic>(object).
template <class Kind>
broker::Result<Kind> parse(const nlohmann::json& object, Unknown unknown = Unknown::kIgnored);
template <>
broker::Result<Cluster> parse<Cluster>(const nlohmann::json& object, Unknown unknown);
template <>
broker::Result<Topic> parse<Topic>(const nlohmann::json& object, Unknown unknown);
template <>
broker::Result<User> parse<User>(const nlohmann::json& object, Unknown unknown);
template <>
broker::Result<Acl> parse<Acl>(const nlohmann::json& object, Unknown unknown);
template <>
broker::Result<Rebalance> parse<Rebalance>(const nlohmann::json& object, Unknown unknown);
template <>
broker::Result<ExternalCluster> parse<ExternalCluster>(const nlohmann::json& object,
                                                       Unknown unknown);

/// The value of the object's `status` field. Only what is known is written.
nlohmann::json encode_status(const ClusterStatus& status);
nlohmann::json encode_status(const TopicStatus& status);
nlohmann::json encode_status(const UserStatus& status);
nlohmann::json encode_status(const AclStatus& status);
nlohmann::json encode_status(const RebalanceStatus& status);
nlohmann::json encode_status(const ExternalClusterStatus& status);

}  // namespace op::api
