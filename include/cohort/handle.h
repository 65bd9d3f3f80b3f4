// A descriptor on its way to another process: Node's `sendHandle`.
//
//   worker.send("yours", socket.release());                        // a connection goes
//   worker.on_message([&](const cohort::Value& message, cohort::Handle& handle) {
//     if (handle) cohort::net::adopt(cluster, std::move(handle)).end("hello");
//   });
//
// Move-only: exactly one side owns it at any time. What kind it is, the kernel says. One thread at
// a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort {

class Handle {
 public:
  enum class Kind : std::uint8_t {
    None,
    Server,    ///< A listening TCP or Unix socket: `net.Server`.
    Socket,    ///< A connected one, or a pipe: `net.Socket`.
    Datagram,  ///< UDP: `dgram.Socket`.
    Other,  ///< Anything else. Only processes that use cohort take it: a Node process would abort.
    Several,  ///< What `several` made.
  };

  /// No handle.
  Handle() noexcept = default;
  /// `head`: what was already read from a connection, and not by its new owner. Only processes that
  /// use cohort get it.
  explicit Handle(OwnFd fd, std::string head = {});

  /// All of them in one, to go with one message; at most 64, and only to a worker or primary that
  /// uses cohort. Either all arrive or none.
  static Handle several(std::vector<Handle> handles);
  /// The handles of which `several` made this one; none for any other. The caller owns them.
  std::vector<Handle> split();

  Kind kind() const { return kind_; }
  explicit operator bool() const { return fd_ || !several_.empty(); }
  const std::string& head() const { return head_; }
  /// Still owned here; -1 for none, and for several.
  int native_handle() const { return fd_.get(); }
  /// The descriptor: the caller owns it. None of several: `split` them.
  OwnFd release();
  /// Another handle of the same open file, as Node's `keepOpen`: send one, keep the other. EMFILE.
  Result<Handle> duplicate() const;

  /// Something that lives as long as the descriptor is in use here: it goes with the handle, and
  /// to the socket that adopts it.
  void attach(std::shared_ptr<void> attachment) { attachment_ = std::move(attachment); }
  const std::shared_ptr<void>& attachment() const { return attachment_; }

 private:
  OwnFd fd_;
  std::string head_;
  std::shared_ptr<void> attachment_;  // shared with whatever it attached
  std::vector<Handle> several_;
  Kind kind_ = Kind::None;
};

}  // namespace cohort
