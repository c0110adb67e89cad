#include "broker/controller/envelope.h"

#include <gtest/gtest.h>

#include "broker/protocol/messages/delete_topics_request.h"
#include "broker/protocol/messages/delete_topics_response.h"

namespace broker::controller {
namespace {

constexpr std::int16_t kVersion = 6;

protocol::DeleteTopicsRequest request() {
  protocol::DeleteTopicsRequest out;
  out.topics.push_back({"orders", kZeroUuid});
  return out;
}

TEST(Envelope, BringsTheClientAndItsRequest) {
  for (const std::string host : {"192.0.2.7", "2001:db8::7"}) {
    Caller caller{{"User", "CN=alice,O=shop"}, host, "app-1"};
    caller.by_token = true;
    const auto envelope = wrap_message(caller, request(), kVersion);
    ASSERT_TRUE(envelope.ok());
    EXPECT_EQ(envelope->client_host_address.size(), host.find(':') == host.npos ? 4U : 16U);
    const auto inside = unwrap(*envelope);
    ASSERT_TRUE(inside.ok()) << to_string(inside.error());
    EXPECT_EQ(inside->caller.principal, caller.principal);
    EXPECT_EQ(inside->caller.host, host);
    EXPECT_TRUE(inside->caller.by_token);
    EXPECT_EQ(inside->caller.client_id, "app-1");
    EXPECT_EQ(inside->header.api_key, protocol::ApiKey::kDeleteTopics);
    const auto read = protocol::decode<protocol::DeleteTopicsRequest>(inside->body, kVersion);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, request());
  }
}

TEST(Envelope, WithoutAClientOrAnAddressIsRefused) {
  const Caller caller{{"User", "alice"}, "192.0.2.7", ""};
  auto envelope = *wrap_message(caller, request(), kVersion);
  envelope.request_principal = std::nullopt;
  EXPECT_EQ(unwrap(envelope).code(), ErrorCode::kPrincipalDeserializationFailure);
  envelope = *wrap_message(caller, request(), kVersion);
  envelope.request_principal = Slice::copy_of(std::string_view("\0", 1));
  EXPECT_EQ(unwrap(envelope).code(), ErrorCode::kPrincipalDeserializationFailure);
  envelope = *wrap_message(caller, request(), kVersion);
  envelope.client_host_address = Slice::copy_of(std::string_view("five!"));
  EXPECT_EQ(unwrap(envelope).code(), ErrorCode::kInvalidRequest);
  EXPECT_EQ(wrap_message({{}, "a host's name", ""}, request(), kVersion).code(),
            ErrorCode::kInvalidRequest);
}

TEST(Envelope, AnAnswersOwnErrorIsTold) {
  protocol::EnvelopeResponse response;
  response.error_code = static_cast<std::int16_t>(ErrorCode::kNotController);
  const auto answer = unwrap_message<protocol::DeleteTopicsResponse>(
      response, protocol::ApiKey::kDeleteTopics, kVersion);
  EXPECT_EQ(answer.code(), ErrorCode::kNotController);
}

}  // namespace
}  // namespace broker::controller
