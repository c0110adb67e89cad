#include "broker/protocol/codec.h"

#include <bit>
#include <limits>
#include <type_traits>

#include "broker/common/varint.h"

namespace broker::protocol {
namespace {

constexpr std::size_t kMaxLength = std::numeric_limits<std::int32_t>::max();

// The least an element takes on the wire, to bound counts.
template <class T>
constexpr std::size_t kMinElement = sizeof(T);
template <>
constexpr std::size_t kMinElement<std::string> = 1;

}  // namespace

Status Reader::status() const {
  if (ok()) return {};
  return Error{ErrorCode::kInvalidRequest,
               std::string("malformed message: ") + problem_ + " at byte " + std::to_string(pos_)};
}

void Reader::fail(const char* problem) {
  if (problem_ == nullptr) problem_ = problem;
}

double Reader::float64() { return std::bit_cast<double>(fixed<std::uint64_t>()); }

Uuid Reader::uuid() {
  if (remaining() < 16) {
    fail("truncated");
    return {};
  }
  pos_ += 16;
  return Uuid::from_bytes(data_.data() + pos_ - 16);
}

std::uint32_t Reader::uvarint() {
  if (!ok()) return 0;
  std::span<const std::uint8_t> left(data_.data() + pos_, data_.size() - pos_);
  std::uint32_t value = 0;
  if (!read_uvarint(left, value)) {
    fail("truncated or over-long varint");
    return 0;
  }
  pos_ = data_.size() - left.size();
  return value;
}

Slice Reader::raw(std::size_t size) {
  if (size > remaining()) fail("length exceeds what remains");
  if (!ok()) return {};
  pos_ += size;
  return data_.sub(pos_ - size, size);
}

std::int64_t Reader::length(bool flexible, bool short_length) {
  if (flexible) return static_cast<std::int64_t>(uvarint()) - 1;
  const std::int64_t length = short_length ? int16() : int32();
  if (length < -1) fail("negative length");
  return length;
}

void Reader::string(bool flexible, bool nullable, std::optional<std::string>& out) {
  out.reset();
  const std::int64_t size = length(flexible, true);
  if (!ok()) return;
  if (size < 0) {
    if (!nullable) fail("null for a string that must not be null");
    return;
  }
  if (static_cast<std::size_t>(size) > remaining()) return fail("string exceeds what remains");
  if (size > std::numeric_limits<std::int16_t>::max()) return fail("string too long");
  out.emplace(reinterpret_cast<const char*>(data_.data() + pos_), static_cast<std::size_t>(size));
  pos_ += static_cast<std::size_t>(size);
}

void Reader::string(bool flexible, std::string& out) {
  std::optional<std::string> value;
  string(flexible, false, value);
  out = value ? std::move(*value) : std::string();
}

void Reader::bytes(bool flexible, bool nullable, std::optional<Slice>& out) {
  out.reset();
  const std::int64_t size = length(flexible, false);
  if (!ok()) return;
  if (size < 0) {
    if (!nullable) fail("null for bytes that must not be null");
    return;
  }
  Slice value = raw(static_cast<std::size_t>(size));
  if (ok()) out = std::move(value);
}

void Reader::bytes(bool flexible, Slice& out) {
  std::optional<Slice> value;
  bytes(flexible, false, value);
  out = value ? std::move(*value) : Slice();
}

std::optional<std::size_t> Reader::array(bool flexible, bool nullable, std::size_t min_element) {
  const std::int64_t count = length(flexible, false);
  if (!ok()) return std::nullopt;
  if (count < 0) {
    if (!nullable) fail("null for an array that must not be null");
    return std::nullopt;
  }
  if (static_cast<std::size_t>(count) > remaining() / min_element) {
    fail("array exceeds what remains");
    return std::nullopt;
  }
  return static_cast<std::size_t>(count);
}

std::size_t Reader::array(bool flexible, std::size_t min_element) {
  return array(flexible, false, min_element).value_or(0);
}

template <class T>
void Reader::elements(std::size_t count, std::vector<T>& out) {
  out.resize(count);
  for (T& element : out) {
    if constexpr (std::is_same_v<T, Uuid>) {
      element = uuid();
    } else {
      element = fixed<T>();
    }
  }
}

template <class T>
void Reader::array_of(bool flexible, std::vector<T>& out) {
  out.clear();
  if constexpr (std::is_same_v<T, std::string>) {
    out.resize(array(flexible, flexible ? 1 : 2));
    for (T& element : out) string(flexible, element);
  } else {
    elements(array(flexible, kMinElement<T>), out);
  }
}

template <class T>
void Reader::array_of(bool flexible, bool nullable, std::optional<std::vector<T>>& out) {
  out.reset();
  if constexpr (std::is_same_v<T, std::string>) {
    const auto count = array(flexible, nullable, flexible ? 1 : 2);
    if (!count) return;
    out.emplace(*count);
    for (T& element : *out) string(flexible, element);
  } else {
    const auto count = array(flexible, nullable, kMinElement<T>);
    if (count) elements(*count, out.emplace());
  }
}

void Reader::skip_tagged_fields() {
  for (std::uint32_t left = uvarint(); left > 0 && ok(); --left) {
    uvarint();
    raw(uvarint());
  }
}

bool TaggedFieldReader::next() {
  if (field_) {
    if (const Status status = field_->status(); !status.ok()) {
      reader_.fail(field_->problem_);
    } else if (field_->remaining() != 0) {
      reader_.fail("tagged field is longer than its value");
    }
    field_.reset();
  } else {
    reader_.raw(size_);
  }
  size_ = 0;
  if (left_ == 0 || !reader_.ok()) return false;
  --left_;
  tag_ = reader_.uvarint();
  size_ = reader_.uvarint();
  if (size_ > reader_.remaining()) reader_.fail("tagged field exceeds what remains");
  return reader_.ok();
}

Reader& TaggedFieldReader::field() { return field_.emplace(reader_.raw(std::exchange(size_, 0))); }

void Writer::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

void Writer::fail_dropped(const char* field, std::int16_t version) {
  fail({ErrorCode::kUnsupportedVersion,
        std::string(field) + " is set but does not exist in version " + std::to_string(version)});
}

void Writer::fail_version(const char* message, std::int16_t version) {
  fail({ErrorCode::kUnsupportedVersion,
        std::string(message) + " has no version " + std::to_string(version)});
}

void Writer::flush() {
  if (buffer_.empty()) return;
  pieces_size_ += buffer_.size();
  pieces_.emplace_back(std::exchange(buffer_, {}));
}

Result<Slices> Writer::take() {
  flush();
  pieces_size_ = 0;
  Slices pieces = std::exchange(pieces_, {});
  if (error_) return *std::exchange(error_, std::nullopt);
  return pieces;
}

Result<Slice> Writer::to_bytes() {
  const std::size_t total = size();
  ASSIGN_OR_RETURN(const Slices pieces, take());
  if (pieces.size() == 1 && pieces.front().source() == nullptr) return pieces.front();
  std::vector<std::uint8_t> all(total);
  std::size_t at = 0;
  for (const Slice& piece : pieces) {
    if (!piece.copy_to(std::span(all).subspan(at, piece.size())))
      return Error{ErrorCode::kKafkaStorageError, "a part of the message cannot be read any more"};
    at += piece.size();
  }
  return Slice(std::move(all));
}

void Writer::float64(double value) { fixed(std::bit_cast<std::uint64_t>(value)); }

void Writer::uuid(const Uuid& value) {
  const auto bytes = value.bytes();
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void Writer::uvarint(std::uint32_t value) { append_uvarint(buffer_, value); }

void Writer::raw(const Slice& bytes) {
  if (bytes.size() < kByReference && bytes.source() == nullptr) {
    buffer_.insert(buffer_.end(), bytes.data(), bytes.data() + bytes.size());
    return;
  }
  flush();
  pieces_.push_back(bytes);
  pieces_size_ += bytes.size();
}

void Writer::length(bool flexible, std::size_t length) {
  if (length >= kMaxLength) return fail({ErrorCode::kInvalidRequest, "length exceeds 31 bits"});
  if (flexible) {
    uvarint(static_cast<std::uint32_t>(length) + 1);
  } else {
    int32(static_cast<std::int32_t>(length));
  }
}

void Writer::string(bool flexible, std::string_view value) {
  constexpr std::size_t kMaxString = std::numeric_limits<std::int16_t>::max();
  if (value.size() > kMaxString) {
    return fail({ErrorCode::kInvalidRequest,
                 "string of " + std::to_string(value.size()) + " bytes is longer than 32767"});
  }
  if (flexible) {
    uvarint(static_cast<std::uint32_t>(value.size()) + 1);
  } else {
    int16(static_cast<std::int16_t>(value.size()));
  }
  buffer_.insert(buffer_.end(), value.begin(), value.end());
}

void Writer::string(bool flexible, bool nullable, const std::optional<std::string>& value) {
  if (value) return string(flexible, *value);
  if (!nullable) return fail({ErrorCode::kUnsupportedVersion, "null string in a version without"});
  if (flexible) {
    uvarint(0);
  } else {
    int16(-1);
  }
}

void Writer::bytes(bool flexible, const Slice& value) {
  length(flexible, value.size());
  raw(value);
}

void Writer::bytes(bool flexible, bool nullable, const std::optional<Slice>& value) {
  if (value) return bytes(flexible, *value);
  null_array(flexible, nullable);
}

void Writer::null_array(bool flexible, bool nullable) {
  if (!nullable) {
    return fail({ErrorCode::kUnsupportedVersion, "null array or bytes in a version without"});
  }
  if (flexible) {
    uvarint(0);
  } else {
    int32(-1);
  }
}

template <class T>
void Writer::array_of(bool flexible, const std::vector<T>& value) {
  length(flexible, value.size());
  for (const T& element : value) {
    if constexpr (std::is_same_v<T, std::string>) {
      string(flexible, element);
    } else if constexpr (std::is_same_v<T, Uuid>) {
      uuid(element);
    } else {
      fixed(element);
    }
  }
}

template <class T>
void Writer::array_of(bool flexible, bool nullable, const std::optional<std::vector<T>>& value) {
  if (value) return array_of(flexible, *value);
  null_array(flexible, nullable);
}

void Writer::present(bool nullable, bool present) {
  if (!present && !nullable) {
    return fail({ErrorCode::kUnsupportedVersion, "null struct in a version without"});
  }
  int8(present ? 1 : -1);
}

void Writer::tagged_fields(TaggedFields&& fields) {
  uvarint(static_cast<std::uint32_t>(fields.fields_.size()));
  for (auto& [tag, writer] : fields.fields_) {
    uvarint(tag);
    uvarint(static_cast<std::uint32_t>(writer.size()));
    Result<Slices> pieces = writer.take();
    if (!pieces.ok()) return fail(pieces.error());
    for (const Slice& piece : *pieces) raw(piece);
  }
}

#define INSTANTIATE_ARRAYS_OF(T)                                              \
  template void Reader::array_of(bool, std::vector<T>&);                      \
  template void Reader::array_of(bool, bool, std::optional<std::vector<T>>&); \
  template void Writer::array_of(bool, const std::vector<T>&);                \
  template void Writer::array_of(bool, bool, const std::optional<std::vector<T>>&);
INSTANTIATE_ARRAYS_OF(std::int8_t)
INSTANTIATE_ARRAYS_OF(std::int16_t)
INSTANTIATE_ARRAYS_OF(std::int32_t)
INSTANTIATE_ARRAYS_OF(std::int64_t)
INSTANTIATE_ARRAYS_OF(Uuid)
INSTANTIATE_ARRAYS_OF(std::string)
#undef INSTANTIATE_ARRAYS_OF

}  // namespace broker::protocol
