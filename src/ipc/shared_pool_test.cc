#include "ipc/shared_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <boost/asio/io_context.hpp>
#include <cstring>
#include <random>
#include <thread>

#include "base/sys.h"
#include "ipc/framing.h"
#include "ipc/outbox.h"

namespace cohort::ipc {
namespace {

constexpr std::size_t kPage = 4096;

TEST(Ranges, LendTheLowestPlaceThatIsLargeEnough) {
  Ranges ranges{8 * kPage};
  EXPECT_EQ(ranges.take(1), 0u);
  EXPECT_EQ(ranges.take(2 * kPage), kPage);
  EXPECT_EQ(ranges.take(kPage + 1), 3 * kPage);
  EXPECT_EQ(ranges.take(4 * kPage), std::nullopt) << "three are free";
  ranges.release(kPage);
  EXPECT_FALSE(ranges.give_back(1)) << "never lent";
  EXPECT_EQ(ranges.take(kPage), kPage);
  EXPECT_EQ(ranges.take(3 * kPage), 5 * kPage);
  EXPECT_EQ(ranges.take(kPage), 2 * kPage);
  EXPECT_EQ(ranges.take(1), std::nullopt);
  EXPECT_EQ(ranges.take(0), std::nullopt);
}

TEST(Ranges, AreFreeWhenNeitherTheirMakerNorAnybodyElseNeedsThem) {
  Ranges ranges{4 * kPage};
  ASSERT_EQ(ranges.take(4 * kPage), 0u);
  EXPECT_TRUE(ranges.lend(0));
  EXPECT_TRUE(ranges.lend(2 * kPage + 1)) << "a part of it";
  EXPECT_FALSE(ranges.lend(4 * kPage));
  EXPECT_TRUE(ranges.give_back(2 * kPage + 1));
  ranges.release(0);
  EXPECT_EQ(ranges.take(kPage), std::nullopt) << "it is lent once more";
  EXPECT_TRUE(ranges.give_back(0));
  EXPECT_EQ(ranges.take(kPage), 0u);
  EXPECT_FALSE(ranges.give_back(0)) << "no borrower takes it from its maker";
  EXPECT_FALSE(ranges.lend(kPage));
  ranges.release(kPage);
  ranges.release(0);
  EXPECT_TRUE(ranges.all_free());
}

TEST(Ranges, NeverLendAPageTwiceAndHaveAllOfThemAtTheEnd) {
  constexpr std::size_t kPages = 64;
  std::mt19937 random{7};
  Ranges ranges{kPages * kPage};
  std::vector<bool> lent(kPages);
  std::map<std::size_t, std::size_t> taken;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0 || taken.empty()) {
      const std::size_t pages = random() % 9 + 1;
      const auto offset = ranges.take(pages * kPage);
      if (!offset) continue;
      for (std::size_t page = *offset / kPage; page < *offset / kPage + pages; ++page) {
        ASSERT_LT(page, kPages);
        ASSERT_FALSE(lent[page]);
        lent[page] = true;
      }
      taken.emplace(*offset, pages);
    } else {
      const auto given =
          std::next(taken.begin(), static_cast<std::ptrdiff_t>(random() % taken.size()));
      for (std::size_t page = 0; page < given->second; ++page)
        lent[given->first / kPage + page] = false;
      if (random() % 2 == 0) {
        ASSERT_TRUE(ranges.lend(given->first));
        ranges.release(given->first);
        ASSERT_TRUE(ranges.give_back(given->first));
      } else {
        ranges.release(given->first);
      }
      taken.erase(given);
    }
  }
  for (const auto& [offset, pages] : taken) ranges.release(offset);
  EXPECT_TRUE(ranges.all_free());
  EXPECT_EQ(ranges.take(kPages * kPage), 0u) << "in one piece";
}

class SharedMemory : public testing::Test {
 protected:
  void turn() {
    io_.restart();
    io_.poll();
  }
  std::unique_ptr<SharedInbox> map(const SharedPool& pool) {
    auto inbox = SharedInbox::map(loop_, sys::duplicate(pool.fd()), pool.size(), pool.size(),
                                  [this] { ++times_freed_; });
    EXPECT_TRUE(inbox) << inbox.error();
    return *std::move(inbox);
  }

