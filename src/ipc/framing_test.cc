#include "ipc/framing.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "base/sys.h"

namespace cohort::ipc {
namespace {

const std::string kHandleLine = R"({"cmd":"NODE_HANDLE","type":"net.Native","msg":{"n":1}})"
                                "\n";

/// A decoder that keeps what it is fed, as the channel's read buffer does.
class Decoder : public LineDecoder {
 public:
  using LineDecoder::LineDecoder;
  void feed(std::string_view bytes, std::vector<OwnFd>&& fds = {}) {
    bytes_ = bytes;
    LineDecoder::feed(bytes_, std::move(fds));
  }

 private:
  std::string bytes_;
};

/// Everything that is there, as JSON, and "error: ..." last if it ended so.
std::vector<std::string> drain(LineDecoder& decoder) {
  std::vector<std::string> texts;
  for (;;) {
    Result<std::optional<Incoming>> next = decoder.next();
    if (!next) {
      texts.push_back("error: " + next.error().message());
      return texts;
    }
    if (!*next) return texts;
    texts.push_back(to_json((*next)->value));
  }
}

std::vector<std::string> fed(Decoder& decoder, std::string_view bytes) {
  decoder.feed(bytes);
  return drain(decoder);
}

using Texts = std::vector<std::string>;

OwnFd make_fd() { return sys::open("/dev/null", O_RDONLY); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1 || errno != EBADF; }

std::vector<OwnFd> make_fds(std::size_t count, std::vector<int>* numbers = nullptr) {
  std::vector<OwnFd> fds;
  for (std::size_t i = 0; i < count; ++i) {
    fds.push_back(make_fd());
    if (numbers) numbers->push_back(fds.back().get());
  }
  return fds;
}

Incoming next_message(LineDecoder& decoder) {
  Result<std::optional<Incoming>> next = decoder.next();
  EXPECT_TRUE(next && *next);
  return next && *next ? std::move(**next) : Incoming();
}

TEST(LineDecoder, GivesAMessagePerLine) {
  Decoder decoder;
  EXPECT_EQ(fed(decoder, "1\n\"two\"\n{\"cmd\":\"three\"}\n"),
            (Texts{"1", "\"two\"", "{\"cmd\":\"three\"}"}));
  EXPECT_EQ(fed(decoder, " [4]\r\n"), (Texts{"[4]"}));
  EXPECT_EQ(fed(decoder, ""), Texts{});
}

TEST(LineDecoder, GivesTheSameHoweverTheBytesAreSplit) {
  const std::string text =
      "{\"a\":\"\xed\x95\x9c\xea\xb8\x80\"}\n[1,2]\n\"\\ud83d\\ude00\"\n" + kHandleLine + "null\n";
  Decoder whole;
  const Texts expected = fed(whole, text);
  ASSERT_EQ(expected.size(), 5u);
  for (std::size_t size = 1; size < text.size(); ++size) {
    Decoder decoder;
    Texts texts;
    for (std::size_t i = 0; i < text.size(); i += size)
      for (std::string& message : fed(decoder, std::string_view(text).substr(i, size)))
        texts.push_back(std::move(message));
    EXPECT_EQ(texts, expected) << size;
  }
}

TEST(LineDecoder, WaitsForTheEndOfALine) {
  Decoder decoder;
  EXPECT_EQ(fed(decoder, "{\"cmd\""), Texts{});
  EXPECT_EQ(fed(decoder, ":\"x\"}"), Texts{});
  EXPECT_EQ(fed(decoder, "\n1\n2"), (Texts{"{\"cmd\":\"x\"}", "1"}));
  EXPECT_EQ(fed(decoder, "3\n"), Texts{"23"});
}

TEST(LineDecoder, DoesNotHoldOnToTheBytesOnceAllIsDecoded) {
  LineDecoder decoder;
  std::string buffer = "\"first\"\n\"sec";
  decoder.feed(buffer);
  EXPECT_EQ(drain(decoder), Texts{"\"first\""});
  buffer.assign(buffer.size(), '?');
  decoder.feed("ond\"\n");
  EXPECT_EQ(drain(decoder), Texts{"\"second\""});
}

TEST(LineDecoder, StaysFailedAfterAMalformedLine) {
  for (const std::string line : {"", "not json", "{\"a\":", "1 2", "\r"}) {
    Decoder decoder;
    decoder.feed("1\n" + line + "\n2\n");
    EXPECT_EQ(next_message(decoder).value, 1);
    for (int i = 0; i < 2; ++i) {
      const auto next = decoder.next();
      ASSERT_FALSE(next) << line;
      EXPECT_EQ(next.error().code, Errc::MalformedMessage);
    }
    decoder.feed("3\n");
    EXPECT_FALSE(decoder.next());
  }
}

TEST(LineDecoder, QuotesTheBeginningOfAMalformedLine) {
  Decoder decoder;
  decoder.feed("Listening on port 8000" + std::string(100, '!') + "\n");
  const auto next = decoder.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().op, "receive 'Listening on port 8000" + std::string(38, '!') + "'");
}

TEST(LineDecoder, RefusesAMessageThatIsTooLargeBeforeItEnds) {
  const std::string text = "\"" + std::string(8, 'x') + "\"";
  Decoder exact(10);
  EXPECT_EQ(fed(exact, text + "\n1\n"), (Texts{text, "1"}));
  Decoder split(10);
  EXPECT_EQ(fed(split, text), Texts{});
  EXPECT_EQ(fed(split, "\n"), Texts{text});
  for (const std::string& bytes : {text + "\n", text}) {
    Decoder decoder(9);
    decoder.feed(bytes);
    const auto next = decoder.next();
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().code, Errc::MessageTooLarge);
  }
  Decoder pieces(9);
  EXPECT_EQ(fed(pieces, "\"xxxx"), Texts{});
  EXPECT_EQ(fed(pieces, "xxxxx").size(), 1u);
}

