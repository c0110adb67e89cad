#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "broker/controller/controller.h"
#include "broker/controller/test_strand.h"
#include "broker/controller/test_world.h"

namespace broker::controller {

/// A log that takes what is appended, and nothing more: the test says when it is committed.
class ScriptedLog final : public RecordLog {
 public:
  struct Batch {
    Offset base;
    metadata::MetadataRecords records;
  };

  Result<void> start(quorum::QuorumListener&) override { return {}; }
  void stop() override {}
  Result<Offset> append(const metadata::MetadataRecords& records, std::int16_t version) override {
    ++asked;
    if (refuses) return ErrorCode::kNotLeaderOrFollower;
    for (const auto& record : records) {
      const auto bytes = metadata::encode_record(record, version);
      if (!bytes.ok()) return bytes.error();
      bytes_ += bytes->size();
    }
    batches.push_back({end, records});
    end = end + static_cast<std::int64_t>(records.size());
    return end + -1;
  }
  LeaderEpoch epoch() const override { return epoch_now; }
  Offset log_end_offset() const override { return end; }
  std::size_t bytes() const { return bytes_; }

  std::vector<Batch> batches;  // not committed
  Offset end{0};
  LeaderEpoch epoch_now{0};
  bool refuses = false;  // as when another leader is known, and its controller does not know yet
  int asked = 0;

 private:
  std::size_t bytes_ = 0;
};

struct CountingListener final : ImageListener {
  void on_image(const metadata::MetadataUpdate& /*update*/) override { ++updates; }
  void on_controller_fatal(const Error& error) override { ADD_FAILURE() << error.detail; }
  void on_leader_change(const quorum::LeaderAndEpoch& now) override { leader = now.leader; }
  std::size_t updates = 0;
  std::optional<BrokerId> leader;
};

/// Voters and one observer, whose logs agree on what is committed.
class ScriptedQuorum {
 public:
  explicit ScriptedQuorum(int voters, std::int64_t max_idle_ms = 0) {
    protocol::FeatureLevelRecord level;
    level.name = "metadata.version";
    level.feature_level = metadata::kLatestMetadataVersion;
    for (int id = 0; id <= voters; ++id) {
      auto member = std::make_unique<Member>();
      ControllerOptions options;
      options.cluster_id = "c1";
      options.node_id = BrokerId{id};
      options.may_be_active = id < voters;
      options.bootstrap_records = {level};
      options.max_idle_interval_ms = max_idle_ms;
      auto log = std::make_unique<ScriptedLog>();
      member->log = log.get();
      member->controller = std::make_unique<Controller>(options, strand_, std::move(log));
      member->controller->add_listener(member->listener);
      EXPECT_TRUE(member->controller->start().ok());
      members_.push_back(std::move(member));
    }
  }

  /// The others hear of it; whatever was not committed is gone.
  void elect(int id) {
    ++epoch_.value;
    if (leader_ >= 0) {
      Member& old = *members_[static_cast<std::size_t>(leader_)];
      old.log->batches.clear();
      old.controller->on_resigned();
    }
    leader_ = id;
    const Offset control = committed_;
    committed_ = committed_ + 1;  // the LeaderChange record
    for (auto& member : members_) {
      member->log->end = committed_;
      member->log->epoch_now = epoch_;
      member->controller->on_leader_change({BrokerId{id}, epoch_, std::nullopt});
      if (member.get() != members_[static_cast<std::size_t>(id)].get())
        member->controller->on_committed({control, control, epoch_, 0, {}});
    }
    members_[static_cast<std::size_t>(id)]->controller->on_leader(epoch_);
  }

  /// Everything appended so far.
  void commit() {
    Member& active = *members_[static_cast<std::size_t>(leader_)];
    while (!active.log->batches.empty()) {
      auto batches = std::exchange(active.log->batches, {});
      for (auto& batch : batches) {
        const Offset last = batch.base + (static_cast<std::int64_t>(batch.records.size()) - 1);
        committed_ = last + 1;
        for (auto& member : members_) {
          if (member.get() == &active) continue;
          member->log->end = committed_;
          member->controller->on_committed({batch.base, last, epoch_, 0, batch.records});
        }
      }
      active.controller->on_high_watermark(committed_);
    }
  }

  void advance(Duration by) {
    strand_.advance(by);
    commit();
    // What became due meanwhile, one by one.
    for (int i = 0; i < 4; ++i) {
      strand_.advance(Duration::zero());
      commit();
    }
  }

  void advance_without_commit(Duration by) { strand_.advance(by); }

  template <class Request>
  std::shared_ptr<std::optional<Result<ControllerResponse>>> send(Request request, int to = -1) {
    auto out = std::make_shared<std::optional<Result<ControllerResponse>>>();
    controller(to < 0 ? leader_ : to)
        .handle(std::move(request),
                [out](Result<ControllerResponse> result) { *out = std::move(result); });
    return out;
  }
  template <class Request>
  typename Request::Response ask(Request request) {
    auto out = send(std::move(request));
    commit();
    EXPECT_TRUE(out->has_value() && (*out)->ok());
    return std::get<typename Request::Response>(***out);
  }

  Controller& controller(int id) { return *members_[static_cast<std::size_t>(id)]->controller; }
  Controller& leader() { return controller(leader_); }
  ScriptedLog& log() { return *members_[static_cast<std::size_t>(leader_)]->log; }
  CountingListener& listener(int id) { return members_[static_cast<std::size_t>(id)]->listener; }
  const metadata::MetadataImage& image() { return *leader().committed_image(); }
  std::int64_t log_end() const { return committed_.value; }

  bool everybody_agrees() {
    metadata::MetadataImage expected = image();
    expected.provenance = {};
    for (auto& member : members_) {
      metadata::MetadataImage other = *member->controller->committed_image();
      other.provenance = {};
      if (!(other == expected)) return false;
    }
    return true;
  }

 private:
  struct Member {
    CountingListener listener;
    ScriptedLog* log = nullptr;
    std::unique_ptr<Controller> controller;
  };
  ManualStrand strand_;
  std::vector<std::unique_ptr<Member>> members_;
  int leader_ = -1;
  LeaderEpoch epoch_{0};
  Offset committed_{0};
};

}  // namespace broker::controller
