#include "broker/storage/lent_file.h"

#include <utility>

#include "broker/storage/directory_health.h"

namespace broker::storage {

LentFile::LentFile(std::shared_ptr<const io::File> file, std::weak_ptr<DirectoryHealth> health,
                   Count count)
    : file_(std::move(file)), health_(std::move(health)), count_(std::move(count)) {
  count_->fetch_add(1, std::memory_order_relaxed);
}

LentFile::~LentFile() { count_->fetch_sub(1, std::memory_order_relaxed); }

bool LentFile::read_exactly(std::uint64_t position, std::span<std::uint8_t> out) const {
  const auto n = file_->read_at(position, out);
  if (n.ok()) return *n == out.size();
  if (const auto health = health_.lock()) health->fail(n.error());
  return false;
}

}  // namespace broker::storage
