#pragma once

// Only for tests: a directory of one's own and batches to put into it.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <vector>

#include "broker/io/posix/posix_file.h"
#include "broker/record/batch_builder.h"
#include "broker/storage/log.h"

namespace broker::storage::testing {

inline constexpr WallMs kNow = 1700000000000;

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/millrace-storage-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() { (void)fs_->remove_recursively(path_); }

  io::FileSystem& fs() { return *fs_; }
  const std::string& path() const { return path_; }

  std::string read(const std::string& name) {
    return io::read_file(*fs_, path_ + "/" + name).value();
  }
  void write(const std::string& name, std::string_view content) {
    ASSERT_TRUE(io::write_file_atomically(*fs_, path_ + "/" + name, content).ok());
  }
  std::vector<std::string> names(std::string_view suffix = "") {
    std::vector<std::string> found;
    const std::vector<std::string> all = fs_->list(path_).value();
    for (const std::string& name : all) {
      if (name.ends_with(suffix)) found.push_back(name);
    }
    return found;
  }

 private:
  std::unique_ptr<io::FileSystem> fs_ = io::posix::make_posix_file_system();
  std::string path_;
};

struct BatchSpec {
  int records = 1;
  WallMs timestamp = kNow;
  std::int64_t producer_id = record::kNoProducerId;
  std::int16_t producer_epoch = 0;
  std::int32_t sequence = record::kNoSequence;
  bool transactional = false;
  std::size_t value_bytes = 10;
  record::Compression compression = record::Compression::kNone;
};

inline Slice make_batch(const BatchSpec& spec = {}) {
  record::BatchBuilder builder(
      {.compression = spec.compression,
       .producer_id = ProducerId{spec.producer_id},
       .producer_epoch =
           ProducerEpoch{spec.producer_id < 0 ? record::kNoProducerEpoch : spec.producer_epoch},
       .base_sequence = spec.sequence,
       .transactional = spec.transactional});
  for (int i = 0; i < spec.records; ++i) {
    builder.add(spec.timestamp + i, "k" + std::to_string(i), std::string(spec.value_bytes, 'v'));
  }
  return builder.build().value();
}

/// A log in a directory of its own that can be stopped cleanly, or as by kill -9.
class LogTest : public ::testing::Test {
 protected:
  LogTest() { open(true); }

  void open(bool clean, Offset recovery_point = Offset{0}, Offset log_start = Offset{0}) {
    log_ = nullptr;
    auto opened = Log::open(files_, dir_.path(), {"orders", 0}, options_,
                            {.clean_shutdown = clean,
                             .recovery_point = recovery_point,
                             .log_start_offset = log_start,
                             .now = kNow});
    ASSERT_TRUE(opened.ok()) << to_string(opened.error());
    log_ = std::move(*opened);
  }
  void crash() { open(false, log_->recovery_point()); }
  void restart_cleanly() {
    ASSERT_TRUE(log_->close(kNow).ok());
    open(true);
  }

  Result<AppendInfo> try_append(const BatchSpec& spec = {}, int epoch = 1) {
    return log_->append_as_leader(make_batch(spec), LeaderEpoch{epoch}, AppendOrigin::kClient,
                                  spec.timestamp);
  }
  AppendInfo append(const BatchSpec& spec = {}, int epoch = 1) {
    auto info = try_append(spec, epoch);
    EXPECT_TRUE(info.ok()) << to_string(info.error());
    return info.ok() ? *info : AppendInfo{};
  }
  std::vector<std::int64_t> base_offsets(Offset from = Offset{0}) {
    std::vector<std::int64_t> offsets;
    while (from < log_->log_end_offset()) {
      const auto read = log_->read(from, log_->log_end_offset(), 1 << 20, true).value();
      if (read.records.empty()) break;
      record::BatchReader reader(read.records);
      for (auto batch = reader.next().value(); batch; batch = reader.next().value()) {
        EXPECT_TRUE(record::check_batch(batch->bytes.span()).ok());
        offsets.push_back(batch->header().base_offset().value);
      }
      from = read.next_offset;
    }
    return offsets;
  }

  TempDir dir_;
  FileCache files_{dir_.fs(), 8};
  LogOptions options_;
  std::unique_ptr<Log> log_;
};

}  // namespace broker::storage::testing
