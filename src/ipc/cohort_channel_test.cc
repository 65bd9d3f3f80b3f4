// Two channels of ours, one at each end: what they agree on beyond Node's protocol.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/sys.h"
#include "ipc/any_thread_sender.h"
#include "ipc/channel.h"
#include "ipc/handle_traffic.h"

namespace cohort::ipc {
namespace {

struct End final : ChannelUser {
  void message(Incoming incoming) override {
    if (incoming.kind == MessageKind::Cohort) {
      ++greetings;
    } else if (incoming.kind == MessageKind::Cluster) {
      clusters.push_back(std::move(incoming));
    } else if (keeps) {
      channel->withhold(incoming.size);
      kept.push_back(std::move(incoming));
    } else {
      received.push_back(std::move(incoming));
    }
  }
  void channel_drained() override { ++drained; }
  void channel_closed(std::optional<Error> why) override { closed = why ? why->message() : "end"; }

  std::shared_ptr<Channel> channel;
  bool keeps = false;
  std::vector<Incoming> received, kept, clusters;
  int greetings = 0;
  int drained = 0;
  std::string closed;
};

class CohortChannel : public testing::TestWithParam<Serialization> {
 protected:
  void start(const ChannelLimits& limits = {}) {
    OwnFd ends[2];
    ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0);
    parent.channel = make(std::move(ends[0]), limits, parent);
    child.channel = make(std::move(ends[1]), {}, child);
    parent.channel->start();
    child.channel->announce();
    child.channel->start();
    turn();
  }
  ~CohortChannel() override {
    for (End* end : {&parent, &child})
      if (end->channel) end->channel->abandon();
  }
  std::shared_ptr<Channel> make(OwnFd end, const ChannelLimits& limits, End& user) {
    return std::make_shared<Channel>(loop, std::move(end), GetParam(), limits, user);
  }
  void turn() {
    io.restart();
    while (io.poll() > 0) {
    }
  }

