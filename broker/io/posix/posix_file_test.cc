#include "broker/io/posix/posix_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace broker::io::posix {
namespace {

class PosixFileTest : public ::testing::Test {
 protected:
  PosixFileTest() {
    char name[] = "/tmp/millrace-file-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~PosixFileTest() override { (void)fs_->remove_recursively(dir_); }

  std::string path(const std::string& name) const { return dir_ + "/" + name; }
  std::string content(const std::string& name) { return read_file(*fs_, path(name)).value(); }

  std::unique_ptr<FileSystem> fs_ = make_posix_file_system();
  std::string dir_;
};

TEST_F(PosixFileTest, GatheredPiecesLieBehindEachOther) {
  auto file = fs_->open(path("f"), OpenMode::kCreateNew).value();
  Slices pieces;
  std::string expected = "..";
  ASSERT_TRUE(file->write_at(0, Slice::copy_of("..").span()).ok());
  for (int i = 0; i < 200; ++i) {  // more than one system call takes
    pieces.push_back(Slice::copy_of(std::to_string(i)));
    if (i % 50 == 0) pieces.emplace_back();
    expected += std::to_string(i);
  }
  ASSERT_TRUE(file->write_at(2, pieces).ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(content("f"), expected);
  EXPECT_EQ(file->size().value(), expected.size());
}

TEST_F(PosixFileTest, ReadsAreShortOnlyAtTheEnd) {
  auto file = fs_->open(path("f"), OpenMode::kCreate).value();
  ASSERT_TRUE(file->write_at(0, Slice::copy_of("abcdef").span()).ok());
  ASSERT_TRUE(file->truncate(5).ok());
  std::array<std::uint8_t, 4> out{};
  EXPECT_EQ(file->read_at(0, out).value(), 4u);
  EXPECT_EQ(file->read_at(3, out).value(), 2u);
  EXPECT_EQ(file->read_at(9, out).value(), 0u);
}

TEST_F(PosixFileTest, SaysWhichPathIsMissing) {
  const auto missing = fs_->open(path("none"), OpenMode::kRead);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.code(), ErrorCode::kResourceNotFound);
  EXPECT_NE(missing.error().detail.find(path("none")), std::string::npos);
  EXPECT_EQ(fs_->stat(path("none")).code(), ErrorCode::kResourceNotFound);
  EXPECT_FALSE(fs_->exists(path("none")));
}

TEST_F(PosixFileTest, RefusesToCreateWhatExists) {
  ASSERT_TRUE(fs_->open(path("f"), OpenMode::kCreateNew).ok());
  EXPECT_EQ(fs_->open(path("f"), OpenMode::kCreateNew).code(), ErrorCode::kKafkaStorageError);
}

TEST_F(PosixFileTest, RemovesATreeAndListsSorted) {
  ASSERT_TRUE(fs_->create_directories(path("a/b/c")).ok());
  ASSERT_TRUE(write_file_atomically(*fs_, path("a/z"), "1").ok());
  EXPECT_EQ(fs_->list(path("a")).value(), (std::vector<std::string>{"b", "z"}));
  EXPECT_TRUE(fs_->stat(path("a/b")).value().is_directory);
  ASSERT_TRUE(fs_->remove_recursively(path("a")).ok());
  EXPECT_TRUE(fs_->list(dir_).value().empty());
}

TEST_F(PosixFileTest, ALockIsHeldUntilItsHandleDies) {
  auto held = fs_->lock(path(".lock"));
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(fs_->lock(path(".lock")).code(), ErrorCode::kKafkaStorageError);
  held.value().reset();
  EXPECT_TRUE(fs_->lock(path(".lock")).ok());
}

TEST_F(PosixFileTest, AnAtomicWriteReplacesAndLeavesNoTemporary) {
  ASSERT_TRUE(write_file_atomically(*fs_, path("f"), "a long old content").ok());
  ASSERT_TRUE(write_file_atomically(*fs_, path("f"), "new").ok());
  EXPECT_EQ(content("f"), "new");
  EXPECT_EQ(fs_->list(dir_).value(), (std::vector<std::string>{"f"}));
}

}  // namespace
}  // namespace broker::io::posix
