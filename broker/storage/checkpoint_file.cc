#include "broker/storage/checkpoint_file.h"

#include "broker/storage/text.h"

namespace broker::storage {

std::string to_text(const OffsetCheckpoint& checkpoint) {
  std::string text = "0\n" + std::to_string(checkpoint.size()) + "\n";
  for (const auto& [partition, offset] : checkpoint) {
    text += partition.topic + " " + std::to_string(partition.partition) + " " +
            std::to_string(offset.value) + "\n";
  }
  return text;
}

Result<OffsetCheckpoint> parse_offset_checkpoint(std::string_view text) {
  ASSIGN_OR_RETURN(const auto lines, checkpoint_lines(text));
  OffsetCheckpoint checkpoint;
  for (const std::string_view line : lines) {
    const auto words = split(line, ' ');
    TopicPartition partition;
    std::int64_t offset = 0;
    if (words.size() != 3 || words[0].empty() || !parse_number(words[1], partition.partition) ||
        !parse_number(words[2], offset)) {
      return Error{ErrorCode::kKafkaStorageError,
                   "malformed line in a checkpoint: " + std::string(line)};
    }
    partition.topic = words[0];
    checkpoint[std::move(partition)] = Offset{offset};
  }
  return checkpoint;
}

Result<OffsetCheckpoint> read_offset_checkpoint(io::FileSystem& fs, const std::string& path) {
  const auto text = io::read_file(fs, path);
  if (text.code() == ErrorCode::kResourceNotFound) return OffsetCheckpoint{};
  if (!text.ok()) return text.error();
  auto parsed = parse_offset_checkpoint(*text);
  if (!parsed.ok()) return Error{parsed.error().code, path + ": " + parsed.error().detail};
  return parsed;
}

Result<void> write_offset_checkpoint(io::FileSystem& fs, const std::string& path,
                                     const OffsetCheckpoint& checkpoint) {
  return io::write_file_atomically(fs, path, to_text(checkpoint));
}

}  // namespace broker::storage
