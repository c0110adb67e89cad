#include "broker/protocol/frame.h"

#include <gtest/gtest.h>

#include "broker/common/endian.h"
#include "broker/protocol/api.h"
#include "broker/protocol/messages/api_versions_response.h"
#include "broker/protocol/messages/heartbeat_response.h"
#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/offset_commit_key.h"
#include "broker/protocol/messages/offset_commit_value.h"
#include "broker/protocol/messages/topic_record.h"
#include "broker/protocol/metadata_frame.h"

namespace broker::protocol {
namespace {

/// Without the size in front, which must be right.
Slice payload(const Result<Slices>& frame) {
  EXPECT_TRUE(frame.ok());
  Writer writer;
  for (const Slice& piece : *frame) writer.raw(piece);
  const auto all = writer.to_bytes();
  EXPECT_EQ(load_be<std::int32_t>(all->data()), static_cast<std::int32_t>(all->size() - 4));
  return all->sub(4, all->size() - 4);
}

std::string hex(const Slice& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes.span()) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

TEST(Frame, RequestHeaderIsFlexibleWithItsApi) {
  MetadataRequest request;
  request.topics.reset();
  for (const std::int16_t version : {8, 9}) {
    const Slice bytes = payload(encode_request(version, 77, "me", request));
    EXPECT_EQ(hex(bytes.sub(0, 12)),
              version == 8 ? "000300080000004d00026d65" : "000300090000004d00026d65");
    Reader reader(bytes);
    const auto header = decode_request_header(reader);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(*header, (RequestHeader{ApiKey::kMetadata, version, 77, "me"}));
    MetadataRequest read;
    ASSERT_TRUE(read.read(reader, version).ok());
    EXPECT_EQ(read, request);
    EXPECT_EQ(reader.remaining(), 0u);
  }
}

TEST(Frame, ApiVersionsResponseNeverHasTaggedFieldsInItsHeader) {
  const Slice bytes = payload(encode_response(ApiKey::kApiVersions, 4, 5, ApiVersionsResponse()));
  EXPECT_EQ(hex(bytes),
            "00000005"
            "0000"
            "01"
            "00000000"
            "00");
  Reader reader(bytes);
  EXPECT_EQ(*decode_response_header(reader, ApiKey::kApiVersions, 4), 5);
  EXPECT_EQ(reader.position(), 4u);
}

TEST(Frame, OtherFlexibleResponsesHaveThem) {
  const Slice bytes = payload(encode_response(ApiKey::kHeartbeat, 4, 5, HeartbeatResponse()));
  EXPECT_EQ(hex(bytes),
            "00000005"
            "00"
            "00000000"
            "0000"
            "00");
  Reader reader(bytes);
  EXPECT_EQ(*decode_response_header(reader, ApiKey::kHeartbeat, 4), 5);
  EXPECT_EQ(reader.position(), 5u);
}

TEST(Frame, UnknownVersionOfApiVersionsIsStillAHeader) {
  Writer writer;
  writer.int16(18);
  writer.int16(99);
  writer.int32(1);
  writer.string(false, "new client");
  writer.no_tagged_fields();
  Reader reader(*writer.to_bytes());
  const auto header = decode_request_header(reader);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->api_version, 99);
}

TEST(Frame, HeaderOfAnUnknownVersionEndsWithWhatEveryVersionHas) {
  Writer writer;
  writer.int16(3);
  writer.int16(99);
  writer.int32(1);
  writer.string(false, "no tagged fields follow");
  Reader reader(*writer.to_bytes());
  const auto header = decode_request_header(reader);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->api_version, 99);
}

TEST(Frame, UnknownOrRemovedApiIsRefused) {
  for (const std::int16_t key : {-1, 4, 93, 999}) {
    Writer writer;
    writer.int16(key);
    for (int i = 0; i < 4; ++i) writer.int32(0);
    Reader reader(*writer.to_bytes());
    EXPECT_EQ(decode_request_header(reader).code(), ErrorCode::kInvalidRequest) << key;
  }
}

