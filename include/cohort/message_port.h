// Messages between threads: Node's MessageChannel, MessagePort and BroadcastChannel, and memory
// that threads share.
//
//   cohort::MessageChannel<Job> jobs;                     // any type that can be moved
//   cohort::Thread thread{cluster, [port = jobs.port2](cohort::ThisThread& self) {
//     port.on_message(self, [](Job& job) { ... });
//   }};
//   jobs.port1.post_message(Job{...});                    // moved, never copied or encoded
//
//   cohort::MessageChannel<> any;                         // of Values, with a transfer list
//   any.port1.post_message({{"cmd", "resize"}}, {.buffers = {std::move(pixels)}});
//
// A channel has two ends. What is posted at one arrives at the other, in order; each end may be
// posted to by any thread. Copies of a port are the same end. An end is open until it is closed,
// the other end is, or the last copy of it is gone. What was posted before the end arrives all the
// same.
//
// One thread at a time takes messages out of an end: the loop that `on_message` named, or whoever
// calls `receive`. A port that moves (in a transfer list, or captured by a thread's function) keeps
// what waits in it.
//
// Posting takes no lock and makes no system call while the other side is awake. Errors are values;
// nothing here blocks but `receive_for`. Contract: Node's documentation of `worker_threads`.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/loop_ref.h"
#include "cohort/send_result.h"
#include "cohort/value.h"

namespace cohort {

namespace thread {
class PortEnd;
}

namespace detail {

/// A message on its way, of whatever type. In memory that others had before it.
struct Letter {
  virtual ~Letter() = default;
  Letter* next = nullptr;

  static void* operator new(std::size_t size);
  static void operator delete(void* memory, std::size_t size);
  static void* operator new(std::size_t size, std::align_val_t alignment) {
    return ::operator new(size, alignment);
  }
  static void operator delete(void* memory, std::size_t size, std::align_val_t alignment) {
    ::operator delete(memory, size, alignment);
  }
};

/// One end of a channel, whatever goes through it. When the last copy goes, the end is closed.
class Port {
 public:
  using Handler = std::function<void(Letter&)>;

  Port() = default;
  static std::pair<Port, Port> make_pair(std::size_t queue_max);

  SendResult post(std::unique_ptr<Letter> letter) const;
  std::unique_ptr<Letter> receive() const;
  std::unique_ptr<Letter> receive_for(std::chrono::nanoseconds timeout) const;
  void on_letter(const LoopRef& loop, Handler handler) const;
  void on_close(const LoopRef& loop, std::function<void()> handler) const;
  void set_ref(bool ref) const;
  void close() const;
  bool is_open() const;
  std::size_t waiting() const;
  std::size_t waiting_at_peer() const;
  bool is_peer_of(const Port& other) const;
  /// Takes it from its loop, for another thread.
  void detach() const;

  explicit operator bool() const { return end_ != nullptr; }
  friend bool operator==(const Port&, const Port&) = default;

 private:
  explicit Port(std::shared_ptr<thread::PortEnd> end) : end_{std::move(end)} {}
  std::shared_ptr<thread::PortEnd> end_;  // shared by copies
};

template <class T>
struct LetterOf final : Letter {
  explicit LetterOf(T&& message) : content{std::move(message)} {}
  T content;
};

}  // namespace detail

struct ChannelOptions {
  /// So many messages may wait at each end; then posting fails with ChannelFull, so that one who
  /// posts faster than the other takes cannot use up the memory.
  std::size_t queue_max = std::size_t{1} << 20;
};

/// One end of a channel of T. What each function may be called by: `post_message`, `close`,
/// `is_open` and `waiting` by any thread, the others by the thread that takes the messages.
template <class T = Value>
class MessagePort {
 public:
  /// No port: posting fails.
  MessagePort() = default;
  explicit MessagePort(detail::Port port) : port_{std::move(port)} {}

  /// Moves `message` to the other end. Errors: ChannelClosed, this or the other end is closed;
  /// ChannelFull. `message` is gone then, too.
  SendResult post_message(T message) const {
    return port_.post(std::make_unique<detail::LetterOf<T>>(std::move(message)));
  }
  /// Calls `handler` for each message, on `loop`, and keeps the loop running (`unref`) while the
  /// port is open. A second handler takes the place of the first.
  void on_message(const LoopRef& loop, Callback<void(T& message)> handler) const {
    port_.on_letter(loop, [handler = std::function<void(T&)>{std::move(handler)}](
                              detail::Letter& letter) { handler(content(letter)); });
  }
  /// Calls `handler` once, on `loop`, when the port is closed from either side and its messages
  /// were taken.
  void on_close(const LoopRef& loop, Callback<void()> handler) const {
    port_.on_close(loop, std::move(handler));
  }
  /// The next message that waits, without waiting: Node's `receiveMessageOnPort`.
  std::optional<T> receive() const { return taken(port_.receive()); }
  /// Blocks this thread until there is one, the port is closed, or so much time has passed. For
  /// threads without a loop.
  std::optional<T> receive_for(std::chrono::nanoseconds timeout) const {
    return taken(port_.receive_for(timeout));
  }
  /// Both ends are closed; what waits at the other one arrives there still, what waits here does
  /// not.
  void close() const { port_.close(); }
  bool is_open() const { return port_.is_open(); }
  /// Messages that wait here; those that wait at the other end.
  std::size_t waiting() const { return port_.waiting(); }
  std::size_t waiting_at_peer() const { return port_.waiting_at_peer(); }
  /// Whether it keeps the loop of `on_message` running.
  void ref() const { port_.set_ref(true); }
  void unref() const { port_.set_ref(false); }

