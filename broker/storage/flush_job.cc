#include "broker/storage/flush_job.h"

#include "broker/common/defect.h"

namespace broker::storage {

Result<void> FlushJob::run() const {
  if (has_defect(Defect::kFlushWithoutSync)) return {};
  for (const auto& file : files) RETURN_IF_ERROR(file->sync());
  if (directory) RETURN_IF_ERROR(fs->sync_directory(*directory));
  if (!epochs) return {};
  return with_reserve(health,
                      [this] { return io::write_file_atomically(*fs, epochs_path, *epochs); });
}

}  // namespace broker::storage
