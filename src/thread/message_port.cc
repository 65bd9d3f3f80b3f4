#include "cohort/message_port.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

namespace cohort {
namespace {

// Few have a transfer list: without it a letter is short.
struct ValueMessage {
  Value value;
  std::unique_ptr<Transfer> transfer{};
};
using ValueLetter = detail::LetterOf<ValueMessage>;

std::optional<Value> taken(std::unique_ptr<detail::Letter> letter, Transfer* transfer) {
  if (letter == nullptr) return std::nullopt;
  ValueMessage& message = static_cast<ValueLetter&>(*letter).content;
  if (transfer != nullptr)
    *transfer = message.transfer != nullptr ? std::move(*message.transfer) : Transfer{};
  return std::move(message.value);
}

}  // namespace

SendResult MessagePort<Value>::post_message(Value message) const {
  return port_.post(std::make_unique<ValueLetter>(ValueMessage{std::move(message).clone()}));
}

SendResult MessagePort<Value>::post_message(Value message, Transfer transfer) const {
  for (const MessagePort<>& port : transfer.ports) {
    if (port == *this || port.untyped().is_peer_of(port_))
      return SendResult::failed(
          make_error(Errc::InvalidArgument, "post a message",
                     "its transfer list has an end of the channel that it goes through"));
  }
  for (const MessagePort<>& port : transfer.ports) port.untyped().detach();
  return port_.post(std::make_unique<ValueLetter>(
      ValueMessage{std::move(message).clone(), std::make_unique<Transfer>(std::move(transfer))}));
}

void MessagePort<Value>::on_message(const LoopRef& loop,
                                    Callback<void(const Value& message)> handler) const {
  port_.on_letter(loop, [handler = std::function<void(const Value&)>{std::move(handler)}](
                            detail::Letter& letter) {
    handler(static_cast<ValueLetter&>(letter).content.value);
  });
}

void MessagePort<Value>::on_message(
    const LoopRef& loop, Callback<void(const Value& message, Transfer& transfer)> handler) const {
  port_.on_letter(loop, [handler = std::function<void(const Value&, Transfer&)>{
                             std::move(handler)}](detail::Letter& letter) {
    ValueMessage& message = static_cast<ValueLetter&>(letter).content;
    Transfer none;
    handler(message.value, message.transfer != nullptr ? *message.transfer : none);
  });
}

std::optional<Value> MessagePort<Value>::receive(Transfer* transfer) const {
  return taken(port_.receive(), transfer);
}

std::optional<Value> MessagePort<Value>::receive_for(std::chrono::nanoseconds timeout,
                                                     Transfer* transfer) const {
  return taken(port_.receive_for(timeout), transfer);
}

Result<SharedBuffer> SharedBuffer::create(std::size_t size) {
  if (size == 0) return SharedBuffer{};
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return errno_error("share " + std::to_string(size) + " bytes between threads");
  return SharedBuffer{
      {static_cast<std::byte*>(memory), [size](std::byte* bytes) { ::munmap(bytes, size); }}, size};
}

// The other end of each member's channel is in the register, for the others to post to.
struct BroadcastChannel::Member {
  std::string name;
  MessageChannel<> channel;
  ~Member();
};

namespace {

struct Register {
  std::mutex mutex;
  std::multimap<std::string, MessagePort<>, std::less<>> ports;  // by name

  static Register& of_process() {
    static Register one;
    return one;
  }
  void leave(const std::string& name, const MessagePort<>& port) {
    const std::lock_guard lock{mutex};
    const auto [begin, end] = ports.equal_range(name);
    const auto mine =
        std::find_if(begin, end, [&port](const auto& entry) { return entry.second == port; });
    if (mine != end) ports.erase(mine);
  }
};

}  // namespace

BroadcastChannel::BroadcastChannel(std::string name)
    : member_{new Member{std::move(name), MessageChannel<>{}}} {
  Register& all = Register::of_process();
  const std::lock_guard lock{all.mutex};
  all.ports.emplace(member_->name, member_->channel.port1);
}

BroadcastChannel::Member::~Member() {
  Register::of_process().leave(name, channel.port1);
  channel.port1.close();
}

const std::string& BroadcastChannel::name() const { return member_->name; }

std::size_t BroadcastChannel::post_message(const Value& message) const {
  Register& all = Register::of_process();
  const std::lock_guard lock{all.mutex};
  std::size_t count = 0;
  const auto [begin, end] = all.ports.equal_range(member_->name);
  for (auto entry = begin; entry != end; ++entry)
    if (entry->second != member_->channel.port1 && entry->second.post_message(message)) ++count;
  return count;
}

void BroadcastChannel::on_message(const LoopRef& loop,
                                  Callback<void(const Value& message)> handler) const {
  // Whoever listens is a member still, whether there is a handle or not.
  member_->channel.port2.on_message(
      loop, [member = member_, handler = std::function<void(const Value&)>{std::move(handler)}](
                const Value& message) { handler(message); });
}

void BroadcastChannel::close() const {
  Register::of_process().leave(member_->name, member_->channel.port1);
  member_->channel.port1.close();
}

void BroadcastChannel::ref() const { member_->channel.port2.ref(); }
void BroadcastChannel::unref() const { member_->channel.port2.unref(); }

}  // namespace cohort
