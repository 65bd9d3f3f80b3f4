#include "ipc/rpc.h"

#include <gtest/gtest.h>

namespace cohort::ipc {
namespace {

TEST(Rpc, IsWrittenAsTheSpecificationSays) {
  EXPECT_EQ(to_json(rpc_request(7, "resize", {{"width", 320}})),
            R"({"jsonrpc":"2.0","method":"resize","params":{"width":320},"id":7})");
  EXPECT_EQ(to_json(rpc_notification("tick", {})), R"({"jsonrpc":"2.0","method":"tick"})");
  EXPECT_EQ(to_json(rpc_result(7, "done")), R"({"jsonrpc":"2.0","id":7,"result":"done"})");
  EXPECT_EQ(to_json(rpc_result("a", {})), R"({"jsonrpc":"2.0","id":"a","result":null})");
  EXPECT_EQ(to_json(rpc_failure(7, kMethodNotFound, "no such method")),
            R"({"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no such method"}})");
}

TEST(Rpc, IsReadBack) {
  const Value request = rpc_request(7, "resize", {{"width", 320}});
  const auto read = parse_rpc(request);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, Rpc::Kind::Request);
  EXPECT_EQ(read->id, 7);
  EXPECT_EQ(read->method, "resize");
  EXPECT_EQ(read->content["width"], 320);

  const Value notification = rpc_notification("tick", {});
  ASSERT_TRUE(parse_rpc(notification));
  EXPECT_EQ(parse_rpc(notification)->kind, Rpc::Kind::Notification);
  const Value result = rpc_result(7, nullptr);
  ASSERT_TRUE(parse_rpc(result));
  EXPECT_EQ(parse_rpc(result)->kind, Rpc::Kind::Result);
  const Value failure = rpc_failure(7, kMethodFailed, "no");
  ASSERT_TRUE(parse_rpc(failure));
  EXPECT_EQ(parse_rpc(failure)->kind, Rpc::Kind::Failure);
  EXPECT_EQ(parse_rpc(failure)->content["message"], "no");
}

TEST(Rpc, LeavesOtherMessagesAlone) {
  for (const char* text :
       {"1", "null", "\"2.0\"", "[]", "{}", R"({"jsonrpc":"1.0","method":"a","id":1})",
        R"({"jsonrpc":2,"method":"a"})", R"({"jsonrpc":"2.0"})", R"({"jsonrpc":"2.0","method":1})",
        R"({"jsonrpc":"2.0","id":1})", R"({"jsonrpc":"2.0","result":1})",
        R"({"jsonrpc":"2.0","id":1,"error":"text"})"}) {
    const Value message = *parse_json(text);
    EXPECT_FALSE(parse_rpc(message)) << text;
  }
}

}  // namespace
}  // namespace cohort::ipc
