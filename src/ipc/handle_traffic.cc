#include "ipc/handle_traffic.h"

#include <sys/socket.h>

#include <cerrno>
#include <tuple>

#include "base/sys.h"

namespace cohort::ipc {
namespace {

// Bytes as characters U+0000 to U+00FF: a message may be JSON.
std::string to_text(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::string to_bytes(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80 || i + 1 == text.size())
      bytes += text[i];
    else
      bytes += static_cast<char>((lead << 6) | (static_cast<unsigned char>(text[++i]) & 0x3F));
  }
  return bytes;
}

}  // namespace

bool suits_node(const Handle& handle) {
  return handle.kind() != Handle::Kind::Other && handle.kind() != Handle::Kind::Several &&
         handle.head().empty();
}

Value wrap_several(std::span<const Handle> handles, Value message) {
  Value wrapped = wrap_handle("cohort.Several", std::move(message));
  Value& heads = wrapped["heads"] = Value::array();
  for (const Handle& handle : handles) heads.push_back(to_text(handle.head()));
  return wrapped;
}

Value wrap(const Handle& handle, Value message) {
  // As Node names them; it has no pipes of its own kind.
  const auto type = [&]() -> std::string_view {
    switch (handle.kind()) {
      case Handle::Kind::Server:
        return "net.Server";
      case Handle::Kind::Socket:
        return sys::int_option(handle.native_handle(), SOL_SOCKET, SO_TYPE) == -1 ? "net.Native"
                                                                                  : "net.Socket";
      case Handle::Kind::Datagram:
        return "dgram.Socket";
      case Handle::Kind::Other:
      case Handle::Kind::Several:
      case Handle::Kind::None:
        break;
    }
    return "cohort.Fd";
  };
  Value wrapped = wrap_handle(type(), std::move(message));
  if (handle.kind() == Handle::Kind::Datagram)
    wrapped["dgramType"] =
        sys::int_option(handle.native_handle(), SOL_SOCKET, SO_DOMAIN) == AF_INET6 ? "udp6"
                                                                                   : "udp4";
  if (!handle.head().empty()) wrapped["head"] = to_text(handle.head());
  return wrapped;
}

// A handle on its way: kept until the peer has it.
struct HandleTraffic::Sending {
  Value wrapped;
  std::vector<Handle> handles;
  bool are_several = false;
  Done done;
  int tries = 0;

  void finish(const std::optional<Error>& error) {
    if (!done) return;
    Handle back;
    if (error && are_several)
      back = Handle::several(std::move(handles));
    else if (error && !handles.empty())
      back = std::move(handles.front());
    std::exchange(done, nullptr)(error, std::move(back));
  }
};

Result<bool> HandleTraffic::send(const std::shared_ptr<Channel>& channel, const Value& message,
                                 Handle handle, Done done) {
  const auto sending = std::make_shared<Sending>();
  const bool suits = !channel || channel->peer_is_cohort() || suits_node(handle);
  sending->are_several = handle.kind() == Handle::Kind::Several;
  if (sending->are_several) {
    sending->handles = handle.split();
    sending->wrapped = wrap_several(sending->handles, message);
  } else {
    sending->wrapped = wrap(handle, message);
    sending->handles.push_back(std::move(handle));
  }
  sending->done = std::move(done);
  const auto sent = [&]() -> Result<bool> {
    const auto refuse = [](const char* why) {
      return make_error(Errc::InvalidArgument, "send a handle", why);
    };
    for (const Handle& each : sending->handles)
      if (each.native_handle() == -1)
        return refuse(each ? "several within several" : "there is none");
    if (sending->handles.size() > kDescriptorsMax)
      return refuse("a message takes 64 of them at most");
    if (!suits)
      return refuse(
          "a Node process takes one socket or pipe with a message, and no bytes read from it");
    return try_send(channel, sending);
  }();
  if (!sent) loop_.post([sending, why = sent.error()] { sending->finish(why); });
  return sent;
}

Result<bool> HandleTraffic::try_send(const std::shared_ptr<Channel>& channel,
                                     const std::shared_ptr<Sending>& sending) {
  constexpr int kTriesMax = 3;
  if (!channel) return make_error(Errc::ChannelClosed, "send a handle");
  ++sending->tries;
  // A Node process would block on it for ever.
  std::vector<int> fds;
  for (const Handle& handle : sending->handles) {
    fds.push_back(handle.native_handle());
    sys::set_nonblocking(fds.back(), true);
  }
  return channel->send_descriptors(
      sending->wrapped, std::move(fds),
      [self = shared_from_this(), weak = std::weak_ptr{channel}, sending](auto delivery) {
        if (delivery == Channel::Delivery::Received) return sending->finish(std::nullopt);
        if (delivery == Channel::Delivery::PeerGone)
          return sending->finish(make_error(Errc::ChannelClosed, "send a handle"));
        if (sending->tries == kTriesMax)
          return sending->finish(system_error(
              EMFILE, "send a handle", "the other process has no descriptors left; tried 3 times"));
        if (const auto again = self->try_send(weak.lock(), sending); !again)
          sending->finish(again.error());
      });
}

Handle HandleTraffic::receive(const std::shared_ptr<Channel>& channel, Incoming& incoming) {
  if (!incoming.several.empty()) {
    std::vector<Handle> handles;
    for (std::size_t i = 0; i < incoming.several.size(); ++i)
      handles.emplace_back(std::move(incoming.several[i]), to_bytes(incoming.heads[i]));
    return Handle::several(std::move(handles));
  }
  if (!incoming.fd) return {};
  Handle handle{std::move(incoming.fd), to_bytes(incoming.handle_head)};
  if (!incoming.handle_key.is_string()) return handle;
  const std::string key{incoming.handle_key.string_or({})};
  ++counted_[key].open;
  // The end of this pointer is the end of the socket.
  handle.attach(std::shared_ptr<void>(
      nullptr,
      [weak = weak_from_this(), channel = std::weak_ptr{channel}, key, loop = loop_](void*) {
        loop.post([weak, channel, key] {
          if (const auto self = weak.lock()) self->socket_closed(channel.lock(), key);
        });
      }));
  return handle;
}

void HandleTraffic::socket_closed(const std::shared_ptr<Channel>& channel, const std::string& key) {
  const auto found = counted_.find(key);
  if (--found->second.open > 0) return;
  const bool tell = found->second.tell_when_closed;
  counted_.erase(found);
  if (tell && channel) std::ignore = channel->send_own(all_sockets_closed(key));
}

void HandleTraffic::answer(const std::shared_ptr<Channel>& channel, const Incoming& incoming) {
  if (!channel) return;
  const std::string key{incoming.value["key"].string_or({})};
  const auto found = counted_.find(key);
  const std::size_t open = found == counted_.end() ? 0 : found->second.open;
  if (incoming.kind == MessageKind::SocketGetCount) {
    std::ignore = channel->send_own(socket_count(key, open));
  } else if (incoming.kind == MessageKind::SocketNotifyClose) {
    if (open == 0)
      std::ignore = channel->send_own(all_sockets_closed(key));
    else
      found->second.tell_when_closed = true;
  }
}

}  // namespace cohort::ipc
