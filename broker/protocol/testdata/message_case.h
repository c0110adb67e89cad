#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/uuid.h"
#include "broker/protocol/api_key.h"
#include "broker/protocol/codec.h"

namespace broker::protocol {

/// Gives every field another value by a rule that GoldenBytes.java follows too.
struct Filler {
  bool nulls = false;  // null wherever the version allows it
  int n = 0;

  int sign() { return ++n % 2 == 0 ? -1 : 1; }
  void int8(std::int8_t& out) {
    const int s = sign();
    out = static_cast<std::int8_t>(s * (n % 100 + 2));
  }
  void int16(std::int16_t& out) {
    const int s = sign();
    out = static_cast<std::int16_t>(s * (1000 + n));
  }
  void int32(std::int32_t& out) {
    const int s = sign();
    out = s * (100000 + n);
  }
  void int64(std::int64_t& out) {
    const int s = sign();
    out = s * (10000000000000 + n);
  }
  void uint16(std::uint16_t& out) { out = static_cast<std::uint16_t>(60000 + ++n % 5000); }
  void uint32(std::uint32_t& out) { out = 4000000000u + static_cast<std::uint32_t>(++n); }
  void float64(double& out) { out = ++n + 0.25; }
  void string(std::string& out) {
    ++n;
    out = "s" + std::to_string(n) + std::string(n % 7 == 0 ? 130 : 0, 'x');
  }
  void uuid(Uuid& out) {
    ++n;
    out = {0x1000000000000000u + static_cast<std::uint64_t>(n), 3u * static_cast<unsigned>(n)};
  }
  void bytes(Slice& out) {
    ++n;
    const std::size_t size = n % 11 == 0 ? 1100 : 4;
    out = Slice(std::vector<std::uint8_t>(size, static_cast<std::uint8_t>(n)));
  }
  void records(Slice& out) { bytes(out); }
};

enum class Variant { kDefault, kFilled, kNulls };

/// One message type behind a common face.
class MessageCase {
 public:
  virtual ~MessageCase() = default;
  virtual std::string_view name() const = 0;
  virtual VersionRange versions() const = 0;
  /// API key or record type, -1 if it has none.
  virtual int key() const = 0;
  virtual Result<Slice> encode(Variant variant, std::int16_t version) const = 0;
  /// Whether `bytes` are read to their end and the result equals the message of the variant.
  virtual bool reads_as(const Slice& bytes, Variant variant, std::int16_t version) const = 0;
  /// The message read from `bytes`, written again.
  virtual Result<Slice> read_and_write(const Slice& bytes, std::int16_t version) const = 0;
};

template <class M>
class TypedCase final : public MessageCase {
 public:
  using Fill = void (*)(Filler&, M&, std::int16_t);
  explicit TypedCase(Fill fill) : fill_(fill) {}

  std::string_view name() const override { return M::kName; }
  VersionRange versions() const override { return M::kVersions; }
  int key() const override {
    if constexpr (requires { M::kApiKey; }) return static_cast<int>(M::kApiKey);
    if constexpr (requires { M::kRecordType; }) return M::kRecordType;
    return -1;
  }
  Result<Slice> encode(Variant variant, std::int16_t version) const override {
    return written(make(variant, version), version);
  }
  bool reads_as(const Slice& bytes, Variant variant, std::int16_t version) const override {
    M message;
    Reader reader(bytes);
    return message.read(reader, version).ok() && reader.remaining() == 0 &&
           message == make(variant, version);
  }
  Result<Slice> read_and_write(const Slice& bytes, std::int16_t version) const override {
    M message;
    Reader reader(bytes);
    RETURN_IF_ERROR(message.read(reader, version));
    return written(message, version);
  }

 private:
  static Result<Slice> written(const M& message, std::int16_t version) {
    Writer writer;
    message.write(writer, version);
    return writer.to_bytes();
  }
  M make(Variant variant, std::int16_t version) const {
    M message;
    Filler filler{variant == Variant::kNulls};
    if (variant != Variant::kDefault) fill_(filler, message, version);
    return message;
  }

  Fill fill_;
};

using MessageCases = std::vector<std::unique_ptr<MessageCase>>;

template <class M>
void add_case(MessageCases& cases, typename TypedCase<M>::Fill fill) {
  cases.push_back(std::make_unique<TypedCase<M>>(fill));
}

/// Every message of the schemas.
MessageCases all_message_cases();

}  // namespace broker::protocol
