#include "ipc/message.h"

#include <gtest/gtest.h>

#include <string>

namespace cohort::ipc {
namespace {

Incoming classified(std::string_view json) { return classify(parse_json(json).value()); }

TEST(Message, IsInternalIfItsCmdBeginsWithNodeAndGoesOn) {
  for (const char* json : {R"("NODE_CLUSTER")", "null", "[]", "{}", R"({"cmd":"NODE_"})",
                           R"({"cmd":"NODE"})", R"({"cmd":5})", R"({"cmd":"node_x"})",
                           R"({"cmd":["NODE_X"]})", R"({"a":{"cmd":"NODE_X"}})"})
    EXPECT_EQ(classified(json).kind, MessageKind::User) << json;
  for (const char* json : {R"({"cmd":"NODE_X"})", R"({"cmd":"NODE_CLUSTER_X"})",
                           R"({"cmd":"NODE_DEBUG_ENABLED"})", R"({"x":1,"cmd":"NODE_HANDLE_"})"})
    EXPECT_EQ(classified(json).kind, MessageKind::UnknownInternal) << json;
}

TEST(Message, TellsTheKindsOfNodesProtocolApart) {
  EXPECT_EQ(classified(R"({"cmd":"NODE_CLUSTER","act":"online","seq":0})").kind,
            MessageKind::Cluster);
  EXPECT_EQ(classified(R"({"cmd":"NODE_HANDLE_ACK"})").kind, MessageKind::HandleAck);
  EXPECT_EQ(classified(R"({"cmd":"NODE_HANDLE_NACK"})").kind, MessageKind::HandleNack);
  EXPECT_EQ(classified(R"({"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"k"})").kind,
            MessageKind::SocketNotifyClose);
  EXPECT_EQ(classified(R"({"cmd":"NODE_SOCKET_ALL_CLOSED","key":"k"})").kind,
            MessageKind::SocketAllClosed);
  EXPECT_EQ(classified(R"({"cmd":"NODE_SOCKET_GET_COUNT","key":"k"})").kind,
            MessageKind::SocketGetCount);
  EXPECT_EQ(classified(R"({"cmd":"NODE_SOCKET_COUNT","key":"k","count":1})").kind,
            MessageKind::SocketCount);
}

TEST(Message, KeepsAUsersMessageAsItCame) {
  const Incoming incoming = classified(R"({"cmd":"notifyRequest"})");
  EXPECT_EQ(incoming.value, Value({{"cmd", "notifyRequest"}}));
  EXPECT_FALSE(incoming.was_handle);
  EXPECT_FALSE(incoming.fd);
}

TEST(Message, TakesTheMessageOutOfItsHandle) {
  const Incoming cluster = classified(
      R"({"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"K0","seq":1}})");
  EXPECT_TRUE(cluster.was_handle);
  EXPECT_EQ(cluster.kind, MessageKind::Cluster);
  EXPECT_EQ(cluster.handle_type, "net.Native");
  EXPECT_EQ(cluster.value["act"], "newconn");
  EXPECT_TRUE(cluster.handle_key.is_undefined());

  const Incoming user = classified(
      R"({"cmd":"NODE_HANDLE","type":"net.Socket","msg":"socket","key":"4:127.0.0.1:0"})");
  EXPECT_TRUE(user.was_handle);
  EXPECT_EQ(user.kind, MessageKind::User);
  EXPECT_EQ(user.value, "socket");
  EXPECT_EQ(user.handle_key, "4:127.0.0.1:0");

  const Incoming dgram =
      classified(R"({"cmd":"NODE_HANDLE","type":"dgram.Socket","msg":{},"dgramType":"udp6"})");
  EXPECT_EQ(dgram.dgram_type, "udp6");
}

TEST(Message, TakesARetransmissionOutOfBothItsHandles) {
  const Incoming incoming = classified(
      R"({"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"k":1},"key":"4:127.0.0.1:0"}})");
  EXPECT_TRUE(incoming.was_handle);
  EXPECT_EQ(incoming.kind, MessageKind::User);
  EXPECT_EQ(incoming.handle_type, "net.Socket");
  EXPECT_EQ(incoming.handle_key, "4:127.0.0.1:0");
  EXPECT_EQ(incoming.value, Value({{"k", 1}}));
}

