#pragma once

#include "broker/quorum/metadata_log.h"

namespace broker::controller {

/// What the controller needs of the replicated log: quorum::MetadataLog, or a script in tests. The
/// contract is MetadataLog's.
class RecordLog {
 public:
  virtual ~RecordLog() = default;
  virtual Result<void> start(quorum::QuorumListener& listener) = 0;
  virtual void stop() = 0;
  virtual Result<Offset> append(const metadata::MetadataRecords& records,
                                std::int16_t metadata_version) = 0;
  virtual LeaderEpoch epoch() const = 0;
  virtual Offset log_end_offset() const = 0;
};

class QuorumRecordLog final : public RecordLog {
 public:
  explicit QuorumRecordLog(quorum::MetadataLog& log) : log_(log) {}
  Result<void> start(quorum::QuorumListener& listener) override { return log_.start(listener); }
  void stop() override { log_.stop(); }
  Result<Offset> append(const metadata::MetadataRecords& records,
                        std::int16_t metadata_version) override {
    return log_.append(records, metadata_version);
  }
  LeaderEpoch epoch() const override { return log_.epoch(); }
  Offset log_end_offset() const override { return log_.log_end_offset(); }

 private:
  quorum::MetadataLog& log_;
};

}  // namespace broker::controller
