// The quotas of a User: which are written, and which are taken back.
#include "operator/plan/user_plan.h"

#include <gtest/gtest.h>

namespace op::plan {
namespace {

constexpr const char* kMoment = "2026-01-01T00:00:00Z";

api::User order_service() {
  api::User user;
  user.metadata.name = user.spec.username = user.spec.secret_name = "order-service";
  user.metadata.generation = 1;
  return user;
}

UserPlan plan_of(const api::User& user, const broker::metadata::MetadataImage& image) {
  return plan_user({.user = user,
                    .cluster_id = "cluster-one",
                    .image = image,
                    .password = "secret",
                    .now = kMoment});
}

broker::metadata::MetadataImage with_quotas(std::map<std::string, double> values) {
  broker::metadata::MetadataImage image;
  image.scram.credentials.set({"order-service", broker::security::ScramMechanism::kSha512},
                              *broker::security::make_scram_credential(
                                  "secret", broker::security::ScramMechanism::kSha512));
  if (!values.empty())
    image.client_quotas.by_entity.set({{"user", "order-service"}}, std::move(values));
  return image;
}

TEST(UserQuotas, QuotasAreWrittenRepairedAndKept) {
  api::User user = order_service();
  user.spec.quotas = api::UserQuotas{.producer_byte_rate = 1000, .request_percentage = 12.5};
  const UserPlan first = plan_of(user, with_quotas({}));
  EXPECT_EQ(first.quotas,
            (std::vector<QuotaAlteration>{
                {"order-service", {{"producer_byte_rate", 1000}, {"request_percentage", 12.5}}}}));
  EXPECT_FALSE(is_ready(first.status.conditions));
  user.status = first.status;
  const UserPlan converged =
      plan_of(user, with_quotas({{"producer_byte_rate", 1000}, {"request_percentage", 12.5}}));
  EXPECT_FALSE(converged.acts());
  EXPECT_TRUE(is_ready(converged.status.conditions));
  const UserPlan drift =
      plan_of(user, with_quotas({{"producer_byte_rate", 1}, {"request_percentage", 12.5}}));
  EXPECT_EQ(drift.quotas,
            (std::vector<QuotaAlteration>{{"order-service", {{"producer_byte_rate", 1000}}}}));
}

TEST(UserQuotas, OnlyQuotasThatItWroteAreTakenAway) {
  api::User user = order_service();
  const auto image = with_quotas({{"producer_byte_rate", 1000}, {"consumer_byte_rate", 5}});
  EXPECT_FALSE(plan_of(user, image).acts()) << "somebody else's";
  user.spec.quotas = api::UserQuotas{.producer_byte_rate = 1000};
  user.status = plan_of(user, image).status;
  EXPECT_EQ(user.status.owned_quotas, (std::vector<std::string>{"producer_byte_rate"}));
  const std::vector<QuotaAlteration> gone{
      {"order-service", {{"producer_byte_rate", std::nullopt}}}};
  api::User deleted = user;
  user.spec.quotas.reset();
  EXPECT_EQ(plan_of(user, image).quotas, gone);
  EXPECT_EQ(plan_of(user, image).status.owned_quotas.size(), 1u) << "until it is gone";
  EXPECT_TRUE(plan_of(user, with_quotas({{"consumer_byte_rate", 5}})).status.owned_quotas.empty());

  deleted.metadata.finalizers = {std::string(api::kFinalizer)};
  deleted.metadata.deletion_timestamp = kMoment;
  EXPECT_EQ(plan_of(deleted, image).quotas, gone);
  EXPECT_TRUE(plan_of(deleted, image).wants_finalizer);
  deleted.status.mechanism.clear();
  EXPECT_FALSE(plan_of(deleted, with_quotas({{"consumer_byte_rate", 5}})).wants_finalizer);
}

TEST(UserQuotas, AQuotaOfNothingIsRefused) {
  api::User user = order_service();
  user.spec.quotas = api::UserQuotas{.consumer_byte_rate = 0};
  const UserPlan refused = plan_of(user, with_quotas({}));
  EXPECT_FALSE(refused.acts());
  EXPECT_NE(api::find_condition(refused.status.conditions, api::condition::kReady)
                ->message.find("spec.quotas.consumerByteRate"),
            std::string::npos);
}

}  // namespace
}  // namespace op::plan
