#include "broker/common/persistent_map.h"

#include <gtest/gtest.h>

#include <map>

#include "broker/common/rng.h"

namespace broker {
namespace {

TEST(PersistentMap, BehavesLikeAnOrderedMapUnderRandomChanges) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PersistentMap<int, int> map;
    std::map<int, int> model;
    for (int i = 0; i < 2000; ++i) {
      const int key = static_cast<int>(rng.below(300));
      if (rng.below(3) == 0) {
        EXPECT_EQ(map.erase(key), model.erase(key) == 1);
      } else {
        map.set(key, i);
        model[key] = i;
      }
      const int probe = static_cast<int>(rng.below(310));
      const auto it = map.lower_bound(probe);
      const auto expected = model.lower_bound(probe);
      ASSERT_EQ(it == map.end(), expected == model.end());
      if (expected != model.end()) {
        ASSERT_EQ(it->first, expected->first);
      }
    }
    ASSERT_EQ(map.size(), model.size());
    ASSERT_TRUE(std::equal(map.begin(), map.end(), model.begin()));
  }
}

TEST(PersistentMap, ACopyIsUntouchedByLaterChangesAndDiffFindsExactlyThem) {
  PersistentMap<int, int> map;
  for (int i = 0; i < 1000; ++i) map.set(i, i);
  const PersistentMap<int, int> before = map;
  map.set(500, -1);
  map.set(7, 7);  // another entry of equal value is no difference
  map.erase(3);
  map.set(2000, 1);
  EXPECT_EQ(*before.find(500), 500);
  EXPECT_EQ(before.size(), 1000u);
  std::map<int, std::pair<bool, bool>> changed;
  PersistentMap<int, int>::diff(before, map, [&](int key, const int* a, const int* b) {
    changed[key] = {a != nullptr, b != nullptr};
  });
  const std::map<int, std::pair<bool, bool>> expected{
      {3, {true, false}}, {500, {true, true}}, {2000, {false, true}}};
  EXPECT_EQ(changed, expected);
}

}  // namespace
}  // namespace broker