  boost::asio::io_context io;
  Loop loop{io, io.get_executor()};
  End parent, child;
};

TEST_P(CohortChannel, GreetsAndTheChildTakesItsParentsLimits) {
  start({.message_size_max = 5000, .queue_size_max = 6000, .shared_memory_max = 7000});
  EXPECT_TRUE(parent.channel->peer_is_cohort());
  EXPECT_EQ(parent.greetings, 1);
  EXPECT_EQ(child.greetings, 1);
  EXPECT_EQ(child.channel->limits().message_size_max, 5000u);
  EXPECT_EQ(child.channel->limits().queue_size_max, 6000u);
  EXPECT_EQ(child.channel->limits().shared_memory_max, 7000u);
  EXPECT_EQ(child.channel->send(std::string(5001, 'x')).error().code, Errc::MessageTooLarge);
  turn();
  EXPECT_EQ(parent.closed, "");
}

TEST_P(CohortChannel, HoldsBackWhatThePeerHasNotProcessedButNotControl) {
  start();
  child.keeps = true;
  const std::string text(1000, 'x');
  constexpr std::size_t kCount = 5000;
  for (std::size_t i = 0; i < kCount; ++i) parent.channel->send(text).value();
  turn();
  EXPECT_FALSE(parent.channel->send("last").value());
  const auto held = [&] { return child.kept.size() * text.size(); };
  EXPECT_GE(held(), Channel::kWindow - 2 * 65536);
  EXPECT_LE(held(), Channel::kWindow + 2 * 65536);
  ASSERT_TRUE(parent.channel->send_own({{"cmd", "NODE_CLUSTER"}}, Lane::Control));
  turn();
  EXPECT_EQ(child.clusters.size(), 1u);
  EXPECT_EQ(parent.drained, 0);

  std::size_t total = 0;
  while (!child.kept.empty()) {
    std::size_t size = 0;
    for (const Incoming& incoming : std::exchange(child.kept, {})) {
      size += incoming.size;
      ++total;
    }
    child.channel->consumed(size);
    turn();
  }
  EXPECT_EQ(total, kCount + 1) << "all of them, in the end";
  EXPECT_EQ(parent.drained, 1);
}

TEST_P(CohortChannel, RefusesWhatExceedsTheQueueAndTellsWhenThereIsRoom) {
  start({.queue_size_max = 3'000'000, .shared_memory_max = 0});
  child.keeps = true;
  const std::string text(100'000, 'x');
  std::size_t taken = 0;
  std::optional<Error> refused;
  for (int i = 0; i < 1000 && !refused; ++i) {
    if (const auto sent = parent.channel->send(text); sent)
      ++taken;
    else
      refused = sent.error();
    turn();
  }
  ASSERT_TRUE(refused) << "nobody reads";
  EXPECT_EQ(refused->code, Errc::ChannelFull);
  EXPECT_LT(taken * text.size(), 6'000'000u);
  for (int i = 0; i < 1000 && child.received.size() < taken; ++i) {
    std::size_t size = 0;
    for (const Incoming& incoming : child.kept) size += incoming.size;
    std::move(child.kept.begin(), child.kept.end(), std::back_inserter(child.received));
    child.kept.clear();
    child.channel->consumed(size);
    turn();
  }
  EXPECT_EQ(child.received.size(), taken) << "what was taken arrives";
  EXPECT_EQ(parent.drained, 1);
  EXPECT_TRUE(parent.channel->send(text).value()) << "written at once, nothing waits";
}

TEST_P(CohortChannel, AnEmptyQueueTakesAnyMessage) {
  start({.queue_size_max = 10});
  EXPECT_TRUE(parent.channel->send(std::string(1'000'000, 'x')));
  EXPECT_EQ(parent.channel->send("more").error().code, Errc::ChannelFull);
  turn();
  EXPECT_EQ(child.received.size(), 1u);
  EXPECT_EQ(parent.drained, 1);
}

TEST_P(CohortChannel, DescriptorsDoNotWaitForEachOther) {
  start();
  OwnFd pipe[2];
  ASSERT_EQ(sys::pipe(pipe), 0);
  std::vector<Delivery> answers;
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(
        parent.channel->send_descriptor(wrap_handle("net.Native", i), pipe[0].get(),
                                        [&](Delivery delivery) { answers.push_back(delivery); }));
  // Nobody wants to hear of these; their answers are counted all the same.
  ASSERT_TRUE(child.channel->send_descriptor(wrap_handle("net.Native", 0), pipe[0].get()));
  ASSERT_TRUE(
      child.channel->send_descriptor(wrap_handle("net.Native", 1), pipe[0].get(),
                                     [&](Delivery delivery) { answers.push_back(delivery); }));
  turn();
  ASSERT_EQ(child.received.size(), 20u);
  for (const Incoming& incoming : child.received) EXPECT_TRUE(incoming.fd);
  EXPECT_EQ(answers, std::vector(21, Delivery::Received));
}

class SeveralHandles : public CohortChannel {
 protected:
  // Pipes' ends that read as 0, 1, 2...
  static Handle make_handles(std::size_t count) {
    std::vector<Handle> handles;
    for (std::size_t i = 0; i < count; ++i) {
      OwnFd pipe[2];
      EXPECT_EQ(sys::pipe(pipe), 0);
      const auto byte = static_cast<char>(i);
      EXPECT_EQ(sys::write(pipe[1].get(), &byte, 1), 1);
      handles.emplace_back(std::move(pipe[0]), std::string(i % 3, byte));
    }
    return Handle::several(std::move(handles));
  }
  void send(Handle handle) {
    std::ignore = traffic->send(parent.channel, "take them", std::move(handle),
                                [this](const std::optional<Error>& error, Handle handles) {
                                  outcomes.push_back(error ? error->message() : "sent");
                                  back = std::move(handles);
                                });
  }

  const std::shared_ptr<HandleTraffic> traffic = std::make_shared<HandleTraffic>(loop);
  std::vector<std::string> outcomes;
  Handle back;
};

TEST_P(SeveralHandles, GoWithOneMessageInOrder) {
  start();
  for (const std::size_t count : {1u, 2u, 64u}) {
    send(make_handles(count));
    send(make_handles(1));
    turn();
    ASSERT_EQ(child.received.size(), 2u);
    EXPECT_EQ(child.received[0].value, "take them");
    const auto handles = traffic->receive(child.channel, child.received[0]).split();
    ASSERT_EQ(handles.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      char byte = -1;
      EXPECT_EQ(sys::read(handles[i].native_handle(), &byte, 1), 1);
      EXPECT_EQ(byte, static_cast<char>(i));
      EXPECT_EQ(handles[i].head(), std::string(i % 3, byte));
    }
    EXPECT_EQ(traffic->receive(child.channel, child.received[1]).split().size(), 1u);
    child.received.clear();
  }
  EXPECT_EQ(outcomes, std::vector<std::string>(6, "sent"));
}

TEST_P(SeveralHandles, ThatCannotBeSentComeBack) {
  start();
  send(make_handles(65));
  turn();
  EXPECT_EQ(back.split().size(), 65u);
  std::vector<Handle> nested;
  nested.push_back(make_handles(1));
  send(Handle::several(std::move(nested)));
  std::vector<Handle> with_none(2);
  send(Handle::several(std::move(with_none)));
  turn();
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_NE(outcomes[0].find("a message takes 64"), std::string::npos) << outcomes[0];
  EXPECT_NE(outcomes[1].find("several within several"), std::string::npos) << outcomes[1];
  EXPECT_NE(outcomes[2].find("there is none"), std::string::npos) << outcomes[2];
  EXPECT_TRUE(child.received.empty());
}

TEST_P(SeveralHandles, ArriveAllOrNone) {
  start();
  Handle handles = make_handles(20);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const OwnFd next = sys::duplicate(0);
  const rlimit few{static_cast<rlim_t>(next.get()) + 10, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  send(std::move(handles));
  turn();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(child.received.empty());
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_NE(outcomes[0].find("no descriptors left; tried 3 times"), std::string::npos)
      << outcomes[0];
  send(std::move(back));
  turn();
  ASSERT_EQ(child.received.size(), 1u);
  EXPECT_EQ(traffic->receive(child.channel, child.received[0]).split().size(), 20u);
}

INSTANTIATE_TEST_SUITE_P(Both, SeveralHandles,
                         testing::Values(Serialization::Json, Serialization::Advanced));

TEST_P(CohortChannel, WhatWaitsForThePeersProgressIsWrittenAtTheEnd) {
  start();
  child.keeps = true;
  for (int i = 0; i < 3000; ++i) parent.channel->send(std::string(1000, 'x')).value();
  turn();
  EXPECT_LT(child.kept.size(), 3000u);
  parent.channel->close();
  turn();
  EXPECT_EQ(child.kept.size(), 3000u);
  EXPECT_EQ(child.closed, "end");
}

TEST_P(CohortChannel, WhatWasSentBeforeTheGreetingIsWrittenAtTheEndToo) {
  OwnFd ends[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0);
  child.channel = make(std::move(ends[1]), {}, child);
  child.channel->announce();
  child.channel->start();
  for (int i = 0; i < 5000; ++i) child.channel->send(std::string(1000, 'x')).value();
  child.channel->close();
  turn();
  parent.channel = make(std::move(ends[0]), {}, parent);
  parent.keeps = true;
  parent.channel->start();
  turn();
  EXPECT_EQ(parent.kept.size(), 5000u);
  EXPECT_EQ(parent.closed, "end");
}

TEST_P(CohortChannel, WhatTheCallbackOfAnAnswerThrowsDoesNotShiftTheOthers) {
  start();
  OwnFd pipe[2];
  ASSERT_EQ(sys::pipe(pipe), 0);
  std::vector<int> answered;
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(parent.channel->send_descriptor(wrap_handle("net.Native", i), pipe[0].get(),
                                                [&, i](Delivery) {
                                                  answered.push_back(i);
                                                  if (i == 1) throw std::runtime_error("thrown");
                                                }));
  EXPECT_THROW(turn(), std::runtime_error);
  turn();
  EXPECT_EQ(answered, (std::vector{0, 1, 2, 3, 4}));
}

// --- from other threads

TEST_P(CohortChannel, OtherThreadsAreToldWhenToWaitAndLoseNothing) {
  start({.queue_size_max = 3'000'000});
  child.keeps = true;
  const auto sender = std::make_shared<AnyThreadSender>(loop);
  sender->open(parent.channel);
  loop.mark_started();
  std::size_t taken = 0;
  bool kept_up = true;
  std::optional<Error> refused;
  while (!refused && taken < 1000) {
    std::thread([&] {
      for (int i = 0; i < 10 && !refused; ++i) {
        const auto sent = sender->send(std::string(100'000, 'x'), {});
        if (!sent) refused = sent.error();
        if (sent) ++taken, kept_up = *sent;
      }
    }).join();
    turn();
  }
  ASSERT_TRUE(refused) << "nobody reads";
  EXPECT_EQ(refused->code, Errc::ChannelFull);
  EXPECT_FALSE(kept_up);
  EXPECT_LT(taken, 60u);
  const int drained = parent.drained;
  std::size_t arrived = 0;
  for (int i = 0; i < 1000 && arrived < taken; ++i) {
    std::size_t size = 0;
    for (const Incoming& incoming : child.kept) size += incoming.size;
    arrived += child.kept.size();
    child.kept.clear();
    child.channel->consumed(size);
    turn();
  }
  EXPECT_EQ(arrived, taken);
  EXPECT_GT(parent.drained, drained);
}

TEST_P(CohortChannel, WhatAnotherThreadSentComesBeforeWhatTheLoopSendsNextAndBeforeTheEnd) {
  start();
  child.keeps = true;
  const auto sender = std::make_shared<AnyThreadSender>(loop);
  sender->open(parent.channel);
  std::vector<std::string> written;
  const auto send = [&](const std::string& text) {
    return sender->send(text, [&written, text](const std::optional<Error>& error) {
      written.push_back(error ? text + " failed" : text);
    });
  };
  const auto from_thread = [&](const std::string& text) {
    std::thread([&] { EXPECT_TRUE(send(text)); }).join();
  };
  from_thread("a");
  from_thread("b");
  EXPECT_TRUE(send("c"));
  from_thread("d");
  sender->close();
  EXPECT_EQ(written, std::vector<std::string>{}) << "nothing is called within the call";
  EXPECT_FALSE(send("e"));
  std::thread([&] { EXPECT_FALSE(send("f")); }).join();
  parent.channel->close();
  turn();
  std::vector<std::string> arrived;
  for (const Incoming& incoming : child.kept) arrived.emplace_back(incoming.value.string_or(""));
  EXPECT_EQ(arrived, (std::vector<std::string>{"a", "b", "c", "d"}));
  std::sort(written.begin(), written.end());
  EXPECT_EQ(written, (std::vector<std::string>{"a", "b", "c", "d", "e failed", "f failed"}));
}

INSTANTIATE_TEST_SUITE_P(Both, CohortChannel,
                         testing::Values(Serialization::Json, Serialization::Advanced));

bool in_shared_memory(const Value& value) {
  const auto address = reinterpret_cast<std::uintptr_t>(value.bytes().data());
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream{line} >> std::hex >> begin >> dash >> end;
    if (address >= begin && address < end) return line.find("memfd:cohort") != line.npos;
  }
  return false;
}

class LargeData : public CohortChannel {
 protected:
  Value large(char fill) const {
    return {{"fill", std::string(1, fill)}, {"data", Value::buffer(std::string(1 << 20, fill))}};
  }
};

TEST_P(LargeData, GoesThroughSharedMemoryOnceThePeerHasIt) {
  start();
  for (char fill = 'a'; fill < 'e'; ++fill) {
    parent.channel->send(large(fill)).value();
    turn();
  }
  ASSERT_EQ(child.received.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    const Value& message = std::as_const(child.received[i].value);
    EXPECT_TRUE(message == large(static_cast<char>('a' + i)));
    EXPECT_EQ(in_shared_memory(message["data"]), i > 0) << "the first one takes the socket: " << i;
  }
}

TEST_P(LargeData, TakesTheSocketWhileThereIsNoRoomAndAllOfItIsUsedAgain) {
  start({.shared_memory_max = 4u << 20});
  for (int i = 0; i < 10; ++i) {
    parent.channel->send(large('a')).value();
    turn();
  }
  const auto shared = [&] {
    return std::count_if(child.received.begin(), child.received.end(),
                         [](const Incoming& incoming) {
                           return in_shared_memory(std::as_const(incoming.value)["data"]);
                         });
  };
  ASSERT_EQ(child.received.size(), 10u);
  EXPECT_EQ(shared(), 4);
  child.received.clear();
  turn();
  for (int i = 0; i < 4; ++i) {
    parent.channel->send(large('b')).value();
    turn();
  }
  EXPECT_EQ(shared(), 4);
}

TEST_P(LargeData, ThatWasMadeInSharedMemoryIsNotCopied) {
  start({.shared_memory_max = 4u << 20});
  constexpr std::size_t kSize = 3u << 20;
  EXPECT_EQ(parent.channel->allocate(100), nullptr) << "too small to go there";
  for (int i = 0; i < 3; ++i) {
    turn();
    auto memory = parent.channel->allocate(kSize);
    ASSERT_TRUE(memory) << "what nobody needs is used again: " << i;
    turn();
    std::memset(memory.get(), 'a' + i, kSize);
    const std::span bytes{memory.get(), kSize};
    Value made = Value::buffer({bytes, std::move(memory)});
    parent.channel->send(made).value();
    turn();
    ASSERT_EQ(child.received.size(), 1u);
    const Value received = std::exchange(child.received, {}).front().value;
    EXPECT_TRUE(received == Value::buffer(std::string(kSize, static_cast<char>('a' + i))));
    EXPECT_TRUE(in_shared_memory(received)) << "there was no room for a copy";
    made = {};
    EXPECT_EQ(parent.channel->allocate(kSize), nullptr) << "the child has it";
  }
}

TEST_P(LargeData, KeepsItsPlaceAmongTheSmall) {
  start();
  parent.channel->send(large('x')).value();
  turn();
  child.received.clear();
  for (int i = 0; i < 50; ++i) {
    parent.channel->send(i).value();
    parent.channel->send({{"i", i}, {"data", Value::buffer(std::string(300'000, 'x'))}}).value();
  }
  turn();
  ASSERT_EQ(child.received.size(), 100u);
  for (std::size_t i = 0; i < 100; i += 2) {
    EXPECT_EQ(child.received[i].value, i / 2);
    EXPECT_EQ(std::as_const(child.received[i + 1].value)["i"], i / 2);
  }
}

TEST_P(LargeData, TakesTheSocketIfNoMemoryMayBeShared) {
  start({.shared_memory_max = 0});
  for (int i = 0; i < 2; ++i) {
    parent.channel->send(large('a')).value();
    child.channel->send(large('b')).value();
    turn();
  }
  ASSERT_EQ(child.received.size(), 2u);
  ASSERT_EQ(parent.received.size(), 2u);
  EXPECT_EQ(parent.channel->allocate(1 << 20), nullptr);
  EXPECT_FALSE(in_shared_memory(std::as_const(child.received[1].value)["data"]));
  EXPECT_FALSE(in_shared_memory(std::as_const(parent.received[1].value)["data"]));
}

TEST_P(LargeData, MayBeAsLargeAsWithoutSharedMemory) {
  constexpr std::size_t kMax = 1u << 20;
  start({.message_size_max = kMax});
  // What is left for the value's own bytes.
  const Value largest = Value::buffer(std::string(kMax - 10, 'x'));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(parent.channel->send(largest));
    turn();
  }
  EXPECT_EQ(child.received.size(), 3u) << child.closed;
}

INSTANTIATE_TEST_SUITE_P(Advanced, LargeData, testing::Values(Serialization::Advanced));

}  // namespace
}  // namespace cohort::ipc
