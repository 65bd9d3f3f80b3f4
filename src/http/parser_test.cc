#include "http/parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace cohort::http {
namespace {

using namespace std::literals;
using State = RequestParser::State;

// What a connection does: gives what has come, keeps what was not used. Each part is in memory of
// its own, which is gone afterwards, so that a view into it is found by the address sanitizer.
class Feeder {
 public:
  explicit Feeder(RequestParser& parser) : parser_{parser} {}
  State feed(std::string_view part) {
    bytes_ = std::make_unique<std::string>(rest_ + std::string{part});
    const std::size_t used = parser_.put(*bytes_);
    EXPECT_LE(used, bytes_->size());
    rest_ = bytes_->substr(used);
    return parser_.state();
  }
  const std::string& rest() const { return rest_; }

 private:
  RequestParser& parser_;
  std::unique_ptr<std::string> bytes_;  // alive as long as the views of a complete request
  std::string rest_;
};

// One line that says all about a request: `METHOD url 1.1 keep|close [name=value...] body`, or the
// status.
std::string describe(const RequestParser& parser) {
  if (parser.state() == State::NeedMore) return "more";
  if (parser.state() == State::Failed) return std::to_string(parser.error_status());
  const RequestHead& head = parser.head();
  std::string text = std::string{head.method} + ' ' + std::string{head.url} +
                     (head.http_1_0 ? " 1.0" : " 1.1") + (head.keep_alive ? " keep" : " close");
  for (const Header& header : head.headers)
    text += " [" + std::string{header.name} + '=' + std::string{header.value} + ']';
  return text + ' ' + std::string{parser.body()};
}

std::string parse_in(const std::vector<std::string_view>& parts, const ParserLimits& limits = {}) {
  RequestParser parser{limits};
  Feeder feeder{parser};
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    if (feeder.feed(part) != State::NeedMore) break;
  }
  return describe(parser);
}

// The verdict must not depend on how the bytes arrive.
std::string parse(std::string_view bytes, const ParserLimits& limits = {}) {
  const std::string whole = parse_in({bytes}, limits);
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    single.push_back(bytes.substr(i, 1));
    EXPECT_EQ(parse_in({bytes.substr(0, i), bytes.substr(i)}, limits), whole) << "split at " << i;
  }
  EXPECT_EQ(parse_in(single, limits), whole) << "byte by byte";
  return whole;
}

TEST(RequestParser, UnderstandsAPlainRequest) {
  EXPECT_EQ(parse("GET /a?b=c HTTP/1.1\r\nHost: x:80\r\nAccept:\t*/* \r\nEmpty:\r\n\r\n"),
            "GET /a?b=c 1.1 keep [Host=x:80] [Accept=*/*] [Empty=] ");
  EXPECT_EQ(parse("\r\n\r\nGET / HTTP/1.0\r\n\r\n"), "GET / 1.0 close ");
  EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"), "OPTIONS * 1.1 keep [Host=] ");
  EXPECT_EQ(parse("GET http://a/b HTTP/1.1\r\nhOST: [::1]:8\r\n\r\n"),
            "GET http://a/b 1.1 keep [hOST=[::1]:8] ");
  EXPECT_EQ(parse("X-!~ / HTTP/1.1\r\nHost: a\r\n\r\n"), "X-!~ / 1.1 keep [Host=a] ");
}

TEST(RequestParser, KeepsTheConnectionAsVersionAndClientSay) {
  const auto kept = [](const std::string& version, const std::string& value) {
    RequestParser parser{{}};
    const std::string bytes =
        "GET / HTTP/" + version + "\r\nHost: a\r\nConnection: " + value + "\r\n\r\n";
    parser.put(bytes);
    EXPECT_EQ(parser.state(), State::Complete);
    return parser.head().keep_alive;
  };
  EXPECT_TRUE(kept("1.1", "x"));
  EXPECT_TRUE(kept("1.1", "Keep-Alive"));
  EXPECT_FALSE(kept("1.1", "Close"));
  EXPECT_FALSE(kept("1.1", "keep-alive, close"));
  EXPECT_FALSE(kept("1.0", "x"));
  EXPECT_TRUE(kept("1.0", "keep-alive"));
}

TEST(RequestParser, ReadsBodiesOfBothKinds) {
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            "POST / 1.1 keep [Host=a] [Content-Length=5] hello");
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
            "POST / 1.1 keep [Host=a] [Content-Length=0] ");
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                  "3\r\nabc\r\n00A;x=\"y z\";q\r\n0123456789\r\n0\r\n\r\n"),
            "POST / 1.1 keep [Host=a] [Transfer-Encoding=Chunked] abc0123456789");
}

