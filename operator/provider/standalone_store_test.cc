#include "operator/provider/standalone_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "operator/provider/small_files.h"

namespace op::provider {
namespace {

using nlohmann::json;

class StandaloneStoreTest : public testing::Test {
 protected:
  StandaloneStoreTest() {
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    std::filesystem::create_directory(resources());
  }
  ~StandaloneStoreTest() override { std::filesystem::remove_all(root_); }

  std::string resources() const { return root_ + "/resources"; }
  std::string data() const { return root_ + "/data"; }
  static std::string object(const char* version, const char* kind, json more) {
    more["apiVersion"] = version;
    more["kind"] = kind;
    more["metadata"] = {{"name", "a"}, {"namespace", "kafka"}};
    return more.dump();
  }

  std::string root_ = testing::TempDir() + "standalone-XXXXXX";
};

TEST_F(StandaloneStoreTest, ASecretIsFilesAsAPodHasThemMounted) {
  StandaloneStore store(resources(), data());
  ASSERT_TRUE(store.start().ok());
  const std::string folder = data() + "/secrets/kafka/a";
  ASSERT_TRUE(
      store.put(object("v1", "Secret", {{"data", {{"password", "eA=="}, {"old", "eA=="}}}})).ok());
  EXPECT_EQ(*read_small_file(folder + "/password"), "x");
  ASSERT_TRUE(store.put(object("v1", "Secret", {{"data", {{"password", "eXk="}}}})).ok());
  EXPECT_EQ(*read_small_file(folder + "/password"), "yy");
  EXPECT_FALSE(std::filesystem::exists(folder + "/old"));
  ASSERT_TRUE(store.remove_as_user(kube::kSecret, {"kafka", "a"}).ok());
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST_F(StandaloneStoreTest, WhatSeveralThreadsChangeIsKeptAsItIsInTheEnd) {
  std::string newest;
  {
    StandaloneStore store(resources(), data());
    ASSERT_TRUE(store.start().ok());
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&store, thread] {
        for (int i = 0; i < 50; ++i) {
          const json spec{{"partitions", thread * 50 + i}};
          EXPECT_TRUE(store.put(object("millrace.io/v1beta1", "Topic", {{"spec", spec}})).ok());
        }
      });
    }
    threads.clear();
    newest = store.get(kube::kTopic, {"kafka", "a"})->json;
  }
  const auto kept = read_small_file(data() + "/objects/Topic/kafka_a.json");
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(json::parse(*kept)["object"], newest);
}

TEST_F(StandaloneStoreTest, AFileThatIsNoResourceHarmsNothing) {
  const auto write = [this](const char* name, const std::string& text) {
    ASSERT_TRUE(replace_small_file(resources() + "/" + name, text).ok());
  };
  const char* kBad[] = {"kind: 5",
                        "kind: Topik\nmetadata: {name: a}",
                        "kind: Topic",
                        "kind: Topic\nmetadata: text",
                        "kind: Topic\nmetadata: {name: 7}",
                        "kind: Topic\nmetadata: {name: a, namespace: [x]}",
                        "kind: Topic\nmetadata: {name: ../../a}",
                        "kind: Topic\nmetadata: {name: a, labels: {a: 1}}",
                        "kind: Topic\nmetadata: {name: a}\nspec: 1",
                        "kind: Secret\nmetadata: {name: a}\nstringData: {a: 1}",
                        "a: [",
                        "- a"};
  for (int i = 0; i < static_cast<int>(std::size(kBad)); ++i) {
    write(("bad" + std::to_string(i) + ".yaml").c_str(), kBad[i]);
  }
  write("good.yaml", "kind: Secret\nmetadata: {name: pw}\nstringData: {password: x}\n");
  StandaloneStore store(resources(), data());
  ASSERT_TRUE(store.start().ok());
  EXPECT_TRUE(store.list(kube::kTopic, "", "").empty());
  ASSERT_EQ(store.list(kube::kSecret, "", "").size(), 1u);
  EXPECT_EQ(*read_small_file(data() + "/secrets/default/pw/password"), "x");
}

}  // namespace
}  // namespace op::provider
