#include "cohort/lane.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/page_guard.h"
#include "base/sys.h"

namespace cohort {
namespace {

constexpr std::size_t kSize = 3 * 4096 + 5;

std::string path_of(int fd) {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd);
}

// A lane as a Node parent makes it: a file in /dev/shm that was unlinked.
class UnnamedFile {
 public:
  explicit UnnamedFile(off_t size, bool keeps_name = false) {
    fd_.reset(mkstemp(name_.data()));
    if (!keeps_name) sys::unlink(name_.c_str());
    EXPECT_EQ(sys::ftruncate(fd_.get(), size), 0);
  }
  ~UnnamedFile() { sys::unlink(name_.c_str()); }
  int fd() const { return fd_.get(); }
  std::string path() const { return path_of(fd()); }
  const std::string& name() const { return name_; }
  off_t size() const {
    struct stat file{};
    EXPECT_EQ(::fstat(fd(), &file), 0);
    return file.st_size;
  }

 private:
  std::string name_ = "/dev/shm/lane_test.XXXXXX";
  OwnFd fd_;
};

testing::AssertionResult is_refused(const std::string& path, boost::system::error_code code,
                                    std::uint64_t size = 1,
                                    Lane::Access access = Lane::Access::Read) {
  const auto lane = Lane::open(path, size, access);
  if (lane) return testing::AssertionFailure() << path << " is a lane";
  if (lane.error().code != code) return testing::AssertionFailure() << lane.error();
  return testing::AssertionSuccess();
}

boost::system::error_code errno_code(int value) {
  return {value, boost::system::system_category()};
}

TEST(Lane, ShowsWhatItsMakerWrote) {
  const UnnamedFile file{kSize};
  ASSERT_EQ(pwrite(file.fd(), "x", 1, kSize - 1), 1);
  const auto lane = Lane::open(file.path(), kSize);
  ASSERT_TRUE(lane) << lane.error();
  EXPECT_EQ(lane->bytes().size(), kSize);
  EXPECT_EQ(lane->bytes().back(), std::byte{'x'});
  EXPECT_TRUE(lane->writable_bytes().empty());
  EXPECT_EQ(lane->path(), file.path());
  ASSERT_EQ(pwrite(file.fd(), "y", 1, kSize - 1), 1);
  EXPECT_EQ(lane->bytes().back(), std::byte{'y'});
  EXPECT_TRUE(lane->intact());
}

TEST(Lane, IsMadeAsLargeAsAResultAndItsMakerReadsIt) {
  const UnnamedFile file{0};
  {
    const auto lane = Lane::open(file.path(), kSize, Lane::Access::ReadWrite);
    ASSERT_TRUE(lane) << lane.error();
    std::ranges::fill(lane->writable_bytes(), std::byte{'z'});
  }
  EXPECT_EQ(file.size(), off_t{kSize});
  std::string read(kSize, '\0');
  EXPECT_EQ(pread(file.fd(), read.data(), read.size(), 0), ssize_t{kSize});
  EXPECT_EQ(read, std::string(kSize, 'z'));
}

TEST(Lane, IsNeverMadeSmaller) {
  const UnnamedFile file{2 * kSize};
  const auto lane = Lane::open(file.path(), kSize, Lane::Access::ReadWrite);
  ASSERT_TRUE(lane) << lane.error();
  EXPECT_EQ(lane->bytes().size(), kSize);
  EXPECT_EQ(file.size(), off_t{2 * kSize});
}

TEST(Lane, OfNoBytesHasNone) {
  const UnnamedFile file{0};
  const auto lane = Lane::open(file.path(), 0);
  ASSERT_TRUE(lane) << lane.error();
  EXPECT_TRUE(lane->bytes().empty());
  EXPECT_TRUE(lane->intact());
}

TEST(Lane, HasNoMoreThanTheFile) {
  const UnnamedFile file{kSize};
  for (const std::uint64_t size : {std::uint64_t{kSize + 1}, std::uint64_t{1} << 40})
    EXPECT_TRUE(is_refused(file.path(), Errc::MessageTooLarge, size));
  for (const auto access : {Lane::Access::Read, Lane::Access::ReadWrite})
    EXPECT_TRUE(is_refused(file.path(), Errc::MessageTooLarge, UINT64_MAX, access));
  EXPECT_EQ(file.size(), off_t{kSize});
}

TEST(Lane, ThatNoMemoryCanHoldIsAnError) {
  const UnnamedFile file{0};
  const auto lane = Lane::open(file.path(), std::uint64_t{1} << 60, Lane::Access::ReadWrite);
  ASSERT_FALSE(lane);
  EXPECT_EQ(lane.error().code, errno_code(ENOMEM)) << lane.error();
  const auto made = Lane::create(std::uint64_t{1} << 60);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, errno_code(ENOMEM)) << made.error();
  EXPECT_FALSE(Lane::create(UINT64_MAX));
}

