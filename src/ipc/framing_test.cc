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
class FedDecoder : public Decoder {
 public:
  using Decoder::Decoder;
  void feed(std::string_view bytes, std::vector<OwnFd>&& fds = {}) {
    bytes_ = bytes;
    Decoder::feed(bytes_, std::move(fds));
  }

 private:
  std::string bytes_;
};

/// Everything that is there, as JSON, and "error: ..." last if it ended so.
std::vector<std::string> drain(Decoder& decoder) {
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

std::vector<std::string> fed(FedDecoder& decoder, std::string_view bytes) {
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

Incoming next_message(Decoder& decoder) {
  Result<std::optional<Incoming>> next = decoder.next();
  EXPECT_TRUE(next && *next);
  return next && *next ? std::move(**next) : Incoming();
}

TEST(DecoderOfLines, GivesAMessagePerLine) {
  FedDecoder decoder;
  EXPECT_EQ(fed(decoder, "1\n\"two\"\n{\"cmd\":\"three\"}\n"),
            (Texts{"1", "\"two\"", "{\"cmd\":\"three\"}"}));
  EXPECT_EQ(fed(decoder, " [4]\r\n"), (Texts{"[4]"}));
  EXPECT_EQ(fed(decoder, ""), Texts{});
}

TEST(DecoderOfLines, GivesTheSameHoweverTheBytesAreSplit) {
  const std::string text =
      "{\"a\":\"\xed\x95\x9c\xea\xb8\x80\"}\n[1,2]\n\"\\ud83d\\ude00\"\n" + kHandleLine + "null\n";
  FedDecoder whole;
  const Texts expected = fed(whole, text);
  ASSERT_EQ(expected.size(), 5u);
  for (std::size_t size = 1; size < text.size(); ++size) {
    FedDecoder decoder;
    Texts texts;
    for (std::size_t i = 0; i < text.size(); i += size)
      for (std::string& message : fed(decoder, std::string_view(text).substr(i, size)))
        texts.push_back(std::move(message));
    EXPECT_EQ(texts, expected) << size;
  }
}

TEST(DecoderOfLines, WaitsForTheEndOfALine) {
  FedDecoder decoder;
  EXPECT_EQ(fed(decoder, "{\"cmd\""), Texts{});
  EXPECT_EQ(fed(decoder, ":\"x\"}"), Texts{});
  EXPECT_EQ(fed(decoder, "\n1\n2"), (Texts{"{\"cmd\":\"x\"}", "1"}));
  EXPECT_EQ(fed(decoder, "3\n"), Texts{"23"});
}

TEST(DecoderOfLines, DoesNotHoldOnToTheBytesOnceAllIsDecoded) {
  Decoder decoder;
  std::string buffer = "\"first\"\n\"sec";
  decoder.feed(buffer);
  EXPECT_EQ(drain(decoder), Texts{"\"first\""});
  buffer.assign(buffer.size(), '?');
  decoder.feed("ond\"\n");
  EXPECT_EQ(drain(decoder), Texts{"\"second\""});
}

TEST(DecoderOfLines, StaysFailedAfterAMalformedLine) {
  for (const std::string line : {"", "not json", "{\"a\":", "1 2", "\r"}) {
    FedDecoder decoder;
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

TEST(DecoderOfLines, QuotesTheBeginningOfAMalformedLine) {
  FedDecoder decoder;
  decoder.feed("Listening on port 8000" + std::string(100, '!') + "\n");
  const auto next = decoder.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().op, "receive 'Listening on port 8000" + std::string(38, '!') + "'");
}

TEST(DecoderOfLines, RefusesAMessageThatIsTooLargeBeforeItEnds) {
  const std::string text = "\"" + std::string(8, 'x') + "\"";
  FedDecoder exact(10);
  EXPECT_EQ(fed(exact, text + "\n1\n"), (Texts{text, "1"}));
  FedDecoder split(10);
  EXPECT_EQ(fed(split, text), Texts{});
  EXPECT_EQ(fed(split, "\n"), Texts{text});
  for (const std::string& bytes : {text + "\n", text}) {
    FedDecoder decoder(9);
    decoder.feed(bytes);
    const auto next = decoder.next();
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().code, Errc::MessageTooLarge);
  }
  FedDecoder pieces(9);
  EXPECT_EQ(fed(pieces, "\"xxxx"), Texts{});
  EXPECT_EQ(fed(pieces, "xxxxx").size(), 1u);
}

TEST(DecoderOfLines, RefusesBytesBeforeTheLastOnesAreDecoded) {
  FedDecoder decoder;
  decoder.feed("1\n2\n");
  EXPECT_EQ(next_message(decoder).value, 1);
  decoder.feed("3\n");
  const auto next = decoder.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Errc::InvalidArgument);
}

TEST(DecoderOfLines, TakesTimeInProportionToALargeMessage) {
  const std::string chunk(16 << 10, 'x');
  const auto time_of = [&](int chunks) {
    FedDecoder decoder;
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

TEST(DecoderOfLines, GivesADescriptorToTheHandleItCameWith) {
  FedDecoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine, make_fds(1, &numbers));
  Incoming incoming = next_message(decoder);
  EXPECT_TRUE(incoming.was_handle);
  EXPECT_EQ(incoming.fd.get(), numbers[0]);
  EXPECT_EQ(incoming.value, Value({{"n", 1}}));
}

TEST(DecoderOfLines, GivesADescriptorPastPlainMessagesInFrontOfItsHandle) {
  FedDecoder decoder;
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

TEST(DecoderOfLines, GivesADescriptorThatCameWithTheLastByte) {
  FedDecoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine.substr(0, kHandleLine.size() - 1));
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed("\n", make_fds(1, &numbers));
  EXPECT_EQ(next_message(decoder).fd.get(), numbers[0]);
}

TEST(DecoderOfLines, GivesSeveralDescriptorsInOrder) {
  FedDecoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine + kHandleLine + kHandleLine, make_fds(3, &numbers));
  for (const int number : numbers) EXPECT_EQ(next_message(decoder).fd.get(), number);
}

TEST(DecoderOfLines, GivesAHandleWhoseDescriptorWasLostNone) {
  FedDecoder decoder;
  decoder.feed(kHandleLine);
  const Incoming incoming = next_message(decoder);
  EXPECT_TRUE(incoming.was_handle);
  EXPECT_FALSE(incoming.fd);
}

TEST(DecoderOfLines, ClosesADescriptorThatCameWithoutAHandle) {
  FedDecoder decoder;
  std::vector<int> numbers;
  decoder.feed("\"plain\"\n", make_fds(1, &numbers));
  EXPECT_FALSE(next_message(decoder).fd);
  EXPECT_FALSE(is_open(numbers[0]));
  // Node would give it to this one.
  decoder.feed(kHandleLine);
  EXPECT_FALSE(next_message(decoder).fd);
}

TEST(DecoderOfLines, ClosesTheSecondDescriptorOfOneHandle) {
  FedDecoder decoder;
  std::vector<int> numbers;
  decoder.feed(kHandleLine, make_fds(2, &numbers));
  const Incoming incoming = next_message(decoder);
  EXPECT_EQ(incoming.fd.get(), numbers[0]);
  EXPECT_TRUE(is_open(numbers[0]));
  EXPECT_FALSE(is_open(numbers[1]));
}

std::string several_line(std::size_t count) {
  std::string line = R"({"cmd":"NODE_HANDLE","type":"cohort.Several","msg":1,"heads":[)";
  for (std::size_t i = 0; i < count; ++i) line += i == 0 ? R"("")" : R"(,"")";
  return line + "]}\n";
}

TEST(DecoderOfLines, GivesAMessageAllDescriptorsOfItsHeadsThoughTheNextOnesCameMeanwhile) {
  FedDecoder decoder;
  std::vector<int> first, second;
  const std::string line = several_line(kDescriptorsMax);
  decoder.feed(line.substr(0, 50), make_fds(kDescriptorsMax, &first));
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(line.substr(50) + line.substr(0, 50), make_fds(kDescriptorsMax, &second));
  const auto numbers_of = [](const Incoming& incoming) {
    std::vector<int> numbers;
    for (const OwnFd& fd : incoming.several) numbers.push_back(fd.get());
    return numbers;
  };
  EXPECT_EQ(numbers_of(next_message(decoder)), first);
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(line.substr(50));
  EXPECT_EQ(numbers_of(next_message(decoder)), second);
}

TEST(DecoderOfLines, GivesAMessageWhoseDescriptorsWereLostInPartNoneAndNotThoseOfTheNext) {
  FedDecoder decoder;
  std::vector<int> first, second;
  const std::string line = several_line(3);
  decoder.feed(line.substr(0, 50), make_fds(2, &first));
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(line.substr(50) + several_line(2), make_fds(2, &second));
  const Incoming lost = next_message(decoder);
  EXPECT_TRUE(lost.was_handle);
  EXPECT_FALSE(lost.has_descriptors());
  for (const int number : first) EXPECT_FALSE(is_open(number));
  const Incoming whole = next_message(decoder);
  ASSERT_EQ(whole.several.size(), 2u);
  EXPECT_EQ(whole.several[0].get(), second[0]);
}

TEST(DecoderOfLines, LetsFewDescriptorsWait) {
  FedDecoder decoder;
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

TEST(DecoderOfLines, ClosesWhatWaitsWhenItFailsOrEnds) {
  std::vector<int> numbers;
  {
    FedDecoder failed;
    failed.feed("{\n", make_fds(1, &numbers));
    EXPECT_FALSE(failed.next());
    EXPECT_FALSE(is_open(numbers[0]));
    failed.feed(kHandleLine, make_fds(1, &numbers));
    EXPECT_FALSE(is_open(numbers[1]));
    FedDecoder ended;
    ended.feed("{", make_fds(1, &numbers));
  }
  EXPECT_FALSE(is_open(numbers[2]));
}

// ---- Advanced mode

std::string frame(const Value& value) {
  std::string out;
  EXPECT_TRUE(encode_message(value, Serialization::Advanced, out));
  return out;
}

/// A decoder of frames that keeps what it is fed.
struct FedFrameDecoder : FedDecoder {
  explicit FedFrameDecoder(std::size_t message_size_max = kMessageSizeMax)
      : FedDecoder(message_size_max, Serialization::Advanced) {}
};

const Value kHandle = {{"cmd", "NODE_HANDLE"}, {"type", "net.Native"}, {"msg", {{"n", 1}}}};

TEST(DecoderOfFrames, GivesTheSameHoweverTheBytesAreSplit) {
  const std::string bytes =
      frame({{"a", 1}}) + frame("two") + frame(kHandle) + frame({1, 2, 3}) + frame(nullptr);
  const Texts expected = {R"({"a":1})", R"("two")", R"({"n":1})", "[1,2,3]", "null"};
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    FedFrameDecoder decoder;
    Texts texts;
    for (std::size_t i = 0; i < bytes.size(); i += size)
      for (std::string& text : fed(decoder, std::string_view(bytes).substr(i, size)))
        texts.push_back(std::move(text));
    EXPECT_EQ(texts, expected) << size;
  }
}

TEST(DecoderOfFrames, GivesALargeMessageItsOwnMemory) {
  const Value image = {{"image", Value::buffer(std::string(300'000, 'i'))}, {"n", 1}};
  const std::string bytes = frame(image) + frame("next");
  FedFrameDecoder decoder;
  std::vector<Value> values;
  for (std::size_t i = 0; i < bytes.size(); i += 65'536) {
    decoder.feed(std::string_view(bytes).substr(i, 65'536));
    for (auto next = decoder.next(); next && *next; next = decoder.next())
      values.push_back((*next)->value);
  }
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0], image);
  EXPECT_EQ(values[1], "next");
}

TEST(DecoderOfFrames, LetsALargeMessageBeReadIntoItsPlace) {
  const Value image = Value::buffer(std::string(1'000'000, 'i'));
  const std::string bytes = frame(image) + frame("next");
  FedFrameDecoder decoder;
  EXPECT_TRUE(decoder.space().empty());
  EXPECT_EQ(fed(decoder, bytes.substr(0, 100)).size(), 0u);
  std::size_t read = 100;
  std::size_t reads = 0;
  std::optional<Incoming> incoming;
  for (; !incoming && reads < 100; ++reads) {
    const std::span<char> space = decoder.space();
    const std::size_t size = std::min<std::size_t>(space.size(), 200'000);
    std::copy_n(bytes.data() + read, size, space.data());
    read += size;
    decoder.Decoder::feed({space.data(), size});
    incoming = *decoder.next();
  }
  ASSERT_TRUE(incoming);
  EXPECT_EQ(incoming->value, image);
  EXPECT_EQ(fed(decoder, bytes.substr(read)), Texts{"\"next\""});
  EXPECT_LE(reads, 10u) << "the space grows with the message";
}

TEST(DecoderOfFrames, TakesMemoryForWhatCameAndNotForWhatIsAnnounced) {
  FedFrameDecoder decoder;
  EXPECT_EQ(fed(decoder, std::string("\x0c\x00\x00\x00\xff\x0f", 6)).size(), 0u);  // 201 MB
  EXPECT_LE(decoder.space().size(), 256u << 10);
}

TEST(DecoderOfFrames, RefusesAMessageThatIsTooLargeByItsLength) {
  const std::string bytes = frame("12345678");  // a payload of 12 bytes
  FedFrameDecoder exact(12);
  EXPECT_EQ(fed(exact, bytes), Texts{"\"12345678\""});
  FedFrameDecoder decoder(11);
  decoder.feed(bytes.substr(0, 4));
  const auto next = decoder.next();
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, Errc::MessageTooLarge);
  FedFrameDecoder any;
  EXPECT_EQ(fed(any, "\xff\xff\xff\xff").size(), 1u);
}

TEST(DecoderOfFrames, StaysFailedAfterAMalformedMessage) {
  for (const std::string& bad :
       {std::string(4, '\0'), std::string("\0\0\0\1x", 5), std::string("\0\0\0\3\xff\x0fQ", 7)}) {
    FedFrameDecoder decoder;
    decoder.feed(frame(1) + bad + frame(2));
    EXPECT_EQ(next_message(decoder).value, 1);
    for (int i = 0; i < 2; ++i) {
      const auto next = decoder.next();
      ASSERT_FALSE(next);
      EXPECT_EQ(next.error().code, Errc::MalformedMessage);
    }
    decoder.feed(frame(3));
    EXPECT_FALSE(decoder.next());
  }
}

TEST(DecoderOfFrames, GivesDescriptorsByTheSameRulesAsLines) {
  FedFrameDecoder decoder;
  std::vector<int> numbers;
  const std::string handle = frame(kHandle);
  decoder.feed(frame("before") + handle.substr(0, 3), make_fds(1, &numbers));
  EXPECT_FALSE(next_message(decoder).fd);
  EXPECT_EQ(drain(decoder), Texts{});
  decoder.feed(handle.substr(3) + frame("after"));
  EXPECT_EQ(next_message(decoder).fd.get(), numbers[0]);
  EXPECT_FALSE(next_message(decoder).fd);
  EXPECT_EQ(drain(decoder), Texts{});

  decoder.feed(frame("plain"), make_fds(1, &numbers));
  EXPECT_FALSE(next_message(decoder).fd);
  EXPECT_FALSE(is_open(numbers[1]));
}

TEST(DecoderOfFrames, FreesACircularMessageWithItsIncoming) {
  // The sanitizers see a leak.
  Value circular = {{"name", "circular"}};
  circular["self"] = circular;
  FedFrameDecoder decoder;
  decoder.feed(frame(circular));
  circular.erase("self");
  const Incoming incoming = next_message(decoder);
  EXPECT_TRUE(incoming.may_be_circular);
  EXPECT_TRUE(incoming.value["self"].is_same(incoming.value));
}

TEST(DecoderOfLines, SurvivesRandomBytesInRandomPieces) {
  std::mt19937 random(20240607);
  const std::string alphabet = "{}[]\",:\\u12ae \r\n\xed\xff" + std::string("tfn");
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t i = random() % 60; i > 0; --i) text += alphabet[random() % alphabet.size()];
    FedDecoder whole;
    const Texts expected = fed(whole, text);
    FedDecoder decoder;
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
