// Steering that reads the queues in the kernel: steering.bpf.c, loaded. Needs CAP_BPF and
// CAP_PERFMON, Linux 5.17 with BTF, and a build that found clang and libbpf; classic BPF
// (steering.h) does without.
//
// Not thread-safe. Attached, the program stays with the sockets when this object goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cohort/error.h"
#include "net/steering.h"

struct bpf_object;

namespace cohort::net {

class QueueSteering {
 public:
  /// Takes some 30 ms. Errors: EPERM without the capabilities; what the kernel or libbpf said; also
  /// if the environment has COHORT_EBPF=0.
  static Result<QueueSteering> load();

  /// The listening socket of the slot. One that was shut down has to be set again.
  Result<void> set_socket(std::size_t slot, int fd);
  /// New connections, and those of a socket that is shut down, go to the shortest queue among the
  /// slots that have a share, then to the fewest open connections if those are told, in turns; at
  /// least one has. `positions`: each slot's in the kernel's group.
  Result<void> choose_among(const Shares& shares, const std::vector<std::size_t>& positions);
  /// Connections from that port come to the slot, whatever its share; 0: none do any more.
  Result<void> lead(std::uint16_t source_port, std::size_t slot);
  /// How many connections each slot's worker has open. Until the next call, what is given to a slot
  /// is added: whoever calls this once calls it again and again.
  void set_open(std::span<const std::uint32_t> of_slots);
  /// For the group that the socket is in; instead of any other program.
  Result<void> attach(int fd);

 private:
  struct Close {
    void operator()(bpf_object* object) const;
  };
  struct Loads;
  struct Unmap {
    void operator()(Loads* loads) const;
  };
  explicit QueueSteering(bpf_object* object) : object_{object} {}

  std::unique_ptr<bpf_object, Close> object_;
  int program_ = -1;  // these three are the object's
  int choices_ = -1;
  int sockets_ = -1;
  std::unique_ptr<Loads, Unmap> loads_;  // the program's memory
};

}  // namespace cohort::net