TEST(LineDecoder, RefusesBytesBeforeTheLastOnesAreDecoded) {
  Decoder decoder;
  decoder.feed("1\n2\n");
  EXPECT_EQ(next_message(decoder).value, 1);
  decoder.feed("3\n");
  const auto next = decoder.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Errc::InvalidArgument);
}

TEST(LineDecoder, TakesTimeInProportionToALargeMessage) {
  const std::string chunk(16 << 10, 'x');
  const auto time_of = [&](int chunks) {
    Decoder decoder;
    const std::clock_t start = std::clock();  // CPU time: others may share the machine
    EXPECT_EQ(fed(decoder, "\"").size(), 0u);
    for (int i = 0; i < chunks; ++i) EXPECT_EQ(fed(decoder, chunk).size(), 0u);
    decoder.feed("\"\n");
    EXPECT_EQ(next_message(decoder).value.string_or("").size(),
              chunk.size() * static_cast<std::size_t>(chunks));
    return static_cast<double>(std::clock() - start);
  };
  time_of(256);
  const double small = time_of(256);   // 4 MiB
  const double large = time_of(4096);  // 64 MiB; quadratic would be 256 times as long
  EXPECT_LT(large, 80 * small);
}

TEST(LineDecoder, GivesADescriptorToTheHandleItCameWith) {
  Decoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine, make_fds(1, &numbers));
  Incoming incoming = next_message(decoder);
  EXPECT_TRUE(incoming.was_handle);
  EXPECT_EQ(incoming.fd.get(), numbers[0]);
  EXPECT_EQ(incoming.value, Value({{"n", 1}}));
}

TEST(LineDecoder, GivesADescriptorPastPlainMessagesInFrontOfItsHandle) {
  Decoder decoder;
  std::vector<int> numbers;
  decoder.feed("\"before\"\n" + kHandleLine.substr(0, 10), make_fds(1, &numbers));
  EXPECT_FALSE(next_message(decoder).fd);
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(kHandleLine.substr(10, 10));
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(kHandleLine.substr(20) + "\"after\"\n");
  EXPECT_EQ(next_message(decoder).fd.get(), numbers[0]);
  EXPECT_FALSE(next_message(decoder).fd);
}

