// Handles over one channel: to the peer until it has them, and from it.
//
// Loop's executor only.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/loop.h"
#include "cohort/handle.h"
#include "ipc/channel.h"
#include "ipc/message.h"

namespace cohort::ipc {

/// The NODE_HANDLE that carries `message` beside the handle's descriptor, or beside those of
/// several handles.
Value wrap(const Handle& handle, Value message);
Value wrap_several(std::span<const Handle> handles, Value message);
/// Whether a Node process may be sent it: others abort there, or lose their head.
bool suits_node(const Handle& handle);

/// Shared with handles that are on their way.
class HandleTraffic : public std::enable_shared_from_this<HandleTraffic> {
 public:
  using Done = std::function<void(std::optional<Error>, Handle)>;

  explicit HandleTraffic(const Loop& loop) : loop_{loop} {}

  /// As Channel::send; `done`, if any, is called once, later, with nothing when the peer has the
  /// handle, else with the reason and the handle. A handle that got lost on the way is sent again,
  /// three times in all, as Node does. `channel` may be null: there is none any more.
  Result<bool> send(const std::shared_ptr<Channel>& channel, const Value& message, Handle handle,
                    Done done);
  /// The handle that came with a message; none if there was none. If the peer counts its sockets,
  /// this one is counted until it is closed.
  Handle receive(const std::shared_ptr<Channel>& channel, Incoming& incoming);
  /// NODE_SOCKET_GET_COUNT and NOTIFY_CLOSE; anything else is ignored, as Node does.
  void answer(const std::shared_ptr<Channel>& channel, const Incoming& incoming);

 private:
  struct Sending;
  struct Counted {
    std::size_t open = 0;
    bool tell_when_closed = false;
  };

  Result<bool> try_send(const std::shared_ptr<Channel>& channel,
                        const std::shared_ptr<Sending>& sending);
  void socket_closed(const std::shared_ptr<Channel>& channel, const std::string& key);

  Loop loop_;
  std::map<std::string, Counted> counted_;  // by the key that the peer gave them
};

}  // namespace cohort::ipc
