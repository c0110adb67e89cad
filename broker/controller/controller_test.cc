#include "broker/controller/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "broker/controller/local_channel.h"
#include "broker/controller/test_strand.h"
#include "broker/controller/test_world.h"
#include "broker/io/posix/posix_file.h"
#include "broker/quorum/format.h"

namespace broker::controller {
namespace {

using std::chrono::seconds;

struct Listener final : ImageListener {
  void on_image(const metadata::MetadataUpdate& update) override { updates.push_back(update); }
  void on_controller_fatal(const Error& error) override { fatal = error; }
  std::vector<metadata::MetadataUpdate> updates;
  std::optional<Error> fatal;
};

class ControllerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "controller-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    quorum::FormatOptions format;
    format.cluster_id = "c1";
    format.node_id = BrokerId{0};
    format.log_dirs = {root_ + "/data"};
    format.metadata_log_dir = format.log_dirs.front();
    format.metadata_directory_id = Uuid{3, 3};
    format.initial_voters = {{BrokerId{0}, Uuid{3, 3}, "CONTROLLER", {"localhost", 9090}}};
    ASSERT_TRUE(fs_->create_directories(root_ + "/data").ok());
    const auto formatted = quorum::format_storage(*fs_, format, rng_, strand_.wall_now());
    ASSERT_TRUE(formatted.ok()) << formatted.error().detail;
  }
  void TearDown() override {
    if (controller_) controller_->stop();
    ASSERT_TRUE(fs_->remove_recursively(root_).ok());
  }

  void start() {
    const std::string directory = root_ + "/data/" + std::string(quorum::kMetadataDirectory);
    storage::LogOptions log_options;
    log_options.cleanup_delete = false;
    auto log = storage::Log::open(files_, directory, {"__cluster_metadata", 0}, log_options, {});
    ASSERT_TRUE(log.ok()) << log.error().detail;
    storage_ = std::move(*log);
    quorum::MetadataLogOptions options;
    options.cluster_id = "c1";
    options.node_id = BrokerId{0};
    options.directory_id = Uuid{3, 3};
    options.snapshot_after_bytes = snapshot_after_bytes_;
    log_ = std::make_unique<quorum::MetadataLog>(quorum::MetadataLog::Ports{strand_, pool_, *fs_},
                                                 storage_, options);
    ControllerOptions controller_options;
    controller_options.cluster_id = "c1";
    controller_options.node_id = BrokerId{0};
    controller_options.seed = 4711;
    controller_options.endpoints = {{"CONTROLLER", "localhost", 9090, 1}};
    auto bootstrap = quorum::read_bootstrap_records(*fs_, root_ + "/data");
    ASSERT_TRUE(bootstrap.ok()) << bootstrap.error().detail;
    controller_options.bootstrap_records = *bootstrap;
    controller_ = std::make_unique<Controller>(controller_options, strand_, *log_);
    controller_->add_listener(listener_);
    const auto started = controller_->start();
    ASSERT_TRUE(started.ok()) << started.error().detail;
  }
  void stop() {
    controller_->stop();
    settle();
    controller_.reset();
    log_.reset();
    ASSERT_TRUE(storage_->close(strand_.wall_now()).ok());
    storage_.reset();
  }
  void settle() {
    while (strand_.run() || pool_.run_all()) {
    }
  }

  template <class Request>
  std::shared_ptr<std::optional<Result<ControllerResponse>>> send(Request request) {
    auto out = std::make_shared<std::optional<Result<ControllerResponse>>>();
    controller_->handle(std::move(request),
                        [out](Result<ControllerResponse> result) { *out = std::move(result); });
    return out;
  }
  template <class Request>
  typename Request::Response answer(Request request) {
    auto out = send(std::move(request));
    settle();
    EXPECT_TRUE(out->has_value() && (*out)->ok());
    return std::get<typename Request::Response>(***out);
  }
  void join(int id) {
    auto registration = World::registration(id);
    registration.incarnation_id = Uuid{99, ++incarnation_};
    epoch_ = answer(registration).broker_epoch;
    ASSERT_FALSE(beat(id).is_fenced);
  }
  protocol::BrokerHeartbeatResponse beat(int id) {
    protocol::BrokerHeartbeatRequest request;
    request.broker_id = id;
    request.broker_epoch = epoch_;
    request.current_metadata_offset = image().provenance.offset.value;
    return answer(request);
  }
  static protocol::CreateTopicsRequest create(const std::string& name,
                                              std::int32_t partitions = 1) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    return request;
  }
  const metadata::MetadataImage& image() const { return *controller_->committed_image(); }

  ManualStrand strand_;
  ManualPool pool_;
  std::unique_ptr<io::FileSystem> fs_ = io::posix::make_posix_file_system();
  storage::FileCache files_{*fs_, 16};
  Rng rng_{1};
  std::string root_;
  Listener listener_;
  std::int64_t snapshot_after_bytes_ = 1 << 20;
  std::shared_ptr<storage::Log> storage_;
  std::unique_ptr<quorum::MetadataLog> log_;
  std::unique_ptr<Controller> controller_;
  std::int64_t epoch_ = -1;
  std::uint64_t incarnation_ = 0;
};