  explicit operator bool() const { return static_cast<bool>(port_); }
  friend bool operator==(const MessagePort&, const MessagePort&) = default;
  /// Without its type: for the library.
  const detail::Port& untyped() const { return port_; }

 private:
  static T& content(detail::Letter& letter) {
    return static_cast<detail::LetterOf<T>&>(letter).content;
  }
  static std::optional<T> taken(std::unique_ptr<detail::Letter> letter) {
    if (letter == nullptr) return std::nullopt;
    return std::move(content(*letter));
  }

  detail::Port port_;
};

/// Memory that threads share: JavaScript's SharedArrayBuffer. Copies are the same memory, which is
/// free when the last one goes. Nothing guards the bytes: use std::atomic_ref.
class SharedBuffer {
 public:
  SharedBuffer() = default;
  /// Zeros, aligned to a page. ENOMEM.
  static Result<SharedBuffer> create(std::size_t size);
  std::span<std::byte> bytes() const noexcept { return {bytes_.get(), size_}; }
  std::size_t size() const noexcept { return size_; }

 private:
  SharedBuffer(std::shared_ptr<std::byte[]> bytes, std::size_t size)
      : bytes_{std::move(bytes)}, size_{size} {}
  std::shared_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

struct Transfer;

/// One end of a channel of Values, as in Node. A Value is cloned when it is posted (containers are
/// copied; strings, Buffers and typed arrays never change, and are shared), so that both sides may
/// change theirs. One that is moved in and that nobody else has is not copied.
template <>
class MessagePort<Value> {
 public:
  MessagePort() = default;
  explicit MessagePort(detail::Port port) : port_{std::move(port)} {}

  SendResult post_message(Value message) const;
  /// InvalidArgument: the transfer list has this very channel's end.
  SendResult post_message(Value message, Transfer transfer) const;
  /// As for the others; a handler may be given what was transferred, too.
  void on_message(const LoopRef& loop, Callback<void(const Value& message)> handler) const;
  void on_message(const LoopRef& loop,
                  Callback<void(const Value& message, Transfer& transfer)> handler) const;
  void on_close(const LoopRef& loop, Callback<void()> handler) const {
    port_.on_close(loop, std::move(handler));
  }
  /// What was transferred with it is moved to `transfer`, or dropped.
  std::optional<Value> receive(Transfer* transfer = nullptr) const;
  std::optional<Value> receive_for(std::chrono::nanoseconds timeout,
                                   Transfer* transfer = nullptr) const;
  void close() const { port_.close(); }
  bool is_open() const { return port_.is_open(); }
  std::size_t waiting() const { return port_.waiting(); }
  std::size_t waiting_at_peer() const { return port_.waiting_at_peer(); }
  void ref() const { port_.set_ref(true); }
  void unref() const { port_.set_ref(false); }

  explicit operator bool() const { return static_cast<bool>(port_); }
  friend bool operator==(const MessagePort&, const MessagePort&) = default;
  const detail::Port& untyped() const { return port_; }

 private:
  detail::Port port_;
};

/// What goes along with a Value: Node's transfer list. Each is at the other side in the same place.
struct Transfer {
  /// They are another thread's now: handlers that they had here are gone, what waits in them is
  /// not.
  std::vector<MessagePort<>> ports{};
  /// Moved: not copied, whatever their size, and empty where they were.
  std::vector<std::vector<std::byte>> buffers{};
  std::vector<SharedBuffer> shared{};
};

/// Two ends. Node's MessageChannel.
template <class T = Value>
struct MessageChannel {
  explicit MessageChannel(const ChannelOptions& options = {})
      : MessageChannel(detail::Port::make_pair(options.queue_max)) {}

  MessagePort<T> port1;
  MessagePort<T> port2;

 private:
  explicit MessageChannel(std::pair<detail::Port, detail::Port> ends)
      : port1{std::move(ends.first)}, port2{std::move(ends.second)} {}
};

/// Node's `receiveMessageOnPort`.
template <class T>
std::optional<T> receive_message_on_port(const MessagePort<T>& port) {
  return port.receive();
}

/// Everybody in this process who has a channel of the same name gets what the others post there,
/// but not what it posts itself. Node's BroadcastChannel. A handle; any thread may make one, post
/// and close. When the last copy goes it is closed.
class BroadcastChannel {
 public:
  explicit BroadcastChannel(std::string name);

  const std::string& name() const;
  /// To how many. Each gets a clone.
  std::size_t post_message(const Value& message) const;
  /// As of a MessagePort.
  void on_message(const LoopRef& loop, Callback<void(const Value& message)> handler) const;
  void close() const;
  void ref() const;
  void unref() const;

 private:
  struct Member;
  std::shared_ptr<Member> member_;  // shared by copies
};

}  // namespace cohort