TEST(Lane, IsNoFileThatHasAName) {
  const UnnamedFile named{kSize, true};
  const std::string link = named.name() + ".link";
  std::filesystem::create_symlink(named.name(), link);
  for (const auto access : {Lane::Access::Read, Lane::Access::ReadWrite})
    for (const std::string& path : {named.name(), named.path(), link, std::string{"/etc/passwd"}})
      EXPECT_TRUE(is_refused(path, Errc::InvalidArgument, 1, access));
  sys::unlink(link.c_str());
}

TEST(Lane, IsNoDirectoryDevicePipeOrSocket) {
  OwnFd pipe[2];
  ASSERT_EQ(sys::pipe(pipe), 0);
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, false, pair), 0);
  const std::string fifo = "/tmp/lane_test.fifo." + std::to_string(getpid());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const auto access : {Lane::Access::Read, Lane::Access::ReadWrite})
    for (const std::string& path :
         {std::string{"/dev/shm"}, std::string{"/dev/zero"}, std::string{"/dev/full"}, fifo,
          path_of(pipe[0].get()), path_of(pair[0].get())})
      EXPECT_TRUE(is_refused(path, Errc::InvalidArgument, 1, access)) << path;
  sys::unlink(fifo.c_str());
}

TEST(Lane, IsNoPathThatIsNone) {
  for (const std::string& path : {std::string{}, std::string{"lane"}, std::string{"../fd/1"},
                                  std::string{"/dev/shm/x\0y", 13}})
    EXPECT_TRUE(is_refused(path, Errc::InvalidArgument));
  EXPECT_TRUE(is_refused("/dev/shm/no such lane", errno_code(ENOENT)));
  EXPECT_TRUE(is_refused('/' + std::string(300, 'x'), errno_code(ENAMETOOLONG)));
  EXPECT_TRUE(is_refused("/proc/self/fd/-1", errno_code(ENOENT)));
}

TEST(Lane, OfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const UnnamedFile file{kSize};
  ASSERT_EQ(fchown(file.fd(), 65534, 65534), 0);
  EXPECT_TRUE(is_refused(file.path(), errno_code(EPERM)));
}

TEST(Lane, IsReadInPieces) {
  const UnnamedFile file{kSize};
  ASSERT_EQ(pwrite(file.fd(), "xyz", 3, kSize - 3), 3);
  const auto lane = Lane::open(file.path(), kSize);
  ASSERT_TRUE(lane) << lane.error();
  std::array<std::byte, 2> piece{};
  ASSERT_TRUE(lane->read(kSize - 2, piece));
  EXPECT_EQ(piece, (std::array{std::byte{'y'}, std::byte{'z'}}));
  EXPECT_TRUE(lane->read(kSize, {})) << "nothing";
  for (const std::uint64_t beyond : {kSize - 1, kSize + 1, std::size_t(-1)})
    EXPECT_EQ(lane->read(beyond, piece).error().code, Errc::InvalidArgument) << beyond;
  ASSERT_EQ(sys::ftruncate(file.fd(), kSize - 1), 0);
  const auto smaller = lane->read(kSize - 2, piece);
  ASSERT_FALSE(smaller);
  EXPECT_EQ(smaller.error().code, Errc::MalformedMessage) << smaller.error();
}

