#include "base/sealed_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/sys.h"

namespace cohort {
namespace {

constexpr std::size_t kSize = 8192;

TEST(SealedMemory, IsTheSameForAllWhoMapIt) {
  const auto fd = create_sealed_memory(kSize);
  ASSERT_TRUE(fd);
  const auto written = map_sealed_memory(fd->get(), kSize, MemoryAccess::ReadWrite);
  const auto read = map_sealed_memory(fd->get(), kSize, MemoryAccess::Read);
  ASSERT_TRUE(written && read);
  EXPECT_EQ(read->get()[kSize - 1], std::byte{0});
  written->get()[kSize - 1] = std::byte{7};
  EXPECT_EQ(read->get()[kSize - 1], std::byte{7});
}

TEST(SealedMemory, CannotBeMadeSmallerOrLarger) {
  const auto fd = create_sealed_memory(kSize);
  ASSERT_TRUE(fd);
  for (const off_t size : {off_t{0}, off_t{2 * kSize}}) {
    EXPECT_EQ(sys::ftruncate(fd->get(), size), -1);
    EXPECT_EQ(errno, EPERM);
  }
}

TEST(SealedMemory, RefusesWhatCouldBeMadeSmaller) {
  const OwnFd fd = sys::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(sys::ftruncate(fd.get(), kSize), 0);
  const auto mapped = map_sealed_memory(fd.get(), kSize, MemoryAccess::Read);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, Errc::MalformedMessage);
}

TEST(SealedMemory, RefusesAFileThatKnowsNoSeals) {
  char name[] = "/tmp/sealed_memory_test.XXXXXX";
  const OwnFd fd{::mkstemp(name)};
  ASSERT_TRUE(fd);
  ASSERT_EQ(sys::unlink(name), 0);
  ASSERT_EQ(sys::ftruncate(fd.get(), kSize), 0);
  const auto mapped = map_sealed_memory(fd.get(), kSize, MemoryAccess::Read);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, Errc::MalformedMessage);
}

TEST(SealedMemory, RefusesAnotherSizeAndNoDescriptor) {
  const auto fd = create_sealed_memory(kSize);
  ASSERT_TRUE(fd);
  for (const std::size_t size : {std::size_t{0}, kSize / 2, 2 * kSize})
    EXPECT_FALSE(map_sealed_memory(fd->get(), size, MemoryAccess::Read)) << size;
  EXPECT_FALSE(map_sealed_memory(-1, kSize, MemoryAccess::Read));
}

TEST(SealedMemory, IsOpenedByTheNameOfItsDescriptor) {
  const auto fd = create_sealed_memory(kSize);
  const auto written = map_sealed_memory(fd->get(), kSize, MemoryAccess::ReadWrite);
  ASSERT_TRUE(written);
  written->get()[1] = std::byte{7};
  const std::string path = "/proc/self/fd/" + std::to_string(fd->get());
  const auto read = open_sealed_memory(path, kSize, MemoryAccess::Read);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->get()[1], std::byte{7});
  EXPECT_FALSE(open_sealed_memory(path, 2 * kSize, MemoryAccess::Read));
  for (const char* const other : {"/dev/zero", "/proc/self/exe", "/no/such/file", ""})
    EXPECT_FALSE(open_sealed_memory(other, kSize, MemoryAccess::Read)) << other;
}

}  // namespace
}  // namespace cohort