TEST_F(ControllerTest, AnEmptyLogIsBootstrappedInOneTransaction) {
  start();
  EXPECT_TRUE(listener_.updates.empty());
  settle();
  ASSERT_EQ(listener_.updates.size(), 1u);
  EXPECT_EQ(image().features.metadata_version(), metadata::kLatestMetadataVersion);
  EXPECT_TRUE(listener_.updates[0].changes.features);
  EXPECT_EQ(image().cluster.controllers.find(BrokerId{0})->endpoints.front().port, 9090);
}

TEST_F(ControllerTest, AnAnswerLeavesAfterTheSyncAndAfterTheImageThatShowsIt) {
  start();
  settle();
  join(0);
  listener_.updates.clear();
  bool image_came_first = false;
  std::optional<Result<ControllerResponse>> response;
  controller_->handle(create("orders", 3), [&](Result<ControllerResponse> result) {
    image_came_first = image().topics.find("orders") != nullptr && !listener_.updates.empty();
    response = std::move(result);
  });
  // Decided on what is appended, although nothing of it is committed yet; and held back as well.
  const auto again = send(create("orders", 3));
  strand_.run();
  EXPECT_FALSE(response.has_value());
  EXPECT_FALSE(again->has_value());
  EXPECT_EQ(image().topics.find("orders"), nullptr);
  settle();
  ASSERT_TRUE(response.has_value() && response->ok());
  EXPECT_TRUE(image_came_first);
  EXPECT_EQ(listener_.updates.size(), 1u);
  EXPECT_EQ(listener_.updates[0].changes.partitions.begin()->second.size(), 3u);
  const auto& refused = std::get<protocol::CreateTopicsResponse>(***again);
  EXPECT_EQ(code_of(refused.topics[0].error_code), ErrorCode::kTopicAlreadyExists);
}

TEST_F(ControllerTest, EverythingIsThereAgainAfterARestart) {
  start();
  settle();
  join(0);
  answer(create("orders", 2));
  protocol::IncrementalAlterConfigsRequest alter;
  alter.resources.push_back({2, "orders", {{"retention.ms", 0, "5"}}});
  answer(alter);
  const metadata::MetadataImage before = image();
  stop();
  listener_.updates.clear();
  start();
  ASSERT_EQ(listener_.updates.size(), 1u);  // one image for the whole log
  metadata::MetadataImage after = image();
  EXPECT_GE(after.provenance.epoch, LeaderEpoch{1});
  after.provenance = before.provenance;
  EXPECT_TRUE(after == before);
  join(0);
  EXPECT_EQ(image().topics.find("orders")->partitions.find(1)->leader, BrokerId{0});
}

TEST_F(ControllerTest, AllStateComesBackFromASnapshot) {
  snapshot_after_bytes_ = 2000;
  start();
  settle();
  join(0);
  for (int i = 0; i < 40; ++i) answer(create("t" + std::to_string(i), 3));
  const metadata::MetadataImage before = image();
  stop();
  start();
  metadata::MetadataImage after = image();
  after.provenance = before.provenance;
  EXPECT_TRUE(after == before);
  const auto names = fs_->list(root_ + "/data/" + std::string(quorum::kMetadataDirectory));
  ASSERT_TRUE(names.ok());
  const bool snapshot = std::any_of(names->begin(), names->end(), [](const std::string& name) {
    return name.ends_with(".checkpoint") && !name.starts_with("00000000000000000000-");
  });
  EXPECT_TRUE(snapshot);
}

TEST_F(ControllerTest, WhatWasNotCommittedIsDroppedOnResignation) {
  start();
  settle();
  join(0);
  const auto pending = send(create("lost"));
  controller_->on_resigned();
  ASSERT_TRUE(pending->has_value());
  EXPECT_EQ((**pending).code(), ErrorCode::kNotController);
  EXPECT_EQ(image().topics.find("lost"), nullptr);
  const auto refused = send(create("later"));
  EXPECT_EQ((**refused).code(), ErrorCode::kNotController);
}

TEST_F(ControllerTest, ABrokerWithoutHeartbeatsIsFenced) {
  start();
  settle();
  join(0);
  strand_.advance(seconds(8));
  settle();
  beat(0);
  strand_.advance(seconds(8));
  settle();
  EXPECT_FALSE(image().cluster.broker(BrokerId{0})->fenced);
  strand_.advance(seconds(2));
  settle();
  EXPECT_TRUE(image().cluster.broker(BrokerId{0})->fenced);
}

TEST_F(ControllerTest, TheLocalChannelAnswersOnTheCallersStrand) {
  start();
  settle();
  ManualStrand home;
  LocalChannel channel(home, *controller_);
  std::optional<Result<protocol::BrokerRegistrationResponse>> response;
  call(channel, World::registration(0), [&](auto result) { response = std::move(result); });
  settle();
  EXPECT_FALSE(response.has_value());
  home.run();
  ASSERT_TRUE(response.has_value() && response->ok());
  EXPECT_EQ((*response)->error_code, 0);
}

}  // namespace
}  // namespace broker::controller
