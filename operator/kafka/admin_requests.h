#pragma once

#include <vector>

#include "broker/protocol/messages/alter_client_quotas_request.h"
#include "broker/protocol/messages/alter_client_quotas_response.h"
#include "broker/protocol/messages/alter_partition_reassignments_request.h"
#include "broker/protocol/messages/alter_partition_reassignments_response.h"
#include "broker/protocol/messages/alter_user_scram_credentials_request.h"
#include "broker/protocol/messages/alter_user_scram_credentials_response.h"
#include "broker/protocol/messages/create_acls_request.h"
#include "broker/protocol/messages/create_acls_response.h"
#include "broker/protocol/messages/create_partitions_request.h"
#include "broker/protocol/messages/create_partitions_response.h"
#include "broker/protocol/messages/create_topics_request.h"
#include "broker/protocol/messages/create_topics_response.h"
#include "broker/protocol/messages/delete_acls_request.h"
#include "broker/protocol/messages/delete_acls_response.h"
#include "broker/protocol/messages/delete_topics_request.h"
#include "broker/protocol/messages/delete_topics_response.h"
#include "broker/protocol/messages/elect_leaders_request.h"
#include "broker/protocol/messages/elect_leaders_response.h"
#include "broker/protocol/messages/incremental_alter_configs_request.h"
#include "broker/protocol/messages/incremental_alter_configs_response.h"
#include "broker/protocol/messages/unregister_broker_request.h"
#include "broker/protocol/messages/unregister_broker_response.h"
#include "operator/kafka/cluster_view.h"

namespace op::kafka {

// One operation of AdminClient each: its items as Kafka's request, and Kafka's answer as one result
// per item, in the items' order. An item that the answer does not mention is kUnknownServerError.
// `timeout_ms` is how long the broker waits for the controller. Kafka refuses a request that names
// one `key` twice ("": any number of times).

struct CreateTopics {
  using Item = NewTopic;
  using Request = broker::protocol::CreateTopicsRequest;
  static std::string key(const Item& item) { return item.name; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct DeleteTopics {
  using Item = std::string;
  using Request = broker::protocol::DeleteTopicsRequest;
  static std::string key(const Item& item) { return item; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct CreatePartitions {
  using Item = PartitionGrowth;
  using Request = broker::protocol::CreatePartitionsRequest;
  static std::string key(const Item& item) { return item.topic; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct IncrementalAlterConfigs {
  using Item = ConfigAlteration;
  using Request = broker::protocol::IncrementalAlterConfigsRequest;
  static std::string key(const Item& item) {
    return std::to_string(static_cast<int>(item.type)) + "/" + item.name;
  }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct CreateAcls {
  using Item = broker::security::AclBinding;
  using Request = broker::protocol::CreateAclsRequest;
  static std::string key(const Item&) { return ""; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct DeleteAcls {
  using Item = broker::security::AclBinding;
  using Request = broker::protocol::DeleteAclsRequest;
  static std::string key(const Item&) { return ""; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

/// Kafka answers per user: items of one user share a result.
struct AlterScramCredentials {
  using Item = ScramChange;
  using Request = broker::protocol::AlterUserScramCredentialsRequest;
  static std::string key(const Item& item) { return item.username; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct AlterClientQuotas {
  using Item = QuotaChange;
  using Request = broker::protocol::AlterClientQuotasRequest;
  static std::string key(const Item& item) { return item.username; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct ReassignPartitions {
  using Item = Reassignment;
  using Request = broker::protocol::AlterPartitionReassignmentsRequest;
  static std::string key(const Item& item) {
    return item.topic + "/" + std::to_string(item.partition);
  }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

struct ElectPreferredLeaders {
  using Item = PreferredElection;
  using Request = broker::protocol::ElectLeadersRequest;
  static std::string key(const Item& item) {
    return item.topic + "/" + std::to_string(item.partition);
  }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

/// All items share a key: Kafka takes one broker per request.
struct UnregisterBroker {
  using Item = std::int32_t;
  using Request = broker::protocol::UnregisterBrokerRequest;
  static std::string key(const Item&) { return "one"; }
  static Request request(const std::vector<Item>& items, std::int32_t timeout_ms);
  static ItemResults results(const std::vector<Item>& items, const Request::Response& response);
};

}  // namespace op::kafka
