#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/common/endian.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/uuid.h"

namespace broker::protocol {

/// Takes the primitive types of Kafka's protocol from bytes of a foreigner.
///
/// The first failure sticks: later reads change nothing and return zero or empty, so callers check
/// `status()` once at the end (and `ok()` in loops). A failure is INVALID_REQUEST with what was
/// wrong and where. Lengths and counts are compared with the bytes that remain before anything is
/// allocated. `flexible` chooses compact lengths (KIP-482).
class Reader {
 public:
  /// Bytes fields are read as parts of `data`: they share its owner.
  explicit Reader(Slice data) : data_(std::move(data)) {}

  bool ok() const { return problem_ == nullptr; }
  Status status() const;
  /// Bytes not read yet; 0 after a failure.
  std::size_t remaining() const { return ok() ? data_.size() - pos_ : 0; }
  std::size_t position() const { return pos_; }
  /// Keeps the first `problem`, which must be a literal.
  void fail(const char* problem);

  bool boolean() { return fixed<std::uint8_t>() != 0; }
  std::int8_t int8() { return fixed<std::int8_t>(); }
  std::int16_t int16() { return fixed<std::int16_t>(); }
  std::int32_t int32() { return fixed<std::int32_t>(); }
  std::int64_t int64() { return fixed<std::int64_t>(); }
  std::uint16_t uint16() { return fixed<std::uint16_t>(); }
  std::uint32_t uint32() { return fixed<std::uint32_t>(); }
  double float64();
  Uuid uuid();
  std::uint32_t uvarint();
  /// The next `size` bytes as they are.
  Slice raw(std::size_t size);
  /// All that remains.
  Slice rest() { return raw(remaining()); }

  /// Null is a failure, also for the nullable form while `nullable` is false.
  void string(bool flexible, std::string& out);
  void string(bool flexible, bool nullable, std::optional<std::string>& out);
  void bytes(bool flexible, Slice& out);
  void bytes(bool flexible, bool nullable, std::optional<Slice>& out);
  /// Counts of an array whose elements take at least `min_element` bytes each.
  std::size_t array(bool flexible, std::size_t min_element);
  std::optional<std::size_t> array(bool flexible, bool nullable, std::size_t min_element);
  /// Arrays of int8, int16, int32, int64, Uuid and std::string.
  template <class T>
  void array_of(bool flexible, std::vector<T>& out);
  template <class T>
  void array_of(bool flexible, bool nullable, std::optional<std::vector<T>>& out);
  /// The marker before a nullable struct: true if the struct follows.
  bool present() { return int8() >= 0; }
  void skip_tagged_fields();

 private:
  friend class TaggedFieldReader;

  template <class T>
  T fixed() {
    if (remaining() < sizeof(T)) [[unlikely]] {
      fail("truncated");
      return T{};
    }
    const T value = load_be<T>(data_.data() + pos_);
    pos_ += sizeof(T);
    return value;
  }
  /// -1 is null.
  std::int64_t length(bool flexible, bool short_length);
  template <class T>
  void elements(std::size_t count, std::vector<T>& out);

  Slice data_;
  std::size_t pos_ = 0;
  const char* problem_ = nullptr;
};

/// Walks a section of tagged fields:
/// `for (TaggedFieldReader tags(r); tags.next();) switch (tags.tag()) ...`.
/// Fields that nobody reads are skipped; a known field must be read to its end.
class TaggedFieldReader {
 public:
  explicit TaggedFieldReader(Reader& reader) : reader_(reader), left_(reader.uvarint()) {}

  bool next();
  std::uint32_t tag() const { return tag_; }
  /// A reader of this field's bytes.
  Reader& field();

 private:
  Reader& reader_;
  std::uint32_t left_;
  std::uint32_t tag_ = 0;
  std::size_t size_ = 0;
  std::optional<Reader> field_;
};

class TaggedFields;

/// Builds a message. Small fields gather in a buffer; Slices of kByReference bytes and more are
/// passed on without a copy. The first failure sticks and is returned by take() or to_bytes().
class Writer {
 public:
  static constexpr std::size_t kByReference = 1024;

  bool ok() const { return !error_; }
  Status status() const { return error_ ? Status(*error_) : Status(); }
  void fail(Error error);
  /// A field that has a value but does not exist in `version`: UNSUPPORTED_VERSION.
  void fail_dropped(const char* field, std::int16_t version);
  /// The message has no such version: UNSUPPORTED_VERSION.
  void fail_version(const char* message, std::int16_t version);

  /// Bytes written so far.
  std::size_t size() const { return pieces_size_ + buffer_.size(); }
  /// The message in pieces; leaves the writer empty.
  Result<Slices> take();
  /// The message in one piece; leaves the writer empty.
  Result<Slice> to_bytes();

  void boolean(bool value) { buffer_.push_back(value ? 1 : 0); }
  void int8(std::int8_t value) { fixed(value); }
  void int16(std::int16_t value) { fixed(value); }
  void int32(std::int32_t value) { fixed(value); }
  void int64(std::int64_t value) { fixed(value); }
  void uint16(std::uint16_t value) { fixed(value); }
  void uint32(std::uint32_t value) { fixed(value); }
  void float64(double value);
  void uuid(const Uuid& value);
  void uvarint(std::uint32_t value);
  void raw(const Slice& bytes);

  void string(bool flexible, std::string_view value);
  /// Null fails while `nullable` is false.
  void string(bool flexible, bool nullable, const std::optional<std::string>& value);
  void bytes(bool flexible, const Slice& value);
  void bytes(bool flexible, bool nullable, const std::optional<Slice>& value);
  void array(bool flexible, std::size_t count) { length(flexible, count); }
  /// The count of a null array.
  void null_array(bool flexible, bool nullable);
  /// Arrays of int8, int16, int32, int64, Uuid and std::string.
  template <class T>
  void array_of(bool flexible, const std::vector<T>& value);
  template <class T>
  void array_of(bool flexible, bool nullable, const std::optional<std::vector<T>>& value);
  /// The marker before a nullable struct; null fails while `nullable` is false.
  void present(bool nullable, bool present);
  void no_tagged_fields() { buffer_.push_back(0); }
  void tagged_fields(TaggedFields&& fields);

 private:
  template <class T>
  void fixed(T value) {
    const std::size_t at = buffer_.size();
    buffer_.resize(at + sizeof(T));
    store_be(buffer_.data() + at, value);
  }
  void length(bool flexible, std::size_t length);
  void flush();

  std::vector<std::uint8_t> buffer_;
  Slices pieces_;
  std::size_t pieces_size_ = 0;
  std::optional<Error> error_;
};

/// The tagged fields of one struct, added in ascending order of tags.
class TaggedFields {
 public:
  /// The writer of the field's bytes; valid until the next call.
  Writer& add(std::uint32_t tag) { return fields_.emplace_back(tag, Writer()).second; }

 private:
  friend class Writer;
  std::vector<std::pair<std::uint32_t, Writer>> fields_;
};

}  // namespace broker::protocol
