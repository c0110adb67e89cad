#include "operator/app/series.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>

namespace op::app {

struct Series::Impl {
  prometheus::ClientMetric& add(const std::string& name, const std::string& help,
                                prometheus::MetricType type, const Labels& labels) {
    const auto [at, is_new] = index.emplace(name, families.size());
    if (is_new) families.push_back({name, help, type, {}});
    auto& metric = families[at->second].metric.emplace_back();
    for (const auto& [key, value] : labels) metric.label.push_back({key, value});
    return metric;
  }

  std::vector<prometheus::MetricFamily> families;
  std::map<std::string, std::size_t> index;
};

Series::Series() : impl_(std::make_unique<Impl>()) {}
Series::~Series() = default;

void Series::gauge(const std::string& name, const std::string& help, double value,
                   const Labels& labels) {
  impl_->add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

void Series::counter(const std::string& name, const std::string& help, double value,
                     const Labels& labels) {
  impl_->add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void Series::histogram(const std::string& name, const std::string& help, const Histogram& value,
                       const Labels& labels) {
  auto& out = impl_->add(name, help, prometheus::MetricType::Histogram, labels).histogram;
  for (const Histogram::Bucket& bucket : value.buckets)
    out.bucket.push_back({bucket.count, bucket.bound});
  out.sample_count = value.buckets.empty() ? 0 : value.buckets.back().count;
  out.sample_sum = value.sum;
}

std::string Series::text() const { return prometheus::TextSerializer().Serialize(impl_->families); }

}  // namespace op::app
