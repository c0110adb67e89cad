#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "broker/coordinator/runtime/types.h"
#include "broker/protocol/codec.h"

namespace broker::coordinator {

/// A key or value is its type or version and then the message. What we build ourselves always fits.
template <class Message>
Slice encode(std::int16_t prefix, const Message& message, std::int16_t version) {
  protocol::Writer writer;
  writer.int16(prefix);
  message.write(writer, version);
  Result<Slice> bytes = writer.to_bytes();
  CHECK(bytes.ok());
  return std::move(*bytes);
}

/// `version` is bounded by what the message knows: a newer one was written by newer software.
template <class Message>
Result<Message> decode(protocol::Reader& reader, std::int16_t version) {
  Message message;
  RETURN_IF_ERROR(message.read(reader, version));
  return message;
}

/// nullopt for a tombstone. `topic` is named in the error.
template <class Message>
Result<std::optional<Message>> decode_value(const Record& record, std::string_view topic) {
  if (!record.value) return std::optional<Message>();
  protocol::Reader reader(*record.value);
  const std::int16_t version = reader.int16();
  if (!Message::kVersions.contains(version))
    return Error{ErrorCode::kUnsupportedVersion,
                 std::string(topic) + " value of version " + std::to_string(version)};
  ASSIGN_OR_RETURN(Message message, decode<Message>(reader, version));
  return std::optional<Message>(std::move(message));
}

}  // namespace broker::coordinator
