#include "cluster/wire.h"

#include <gtest/gtest.h>

namespace cohort::cluster {
namespace {

Value json(std::string_view text) { return parse_json(text).value(); }

QueryServer query(std::string_view text) { return parse_query_server(json(text)).value(); }

// Captured from Node 20 and 26 (node_wire.md, section 7).
TEST(Wire, ReadsTheQueryOfListenWithAPort) {
  const auto q =
      query(R"({"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,)"
            R"("port":8123,"addressType":4,"backlog":0,"seq":1})");
  EXPECT_EQ(q.seq, 1);
  EXPECT_EQ(q.listen_address(), Address("", 8123));
  EXPECT_EQ(q.wishes.backlog, 0);
  EXPECT_EQ(q.key(), "null:8123:4:undefined");
}

TEST(Wire, TellsSocketsApartByIndexOnlyWhereOneAddressMayHaveSeveral) {
  const auto key = [](std::string_view port, std::string_view type, int index) {
    return query(R"({"index":)" + std::to_string(index) + R"(,"address":"::","port":)" +
                 std::string(port) + R"(,"addressType":)" + std::string(type) + R"(,"seq":1})")
        .key();
  };
  EXPECT_EQ(key("8123", "6", 3), key("8123", "6", 0));
  EXPECT_NE(key("0", "6", 3), key("0", "6", 0));
  EXPECT_NE(key("53", "\"udp6\"", 3), key("53", "\"udp6\"", 0));
}

TEST(Wire, ReadsTheQueryOfAUnixSocket) {
  const auto q = query(R"({"index":0,"address":"/tmp/s","port":-1,"addressType":-1,"seq":2,)"
                       R"("readableAll":true,"writableAll":true})");
  EXPECT_EQ(q.listen_address(), Address::from_path("/tmp/s"));
  EXPECT_TRUE(q.wishes.readable_all);
  EXPECT_TRUE(q.wishes.writable_all);
  EXPECT_EQ(q.key(), "/tmp/s:-1:-1:undefined");
}

TEST(Wire, FindsTheAbstractNameInThePathThatANodeWorkerMadeOfIt) {
  using namespace std::string_literals;
  const auto q = query(R"({"address":"/srv/app/\u0000name","port":-1,"addressType":-1,"seq":2})");
  EXPECT_EQ(q.listen_address(), Address::from_path("\0name"s));
  EXPECT_TRUE(q.padded_too);
  const auto ours = query(R"({"address":"\u0000name","port":-1,"addressType":-1,"seq":2})");
  EXPECT_EQ(ours.key(), q.key());
  EXPECT_FALSE(ours.padded_too);
  EXPECT_EQ(parse_listening(json(R"({"address":"/srv/\u0000name","addressType":-1})")),
            Address::from_path("\0name"s));
}

TEST(Wire, SaysOfAWorkerOfOursWhatANodeWorkerDoesNot) {
  QueryServer asked;
  EXPECT_FALSE(make_query_server(asked).contains("acceptsOnly"));
  EXPECT_FALSE(make_query_server(asked).contains("deferAccept"));
  asked.accepts_only = true;
  asked.wishes.defer_accept = true;
  Value message = make_query_server(asked);
  message["seq"] = 1;
  EXPECT_TRUE(parse_query_server(message).value().accepts_only);
  EXPECT_TRUE(parse_query_server(message).value().wishes.defer_accept);
}

TEST(Wire, ReadsTheQueryOfAnInheritedDescriptor) {
  const auto q = query(R"({"address":null,"port":null,"addressType":null,"fd":7,"seq":0})");
  EXPECT_EQ(q.fd, 7);
}

TEST(Wire, ReadsTheQueryOfAUdpSocketWithItsFlags) {
  const auto q =
      query(R"({"address":"::","port":53,"addressType":"udp6","fd":-1,"flags":5,"seq":3})");
  EXPECT_EQ(q.type, SocketType::Udp6);
  EXPECT_TRUE(q.wishes.ipv6_only);
  EXPECT_TRUE(q.wishes.reuse_address);
  EXPECT_EQ(q.fd, std::nullopt) << "-1 is none";
}

// As Node 26: a port that is named is one port, whoever asks and however often.
TEST(Wire, OnlyQueriesForAnyPortAreToldApartByTheirIndex) {
  EXPECT_EQ(query(R"({"address":null,"port":0,"addressType":4,"index":2,"seq":0})").key(),
            "null:0:4:undefined:2");
  EXPECT_EQ(query(R"({"address":null,"port":80,"addressType":4,"index":2,"seq":0})").key(),
            "null:80:4:undefined");
}

TEST(Wire, BacklogMayBeABooleanOrMissingAndIsBounded) {
  EXPECT_EQ(query(R"({"port":1,"addressType":4,"backlog":false,"seq":0})").wishes.backlog, 0);
  EXPECT_EQ(query(R"({"port":1,"addressType":4,"seq":0})").wishes.backlog, 0);
  EXPECT_EQ(query(R"({"port":1,"addressType":4,"backlog":12,"seq":0})").wishes.backlog, 12);
  EXPECT_EQ(query(R"({"port":1,"addressType":4,"backlog":1e15,"seq":0})").wishes.backlog, 0);
}

TEST(Wire, RefusesWhatNoWorkerSends) {
  for (const char* text :
       {"{}", R"({"seq":"1","port":1,"addressType":4})",
        R"({"seq":1,"port":65536,"addressType":4})", R"({"seq":1,"port":-1,"addressType":4})",
        R"({"seq":1,"port":"80","addressType":4})", R"({"seq":1,"port":1,"addressType":5})",
        R"({"seq":1,"port":-1,"addressType":-1})", "[]", "1"})
    EXPECT_FALSE(parse_query_server(json(text))) << text;
}

TEST(Wire, AQueryReadsAsItWasWritten) {
  QueryServer q;
  q.index = 3;
  q.address = "::1";
  q.v6 = true;
  q.port = 80;
  q.wishes.ipv6_only = true;
  q.wishes.backlog = 7;
  Value message = make_query_server(q);
  message["seq"] = 9;
  const auto back = parse_query_server(message).value();
  EXPECT_EQ(back.key(), q.key());
  EXPECT_TRUE(back.wishes.ipv6_only);
  EXPECT_EQ(back.wishes.backlog, 7);
  EXPECT_EQ(back.seq, 9);
}

TEST(Wire, SocknameIsNodes) {
  EXPECT_EQ(to_json(make_sockname({"::", 8131})),
            R"({"address":"::","family":"IPv6","port":8131})");
  EXPECT_EQ(parse_sockname(make_sockname({"127.0.0.1", 80})), Address("127.0.0.1", 80));
  EXPECT_TRUE(make_sockname(Address::from_path("/tmp/s")).is_undefined());
  EXPECT_EQ(parse_sockname(json(R"({"address":1,"port":99999})")), Address("", 0));
}

TEST(Wire, ListeningTellsTheAddressOrThePath) {
  EXPECT_EQ(parse_listening(json(R"({"address":null,"port":80,"addressType":4})")),
            Address("", 80));
  EXPECT_EQ(parse_listening(json(R"({"address":"/tmp/s","port":-1,"addressType":-1})")),
            Address::from_path("/tmp/s"));
}

}  // namespace
}  // namespace cohort::cluster