TEST(Message, ThatContainsItselfIsUnknown) {
  Value message = {{"cmd", "NODE_HANDLE"}};
  message["msg"] = message;
  const Incoming incoming = classify(message);
  EXPECT_EQ(incoming.kind, MessageKind::UnknownInternal);
  message.erase("msg");
}

TEST(Message, HasAsManyHeadsAsCanMatter) {
  Value heads = Value::array();
  for (std::size_t i = 0; i < 10'000; ++i) heads.push_back("");
  const Incoming incoming = classify({{"cmd", "NODE_HANDLE"}, {"heads", heads}});
  EXPECT_EQ(incoming.heads.size(), kDescriptorsMax + 1);
}

TEST(Message, ToleratesAHandleWithoutItsParts) {
  const Incoming incoming = classified(R"({"cmd":"NODE_HANDLE","type":7})");
  EXPECT_TRUE(incoming.was_handle);
  EXPECT_EQ(incoming.handle_type, "");
  EXPECT_TRUE(incoming.value.is_undefined());
}

TEST(Message, IsBuiltAsNodeBuildsIt) {
  EXPECT_EQ(to_json(handle_answer(true)), R"({"cmd":"NODE_HANDLE_ACK"})");
  EXPECT_EQ(to_json(handle_answer(false)), R"({"cmd":"NODE_HANDLE_NACK"})");
  EXPECT_EQ(to_json(wrap_handle("net.Native", {{"act", "newconn"}})),
            R"({"cmd":"NODE_HANDLE","type":"net.Native","msg":{"act":"newconn"}})");
  Value socket = wrap_handle("net.Socket", "text");
  socket["key"] = "4:127.0.0.1:0";
  EXPECT_EQ(to_json(socket),
            R"({"cmd":"NODE_HANDLE","type":"net.Socket","msg":"text","key":"4:127.0.0.1:0"})");
}

TEST(Message, IsOneLine) {
  std::string out = "first\n";
  EXPECT_TRUE(encode_line({{"text", "a\nb"}}, out));
  EXPECT_EQ(out, "first\n{\"text\":\"a\\nb\"}\n");
}

TEST(Message, ThatCannotBeSentLeavesTheBufferAlone) {
  std::string out = "first\n";
  EXPECT_EQ(encode_line(Value(), out).error().code, Errc::InvalidArgument);
  const Result<void> too_large = encode_line(std::string(8, 'x'), out, 9);
  EXPECT_EQ(too_large.error().code, Errc::MessageTooLarge);
  EXPECT_EQ(too_large.error().message(),
            "send 10 bytes: message larger than message_size_max (message_size_max is 9)");
  EXPECT_EQ(out, "first\n");
  EXPECT_TRUE(encode_line(std::string(7, 'x'), out, 9));
}

TEST(Message, IsEncodedBehindItsLengthInAdvancedMode) {
  std::string out = "before";
  ASSERT_TRUE(encode_message(nullptr, Serialization::Advanced, out));
  EXPECT_EQ(out, std::string("before\0\0\0\3\xff\x0f"
                             "0",
                             13));
  EXPECT_TRUE(encode_message(Value(), Serialization::Advanced, out)) << "undefined can be sent";
  EXPECT_TRUE(encode_message(Value::bigint(1), Serialization::Advanced, out));

  out = "kept";
  std::vector<Attached> attached;
  const Value large = Value::buffer(std::string(kAttachedSizeMin, 'x'));
  const std::size_t size = kAttachedSizeMin + 8;  // version, tag, form, kind, 3 bytes of size
  EXPECT_EQ(encode_message(large, Serialization::Advanced, out, size - 1, &attached).error().code,
            Errc::MessageTooLarge);
  EXPECT_EQ(out, "kept");
  EXPECT_TRUE(attached.empty());
  ASSERT_TRUE(encode_message(large, Serialization::Advanced, out, size, &attached));
  EXPECT_EQ(out, std::string("kept\0\1\0\x08\xff\x0f\\\0\x0a\x80\x80\x04", 16));
  ASSERT_EQ(attached.size(), 1u);
  EXPECT_EQ(attached[0].position, out.size());
  EXPECT_EQ(attached[0].bytes.size(), kAttachedSizeMin);
}

}  // namespace
}  // namespace cohort::ipc