TEST(Frame, FailureOfTheBodyIsTheFramesFailure) {
  MetadataRequest request;
  request.topics.reset();  // version 0 cannot say "all topics" with null
  EXPECT_EQ(encode_request(0, 1, std::nullopt, request).code(), ErrorCode::kUnsupportedVersion);
}

TEST(Api, TableIsAscendingAndFoundByKey) {
  std::int16_t last = -1;
  for (const ApiInfo& api : all_apis()) {
    const auto key = static_cast<std::int16_t>(api.key);
    EXPECT_GT(key, last);
    last = key;
    EXPECT_EQ(find_api(key), &api);
    EXPECT_LE(api.versions.max, api.highest_known);
  }
  EXPECT_EQ(all_apis().size(), 89u);
}

TEST(Api, KeepsUnreleasedVersionsApart) {
  const ApiInfo& api = api_info(ApiKey::kInitProducerId);
  EXPECT_EQ(api.versions, (VersionRange{0, 5}));
  EXPECT_EQ(api.highest_known, 6);
}

TEST(Api, KnowsWhoServesAndWhoForwards) {
  EXPECT_TRUE(api_info(ApiKey::kCreateTopics).forwardable);
  EXPECT_TRUE(api_info(ApiKey::kFetch).on_controller);
  EXPECT_FALSE(api_info(ApiKey::kProduce).on_controller);
  EXPECT_FALSE(api_info(ApiKey::kVote).on_broker);
  EXPECT_TRUE(api_info(ApiKey::kVote).cluster_action);
  EXPECT_FALSE(api_info(ApiKey::kSaslHandshake).flexible(1));
}

TEST(MetadataFrame, IsVersionTypeVersionBody) {
  TopicRecord record;
  record.name = "t";
  record.topic_id = {1, 2};
  const auto bytes = encode_metadata_record(record, 0);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(hex(*bytes),
            "010200"
            "0274"
            "00000000000000010000000000000002"
            "00");
  const auto frame = peek_metadata_frame(*bytes);
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(frame->record_type, TopicRecord::kRecordType);
  EXPECT_EQ(*decode<TopicRecord>(frame->body, frame->version), record);
}

TEST(MetadataFrame, OfAnotherFrameVersionIsRefused) {
  EXPECT_FALSE(peek_metadata_frame(Slice::copy_of(std::string_view("\x02\x02\x00", 3))).ok());
  EXPECT_FALSE(peek_metadata_frame(Slice()).ok());
}

TEST(CoordinatorFrame, NumbersKeysByTypeAndValuesByVersion) {
  OffsetCommitKey key;
  key.group = "g";
  key.topic = "t";
  key.partition = 3;
  const auto key_bytes = encode_coordinator_key(key);
  ASSERT_TRUE(key_bytes.ok());
  EXPECT_EQ(hex(*key_bytes),
            "0001"
            "000167"
            "000174"
            "00000003");
  const auto numbered = peek_number(*key_bytes);
  ASSERT_TRUE(numbered.ok());
  EXPECT_EQ(numbered->number, OffsetCommitKey::kRecordType);
  EXPECT_EQ(*decode<OffsetCommitKey>(numbered->body, 0), key);

  OffsetCommitValue value;
  value.offset = 9;
  const auto value_bytes = encode_coordinator_value(value, 3);
  ASSERT_TRUE(value_bytes.ok());
  EXPECT_EQ(peek_number(*value_bytes)->number, 3);
}

TEST(ControlKey, IsVersionAndType) {
  const Slice key = encode_control_key(ControlRecordType::kKraftVoters);
  EXPECT_EQ(hex(key), "00000006");
  EXPECT_EQ(*decode_control_key(key), (ControlRecordKey{0, 6}));
  EXPECT_FALSE(decode_control_key(key.sub(0, 3)).ok());
}

TEST(ErrorOnTheWire, MapsUnknownNumbersToUnknownServerError) {
  EXPECT_EQ(error_from_wire(error_to_wire(ErrorCode::kFencedLeaderEpoch)),
            ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(error_from_wire(134), ErrorCode::kUnknownServerError);
  EXPECT_EQ(error_from_wire(-7), ErrorCode::kUnknownServerError);
}

}  // namespace
}  // namespace broker::protocol
