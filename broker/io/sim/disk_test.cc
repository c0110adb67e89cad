#include "broker/io/sim/disk.h"

#include <gtest/gtest.h>

#include <set>

namespace broker::io::sim {
namespace {

/// A disk with one process at a time.
struct DiskWorld {
  explicit DiskWorld(std::uint64_t seed = 1) : scheduler(seed) { boot(); }

  void boot() {
    life = std::make_shared<Life>();
    fs = disk.mount(life);
  }
  void lose_power() {
    life->alive = false;
    disk.lose_power();
    boot();
  }
  static std::span<const std::uint8_t> bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
  void write(const std::string& path, std::string_view text, bool sync) {
    auto file = fs->open(path, OpenMode::kCreate).value();
    ASSERT_TRUE(file->write_at(0, bytes(text)).ok());
    if (sync) {
      ASSERT_TRUE(file->sync().ok());
    }
  }
  std::string read(const std::string& path) {
    const auto content = read_file(*fs, path);
    return content.ok() ? *content : "<" + std::string(error_name(content.code())) + ">";
  }

  Scheduler scheduler;
  Disk disk{scheduler};
  std::shared_ptr<Life> life;
  std::unique_ptr<FileSystem> fs;
};

class DiskTest : public ::testing::Test, protected DiskWorld {};

/// What `path` may hold after `prepare` and a power failure, over many seeds.
std::set<std::string> outcomes(const std::string& path,
                               const std::function<void(DiskWorld&)>& prepare) {
  std::set<std::string> found;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    DiskWorld world(seed);
    prepare(world);
    world.lose_power();
    found.insert(world.read(path));
  }
  return found;
}

TEST_F(DiskTest, ADirectoryIsRemovedWithWhatIsInIt) {
  ASSERT_TRUE(fs->create_directories("/d/e").ok());
  write("/d/f", "x", false);
  write("/d/e/g", "y", false);
  EXPECT_FALSE(fs->remove("/d").ok());
  EXPECT_TRUE(fs->remove_recursively("/d").ok());
  EXPECT_FALSE(fs->exists("/d"));
}

const std::string kMissing = "<RESOURCE_NOT_FOUND>";

TEST_F(DiskTest, WhatWasSyncedWithItsNameSurvives) {
  EXPECT_EQ(outcomes("/d/f",
                     [](DiskWorld& world) {
                       ASSERT_TRUE(world.fs->create_directories("/d").ok());
                       ASSERT_TRUE(world.fs->sync_directory("/").ok());
                       world.write("/d/f", "kept", true);
                       ASSERT_TRUE(world.fs->sync_directory("/d").ok());
                     }),
            (std::set<std::string>{"kept"}));
}

TEST_F(DiskTest, ANameThatWasNotSyncedMayBeGone) {
  EXPECT_EQ(outcomes("/f", [](DiskWorld& world) { world.write("/f", "content", true); }),
            (std::set<std::string>{"content", kMissing}));
}

TEST_F(DiskTest, UnsyncedContentIsLostWhollyOrInPart) {
  const auto found = outcomes("/f", [](DiskWorld& world) {
    world.write("/f", "old", true);
    ASSERT_TRUE(world.fs->sync_directory("/").ok());
    world.write("/f", "new and longer", false);
  });
  EXPECT_TRUE(found.contains("old"));
  EXPECT_TRUE(found.contains("new and longer"));
  EXPECT_TRUE(found.contains("new an"));  // the length is one of those between
}

TEST_F(DiskTest, SectorsOfOneWriteSurviveIndependently) {
  const std::string four_sectors(2048, 'x');
  std::set<std::string> patterns;
  for (const std::string& content : outcomes("/f", [&](DiskWorld& world) {
         world.write("/f", std::string(2048, '-'), true);
         ASSERT_TRUE(world.fs->sync_directory("/").ok());
         world.write("/f", four_sectors, false);
       })) {
    std::string pattern;
    for (std::size_t at = 0; at < content.size(); at += 512) {
      EXPECT_EQ(content.substr(at, 512), std::string(512, content[at])) << "torn within a sector";
      pattern += content[at];
    }
    patterns.insert(pattern);
  }
  EXPECT_TRUE(patterns.contains("xxxx"));
  EXPECT_TRUE(patterns.contains("----"));
  EXPECT_GT(patterns.size(), 10u);
}

TEST_F(DiskTest, OldAndNewContentBehindACutDoNotMix) {
  EXPECT_EQ(outcomes("/f",
                     [](DiskWorld& world) {
                       world.write("/f", "-" + std::string(2000, 'a'), true);
                       ASSERT_TRUE(world.fs->sync_directory("/").ok());
                       auto file = world.fs->open("/f", OpenMode::kReadWrite).value();
                       ASSERT_TRUE(file->truncate(1).ok());
                       ASSERT_TRUE(file->sync().ok());
                       ASSERT_TRUE(file->truncate(0).ok());
                     }),
            (std::set<std::string>{"", "-"}));
  for (const std::string& content : outcomes("/f", [](DiskWorld& world) {
         world.write("/f", std::string(2000, 'a'), true);
         ASSERT_TRUE(world.fs->sync_directory("/").ok());
         auto file = world.fs->open("/f", OpenMode::kReadWrite).value();
         ASSERT_TRUE(file->truncate(0).ok());
         ASSERT_TRUE(file->write_at(0, DiskWorld::bytes(std::string(2000, 'b'))).ok());
       })) {
    const bool has_old = content.find('a') != std::string::npos;
    EXPECT_FALSE(has_old && content.find_first_not_of('a') != std::string::npos);
  }
}

TEST_F(DiskTest, ARenameIsWholeOrNotAtAll) {
  EXPECT_EQ(outcomes("/f",
                     [](DiskWorld& world) {
                       world.write("/f", "old", true);
                       ASSERT_TRUE(world.fs->sync_directory("/").ok());
                       world.write("/f.tmp", "new", true);
                       ASSERT_TRUE(world.fs->rename("/f.tmp", "/f").ok());
                     }),
            (std::set<std::string>{"old", "new"}));
}

TEST_F(DiskTest, AFileWrittenAtomicallyIsNewAfterwards) {
  EXPECT_EQ(outcomes("/f",
                     [](DiskWorld& world) {
                       ASSERT_TRUE(write_file_atomically(*world.fs, "/f", "old").ok());
                       ASSERT_TRUE(write_file_atomically(*world.fs, "/f", "new").ok());
                     }),
            (std::set<std::string>{"new"}));
}

TEST_F(DiskTest, ARemovalThatWasNotSyncedMayComeBack) {
  EXPECT_EQ(outcomes("/f",
                     [](DiskWorld& world) {
                       ASSERT_TRUE(write_file_atomically(*world.fs, "/f", "old").ok());
                       ASSERT_TRUE(world.fs->remove("/f").ok());
                     }),
            (std::set<std::string>{"old", kMissing}));
}

TEST_F(DiskTest, ASyncThatFailedLosesWhatItShouldHaveKept) {
  write("/f", "old", true);
  ASSERT_TRUE(fs->sync_directory("/").ok());
  auto file = fs->open("/f", OpenMode::kReadWrite).value();
  ASSERT_TRUE(file->write_at(0, bytes("new")).ok());
  disk.behaviour().sync_failure = 1;
  EXPECT_FALSE(file->sync().ok());
  disk.behaviour().sync_failure = 0;
  EXPECT_TRUE(file->sync().ok());  // the page is clean already
  EXPECT_EQ(read("/f"), "new");
  lose_power();
  EXPECT_EQ(read("/f"), "old");
}

TEST_F(DiskTest, AFullDiskTakesWhatFits) {
  disk.behaviour().capacity_bytes = 10;
  auto file = fs->open("/f", OpenMode::kCreate).value();
  EXPECT_TRUE(file->write_at(0, bytes("12345678")).ok());
  const auto refused = file->write_at(8, bytes("9012"));
  EXPECT_EQ(refused.code(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(read("/f"), "1234567890");
  ASSERT_TRUE(fs->remove("/f").ok());
  EXPECT_EQ(disk.used_bytes(), 0u);
}

TEST_F(DiskTest, ADeadProcessChangesNothing) {
  auto file = fs->open("/f", OpenMode::kCreate).value();
  life->alive = false;
  EXPECT_FALSE(file->write_at(0, bytes("x")).ok());
  EXPECT_FALSE(fs->remove("/f").ok());
  boot();
  EXPECT_EQ(read("/f"), "");
}

TEST_F(DiskTest, ALockIsFreeOnceItsProcessIsDead) {
  const auto mine = fs->lock("/.lock");
  ASSERT_TRUE(mine.ok());
  EXPECT_EQ(fs->lock("/.lock").code(), ErrorCode::kKafkaStorageError);
  life->alive = false;
  boot();
  EXPECT_TRUE(fs->lock("/.lock").ok());
}

TEST_F(DiskTest, ABitFlips) {
  write("/f", "a", true);
  EXPECT_TRUE(disk.flip_bit("/f", 0, 1));
  EXPECT_EQ(read("/f"), "c");
  EXPECT_FALSE(disk.flip_bit("/f", 1, 0));
}

}  // namespace
}  // namespace broker::io::sim
