// The same as replica_manager_test.cc on real loops and threads, for the sanitizers.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <future>

#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/posix_file.h"
#include "broker/io/posix/worker_pool.h"
#include "broker/replication/broker_for_tests.h"

namespace broker::replication {
namespace {

using testing::batch;
using testing::kNode;
using testing::kOrders;
constexpr int kPartitions = 6;

class OnThreads : public ::testing::Test {
 protected:
  OnThreads() {
    char name[] = "/tmp/millrace-threads-XXXXXX";
    directory_ = ::mkdtemp(name);
    CHECK(storage::write_meta_properties(*fs_, directory_, {"c", kNode, DirectoryId{5, 5}}).ok());
    std::vector<io::Strand*> strands;
    for (auto& loop : loops_) {
      loop = std::make_unique<io::posix::EventLoop>("test");
      loop->start();
      strands.push_back(loop.get());
    }
    on_main([&](Task done) {
      logs_ = storage::LogDirectories::open(*fs_, {{directory_}, directory_}).value();
      ReplicaManagerOptions options;
      options.node = kNode;
      replicas_ = std::make_unique<ReplicaManager>(options, Strands(*loops_[0], strands), *logs_,
                                                   ReplicaManagerPorts{*workers_});
      replicas_->start();
      replicas_->apply(orders(), std::move(done));
    });
  }
  ~OnThreads() override {
    on_main([&](Task done) {
      replicas_->shut_down(std::nullopt,
                           [done = std::move(done)](Result<void>) mutable { done(); });
    });
    for (auto& loop : loops_) loop->stop();
    for (auto& loop : loops_) loop->join();
    (void)fs_->remove_recursively(directory_);
  }

  static metadata::MetadataUpdate orders() {
    auto image = std::make_shared<metadata::MetadataImage>();
    metadata::TopicImage topic{"orders", kOrders, {}};
    for (int i = 0; i < kPartitions; ++i)
      topic.partitions.set(i, testing::TestBroker::registration({kNode}, {kNode}));
    image->topics.by_id.set(kOrders, topic);
    image->topics.ids.set("orders", kOrders);
    return {image, metadata::diff(*metadata::MetadataImage::empty(), *image)};
  }
  /// Runs `work` on the main loop and waits for it to call what it is given.
  void on_main(UniqueFunction<void(Task)> work) { on(0, std::move(work)); }
  void on(std::size_t loop, UniqueFunction<void(Task)> work) {
    const auto finished = std::make_shared<std::promise<void>>();
    auto wait = finished->get_future();
    loops_[loop]->post([finished, work = std::move(work)]() mutable {
      work([finished] { finished->set_value(); });
    });
    wait.wait();
  }

  std::unique_ptr<io::FileSystem> fs_ = io::posix::make_posix_file_system();
  std::string directory_;
  std::array<std::unique_ptr<io::posix::EventLoop>, 3> loops_;
  std::unique_ptr<io::WorkerPool> workers_ = io::posix::make_worker_pool(1);
  std::unique_ptr<storage::LogDirectories> logs_;
  std::unique_ptr<ReplicaManager> replicas_;
};

TEST_F(OnThreads, RequestsFromEveryLoopReachEveryPartition) {
  constexpr int kRounds = 50;
  for (int round = 0; round < kRounds; ++round) {
    // One loop polls while another one writes.
    const auto fetched = std::make_shared<std::promise<std::size_t>>();
    auto with_records = fetched->get_future();
    loops_[1]->post([this, round, fetched] {
      FetchPlan plan;
      plan.max_wait = std::chrono::seconds(10);
      plan.min_bytes = kPartitions * static_cast<std::int32_t>(batch().size());
      for (int i = 0; i < kPartitions; ++i)
        plan.partitions.push_back({{kOrders, "orders", i}, {Offset{round}}});
      replicas_->fetch(std::move(plan), [fetched](std::vector<FetchResult> results) {
        std::size_t count = 0;
        for (const FetchResult& result : results) count += !result.records.empty();
        fetched->set_value(count);
      });
    });
    on(2, [&](Task done) {
      ProducePlan plan;
      for (int i = 0; i < kPartitions; ++i)
        plan.partitions.push_back({{kOrders, "orders", i}, batch()});
      replicas_->produce(std::move(plan), [round, done = std::move(done)](auto results) mutable {
        for (const ProduceResult& result : results) {
          EXPECT_EQ(result.error, ErrorCode::kNone);
          EXPECT_EQ(result.base_offset, Offset{round});
        }
        done();
      });
    });
    ASSERT_EQ(with_records.get(), static_cast<std::size_t>(kPartitions));
  }
  on_main([&](Task done) {
    replicas_->collect([done = std::move(done)](MetricsSnapshot snapshot) mutable {
      EXPECT_EQ(snapshot.topics["orders"].messages_in, kRounds * kPartitions);
      EXPECT_EQ(snapshot.fetch_waiters, 0u);
      done();
    });
  });
}

}  // namespace
}  // namespace broker::replication
