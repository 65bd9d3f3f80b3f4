#include "ipc/shared_pool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "base/sys.h"
#include "ipc/framing.h"
#include "ipc/outbox.h"

namespace cohort::ipc {
namespace {

constexpr std::size_t kPage = 4096;
// No process can make it smaller or larger under the other's feet.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::size_t whole_pages(std::size_t size) { return (size + kPage - 1) / kPage * kPage; }

}  // namespace

// ---- Ranges

Ranges::Ranges(std::size_t size) {
  if (size > 0) free_.emplace(0, size);
}

std::optional<std::size_t> Ranges::take(std::size_t size) {
  size = whole_pages(size);
  for (auto place = free_.begin(); size > 0 && place != free_.end(); ++place) {
    const auto [offset, room] = *place;
    if (room < size) continue;
    free_.erase(place);
    if (room > size) free_.emplace(offset + size, room - size);
    taken_.emplace(offset, size);
    return offset;
  }
  return std::nullopt;
}

bool Ranges::give_back(std::size_t offset) {
  const auto taken = taken_.find(offset);
  if (taken == taken_.end()) return false;
  auto place = free_.emplace(offset, taken->second).first;
  taken_.erase(taken);
  const auto next = std::next(place);
  if (next != free_.end() && place->first + place->second == next->first) {
    place->second += next->second;
    free_.erase(next);
  }
  if (place != free_.begin()) {
    const auto before = std::prev(place);
    if (before->first + before->second == place->first) {
      before->second += place->second;
      free_.erase(place);
    }
  }
  return true;
}

// ---- SharedPool

Result<std::unique_ptr<SharedPool>> SharedPool::create(std::size_t size) {
  size = whole_pages(size);
  const std::string op = "share memory of " + std::to_string(size) + " bytes";
  OwnFd fd = sys::memfd_create("cohort", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (!fd || sys::ftruncate(fd.get(), static_cast<off_t>(size)) == -1 ||
      sys::add_seals(fd.get(), kSeals) == -1)
    return errno_error(op);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return errno_error(op);
  return std::unique_ptr<SharedPool>(
      new SharedPool(std::move(fd), static_cast<std::byte*>(memory), size));
}

SharedPool::~SharedPool() { ::munmap(memory_, size_); }

// A range that has memory: writing to one that the system has none for would end the process.
std::optional<std::size_t> SharedPool::take(std::size_t size) {
  const auto offset = ranges_.take(size);
  const std::size_t end = offset ? *offset + whole_pages(size) : 0;
  if (end <= allocated_) return offset;
  if (sys::fallocate(fd_.get(), static_cast<off_t>(allocated_),
                     static_cast<off_t>(end - allocated_)) == -1) {
    ranges_.give_back(*offset);
    return std::nullopt;
  }
  allocated_ = end;
  return offset;
}

bool SharedPool::share(Parcel& parcel) {
  if (parcel.attached.size() > kSharedReferencesMax) return false;
  std::vector<SharedReference> references;
  for (const Attached& attached : parcel.attached) {
    const auto offset = take(attached.bytes.size());
    if (!offset) {
      for (const SharedReference& taken : references) ranges_.give_back(taken.offset);
      return false;
    }
    references.push_back({attached.position, *offset, attached.bytes.size()});
  }
  for (std::size_t i = 0; i < references.size(); ++i)
    std::memcpy(memory_ + references[i].offset, parcel.attached[i].bytes.data(),
                references[i].size);
  parcel.text = shared_frame(parcel.text, references);
  parcel.attached.clear();
  return true;
}

// ---- SharedInbox

struct SharedInbox::State {
  State(const Loop& inbox_loop, const std::byte* mapped, std::size_t mapped_size,
        std::function<void()> on_freed)
      : loop{inbox_loop}, memory{mapped}, size{mapped_size}, freed{std::move(on_freed)} {}
  ~State() { ::munmap(const_cast<std::byte*>(memory), size); }

  /// Any thread.
  void give_back(std::size_t offset) {
    const std::lock_guard lock{mutex};
    if (!loop) return;
    offsets.push_back(offset);
    if (offsets.size() == 1) loop->post(freed);
  }

  std::optional<Loop> loop;  // not once the inbox is gone, for the loop may be
  const std::byte* const memory;
  const std::size_t size;
  std::mutex mutex;
  std::vector<std::size_t> offsets;
  const std::function<void()> freed;
};

Result<std::unique_ptr<SharedInbox>> SharedInbox::map(const Loop& loop, OwnFd fd, std::size_t size,
                                                      std::size_t size_max,
                                                      std::function<void()> freed) {
  const std::string op = "map shared memory of " + std::to_string(size) + " bytes";
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) == -1) return errno_error(op);
  const int seals = sys::seals(fd.get());
  if (size == 0 || size > whole_pages(size_max) || std::cmp_not_equal(status.st_size, size) ||
      (seals & kSeals) != kSeals)
    return make_error(Errc::MalformedMessage, op, "not a sealed memfd of that size");
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return errno_error(op);
  return std::unique_ptr<SharedInbox>(new SharedInbox(std::make_shared<State>(
      loop, static_cast<const std::byte*>(memory), size, std::move(freed))));
}

SharedInbox::~SharedInbox() {
  const std::lock_guard lock{state_->mutex};
  state_->loop.reset();
}

std::shared_ptr<const std::byte> SharedInbox::lend(std::size_t offset, std::size_t size) {
  if (offset > state_->size || size > state_->size - offset) return nullptr;
  return {state_->memory + offset,
          [state = state_, offset](const std::byte*) { state->give_back(offset); }};
}

std::vector<std::size_t> SharedInbox::take_freed() {
  const std::lock_guard lock{state_->mutex};
  return std::exchange(state_->offsets, {});
}

}  // namespace cohort::ipc
