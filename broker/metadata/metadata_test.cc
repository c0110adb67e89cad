#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "broker/common/rng.h"
#include "broker/metadata/delta.h"
#include "broker/metadata/effective_configs.h"
#include "broker/metadata/snapshot.h"

namespace broker::metadata {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Uuid kOrders{1, 10};
const Uuid kDir{5, 55};

protocol::FeatureLevelRecord feature(const std::string& name, std::int16_t level) {
  protocol::FeatureLevelRecord r;
  r.name = name;
  r.feature_level = level;
  return r;
}

protocol::RegisterBrokerRecord broker_record(std::int32_t id) {
  protocol::RegisterBrokerRecord r;
  r.broker_id = id;
  r.broker_epoch = 100 + id;
  r.incarnation_id = Uuid{9, static_cast<std::uint64_t>(id)};
  r.end_points = {{"INTERNAL", "h", 9091, 1}};
  r.features = {{"metadata.version", 7, 30}};
  r.rack = "a";
  r.log_dirs = {kDir};
  return r;
}

protocol::TopicRecord topic(const std::string& name, Uuid id) {
  protocol::TopicRecord r;
  r.name = name;
  r.topic_id = id;
  return r;
}

protocol::PartitionRecord partition(Uuid topic_id, std::int32_t index) {
  protocol::PartitionRecord r;
  r.topic_id = topic_id;
  r.partition_id = index;
  r.replicas = r.isr = {1, 2};
  r.leader = 1;
  r.leader_epoch = r.partition_epoch = 0;
  r.directories = {kDir, kDirectoryUnassigned};
  return r;
}

protocol::ConfigRecord config_record(ConfigResourceType type, const std::string& resource,
                                     const std::string& name, std::optional<std::string> value) {
  protocol::ConfigRecord r;
  r.resource_type = static_cast<std::int8_t>(type);
  r.resource_name = resource;
  r.name = name;
  r.value = std::move(value);
  return r;
}

/// One of everything.
MetadataRecords sample() {
  MetadataRecords out{feature("metadata.version", 30), broker_record(1), broker_record(2)};
  protocol::BrokerRegistrationChangeRecord unfence;
  unfence.broker_id = 1;
  unfence.broker_epoch = 101;
  unfence.fenced = -1;
  out.emplace_back(unfence);
  protocol::RegisterControllerRecord controller;
  controller.controller_id = 1;
  controller.end_points = {{"CONTROLLER", "c", 9090, 1}};
  out.emplace_back(controller);
  out.emplace_back(topic("orders", kOrders));
  out.emplace_back(partition(kOrders, 0));
  out.emplace_back(partition(kOrders, 1));
  out.emplace_back(config_record(ConfigResourceType::kTopic, "orders", "retention.ms", "5"));
  out.emplace_back(config_record(ConfigResourceType::kBroker, "", "log.segment.bytes", "2097152"));
  protocol::ClientQuotaRecord quota;
  quota.entity = {{"user", "alice"}, {"client-id", std::nullopt}};
  quota.key = "producer_byte_rate";
  quota.value = 1024;
  out.emplace_back(quota);
  protocol::ProducerIdsRecord ids;
  ids.next_producer_id = 3000;
  out.emplace_back(ids);
  protocol::AccessControlEntryRecord acl;
  acl.id = Uuid{7, 7};
  acl.resource_type = 2;
  acl.resource_name = "orders";
  acl.pattern_type = 3;
  acl.principal = "User:alice";
  acl.host = "*";
  acl.operation = 3;
  acl.permission_type = 3;
  out.emplace_back(acl);
  protocol::UserScramCredentialRecord scram;
  scram.name = "alice";
  scram.mechanism = 2;
  scram.salt = Slice::copy_of(std::string_view("salt"));
  scram.stored_key = Slice::copy_of(std::string_view("stored"));
  scram.server_key = Slice::copy_of(std::string_view("server"));
  scram.iterations = 4096;
  out.emplace_back(scram);
  protocol::DelegationTokenRecord token;
  token.owner = "User:alice";
  token.token_id = "t1";
  out.emplace_back(token);
  return out;
}

MetadataUpdate build(const MetadataRecords& records, ImagePtr from = MetadataImage::empty()) {
  MetadataDelta delta(std::move(from));
  for (const MetadataRecord& record : records) {
    const auto replayed = delta.replay(record);
    EXPECT_TRUE(replayed.ok()) << replayed.error().detail;
  }
  return delta.apply({Offset{static_cast<std::int64_t>(records.size()) - 1}, LeaderEpoch{1}, 5});
}

MetadataRecords shuffled_back(const MetadataImage& image) {
  MetadataRecords out;
  for (const MetadataRecord& record : image_records(image)) {
    const auto bytes = encode_record(record, image.features.metadata_version());
    EXPECT_TRUE(bytes.ok()) << record_name(record);
    const auto decoded = decode_record(*bytes);
    EXPECT_TRUE(decoded.ok()) << decoded.error().detail;
    EXPECT_EQ(*decoded, record) << record_name(record);
    out.push_back(*decoded);
  }
  return out;
}

TEST(Image, RecordsOfAnImageBuildTheSameImageThroughBytes) {
  const ImagePtr image = build(sample()).image;
  MetadataImage rebuilt = *build(shuffled_back(*image)).image;
  rebuilt.provenance = image->provenance;
  EXPECT_TRUE(rebuilt == *image);
  EXPECT_TRUE(diff(*image, rebuilt).empty());
  EXPECT_EQ(record_name(image_records(*image).front()), "FeatureLevelRecord");
}

TEST(Image, OlderMetadataVersionsWriteOlderRecordsWithoutWhatTheyCannotSay) {
  auto records = sample();
  records[0] = feature("metadata.version", kMetadataVersion3_5_IV2);
  for (auto& record : records) restrict_to_version(record, kMetadataVersion3_5_IV2);
  records.erase(records.begin() + 4);  // controllers register from 3.7 on
  const ImagePtr image = build(records).image;
  MetadataImage rebuilt = *build(shuffled_back(*image)).image;
  rebuilt.provenance = image->provenance;
  EXPECT_TRUE(rebuilt == *image);
  EXPECT_EQ(image->topics.find("orders")->partitions.find(0)->directories.front(),
            kDirectoryMigrating);
}

TEST(Record, UnknownTypesAndVersionsAndTrailingBytesAreErrors) {
  const auto decode = [](std::vector<std::uint8_t> bytes) {
    return decode_record(Slice(std::move(bytes))).code();
  };
  EXPECT_EQ(decode({1, 20, 0, 0}), ErrorCode::kNone);  // NoOpRecord
  EXPECT_EQ(decode({1, 99, 0, 0}), ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(decode({1, 20, 9, 0}), ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(decode({1, 20, 0, 0, 0}), ErrorCode::kCorruptMessage);
  EXPECT_EQ(decode({1, 20, 0}), ErrorCode::kCorruptMessage);
}

TEST(Delta, APartitionChangeBumpsThePartitionEpochAlwaysAndTheLeaderEpochWhenALeaderIsNamed) {
  protocol::PartitionChangeRecord shrink;
  shrink.topic_id = kOrders;
  shrink.partition_id = 0;
  shrink.isr = {{1}};
  auto update = build({shrink}, build(sample()).image);
  const auto* p = update.image->topics.partition(kOrders, 0);
  EXPECT_EQ(p->partition_epoch, PartitionEpoch{1});
  EXPECT_EQ(p->leader_epoch, LeaderEpoch{0});
  EXPECT_THAT(p->isr, ElementsAre(BrokerId{1}));
  shrink.isr = std::nullopt;
  shrink.leader = 1;
  update = build({shrink}, update.image);
  p = update.image->topics.partition(kOrders, 0);
  EXPECT_EQ(p->leader_epoch, LeaderEpoch{1});
  EXPECT_THAT(p->isr, ElementsAre(BrokerId{1}));
  EXPECT_EQ(update.changes.partitions.at(kOrders), std::set<std::int32_t>{0});
}

TEST(Delta, RemovingATopicTakesItsConfigsAndLeavesTheOldImageAlone) {
  const ImagePtr before = build(sample()).image;
  protocol::RemoveTopicRecord remove;
  remove.topic_id = kOrders;
  const auto update = build({remove}, before);
  EXPECT_EQ(update.image->topics.find("orders"), nullptr);
  const ConfigResource resource{ConfigResourceType::kTopic, "orders"};
  EXPECT_TRUE(update.image->configs.of(resource).empty());
  EXPECT_EQ(before->configs.of(resource).at("retention.ms"), "5");
  EXPECT_EQ(update.changes.topics_deleted.at(kOrders), "orders");
  EXPECT_EQ(update.changes.configs.count(resource), 1u);
  EXPECT_EQ(update.changes, diff(*before, *update.image));
}

TEST(Delta, ATransactionIsWithheldUntilItEndsAndVanishesWhenAborted) {
  MetadataDelta delta(build(sample()).image);
  const MetadataProvenance at{Offset{50}, LeaderEpoch{1}, 5};
  ASSERT_TRUE(delta.replay(topic("first", Uuid{2, 2})).ok());
  ASSERT_TRUE(delta.replay(protocol::BeginTransactionRecord()).ok());
  ASSERT_TRUE(delta.replay(topic("second", Uuid{3, 3})).ok());
  auto update = delta.apply(at);
  EXPECT_NE(update.image->topics.find("first"), nullptr);
  EXPECT_EQ(update.image->topics.find("second"), nullptr);
  EXPECT_EQ(update.changes.topics_created.size(), 1u);
  EXPECT_NE(delta.newest().topics.find("second"), nullptr);
  ASSERT_TRUE(delta.replay(protocol::EndTransactionRecord()).ok());
  update = delta.apply(at);
  EXPECT_NE(update.image->topics.find("second"), nullptr);
  EXPECT_EQ(update.changes.topics_created.size(), 1u);
  ASSERT_TRUE(delta.replay(protocol::BeginTransactionRecord()).ok());
  ASSERT_TRUE(delta.replay(topic("third", Uuid{4, 4})).ok());
  ASSERT_TRUE(delta.replay(protocol::AbortTransactionRecord()).ok());
  update = delta.apply(at);
  EXPECT_EQ(update.image->topics.find("third"), nullptr);
  EXPECT_TRUE(update.changes.empty());
  EXPECT_FALSE(delta.replay(protocol::EndTransactionRecord()).ok());
}

TEST(Delta, WhatContradictsTheImageIsAnErrorAndChangesNothing) {
  const ImagePtr image = build(sample()).image;
  MetadataDelta delta(image);
  EXPECT_EQ(delta.replay(topic("orders", Uuid{8, 8})).code(), ErrorCode::kInconsistentTopicId);
  EXPECT_EQ(delta.replay(partition(Uuid{8, 8}, 0)).code(), ErrorCode::kUnknownTopicId);
  protocol::UnregisterBrokerRecord unregister;
  unregister.broker_id = 1;
  unregister.broker_epoch = 7;
  EXPECT_EQ(delta.replay(unregister).code(), ErrorCode::kStaleBrokerEpoch);
  EXPECT_EQ(delta.replay(feature("metadata.version", 31)).code(), ErrorCode::kUnsupportedVersion);
  EXPECT_TRUE(delta.newest() == *image);
}

TEST(Delta, AnObserverReadsAClusterWithFeaturesItDoesNotRun) {
  MetadataDelta delta(MetadataImage::empty(), ReplayAs::kObserver);
  EXPECT_TRUE(delta.replay(feature("metadata.version", 31)).ok());
  EXPECT_EQ(delta.newest().features.metadata_version(), 31);
}

TEST(Delta, ManyPartitionsCostLittlePerChange) {
  MetadataRecords records{feature("metadata.version", 30)};
  for (std::uint64_t t = 0; t < 100; ++t) {
    records.emplace_back(topic("t" + std::to_string(t), Uuid{t + 1, 1}));
    for (std::int32_t p = 0; p < 100; ++p) records.emplace_back(partition(Uuid{t + 1, 1}, p));
  }
  ImagePtr image = build(records).image;
  protocol::PartitionChangeRecord change;
  change.isr = {{1}};
  for (std::uint64_t i = 0; i < 2000; ++i) {  // an image each: would take minutes if it copied
    change.topic_id = Uuid{i % 100 + 1, 1};
    change.partition_id = static_cast<std::int32_t>(i % 97);
    image = build({change}, image).image;
  }
  EXPECT_EQ(image->topics.by_id.size(), 100u);
}

TEST(Features, MetadataVersionsHaveNames) {
  EXPECT_EQ(metadata_version_name(30), "4.3-IV0");
  EXPECT_EQ(parse_metadata_version("3.7"), std::int16_t{19});
  EXPECT_EQ(parse_metadata_version("3.7-IV2"), std::int16_t{17});
  EXPECT_EQ(parse_metadata_version("9.9"), std::nullopt);
}

TEST(Features, ANewClusterHasWhatKafkaFinalisesAtItsMetadataVersion) {
  EXPECT_EQ(initial_feature_levels(30).at("eligible.leader.replicas.version"), 1);
  EXPECT_FALSE(initial_feature_levels(25).contains("eligible.leader.replicas.version"));
  EXPECT_EQ(initial_feature_levels(22).at("group.version"), 1);
  EXPECT_FALSE(initial_feature_levels(21).contains("group.version"));
  EXPECT_TRUE(check_initial_feature(25, "eligible.leader.replicas.version", 1).ok());
  EXPECT_TRUE(check_initial_feature(22, "eligible.leader.replicas.version", 0).ok());
  EXPECT_EQ(check_initial_feature(22, "eligible.leader.replicas.version", 1).error().detail,
            "eligible.leader.replicas.version=1: needs metadata.version 23");
  EXPECT_EQ(check_initial_feature(30, "eligible.leader.replicas.version", 2).error().detail,
            "eligible.leader.replicas.version=2: this version supports 0 to 1");
  EXPECT_FALSE(check_initial_feature(30, "nonsense", 0).ok());
}

TEST(EffectiveConfigs, TheNearestLevelWinsAndDescribeNamesAllOfThem) {
  const ImagePtr image = build(sample()).image;
  const config::ConfigMap values{{"log.segment.bytes", "3145728"}, {"log.retention.hours", "2"}};
  const EffectiveConfigs configs(image->configs, BrokerId{1}, values);
  EXPECT_EQ(configs.topic("orders").retention_ms, 5);
  EXPECT_EQ(configs.topic("other").retention_ms, 7200000);
  EXPECT_EQ(configs.topic("other").segment_bytes, 2097152);
  EXPECT_EQ(configs.topic("other").segment_ms, 604800000);
  EXPECT_EQ(configs.broker("log.segment.bytes"), "2097152");

  const auto described = configs.describe_topic("orders");
  const auto find = [&](std::string_view name) {
    return *std::find_if(described.begin(), described.end(),
                         [&](const EffectiveConfig& c) { return c.name == name; });
  };
  const EffectiveConfig retention = find("retention.ms");
  EXPECT_EQ(retention.source, ConfigSource::kTopic);
  // Kafka shows log.retention.ms and what follows it; coarser units alone are not shown.
  EXPECT_THAT(retention.synonyms,
              ElementsAre(ConfigSynonym{"retention.ms", "5", ConfigSource::kTopic}));
  EXPECT_THAT(find("segment.jitter.ms").synonyms, IsEmpty());
  const EffectiveConfig segment = find("segment.bytes");
  EXPECT_EQ(segment.source, ConfigSource::kDynamicDefaultBroker);
  EXPECT_EQ(segment.value, "2097152");
  EXPECT_EQ(find("flush.ms").source, ConfigSource::kDefault);
  EXPECT_EQ(configs.describe_broker("").size(), 1u);
}

}  // namespace
}  // namespace broker::metadata
