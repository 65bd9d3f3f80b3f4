#include "net/queue_steering.h"

#include <arpa/inet.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/sys.h"
#include "net/steering.h"

#if COHORT_EBPF
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

// The compiled program, by the build's name of it.
asm(R"(
  .pushsection .rodata
  .balign 8
  .global cohort_steering_begin, cohort_steering_end
  .hidden cohort_steering_begin, cohort_steering_end
cohort_steering_begin:
  .incbin ")" COHORT_STEERING_OBJECT R"("
cohort_steering_end:
  .popsection
)");
extern "C" {
extern const char kBegin[] asm("cohort_steering_begin");
extern const char kEnd[] asm("cohort_steering_end");
}
#endif

namespace cohort::net {

#if COHORT_EBPF
namespace {

constexpr const char* kWhat = "steer by queue lengths";

// As in steering.bpf.c.
struct Choice {
  std::uint32_t slots = 0;
  std::uint16_t led_port = 0;  // in network order
  std::uint16_t led_to = 0;
  std::array<std::uint16_t, kSlotsMax> positions{};
  std::array<std::uint8_t, kSlotsMax> shares{};
};

// libbpf's functions return 0 or a negative errno.
Result<void> done(int result) {
  if (result < 0) return system_error(-result, kWhat);
  return {};
}

bool turned_off() {
  const char* value = std::getenv("COHORT_EBPF");
  return value != nullptr && std::string_view(value) == "0";
}

}  // namespace

// As in steering.bpf.c.
struct QueueSteering::Loads {
  struct Load {
    std::atomic<std::uint32_t> open;
    std::atomic<std::uint32_t> given;
  };
  std::atomic<std::uint32_t> told;
  std::atomic<std::uint32_t> enough;
  std::array<Load, kSlotsMax> of;
};

void QueueSteering::Unmap::operator()(Loads* loads) const { ::munmap(loads, sizeof *loads); }

Result<QueueSteering> QueueSteering::load() {
  if (turned_off()) return system_error(ENOTSUP, kWhat, "COHORT_EBPF=0");
  // What libbpf has to say about a kernel that refuses is a page of text.
  const auto print = libbpf_set_print(nullptr);
  QueueSteering steering{
      bpf_object__open_mem(kBegin, static_cast<std::size_t>(kEnd - kBegin), nullptr)};
  const int error = steering.object_ ? bpf_object__load(steering.object_.get()) : -errno;
  libbpf_set_print(print);
  if (error == -EPERM || error == -EACCES)
    return system_error(-error, kWhat, "it needs CAP_BPF and CAP_PERFMON");
  const bool is_unknown = error == -ENOSYS || error == -EINVAL || error == -ENOENT;
  if (error < 0)
    return system_error(-error, kWhat, is_unknown ? "it needs Linux 5.17 with BTF" : "");
  bpf_object* const object = steering.object_.get();
  steering.program_ = bpf_program__fd(bpf_object__find_program_by_name(object, "choose_slot"));
  steering.choices_ = bpf_object__find_map_fd_by_name(object, "choices");
  steering.sockets_ = bpf_object__find_map_fd_by_name(object, "sockets");
  const int loads = bpf_object__find_map_fd_by_name(object, "all_loads");
  void* const memory = ::mmap(nullptr, sizeof(Loads), PROT_READ | PROT_WRITE, MAP_SHARED, loads, 0);
  if (memory == MAP_FAILED) return errno_error(kWhat);
  steering.loads_.reset(static_cast<Loads*>(memory));
  return steering;
}

void QueueSteering::set_open(std::span<const std::uint32_t> of_slots) {
  for (std::size_t slot = 0; slot < of_slots.size(); ++slot) {
    loads_->of[slot].open.store(of_slots[slot], std::memory_order_relaxed);
    loads_->of[slot].given.store(0, std::memory_order_relaxed);
  }
  loads_->enough.store(0, std::memory_order_relaxed);
  loads_->told.store(1, std::memory_order_relaxed);
}

Result<void> QueueSteering::set_socket(std::size_t slot, int fd) {
  const auto key = static_cast<std::uint32_t>(slot);
  const auto value = static_cast<std::uint64_t>(fd);
  return done(bpf_map_update_elem(sockets_, &key, &value, BPF_ANY));
}

Result<void> QueueSteering::choose_among(const Shares& shares,
                                         const std::vector<std::size_t>& positions) {
  Choice choice{.slots = static_cast<std::uint32_t>(shares.size())};
  std::copy(shares.begin(), shares.end(), choice.shares.begin());
  for (std::size_t slot = 0; slot < shares.size(); ++slot)
    choice.positions[slot] = static_cast<std::uint16_t>(positions[slot]);
  const std::uint32_t zero = 0;
  return done(bpf_map_update_elem(choices_, &zero, &choice, BPF_ANY));
}

Result<void> QueueSteering::lead(std::uint16_t source_port, std::size_t slot) {
  const std::uint32_t zero = 0;
  Choice choice;
  if (auto found = done(bpf_map_lookup_elem(choices_, &zero, &choice)); !found) return found;
  choice.led_port = htons(source_port);
  choice.led_to = static_cast<std::uint16_t>(slot);
  return done(bpf_map_update_elem(choices_, &zero, &choice, BPF_ANY));
}

Result<void> QueueSteering::attach(int fd) {
  if (sys::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program_, sizeof program_) == -1)
    return errno_error(kWhat);
  return {};
}

void QueueSteering::Close::operator()(bpf_object* object) const { bpf_object__close(object); }
#else
void QueueSteering::Unmap::operator()(Loads*) const {}
Result<QueueSteering> QueueSteering::load() {
  return system_error(ENOTSUP, "steer by queue lengths", "built without clang or libbpf");
}
Result<void> QueueSteering::set_socket(std::size_t, int) { return {}; }
Result<void> QueueSteering::choose_among(const Shares&, const std::vector<std::size_t>&) {
  return {};
}
Result<void> QueueSteering::lead(std::uint16_t, std::size_t) { return {}; }
void QueueSteering::set_open(std::span<const std::uint32_t>) {}
Result<void> QueueSteering::attach(int) { return {}; }
void QueueSteering::Close::operator()(bpf_object*) const {}
#endif

}  // namespace cohort::net
