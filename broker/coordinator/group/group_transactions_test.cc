#include <gtest/gtest.h>

#include "broker/coordinator/group/harness_for_tests.h"
#include "broker/protocol/messages/txn_offset_commit_request.h"

namespace broker::coordinator::group {
namespace {

constexpr ProducerId kProducer{7};

class GroupTransactions : public testing::Test {
 protected:
  ErrorCode commit(std::int64_t offset, std::int32_t generation = -1, std::string member = "") {
    protocol::TxnOffsetCommitRequest request;
    request.transactional_id = "tx";
    request.group_id = "g";
    request.producer_id = kProducer.value;
    request.generation_id = generation;
    request.member_id = std::move(member);
    request.topics.push_back({"orders", {{.partition_index = 0, .committed_offset = offset}}});
    ErrorCode error{};
    h.carry_out(h.shard->commit_offsets_in_transaction(request, h.now, [&](auto response) {
      error = static_cast<ErrorCode>(response.topics[0].partitions[0].error_code);
    }));
    return error;
  }
  ErrorCode stable_fetch_error() {
    protocol::OffsetFetchRequest::OffsetFetchRequestGroup request;
    request.group_id = "g";
    request.topics.emplace().push_back({.name = "orders", .partition_indexes = {0}});
    ErrorCode error{};
    h.carry_out(h.shard->fetch_offsets(request, true, [&](auto response) {
      error = static_cast<ErrorCode>(response.topics[0].partitions[0].error_code);
    }));
    return error;
  }
  Harness h;
};

TEST_F(GroupTransactions, OffsetsAreInForceFromTheCommitMarkerOn) {
  EXPECT_EQ(commit(42), ErrorCode::kNone);
  EXPECT_EQ(h.committed(), -1);
  EXPECT_EQ(stable_fetch_error(), ErrorCode::kUnstableOffsetCommit);
  h.shard->replay_end(kProducer, true);
  EXPECT_EQ(h.committed(), 42);
  EXPECT_EQ(stable_fetch_error(), ErrorCode::kNone);
}

TEST_F(GroupTransactions, AnAbortLeavesNothing) {
  h.commit({.offset = 5});
  commit(42);
  h.shard->replay_end(kProducer, false);
  EXPECT_EQ(h.committed(), 5);
  EXPECT_EQ(stable_fetch_error(), ErrorCode::kNone);
}

TEST_F(GroupTransactions, ALaterCommitOutsideOfTheTransactionWins) {
  commit(42);
  h.commit({.offset = 50});
  h.shard->replay_end(kProducer, true);
  EXPECT_EQ(h.committed(), 50);
}

TEST_F(GroupTransactions, WhatIsDeletedMeanwhileDoesNotComeBack) {
  h.commit({.offset = 5});
  commit(42);
  EXPECT_EQ(h.delete_group(), ErrorCode::kNone);
  h.shard->replay_end(kProducer, true);
  EXPECT_EQ(h.committed(), -1);
}

TEST_F(GroupTransactions, AMemberMustBeOfThePresentGeneration) {
  const std::string member = h.make_stable();
  EXPECT_EQ(commit(1, 1, member), ErrorCode::kNone);
  EXPECT_EQ(commit(1, 2, member), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(commit(1, 1, "stranger"), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(commit(1), ErrorCode::kNone) << "as clients before KIP-447 do";
}

}  // namespace
}  // namespace broker::coordinator::group