TEST(RequestParser, ABodyMayHaveAnyBytesWhereverTheHeaderEnded) {
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n\n\x01\r\x7f\n\n"),
            "POST / 1.1 keep [Host=a] [Content-Length=6] \n\x01\r\x7f\n\n");
}

TEST(RequestParser, TrailersAreReadAndNotTakenForHeaders) {
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "1\r\na\r\n0\r\nHost: evil\r\nX: y\r\n\r\n"),
            "POST / 1.1 keep [Host=a] [Transfer-Encoding=chunked] a");
}

TEST(RequestParser, LeavesTheNextRequestAlone) {
  const std::string first = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
  const std::string second = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string both = first + second;
  RequestParser parser{{}};
  EXPECT_EQ(parser.put(both), first.size());
  EXPECT_EQ(parser.body(), "hi");
  parser.reset();
  EXPECT_EQ(parser.put(std::string_view{both}.substr(first.size())), second.size());
  EXPECT_EQ(describe(parser), "GET /2 1.1 keep [Host=a] ");
}

TEST(RequestParser, LeavesTheNextRequestAloneWhereverTheBytesWereSplit) {
  const std::string first =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
  const std::string second = "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t i = 1; i < first.size(); ++i) {
    RequestParser parser{{}};
    Feeder feeder{parser};
    feeder.feed(first.substr(0, i));
    EXPECT_EQ(feeder.feed(first.substr(i) + second), State::Complete) << i;
    EXPECT_EQ(feeder.rest(), second) << i;
    EXPECT_EQ(parser.body(), "hi") << i;
  }
}

TEST(RequestParser, DoesNotMindHowMuchFollowsABody) {
  const std::string first = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
  RequestParser parser{{.header_size_max = 100}};
  EXPECT_EQ(parser.put(first + std::string(500, 'x')), first.size());
  EXPECT_EQ(parser.state(), State::Complete);
}

TEST(RequestParser, CopiesNothingOfARequestThatArrivesWhole) {
  const std::string bytes = "GET /path HTTP/1.1\r\nHost: a\r\n\r\n";
  RequestParser parser{{}};
  parser.put(bytes);
  EXPECT_EQ(parser.head().url.data(), bytes.data() + 4);
  EXPECT_EQ(parser.head().headers.front().name.data(), bytes.data() + bytes.find("Host"));
}

TEST(RequestParser, SaysWhereInARequestItIs) {
  RequestParser parser{{}};
  Feeder feeder{parser};
  feeder.feed("\r\n");
  EXPECT_FALSE(parser.inside_request());
  feeder.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n");
  EXPECT_TRUE(parser.inside_request());
  EXPECT_FALSE(parser.header_done());
  feeder.feed("\r\n");
  EXPECT_TRUE(parser.inside_request());
  EXPECT_TRUE(parser.header_done());
  feeder.feed("x");
  EXPECT_FALSE(parser.inside_request());
}

TEST(RequestParser, TellsOnceThatTheClientWaitsForContinue) {
  const std::string head =
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  RequestParser parser{{}};
  Feeder feeder{parser};
  feeder.feed(head.substr(0, 20));
  EXPECT_FALSE(parser.take_expect_continue());
  feeder.feed(head.substr(20));
  EXPECT_TRUE(parser.take_expect_continue());
  EXPECT_FALSE(parser.take_expect_continue());
  feeder.feed("hi");
  EXPECT_EQ(parser.body(), "hi");
}

