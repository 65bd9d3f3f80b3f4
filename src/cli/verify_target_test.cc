#include "cli/verify_target.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

TEST(VerifyTarget, UrlsNameAHostOrASocket) {
  const auto shown = [](std::string_view url) {
    const auto parsed = parse_url(url);
    return parsed ? to_string(parsed->address) + ' ' + parsed->path : "nothing";
  };
  EXPECT_EQ(shown("http://127.0.0.1:8080/shop?a=b"), "127.0.0.1:8080 /shop?a=b");
  EXPECT_EQ(shown("http://shop.local"), "shop.local:80 ");
  EXPECT_EQ(shown("[::1]:3000"), "[::1]:3000 ");
  EXPECT_EQ(shown("localhost:3000/x"), "localhost:3000 /x");
  EXPECT_EQ(shown("unix:/run/shop.sock"), "/run/shop.sock ");
  for (const char* bad :
       {"http://", "http://host:", "http://host:0", "host:99999", "host:8x", "unix:", "", "/path"})
    EXPECT_EQ(shown(bad), "nothing") << bad;
}

TEST(VerifyTarget, OfAStatusTheAddressesThatAClientReaches) {
  const Value status = *parse_json(
      R"({"directory":"/srv/shop","ports":[{"address":"*:3000"},{"address":"[::]:3001"},)"
      R"({"address":"0.0.0.0:3002"},{"address":"[::1]:3003"},{"address":"10.0.0.1:80"},)"
      R"({"address":"/run/a.sock"},{"address":"web.sock"},{"address":"@web"}]})");
  std::string all;
  for (const Address& each : addresses_to_ask(status)) all += to_string(each) + ' ';
  EXPECT_EQ(all,
            "localhost:3000 localhost:3001 localhost:3002 [::1]:3003 10.0.0.1:80 /run/a.sock "
            "/srv/shop/web.sock @web ");
  EXPECT_TRUE(addresses_to_ask(Value::object({{"ports", Value::array()}})).empty());
}

TEST(VerifyTarget, TheHostHeaderHasThePort) {
  EXPECT_EQ(host_header({"localhost", 3000}), "localhost:3000");
  EXPECT_EQ(host_header(Address::from_path("/run/a.sock")), "localhost");
}

}  // namespace
}  // namespace cohort::cli