  boost::asio::io_context io_;
  Loop loop_{io_, io_.get_executor()};
  int times_freed_ = 0;
};

TEST_F(SharedMemory, TakesAMessagesLargeDataAndTheDecoderFindsItThere) {
  const auto pool = SharedPool::create(1 << 20).value();
  const auto inbox = map(*pool);
  const std::string large(200'000, 'L');
  std::vector<Attached> attached;
  std::string text;
  const Value message = Value::array({"before", Value::buffer(large), large, "after"});
  ASSERT_TRUE(encode_message(message, Serialization::Advanced, text, kMessageSizeMax, &attached));
  ASSERT_EQ(attached.size(), 2u);
  Parcel parcel{.text = text, .attached = std::move(attached)};
  ASSERT_TRUE(pool->share(parcel));
  EXPECT_TRUE(parcel.attached.empty());
  EXPECT_LT(parcel.text.size(), 100u);

  Decoder decoder{kMessageSizeMax, Serialization::Advanced};
  decoder.set_lend([&](auto offset, auto size) { return inbox->lend(offset, size); });
  decoder.feed(parcel.text);
  auto decoded = decoder.next();
  ASSERT_TRUE(decoded && *decoded) << decoded.error();
  Value received = std::move((*decoded)->value);
  EXPECT_TRUE(received == message);
  const std::string huge(900'000, 'x');
  parcel.attached = {{9, std::as_bytes(std::span(huge)), {}}};
  EXPECT_FALSE(pool->share(parcel)) << "there is no room while the message lives";
  EXPECT_EQ(parcel.attached.size(), 1u);
  turn();
  EXPECT_EQ(times_freed_, 0);

  // Any thread may drop it, and the ranges are given back together.
  *decoded = std::nullopt;
  std::thread([dropped = std::move(received)]() mutable { dropped = Value(); }).join();
  turn();
  EXPECT_EQ(times_freed_, 1);
  const auto freed = inbox->take_freed();
  EXPECT_EQ(freed.size(), 2u);
  for (const std::size_t offset : freed) pool->give_back(offset);
  EXPECT_TRUE(inbox->take_freed().empty());
}

TEST_F(SharedMemory, WhatWasMadeThereIsNotCopiedAndStaysWhileAnybodyNeedsIt) {
  const auto pool = SharedPool::create(8 * kPage).value();
  const auto inbox = map(*pool);
  auto made = pool->allocate(8 * kPage);
  ASSERT_TRUE(made);
  EXPECT_FALSE(pool->allocate(kPage)) << "all of it is in use";
  const auto send_part = [&](std::size_t begin, std::size_t size) {
    Parcel parcel{.text = "1234", .attached = {{4, {made.get() + begin, size}, {}}}};
    EXPECT_TRUE(pool->share(parcel));
  };
  made.get()[kPage] = std::byte{1};
  send_part(0, 8 * kPage);
  send_part(kPage, 100);
  auto whole = inbox->lend(0, 8 * kPage);
  auto part = inbox->lend(kPage, 100);
  EXPECT_EQ(*part, std::byte{1});
  made.get()[kPage] = std::byte{2};
  EXPECT_EQ(*part, std::byte{2}) << "it is the same memory";

  std::thread([&] { made.reset(); }).join();
  whole.reset();
  for (const std::size_t offset : inbox->take_freed()) pool->give_back(offset);
  EXPECT_FALSE(pool->allocate(kPage)) << "a part is still lent";
  part.reset();
  for (const std::size_t offset : inbox->take_freed()) pool->give_back(offset);
  EXPECT_TRUE(pool->allocate(8 * kPage));
}

TEST_F(SharedMemory, MadeByThePoolOutlivesIt) {
  auto made = SharedPool::create(kPage).value()->allocate(kPage);
  std::memset(made.get(), 'x', kPage);
}

TEST_F(SharedMemory, ThatIsLentOutlivesBothSidesAndTheLoop) {
  std::shared_ptr<const std::byte> lent;
  {
    boost::asio::io_context io;
    const Loop loop{io, io.get_executor()};
    auto pool = SharedPool::create(kPage).value();
    std::string bytes(100, 'x');
    Parcel parcel{.text = "1234", .attached = {{4, std::as_bytes(std::span(bytes)), {}}}};
    ASSERT_TRUE(pool->share(parcel));
    auto inbox =
        SharedInbox::map(loop, sys::duplicate(pool->fd()), kPage, kPage, [] { FAIL(); }).value();
    lent = inbox->lend(0, 100);
  }
  EXPECT_EQ(std::memcmp(lent.get(), std::string(100, 'x').data(), 100), 0);
  lent.reset();
}

TEST_F(SharedMemory, IsMappedOnlyIfNobodyCanMakeItSmaller) {
  const auto refused = [&](OwnFd fd, std::size_t size) {
    const auto inbox = SharedInbox::map(loop_, std::move(fd), size, 2 * kPage, [] {});
    return !inbox && inbox.error().code == Errc::MalformedMessage;
  };
  OwnFd unsealed = sys::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(sys::ftruncate(unsealed.get(), kPage), 0);
  EXPECT_TRUE(refused(std::move(unsealed), kPage));
  OwnFd pipe[2];
  ASSERT_EQ(sys::pipe(pipe), 0);
  EXPECT_TRUE(refused(std::move(pipe[0]), kPage));
  const auto pool = SharedPool::create(kPage).value();
  EXPECT_TRUE(refused(sys::duplicate(pool->fd()), 2 * kPage)) << "beyond its end";
  EXPECT_TRUE(refused(sys::duplicate(pool->fd()), 0));
  const auto large = SharedPool::create(3 * kPage).value();
  EXPECT_TRUE(refused(sys::duplicate(large->fd()), 3 * kPage)) << "more than is taken";
}

TEST_F(SharedMemory, IsNotLentBeyondItsEnd) {
  const auto pool = SharedPool::create(2 * kPage).value();
  const auto inbox = map(*pool);
  EXPECT_TRUE(inbox->lend(kPage, kPage));
  EXPECT_FALSE(inbox->lend(kPage, kPage + 1));
  EXPECT_FALSE(inbox->lend(2 * kPage + 1, 0));
  EXPECT_FALSE(inbox->lend(SIZE_MAX, 2));
}

TEST_F(SharedMemory, ReferencesThatMakeNoSenseAreMalformed) {
  const auto pool = SharedPool::create(kPage).value();
  const auto inbox = map(*pool);
  std::string frame;
  ASSERT_TRUE(encode_message("text", Serialization::Advanced, frame));
  const auto decode = [&](std::vector<SharedReference> references, std::string_view of) {
    Decoder decoder{1 << 20, Serialization::Advanced};
    decoder.set_lend([&](auto offset, auto size) { return inbox->lend(offset, size); });
    const std::string bytes = shared_frame(of, references);
    decoder.feed(bytes);
    const auto decoded = decoder.next();
    return decoded ? std::string("a message") : decoded.error().message();
  };
  EXPECT_EQ(decode({}, frame), "a message");
  EXPECT_NE(decode({{6, kPage, 1}}, frame), "a message") << "beyond the memory";
  EXPECT_NE(decode({{6, 0, 1}}, frame), "a message") << "no value has it";
  EXPECT_NE(decode({{8, 0, 5}}, frame), "a message") << "another size than the value says";
  EXPECT_NE(decode({{6, 0, 2u << 20}}, frame), "a message") << "larger than a message may be";

  Decoder plain{1 << 20, Serialization::Advanced};
  const std::string bytes = shared_frame(frame, {});
  plain.feed(bytes);
  EXPECT_EQ(plain.next().error().code, Errc::MessageTooLarge) << "nobody said that we take it";
}

}  // namespace
}  // namespace cohort::ipc