TEST(RequestParser, AClientWhoseBodyIsOnItsWayWaitsForNothing) {
  RequestParser parser{{}};
  Feeder feeder{parser};
  feeder.feed("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nh");
  EXPECT_FALSE(parser.take_expect_continue());
  RequestParser old{{}};
  Feeder old_feeder{old};
  old_feeder.feed("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_FALSE(old.take_expect_continue());
}

// Each of these is understood differently by some other server or proxy.
struct Refusal {
  const char* name;
  std::string_view bytes;
  const char* status;
};

class Refusals : public testing::TestWithParam<Refusal> {};

TEST_P(Refusals, AreTheSameHoweverTheBytesArrive) {
  EXPECT_EQ(parse(GetParam().bytes), GetParam().status);
}

constexpr Refusal kFraming[] = {
    {"TwoLengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     "400"},
    {"EqualLengths",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "400"},
    {"ListedLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", "400"},
    {"SignedLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", "400"},
    {"NegativeLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na", "400"},
    {"HexLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", "400"},
    {"EmptyLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "400"},
    {"QuotedLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"1\"\r\n\r\na", "400"},
    {"OverflowingLength",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "400"},
    {"HugeLength", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
     "413"},
    {"LengthAndChunked",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     "400"},
    {"ChunkedAndLength",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
     "5\r\n\r\n0\r\n\r\n",
     "400"},
    {"TwoEncodings",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     "400"},
    {"GzipChunked",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
    {"ChunkedGzip",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "501"},
    {"Identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", "501"},
    {"IdentityAndLength",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
     "501"},
    {"QuotedChunked",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "501"},
    {"ChunkedWithVerticalTab",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", "400"},
    {"EmptyEncoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", "501"},
    {"ChunkedOnHttp10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
    {"UnknownExpectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: miracle\r\n\r\n", "417"},
};

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
constexpr Refusal kRefusedChunks[] = {
    {"NoSize", CHUNKED "\r\nab\r\n0\r\n\r\n", "400"},
    {"NoSizeButExtension", CHUNKED ";a\r\nab\r\n0\r\n\r\n", "400"},
    {"JunkSize", CHUNKED "zz\r\nab\r\n0\r\n\r\n", "400"},
    {"PrefixedSize", CHUNKED "0x2\r\nab\r\n0\r\n\r\n", "400"},
    {"NegativeSize", CHUNKED "-2\r\nab\r\n0\r\n\r\n", "400"},
    {"BlankBeforeSize", CHUNKED " 2\r\nab\r\n0\r\n\r\n", "400"},
    {"BlankAfterSize", CHUNKED "2 \r\nab\r\n0\r\n\r\n", "400"},
    {"OverflowingSize", CHUNKED "10000000000000002\r\nab\r\n0\r\n\r\n", "400"},
    {"HugeSize", CHUNKED "FFFFFFFFFFFFFFFF\r\nab\r\n0\r\n\r\n", "413"},
    {"SizeEndsInBareLf", CHUNKED "2\nab\r\n0\r\n\r\n", "400"},
    {"SizeEndsInBareCr", CHUNKED "2\rab\r\n0\r\n\r\n", "400"},
    {"DataTooLong", CHUNKED "2\r\nabc\r\n0\r\n\r\n", "400"},
    {"DataEndsInBareLf", CHUNKED "2\r\nab\n0\r\n\r\n", "400"},
    {"LfInExtension", CHUNKED "2;a\n=b\r\nab\r\n0\r\n\r\n", "400"},
    {"LfInQuotedExtension", CHUNKED "2;a=\"\n\"\r\nab\r\n0\r\n\r\n", "400"},
    {"NulInQuotedExtension",
     std::string_view{CHUNKED "2;a=\"\0\"\r\nab\r\n0\r\n\r\n",
                      sizeof(CHUNKED "2;a=\"\0\"\r\nab\r\n0\r\n\r\n") - 1},
     "400"},
    {"BadExtensionOfLast", CHUNKED "0;\r\n\r\n", "400"},
    {"FoldedTrailer", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", "400"},
    {"TrailerWithoutColon", CHUNKED "0\r\nA\r\n\r\n", "400"},
    {"TrailerWithLength", CHUNKED "0\r\nContent-Length: 1\r\n\r\n", "400"},
    {"TrailerWithEncoding", CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
};

constexpr Refusal kHeaders[] = {
    {"BareLfAfterRequestLine", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
    {"BareLfAfterField", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "400"},
    {"BareLfAtTheEnd", "GET / HTTP/1.1\r\nHost: a\n\n", "400"},
    {"BareCrAfterField", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", "400"},
    {"BareCrAtTheEnd", "GET / HTTP/1.1\r\nHost: a\r\n\rX", "400"},
    {"Folded", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", "400"},
    {"FoldedWithTab", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", "400"},
    {"FoldedAfterEmpty", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n z\r\n\r\n", "400"},
    {"FoldedIntoNothing", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n \r\n\r\n", "400"},
    {"FoldedEncoding",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400"},
    {"FirstLineFolded", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
    {"BlankBeforeColon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
    {"NoColon", "GET / HTTP/1.1\r\nHost\r\n\r\n", "400"},
    {"NoName", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", "400"},
    {"NameIsNoToken", "GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n", "400"},
    {"HighByteInName", "GET / HTTP/1.1\r\nHost: a\r\nX\xff: b\r\n\r\n", "400"},
    {"NulInValue", std::string_view{"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 33}, "400"},
    {"ControlInValue", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", "400"},
    {"DeleteInValue", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", "400"},
    {"NoHost", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "400"},
    {"NoHeaders", "GET / HTTP/1.1\r\n\r\n", "400"},
    {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
    {"TwoHostsOnHttp10", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
    {"HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
    {"HostWithBlank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
    {"HostWithUser", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"},
    {"HostList", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"},
};

constexpr Refusal kRequestLines[] = {
    {"NoVersion", "GET /\r\nHost: a\r\n\r\n", "400"},
    {"NoTarget", "GET HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"TwoBlanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"BlankInTarget", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"BlankAtTheEnd", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
    {"LeadingBlank", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"TabForBlank", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"NulInTarget", std::string_view{"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28}, "400"},
    {"ControlInTarget", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"DeleteInTarget", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"RelativeTarget", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"SchemeWithoutName", "GET ://a HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"AsteriskForGet", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"Connect", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
    {"MethodIsNoToken", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"LowerCaseVersion", "GET / http/1.1\r\nHost: a\r\n\r\n", "400"},
    {"ShortVersion", "GET / HTTP/1\r\nHost: a\r\n\r\n", "400"},
    {"LongVersion", "GET / HTTP/1.11\r\nHost: a\r\n\r\n", "400"},
    {"Version09", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505"},
    {"Version12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505"},
    {"Version20", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
    {"TlsHello", "\x16\x03\x01\x02\r\n\r\n", "400"},
    {"OtherProtocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "400"},
};

std::string name_of(const testing::TestParamInfo<Refusal>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Framing, Refusals, testing::ValuesIn(kFraming), name_of);
INSTANTIATE_TEST_SUITE_P(Chunks, Refusals, testing::ValuesIn(kRefusedChunks), name_of);
INSTANTIATE_TEST_SUITE_P(Headers, Refusals, testing::ValuesIn(kHeaders), name_of);
INSTANTIATE_TEST_SUITE_P(RequestLines, Refusals, testing::ValuesIn(kRequestLines), name_of);

TEST(RequestParserLimits, HeadersThatAreTooLargeAre431HoweverTheyArrive) {
  const ParserLimits limits{.header_size_max = 100};
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string fits = start + std::string(100 - start.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(parse(fits, limits).substr(0, 14), "GET / 1.1 keep");
  EXPECT_EQ(parse(start + std::string(101 - start.size() - 4, 'x') + "\r\n\r\n", limits), "431");
  EXPECT_EQ(parse(start + std::string(500, 'x'), limits), "431");
}

TEST(RequestParserLimits, ATargetThatIsTooLongIs414HoweverItArrives) {
  const ParserLimits limits{.header_size_max = 100};
  EXPECT_EQ(parse("GET /" + std::string(100, 'x'), limits), "414");
  EXPECT_EQ(parse("GET /" + std::string(60, 'x'), limits), "more");
}

TEST(RequestParserLimits, TooManyHeadersAre431) {
  const ParserLimits limits{.header_count_max = 3};
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\n\r\n", limits).substr(0, 3), "GET");
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\nD: d\r\n\r\n", limits), "431");
}

TEST(RequestParserLimits, BodiesThatAreTooLargeAre413) {
  const ParserLimits limits{.body_size_max = 4};
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(parse(head + "Content-Length: 4\r\n\r\nabcd", limits).substr(0, 4), "POST");
  EXPECT_EQ(parse(head + "Content-Length: 5\r\n\r\n", limits), "413");
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parse(chunked + "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", limits).substr(0, 4), "POST");
  EXPECT_EQ(parse(chunked + "2\r\nab\r\n3\r\ncde\r\n", limits), "413");
}

TEST(RequestParserLimits, WhatSurroundsChunksIsLimitedToo) {
  const ParserLimits limits{.header_size_max = 100};
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parse(head + "1;a=" + std::string(200, 'x'), limits), "431") << "an endless extension";
  EXPECT_EQ(parse(head + "0\r\nA: " + std::string(200, 'x'), limits), "431") << "endless trailers";
  std::string many = head;
  for (int i = 0; i < 20; ++i) many += "1;abcdef\r\nx\r\n";
  EXPECT_EQ(parse(many + "0\r\n\r\n", limits), "413") << "many extensions";
}

}  // namespace
}  // namespace cohort::http
