#include "ipc/shared_pool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <iterator>
#include <mutex>
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
    taken_.emplace(offset, Taken{size});
    return offset;
  }
  return std::nullopt;
}

Ranges::Place Ranges::find(std::size_t offset) {
  auto after = taken_.upper_bound(offset);
  if (after == taken_.begin()) return taken_.end();
  const auto taken = std::prev(after);
  return offset < taken->first + taken->second.size ? taken : taken_.end();
}

void Ranges::release(std::size_t offset) {
  const auto taken = find(offset);
  if (taken == taken_.end()) return;
  taken->second.is_made = false;
  free_if_unused(taken);
}

bool Ranges::lend(std::size_t offset) {
  const auto taken = find(offset);
  if (taken == taken_.end()) return false;
  ++taken->second.lent;
  return true;
}

bool Ranges::give_back(std::size_t offset) {
  const auto taken = find(offset);
  if (taken == taken_.end() || taken->second.lent == 0) return false;
  --taken->second.lent;
  free_if_unused(taken);
  return true;
}

void Ranges::free_if_unused(Place taken) {
  if (taken->second.is_made || taken->second.lent > 0) return;
  auto place = free_.emplace(taken->first, taken->second.size).first;
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
}

// ---- SharedPool

struct SharedPool::State {
  State(std::byte* mapped, std::size_t mapped_size)
      : memory{mapped}, size{mapped_size}, ranges{mapped_size} {}
  ~State() { ::munmap(memory, size); }

  /// Where in the memory; nothing if these bytes are not in it.
  std::optional<std::size_t> offset_of(std::span<const std::byte> bytes) const {
    const std::less_equal<> before;
    if (!before(memory, bytes.data()) || !before(bytes.data() + bytes.size(), memory + size))
      return std::nullopt;
    return static_cast<std::size_t>(bytes.data() - memory);
  }

  std::byte* const memory;
  const std::size_t size;
  std::size_t backed = 0;  // from the beginning; what is beyond has no memory yet
  std::mutex mutex;
  Ranges ranges;
};

Result<std::unique_ptr<SharedPool>> SharedPool::create(std::size_t size) {
  size = whole_pages(size);
  const std::string op = "share memory of " + std::to_string(size) + " bytes";
  OwnFd fd = sys::memfd_create("cohort", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (!fd || sys::ftruncate(fd.get(), static_cast<off_t>(size)) == -1 ||
      sys::add_seals(fd.get(), kSeals) == -1)
    return errno_error(op);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return errno_error(op);
  return std::unique_ptr<SharedPool>(new SharedPool(
      std::move(fd), std::make_shared<State>(static_cast<std::byte*>(memory), size)));
}

SharedPool::SharedPool(OwnFd fd, std::shared_ptr<State> state)
    : fd_{std::move(fd)}, state_{std::move(state)} {}

SharedPool::~SharedPool() = default;

std::size_t SharedPool::size() const { return state_->size; }

// A range that has memory: writing to one that the system has none for would end the process.
std::optional<std::size_t> SharedPool::take(std::size_t size) {
  const std::lock_guard lock{state_->mutex};
  const auto offset = state_->ranges.take(size);
  const std::size_t end = offset ? *offset + whole_pages(size) : 0;
  if (end <= state_->backed) return offset;
  if (sys::fallocate(fd_.get(), static_cast<off_t>(state_->backed),
                     static_cast<off_t>(end - state_->backed)) == -1) {
    state_->ranges.release(*offset);
    return std::nullopt;
  }
  state_->backed = end;
  return offset;
}

std::shared_ptr<std::byte> SharedPool::allocate(std::size_t size) {
  const auto offset = take(size);
  if (!offset) return nullptr;
  return {state_->memory + *offset, [state = state_, at = *offset](const std::byte*) {
            const std::lock_guard lock{state->mutex};
            state->ranges.release(at);
          }};
}

bool SharedPool::share(Parcel& parcel) {
  if (parcel.attached.size() > kSharedReferencesMax) return false;
  std::vector<SharedReference> references;
  std::vector<std::shared_ptr<std::byte>> copies;  // until they are lent; null: is there already
  for (const Attached& attached : parcel.attached) {
    auto offset = state_->offset_of(attached.bytes);
    auto& copy = copies.emplace_back(offset ? nullptr : allocate(attached.bytes.size()));
    if (copy) offset = state_->offset_of({copy.get(), attached.bytes.size()});
    if (!offset) return false;
    references.push_back({attached.position, *offset, attached.bytes.size()});
  }
  for (std::size_t i = 0; i < copies.size(); ++i)
    if (copies[i])
      std::memcpy(copies[i].get(), parcel.attached[i].bytes.data(), references[i].size);
  {
    const std::lock_guard lock{state_->mutex};
    for (const SharedReference& reference : references) state_->ranges.lend(reference.offset);
  }
  parcel.text = shared_frame(parcel.text, references);
  parcel.attached.clear();
  return true;
}

void SharedPool::give_back(std::size_t offset) {
  const std::lock_guard lock{state_->mutex};
  state_->ranges.give_back(offset);
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
