#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "operator/api/meta.h"

namespace op::app {

using Labels = std::vector<std::pair<std::string, std::string>>;

inline Labels with(Labels labels, const Labels& more) {
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

/// What every series about a cluster carries. A scrape has to honour `namespace`: it is the
/// resource's, not the operator's.
inline Labels labels_of(const api::ClusterRef& ref) {
  return {{"namespace", ref.object.namespace_}, {"kafka_cluster", ref.object.name}};
}

struct Histogram {
  struct Bucket {
    std::uint64_t count = 0;  // of this and all before
    double bound = 0;         // the last one's is infinite
  };
  std::vector<Bucket> buckets;
  double sum = 0;
};

/// Families of samples as Prometheus' text; samples may come in any order, and each family is
/// written once, with the help that came first.
class Series {
 public:
  Series();
  ~Series();

  void gauge(const std::string& name, const std::string& help, double value,
             const Labels& labels = {});
  void counter(const std::string& name, const std::string& help, double value,
               const Labels& labels = {});
  void histogram(const std::string& name, const std::string& help, const Histogram& value,
                 const Labels& labels);
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace op::app
