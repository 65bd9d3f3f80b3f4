#include "ipc/shared_pool.h"

#include <cstring>
#include <functional>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>

#include "base/sealed_memory.h"
#include "base/sys.h"
#include "ipc/framing.h"
#include "ipc/outbox.h"

namespace cohort::ipc {
namespace {

constexpr std::size_t kPage = 4096;

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
  State(std::shared_ptr<std::byte> mapped, std::size_t mapped_size)
      : mapping{std::move(mapped)}, size{mapped_size}, ranges{mapped_size} {}

  /// Where in the memory; nothing if these bytes are not in it.
  std::optional<std::size_t> offset_of(std::span<const std::byte> bytes) const {
    const std::less_equal<> before;
    std::byte* const memory = mapping.get();
    if (!before(memory, bytes.data()) || !before(bytes.data() + bytes.size(), memory + size))
      return std::nullopt;
    return static_cast<std::size_t>(bytes.data() - memory);
  }

  const std::shared_ptr<std::byte> mapping;
  const std::size_t size;
  std::size_t backed = 0;  // from the beginning; what is beyond has no memory yet
  std::mutex mutex;
  Ranges ranges;
};

Result<std::unique_ptr<SharedPool>> SharedPool::create(std::size_t size) {
  size = whole_pages(size);
  auto fd = create_sealed_memory(size);
  if (!fd) return fd.error();
  auto memory = map_sealed_memory(fd->get(), size, MemoryAccess::ReadWrite);
  if (!memory) return memory.error();
  return std::unique_ptr<SharedPool>(
      new SharedPool(std::move(*fd), std::make_shared<State>(std::move(*memory), size)));
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
  return {state_->mapping.get() + *offset, [state = state_, at = *offset](const std::byte*) {
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
  State(const Loop& inbox_loop, std::shared_ptr<const std::byte> mapped, std::size_t mapped_size,
        std::function<void()> on_freed)
      : loop{inbox_loop},
        mapping{std::move(mapped)},
        size{mapped_size},
        freed{std::move(on_freed)} {}

  /// Any thread.
  void give_back(std::size_t offset) {
    const std::lock_guard lock{mutex};
    if (!loop) return;
    offsets.push_back(offset);
    if (offsets.size() == 1) loop->post(freed);
  }

  std::optional<Loop> loop;  // not once the inbox is gone, for the loop may be
  const std::shared_ptr<const std::byte> mapping;
  const std::size_t size;
  std::mutex mutex;
  std::vector<std::size_t> offsets;
  const std::function<void()> freed;
};

Result<std::unique_ptr<SharedInbox>> SharedInbox::map(const Loop& loop, OwnFd fd, std::size_t size,
                                                      std::size_t size_max,
                                                      std::function<void()> freed) {
  if (size > whole_pages(size_max))
    return make_error(Errc::MalformedMessage,
                      "map shared memory of " + std::to_string(size) + " bytes",
                      "more than " + std::to_string(size_max));
  auto memory = map_sealed_memory(fd.get(), size, MemoryAccess::Read);
  if (!memory) return memory.error();
  return std::unique_ptr<SharedInbox>(
      new SharedInbox(std::make_shared<State>(loop, std::move(*memory), size, std::move(freed))));
}

SharedInbox::~SharedInbox() {
  const std::lock_guard lock{state_->mutex};
  state_->loop.reset();
}

std::shared_ptr<const std::byte> SharedInbox::lend(std::size_t offset, std::size_t size) {
  if (offset > state_->size || size > state_->size - offset) return nullptr;
  return {state_->mapping.get() + offset,
          [state = state_, offset](const std::byte*) { state->give_back(offset); }};
}

std::vector<std::size_t> SharedInbox::take_freed() {
  const std::lock_guard lock{state_->mutex};
  return std::exchange(state_->offsets, {});
}

}  // namespace cohort::ipc
