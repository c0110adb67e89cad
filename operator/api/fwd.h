#pragma once

namespace op::api {

struct ObjectMeta;
struct Condition;
struct Cluster;
struct ClusterSpec;
struct ClusterStatus;
struct Topic;
struct TopicStatus;
struct User;
struct UserStatus;
struct Acl;
struct AclStatus;
struct Rebalance;
struct RebalanceStatus;
struct ExternalCluster;
struct ExternalClusterStatus;

}  // namespace op::api
