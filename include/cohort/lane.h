// A lane: large data between this process and a peer in any language, as a file that both map or
// read: nothing of it goes through the channel.
//
//   worker.on_message([&](const Value& job) {
//     const auto lane = cohort::Lane::open(path_of(job), size_of(job));
//     if (!lane) ...                            // not a lane, too small, not ours: an Error
//     const Result result = work(lane->bytes());
//     if (const auto intact = lane->intact(); !intact) ...   // it was made smaller meanwhile
//
// A lane is an open file **without a name**: whoever made it unlinked it at once (a Node program
// with `examples/node/lane.js`: a file in /dev/shm) or never gave it one (`create`). A message
// names it by its maker's descriptor, `/proc/PID/fd/N`. So nothing has to be cleaned up: the memory
// is free when its maker closed it and nobody has it mapped, however each of them ended. And no
// path that a peer may send reaches a file that has a name: such a file is refused.
//
// Who may open it: processes of the same user in the same PID namespace. Whoever has dropped
// privileges that the maker has (a Node binary with file capabilities, another uid) gets EACCES
// or EPERM: let it inherit the descriptor instead, it is then `/proc/self/fd/N` there.
//
// What the peer can still do: change the bytes while they are read (read each once, or copy what
// was checked), and make the file smaller. The second does not end this process: the lane reads as
// zeros from then on, and `intact()` says so. For that the first `open` installs a handler for
// SIGBUS; a signal that is none of a lane's goes to the handler that was there before. A program
// that installs its own afterwards loses this protection.
//
// Threads: `open`, `create` and different lanes from any thread; the bytes as any memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort {

class Lane {
 public:
  enum class Access { Read, ReadWrite };

  /// Maps the first `size` bytes of the lane that a peer named.
  /// `Read`: the file has at least that many. `ReadWrite`: it is made that large where it is
  /// smaller, and has memory for all of them (ENOSPC if there is none, as in a container whose
  /// /dev/shm has 64 MB; ENOMEM if it is more than the machine's). So limit a `size` that is only
  /// the peer's word. InvalidArgument: not an absolute path, or not a lane (a file with a name, a
  /// device, a pipe). MessageTooLarge: more than the file has, or than an address space. EPERM:
  /// another user's. EMFILE also if 256 lanes are open in this process. Blocks for as long as the
  /// memory takes.
  static Result<Lane> open(const std::string& path, std::uint64_t size,
                           Access access = Access::Read);

  /// A lane of this process, for a peer to open: a parent's, or a worker's for a result whose size
  /// the parent could not know. Keep it until the peer said that it has it open. Zeros; anonymous
  /// memory of a size that nobody can change, so /dev/shm is not needed, and the peer may write,
  /// but within it. ENOSPC or ENOMEM: not so much memory.
  static Result<Lane> create(std::uint64_t size);

  Lane(Lane&&) noexcept = default;
  Lane& operator=(Lane&&) noexcept = default;

  /// Valid while this lane lives. Page-aligned.
  std::span<const std::byte> bytes() const noexcept;
  /// None if it was opened to be read.
  std::span<std::byte> writable_bytes() const noexcept;
  /// What a message calls it: of one that was opened, the path given.
  const std::string& path() const noexcept { return path_; }
  /// Copies the bytes from `offset` on. For one pass over many of them, in pieces of about 1 MiB:
  /// in many virtual machines the first touch of a mapped page costs more than its copy.
  /// InvalidArgument: beyond the lane's size. MalformedMessage: the peer made the file smaller.
  Result<void> read(std::uint64_t offset, std::span<std::byte> to) const;
  /// An error if bytes were missing when they were used, since the peer made the file smaller or
  /// its disk failed: what was read since is zeros, what was written is lost. Ask before you
  /// answer.
  Result<void> intact() const;

 private:
  class Mapping;
  Lane(std::string path, OwnFd fd, std::shared_ptr<const Mapping> mapping)
      : path_{std::move(path)}, fd_{std::move(fd)}, mapping_{std::move(mapping)} {}

  Error smaller() const;

  std::string path_;
  OwnFd fd_;
  std::shared_ptr<const Mapping> mapping_;  // never shared; none if there are no bytes
};

}  // namespace cohort
