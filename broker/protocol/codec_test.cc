#include "broker/protocol/codec.h"

#include <gtest/gtest.h>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/find_coordinator_request.h"
#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/produce_request.h"

namespace broker::protocol {
namespace {

Slice bytes_of(std::initializer_list<int> bytes) {
  std::vector<std::uint8_t> result;
  for (const int byte : bytes) result.push_back(static_cast<std::uint8_t>(byte));
  return Slice(std::move(result));
}

TEST(Reader, KeepsTheFirstFailureAndReadsNothingMore) {
  Reader reader(bytes_of({0, 7, 1}));
  EXPECT_EQ(reader.int16(), 7);
  EXPECT_EQ(reader.int32(), 0);
  EXPECT_EQ(reader.int8(), 0);
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_EQ(reader.status().error().detail, "malformed message: truncated at byte 2");
}

TEST(Reader, RefusesACountThatCannotFitBeforeAllocating) {
  Reader reader(bytes_of({0x7f, 0xff, 0xff, 0xff, 1, 2, 3}));
  std::vector<std::int64_t> values;
  reader.array_of(false, values);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(values.capacity(), 0u);
}

TEST(Reader, RefusesLengthsBelowMinusOne) {
  Reader strings(bytes_of({0xff, 0xfe}));
  std::optional<std::string> text;
  strings.string(false, true, text);
  EXPECT_FALSE(strings.ok());
  Reader arrays(bytes_of({0x80, 0, 0, 0}));
  EXPECT_EQ(arrays.array(false, true, 1), std::nullopt);
  EXPECT_FALSE(arrays.ok());
}

TEST(Reader, RefusesNullWhereTheVersionHasNone) {
  // Topics became nullable in version 1 of Metadata.
  MetadataRequest request;
  Reader old(bytes_of({0xff, 0xff, 0xff, 0xff}));
  EXPECT_FALSE(request.read(old, 0).ok());
  Reader newer(bytes_of({0xff, 0xff, 0xff, 0xff}));
  ASSERT_TRUE(request.read(newer, 1).ok());
  EXPECT_FALSE(request.topics.has_value());
}

TEST(Reader, GivesRecordsAsPartsOfTheRequest) {
  ProduceRequest request;
  auto& partition = request.topic_data.emplace_back().partition_data.emplace_back();
  partition.records = Slice::copy_of("a batch");
  const auto bytes = encode(request, 13);
  ASSERT_TRUE(bytes.ok());
  const auto read = decode<ProduceRequest>(*bytes, 13);
  ASSERT_TRUE(read.ok());
  const Slice records = *read->topic_data[0].partition_data[0].records;
  EXPECT_EQ(records.view(), "a batch");
  EXPECT_GE(records.data(), bytes->data());
  EXPECT_LT(records.data(), bytes->data() + bytes->size());
}

TEST(Reader, SkipsTaggedFieldsItDoesNotKnow) {
  // Two tagged fields behind an empty FindCoordinator request: 7 -> 2 bytes, 9 -> none.
  const auto plain = encode(FindCoordinatorRequest(), 4);
  ASSERT_TRUE(plain.ok());
  std::vector<std::uint8_t> bytes(plain->data(), plain->data() + plain->size());
  ASSERT_EQ(bytes.back(), 0);
  bytes.back() = 2;
  for (const int byte : {7, 2, 0xaa, 0xbb, 9, 0}) bytes.push_back(static_cast<std::uint8_t>(byte));
  Reader reader{Slice(bytes)};
  FindCoordinatorRequest request;
  ASSERT_TRUE(request.read(reader, 4).ok());
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_EQ(request, FindCoordinatorRequest());
}

TEST(Reader, RefusesATaggedFieldThatIsLongerThanItsValue) {
  Reader reader(bytes_of({1, 0, 3, 0, 1, 2}));
  TaggedFieldReader tags(reader);
  ASSERT_TRUE(tags.next());
  tags.field().int16();
  EXPECT_FALSE(tags.next());
  EXPECT_FALSE(reader.ok());
}

TEST(Writer, PassesLargeBytesOnWithoutACopy) {
  const Slice batch(std::vector<std::uint8_t>(100000, 7));
  FetchResponse response;
  response.responses.emplace_back().partitions.emplace_back().records = batch;
  Writer writer;
  response.write(writer, 17);
  const std::size_t size = writer.size();
  const auto pieces = writer.take();
  ASSERT_TRUE(pieces.ok());
  ASSERT_EQ(pieces->size(), 3u);
  EXPECT_EQ((*pieces)[1].data(), batch.data());
  EXPECT_EQ((*pieces)[0].size() + (*pieces)[1].size() + (*pieces)[2].size(), size);
  EXPECT_EQ(writer.size(), 0u);
}

TEST(Writer, FailsOnAFieldThatTheVersionDoesNotHave) {
  FindCoordinatorRequest request;
  request.coordinator_keys = {"a", "b"};  // version 4 and above
  const auto bytes = encode(request, 3);
  EXPECT_EQ(bytes.error(), (Error{ErrorCode::kUnsupportedVersion,
                                  "FindCoordinatorRequest::coordinator_keys is set but does not "
                                  "exist in version 3"}));
}

TEST(Writer, DropsAnIgnorableFieldThatTheVersionDoesNotHave) {
  ProduceRequest request;
  auto& topic = request.topic_data.emplace_back();
  topic.name = "orders";
  topic.topic_id = {1, 2};  // version 13 and above, ignorable
  EXPECT_TRUE(encode(request, 12).ok());
}

TEST(Writer, FailsOnAStringThatDoesNotFit) {
  MetadataRequest request;
  request.topics->emplace_back().name = std::string(32768, 'x');
  EXPECT_EQ(encode(request, 12).code(), ErrorCode::kInvalidRequest);
  EXPECT_EQ(encode(request, 1).code(), ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace broker::protocol
