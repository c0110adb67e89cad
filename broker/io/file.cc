#include "broker/io/file.h"

namespace broker::io {

Result<std::string> read_file(FileSystem& fs, const std::string& path, std::size_t max_bytes) {
  ASSIGN_OR_RETURN(const auto file, fs.open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  if (size > max_bytes) {
    return Error{ErrorCode::kKafkaStorageError, path + " has " + std::to_string(size) +
                                                    " bytes, at most " + std::to_string(max_bytes) +
                                                    " were expected"};
  }
  std::string content(size, '\0');
  ASSIGN_OR_RETURN(
      const std::size_t read,
      file->read_at(0, {reinterpret_cast<std::uint8_t*>(content.data()), content.size()}));
  content.resize(read);
  return content;
}

Result<void> write_file_atomically(FileSystem& fs, const std::string& path,
                                   std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    ASSIGN_OR_RETURN(auto file, fs.open(temporary, OpenMode::kCreate));
    RETURN_IF_ERROR(file->truncate(0));
    RETURN_IF_ERROR(file->write_at(
        0, std::span(reinterpret_cast<const std::uint8_t*>(content.data()), content.size())));
    RETURN_IF_ERROR(file->sync());
  }
  RETURN_IF_ERROR(fs.rename(temporary, path));
  return fs.sync_directory(path.substr(0, path.find_last_of('/')));
}

}  // namespace broker::io