TEST(Lane, SurvivesAFileThatIsMadeSmallerWhileItIsUsed) {
  const UnnamedFile file{kSize};
  ASSERT_EQ(pwrite(file.fd(), "x", 1, 0), 1);
  const UnnamedFile other{kSize};
  const auto lane = Lane::open(file.path(), kSize);
  const auto written = Lane::open(file.path(), kSize, Lane::Access::ReadWrite);
  const auto unharmed = Lane::open(other.path(), kSize);
  ASSERT_TRUE(lane && written && unharmed);
  EXPECT_EQ(lane->bytes()[0], std::byte{'x'});
  ASSERT_EQ(sys::ftruncate(file.fd(), 1), 0);
  EXPECT_EQ(lane->bytes().back(), std::byte{0});
  EXPECT_TRUE(std::ranges::all_of(lane->bytes(), [](std::byte b) { return b == std::byte{0}; }));
  const auto intact = lane->intact();
  ASSERT_FALSE(intact);
  EXPECT_EQ(intact.error().code, Errc::MalformedMessage) << intact.error();
  EXPECT_TRUE(written->intact()) << "nobody has used it since";
  std::ranges::fill(written->writable_bytes(), std::byte{1});
  EXPECT_FALSE(written->intact());
  EXPECT_TRUE(unharmed->intact());
}

TEST(Lane, CanBeOpenedAgainAfterManyThatBroke) {
  for (std::size_t i = 0; i < 2 * PageGuard::kRangesMax; ++i) {
    const UnnamedFile file{kSize};
    const auto lane = Lane::open(file.path(), kSize);
    ASSERT_TRUE(lane) << lane.error();
    EXPECT_TRUE(lane->intact());
    ASSERT_EQ(sys::ftruncate(file.fd(), 0), 0);
    EXPECT_EQ(lane->bytes()[0], std::byte{0});
    EXPECT_FALSE(lane->intact());
  }
}

TEST(Lane, IsOneOf256AtMost) {
  const UnnamedFile file{kSize};
  std::vector<Lane> lanes;
  for (std::size_t i = 0; i < PageGuard::kRangesMax; ++i) {
    auto lane = Lane::open(file.path(), kSize);
    ASSERT_TRUE(lane) << lane.error();
    lanes.push_back(*std::move(lane));
  }
  EXPECT_TRUE(is_refused(file.path(), errno_code(EMFILE)));
  lanes.pop_back();
  EXPECT_TRUE(Lane::open(file.path(), kSize));
}

TEST(Lane, LeavesOtherBusErrorsDeadly) {
  const UnnamedFile file{kSize};
  const auto lane = Lane::open(file.path(), kSize);
  ASSERT_TRUE(lane);
  const UnnamedFile other{4096};
  const auto* mapped =
      static_cast<volatile char*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, other.fd(), 0));
  ASSERT_EQ(sys::ftruncate(other.fd(), 0), 0);
  // By the signal, or by what a sanitizer makes of it.
  EXPECT_DEATH(static_cast<void>(*mapped), "");
  EXPECT_DEATH(raise(SIGBUS), "");
  munmap(const_cast<char*>(mapped), 4096);
}

TEST(Lane, ThatThisProcessMadeIsOpenedByItsPathAndCannotBeMadeSmaller) {
  const auto made = Lane::create(kSize);
  ASSERT_TRUE(made) << made.error();
  made->writable_bytes().back() = std::byte{7};
  const auto opened = Lane::open(made->path(), kSize, Lane::Access::ReadWrite);
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->bytes().back(), std::byte{7});
  opened->writable_bytes().front() = std::byte{8};
  EXPECT_EQ(made->bytes().front(), std::byte{8});
  EXPECT_EQ(truncate(made->path().c_str(), 0), -1);
  EXPECT_FALSE(Lane::open(made->path(), kSize + 1, Lane::Access::ReadWrite));
  EXPECT_TRUE(Lane::create(0));
}

TEST(Lane, LeavesNothingBehindWhicheverCallFails) {
  const UnnamedFile file{kSize};
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {});
  };
  const auto before = open_files();
  for (const bool makes : {false, true}) {
    for (int n = 0, fired = 1; fired != 0; ++n) {
      sys::FailNth fail{n, ENOMEM};
      const auto lane =
          makes ? Lane::create(kSize) : Lane::open(file.path(), kSize, Lane::Access::ReadWrite);
      fired = fail.fired() ? 1 : 0;
      EXPECT_EQ(lane.has_value(), fired == 0) << n;
      if (!lane) {
        EXPECT_EQ(open_files(), before) << n;
      }
    }
  }
  EXPECT_EQ(open_files(), before);
}

}  // namespace
}  // namespace cohort
