#include "base/sealed_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <utility>

#include "base/sys.h"

namespace cohort {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Result<OwnFd> create_sealed_memory(std::size_t size) {
  OwnFd fd = sys::memfd_create("cohort", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (!fd || sys::ftruncate(fd.get(), static_cast<off_t>(size)) == -1 ||
      sys::add_seals(fd.get(), kSeals) == -1)
    return errno_error("share memory of " + std::to_string(size) + " bytes");
  return fd;
}

Result<std::shared_ptr<std::byte>> map_sealed_memory(int fd, std::size_t size,
                                                     MemoryAccess access) {
  const std::string op = "map shared memory of " + std::to_string(size) + " bytes";
  struct stat status{};
  if (::fstat(fd, &status) == -1) return errno_error(op);
  const int seals = sys::seals(fd);  // -1: a file that knows none
  const bool is_sealed = seals != -1 && (seals & kSeals) == kSeals;
  if (size == 0 || std::cmp_not_equal(status.st_size, size) || !is_sealed)
    return make_error(Errc::MalformedMessage, op, "not a sealed memfd of that size");
  const int protection = access == MemoryAccess::Read ? PROT_READ : PROT_READ | PROT_WRITE;
  void* const memory = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return errno_error(op);
  return std::shared_ptr<std::byte>{static_cast<std::byte*>(memory),
                                    [size](std::byte* mapped) { ::munmap(mapped, size); }};
}

Result<std::shared_ptr<std::byte>> open_sealed_memory(const std::string& path, std::size_t size,
                                                      MemoryAccess access) {
  const std::string op = "open the shared memory " + path;
  // Looked at before it is opened: opening a device or a pipe can do something by itself.
  const OwnFd seen = sys::open(path.c_str(), O_PATH);
  struct stat status{};
  if (!seen || ::fstat(seen.get(), &status) == -1) return errno_error(op);
  if (!S_ISREG(status.st_mode)) return make_error(Errc::MalformedMessage, op, "not a file");
  const std::string again = "/proc/self/fd/" + std::to_string(seen.get());
  const OwnFd fd = sys::open(again.c_str(), access == MemoryAccess::Read ? O_RDONLY : O_RDWR);
  if (!fd) return errno_error(op);
  return map_sealed_memory(fd.get(), size, access);
}

}  // namespace cohort
