#include "cohort/lane.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <optional>
#include <utility>

#include "base/page_guard.h"
#include "base/sealed_memory.h"
#include "base/sys_output.h"

namespace cohort {
namespace {

constexpr std::uint64_t kSizeMax = std::numeric_limits<std::ptrdiff_t>::max();

std::string path_of(int fd) {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd);
}

// Nothing if it is a lane of at least `size` bytes, or one that may be made so.
std::optional<Error> refusal(const struct stat& file, std::uint64_t size, Lane::Access access,
                             const std::string& op) {
  if (!S_ISREG(file.st_mode))
    return make_error(Errc::InvalidArgument, op, "not a file: name a lane, /proc/PID/fd/N");
  if (file.st_nlink != 0)
    return make_error(
        Errc::InvalidArgument, op,
        "a file with a name is not a lane: its maker has to unlink it once it is open");
  if (file.st_uid != ::geteuid())
    return system_error(EPERM, op, "it belongs to uid " + std::to_string(file.st_uid));
  if (access == Lane::Access::Read && std::cmp_less(file.st_size, size))
    return make_error(Errc::MessageTooLarge, op,
                      "the lane has only " + std::to_string(file.st_size) + " bytes");
  return std::nullopt;
}

// Memory for all of it, so that no write fails later. The system would give a file what there is,
// and end processes, before it said that there is no more.
bool make_room(int fd, std::uint64_t size_wanted) {
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  if (size_wanted / static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) >= pages) {
    errno = ENOMEM;
    return false;
  }
  const auto size = static_cast<off_t>(size_wanted);
  if (sys::fallocate(fd, 0, size) == 0) return true;
  if (errno != EOPNOTSUPP) return false;
  struct stat file{};
  if (::fstat(fd, &file) == -1) return false;
  return file.st_size >= size || sys::ftruncate(fd, size) == 0;
}

}  // namespace

class Lane::Mapping {
 public:
  Mapping(std::shared_ptr<std::byte> memory, std::size_t size, Access access,
          std::unique_ptr<PageGuard> guard)
      : memory_{std::move(memory)}, size_{size}, access_{access}, guard_{std::move(guard)} {}

  std::span<std::byte> bytes() const { return {memory_.get(), size_}; }
  Access access() const { return access_; }
  bool is_broken() const { return guard_ != nullptr && guard_->is_broken(); }

 private:
  std::shared_ptr<std::byte> memory_;
  std::size_t size_;
  Access access_;
  std::unique_ptr<PageGuard> guard_;  // ends before the memory does; none if its size is sealed
};

Result<Lane> Lane::open(const std::string& path, std::uint64_t size, Access access) {
  const std::string op = "open the lane " + path + " of " + std::to_string(size) + " bytes";
  if (!path.starts_with('/') || path.find('\0') != std::string::npos)
    return make_error(Errc::InvalidArgument, op, "not an absolute path");
  if (size > kSizeMax) return make_error(Errc::MessageTooLarge, op, "no address space has that");
  // Looked at before it is opened: opening a device or a pipe can do something by itself.
  const OwnFd seen = sys::open(path.c_str(), O_PATH);
  struct stat file{};
  if (!seen || ::fstat(seen.get(), &file) == -1) return errno_error(op);
  if (auto refused = refusal(file, size, access, op)) return *std::move(refused);
  if (size == 0) return Lane{path, {}, nullptr};

  const bool writes = access == Access::ReadWrite;
  OwnFd fd = sys::open(path_of(seen.get()).c_str(), writes ? O_RDWR : O_RDONLY);
  if (!fd || (writes && !make_room(fd.get(), size))) return errno_error(op);
  void* const mapped =
      ::mmap(nullptr, size, writes ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return errno_error(op);
  std::shared_ptr<std::byte> memory{static_cast<std::byte*>(mapped),
                                    [size](std::byte* bytes) { ::munmap(bytes, size); }};
  auto guard = PageGuard::watch({memory.get(), size});
  if (!guard) return system_error(EMFILE, op, "too many lanes are open: close some");
  return Lane{path, std::move(fd),
              std::make_shared<Mapping>(std::move(memory), size, access, std::move(guard))};
}

Result<Lane> Lane::create(std::uint64_t size) {
  const std::string op = "create a lane of " + std::to_string(size) + " bytes";
  if (size > kSizeMax) return make_error(Errc::MessageTooLarge, op, "no address space has that");
  auto fd = create_sealed_memory(size);
  if (!fd) return fd.error();
  std::string path = path_of(fd->get());
  if (size == 0) return Lane{std::move(path), *std::move(fd), nullptr};
  if (!make_room(fd->get(), size)) return errno_error(op);
  auto memory = map_sealed_memory(fd->get(), size, MemoryAccess::ReadWrite);
  if (!memory) return memory.error();
  return Lane{std::move(path), *std::move(fd),
              std::make_shared<Mapping>(*std::move(memory), size, Access::ReadWrite, nullptr)};
}

std::span<const std::byte> Lane::bytes() const noexcept {
  return mapping_ ? mapping_->bytes() : std::span<std::byte>{};
}

std::span<std::byte> Lane::writable_bytes() const noexcept {
  return mapping_ && mapping_->access() == Access::ReadWrite ? mapping_->bytes()
                                                             : std::span<std::byte>{};
}

Result<void> Lane::read(std::uint64_t offset, std::span<std::byte> to) const {
  const std::size_t size = bytes().size();
  if (offset > size || to.size() > size - offset)
    return make_error(Errc::InvalidArgument, "read the lane " + path_,
                      "it has only " + std::to_string(size) + " bytes");
  while (!to.empty()) {
    const ssize_t count = sys::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
    if (count == -1) return errno_error("read the lane " + path_);
    if (count == 0) return smaller();
    to = to.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> Lane::intact() const {
  if (!mapping_ || !mapping_->is_broken()) return {};
  return smaller();
}

Error Lane::smaller() const {
  return make_error(Errc::MalformedMessage, "use the lane " + path_,
                    "it was made smaller while it was open");
}

}  // namespace cohort