TEST(LineDecoder, GivesADescriptorThatCameWithTheLastByte) {
  Decoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine.substr(0, kHandleLine.size() - 1));
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed("\n", make_fds(1, &numbers));
  EXPECT_EQ(next_message(decoder).fd.get(), numbers[0]);
}

TEST(LineDecoder, GivesSeveralDescriptorsInOrder) {
  Decoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine + kHandleLine + kHandleLine, make_fds(3, &numbers));
  for (const int number : numbers) EXPECT_EQ(next_message(decoder).fd.get(), number);
}

TEST(LineDecoder, GivesAHandleWhoseDescriptorWasLostNone) {
  Decoder decoder;
  decoder.feed(kHandleLine);
  const Incoming incoming = next_message(decoder);
  EXPECT_TRUE(incoming.was_handle);
  EXPECT_FALSE(incoming.fd);
}

TEST(LineDecoder, ClosesADescriptorThatCameWithoutAHandle) {
  Decoder decoder;
  std::vector<int> numbers;
  decoder.feed("\"plain\"\n", make_fds(1, &numbers));
  EXPECT_FALSE(next_message(decoder).fd);
  EXPECT_FALSE(is_open(numbers[0]));
  // Node would give it to this one.
  decoder.feed(kHandleLine);
  EXPECT_FALSE(next_message(decoder).fd);
}

TEST(LineDecoder, ClosesTheSecondDescriptorOfOneHandle) {
  Decoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine, make_fds(2, &numbers));
  const Incoming incoming = next_message(decoder);
  EXPECT_EQ(incoming.fd.get(), numbers[0]);
  EXPECT_TRUE(is_open(numbers[0]));
  EXPECT_FALSE(is_open(numbers[1]));
}

TEST(LineDecoder, LetsFewDescriptorsWait) {
  Decoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine.substr(0, 5), make_fds(kWaitingFdsMax, &numbers));
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(kHandleLine.substr(5, 5), make_fds(2, &numbers));
  EXPECT_EQ(std::count_if(numbers.begin(), numbers.end(), is_open),
            static_cast<std::ptrdiff_t>(kWaitingFdsMax));
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(kHandleLine.substr(10));
  EXPECT_EQ(next_message(decoder).fd.get(), numbers[0]);
}

TEST(LineDecoder, ClosesWhatWaitsWhenItFailsOrEnds) {
  std::vector<int> numbers;
  {
    Decoder failed;
    failed.feed("{\n", make_fds(1, &numbers));
    EXPECT_FALSE(failed.next());
    EXPECT_FALSE(is_open(numbers[0]));
    failed.feed(kHandleLine, make_fds(1, &numbers));
    EXPECT_FALSE(is_open(numbers[1]));
    Decoder ended;
    ended.feed("{", make_fds(1, &numbers));
  }
  EXPECT_FALSE(is_open(numbers[2]));
}

TEST(LineDecoder, SurvivesRandomBytesInRandomPieces) {
  std::mt19937 random(20240607);
  const std::string alphabet = "{}[]\",:\\u12ae \r\n\xed\xff" + std::string("tfn");
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t i = random() % 60; i > 0; --i) text += alphabet[random() % alphabet.size()];
    Decoder whole;
    const Texts expected = fed(whole, text);
    Decoder decoder;
    Texts texts;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t size = 1 + random() % 10;
      const Texts more = fed(decoder, std::string_view(text).substr(i, size));
      texts.insert(texts.end(), more.begin(), more.end());
      if (!more.empty() && more.back().starts_with("error")) break;
      i += size;
    }
    EXPECT_EQ(texts, expected) << text;
  }
}

}  // namespace
}  // namespace cohort::ipc
