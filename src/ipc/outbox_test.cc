#include "ipc/outbox.h"

#include <gtest/gtest.h>

#include <string>

namespace cohort::ipc {
namespace {

void add(Outbox& outbox, Lane lane, std::string_view text, Parcel::Done done = {}) {
  outbox.tail(lane).append(text);
  outbox.added(lane, text.size(), std::move(done));
}

Parcel with_descriptor(std::string text, std::vector<Delivery>* answers = nullptr) {
  return {.text = std::move(text), .fds = {0}, .answered = [answers](Delivery delivery) {
            if (answers) answers->push_back(delivery);
          }};
}

/// What one write gets that takes at most so many bytes; a descriptor is `^`.
std::string write(Outbox& outbox, std::size_t size_max = 1 << 20) {
  Outbox::Batch batch;
  if (!outbox.next(batch)) return "";
  std::string bytes;
  for (std::size_t i = 0; i < batch.count; ++i)
    bytes.append(static_cast<const char*>(batch.data[i].iov_base), batch.data[i].iov_len);
  bytes.resize(std::min(bytes.size(), size_max));
  std::vector<Parcel::Done> done;
  outbox.written(bytes.size(), done);
  for (const auto& callback : done) callback(std::nullopt);
  return (!batch.fds.empty() ? "^" : "") + bytes;
}

TEST(Outbox, AnswersGoBeforeControlAndThatBeforeData) {
  Outbox outbox;
  EXPECT_TRUE(outbox.empty());
  add(outbox, Lane::Data, "data ");
  add(outbox, Lane::Control, "control ");
  add(outbox, Lane::Answer, "answer ");
  add(outbox, Lane::Data, "more ");
  EXPECT_EQ(outbox.data_waiting(), 10u);
  EXPECT_EQ(write(outbox), "answer control data more ");
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(outbox.data_waiting(), 0u);
  EXPECT_EQ(write(outbox), "");
}

TEST(Outbox, AMessageThatWasBegunIsFinishedFirst) {
  Outbox outbox;
  outbox.push(Lane::Data, with_descriptor("a long message."));
  add(outbox, Lane::Data, "data.");
  EXPECT_EQ(write(outbox, 6), "^a long");
  add(outbox, Lane::Control, "control.");
  EXPECT_EQ(outbox.data_waiting(), 14u);
  EXPECT_EQ(write(outbox), " message.control.data.") << "without the descriptor";
}

TEST(Outbox, FarAwayBytesGoToTheirPlaces) {
  const std::string far = "0123456789";
  const auto bytes = std::as_bytes(std::span(far));
  Outbox outbox;
  add(outbox, Lane::Data, "<");
  outbox.push(Lane::Data, {.text = "abc", .attached = {{1, bytes, {}}, {3, bytes.first(3), {}}}});
  add(outbox, Lane::Data, ">");
  EXPECT_EQ(outbox.data_waiting(), 18u);
  // Whatever a write takes, the next one goes on there.
  std::string all;
  for (std::size_t i = 1; !outbox.empty(); ++i) all += write(outbox, i % 5 + 1);
  EXPECT_EQ(all, "<a0123456789bc012>");
  EXPECT_EQ(outbox.data_waiting(), 0u);
}

TEST(Outbox, ManyParcelsTakeSeveralWrites) {
  Outbox outbox;
  const std::string far(10, 'x');
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    outbox.push(Lane::Data, {.text = "ab", .attached = {{1, std::as_bytes(std::span(far)), {}}}});
    expected += "a" + far + "b";
  }
  std::string all;
  while (!outbox.empty()) all += write(outbox);
  EXPECT_EQ(all, expected);
}

TEST(Outbox, ADescriptorWaitsForTheAnswerToTheOneBefore) {
  Outbox outbox;
  std::vector<Delivery> answers;
  outbox.push(Lane::Data, with_descriptor("one.", &answers));
  outbox.push(Lane::Data, with_descriptor("two.", &answers));
  outbox.push(Lane::Control, with_descriptor("control.", &answers));
  add(outbox, Lane::Answer, "answer.");
  EXPECT_EQ(write(outbox), "answer.") << "a descriptor goes with the first byte";
  EXPECT_EQ(write(outbox), "^control.");
  add(outbox, Lane::Control, "plain.");
  EXPECT_EQ(write(outbox), "plain.") << "it has none";
  EXPECT_TRUE(outbox.answer(Delivery::Received));
  EXPECT_EQ(write(outbox), "^one.");
  EXPECT_EQ(write(outbox), "");
  EXPECT_FALSE(outbox.empty());
  outbox.set_descriptors_may_follow();
  EXPECT_EQ(write(outbox), "^two.");
  EXPECT_EQ(outbox.unanswered(), 2u);
  while (outbox.answer(Delivery::PeerGone)) {
  }
  EXPECT_EQ(answers, (std::vector{Delivery::Received, Delivery::PeerGone, Delivery::PeerGone}));
  EXPECT_FALSE(outbox.answer(Delivery::Received));
}

TEST(Outbox, NotMoreDescriptorsAreUnderWayThanTheSystemMayTake) {
  Outbox outbox;
  outbox.set_descriptors_may_follow();
  const auto push = [&](std::string text, std::size_t count) {
    outbox.push(Lane::Data, {.text = std::move(text), .fds = std::vector<int>(count, 0)});
  };
  push("a", 40);
  push("b", 24);
  push("c", 1);
  push("d", 64);
  EXPECT_EQ(write(outbox), "^a");
  EXPECT_EQ(write(outbox), "^b");
  EXPECT_EQ(write(outbox), "");
  EXPECT_TRUE(outbox.answer(Delivery::Received));
  EXPECT_EQ(write(outbox), "^c");
  EXPECT_EQ(write(outbox), "");
  EXPECT_TRUE(outbox.answer(Delivery::Received));
  EXPECT_EQ(write(outbox), "") << "one is still under way";
  EXPECT_TRUE(outbox.answer(Delivery::Received));
  EXPECT_EQ(write(outbox), "^d");
}

TEST(Outbox, DataWaitsForThePeersProgressAndControlDoesNot) {
  Outbox outbox;
  outbox.set_window(10);
  const std::string far(100, 'x');
  for (int i = 0; i < 3; ++i)
    outbox.push(Lane::Data, {.text = "ab", .attached = {{1, std::as_bytes(std::span(far)), {}}}});
  EXPECT_EQ(write(outbox).size(), 102u) << "one may be begun, however large it is";
  EXPECT_EQ(write(outbox), "");
  add(outbox, Lane::Control, "control.");
  EXPECT_EQ(write(outbox), "control.");
  outbox.processed(100);
  EXPECT_EQ(write(outbox), "") << "10 are on the way";
  outbox.processed(101);
  EXPECT_EQ(write(outbox).size(), 102u);
  outbox.processed(50);
  outbox.processed(1'000'000);
  EXPECT_EQ(write(outbox).size(), 102u) << "more than was written cannot have been processed";
  add(outbox, Lane::Data, "more than ten.");
  EXPECT_EQ(write(outbox), "");
  outbox.hurry();
  outbox.set_window(1);
  EXPECT_EQ(write(outbox), "more than ten.") << "for good";
}

TEST(Outbox, CallsBackWhenAllOfAMessageIsWritten) {
  Outbox outbox;
  int done = 0;
  const auto count = [&](std::optional<Error> error) { done += error ? 100 : 1; };
  add(outbox, Lane::Data, "one.", count);
  outbox.push(Lane::Data, {.text = "two.", .fds = {0}, .done = {count}});
  add(outbox, Lane::Data, "three.", count);
  EXPECT_EQ(write(outbox, 3), "one");
  EXPECT_EQ(done, 0);
  EXPECT_EQ(write(outbox), ".");
  EXPECT_EQ(done, 1);
  EXPECT_EQ(write(outbox), "^two.three.");
  EXPECT_EQ(done, 3);
  add(outbox, Lane::Data, "four.", count);
  EXPECT_EQ(outbox.drop().size(), 1u);
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, TakesBackWhatWasPushed) {
  Outbox outbox;
  add(outbox, Lane::Data, "one.");
  outbox.push(Lane::Data, with_descriptor("two."));
  outbox.pop(Lane::Data);
  outbox.tail(Lane::Data);  // and nothing added: the message could not be encoded
  EXPECT_EQ(outbox.data_waiting(), 4u);
  EXPECT_EQ(write(outbox), "one.");
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(outbox.last(Lane::Control), nullptr);
}

}  // namespace
}  // namespace cohort::ipc
