// Runs the cases of *.md beside this file; README.md there says how they are written.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/http.h"
#include "net/test_world.h"

namespace {

using cohort::http::Request;
using cohort::http::Response;
using cohort::net::test::Client;
using cohort::net::test::World;

struct Case {
  std::string file;
  int line = 0;
  std::string title;
  bool whole = false;
  std::vector<std::string> requests;
  std::string response;
};

// The bytes of one line of a block.
std::string unescape(const std::string& line) {
  std::string bytes;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      bytes += line[i];
      continue;
    }
    if (++i == line.size()) return bytes;  // a backslash at the end
    switch (line[i]) {
      case 'r':
        bytes += '\r';
        break;
      case 'n':
        bytes += '\n';
        break;
      case 't':
        bytes += '\t';
        break;
      case '0':
        bytes += '\0';
        break;
      case 'x':
        bytes += static_cast<char>(std::stoi(line.substr(i + 1, 2), nullptr, 16));
        i += 2;
        break;
      default:
        bytes += line[i];
    }
  }
  return bytes + "\r\n";
}

std::vector<Case> cases_of(const std::filesystem::path& path) {
  std::vector<Case> cases;
  std::ifstream file{path};
  std::string* block = nullptr;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (block != nullptr && line == "```") {
      block = nullptr;
    } else if (block != nullptr) {
      *block += line == "<end>" ? line : unescape(line);
    } else if (line.starts_with("## ")) {
      cases.push_back({path.stem(), number, line.substr(3), false, {}, {}});
    } else if (line == "whole") {
      cases.back().whole = true;
    } else if (line == "```request") {
      block = &cases.back().requests.emplace_back();
    } else if (line == "```response") {
      block = &cases.back().response;
    } else if (line.starts_with("```")) {
      throw std::runtime_error{path.string() + ':' + std::to_string(number) + ": " + line};
    }
  }
  return cases;
}

class GoldenServer {
 public:
  GoldenServer() {
    server_.listen({"127.0.0.1", 0});
    EXPECT_TRUE(world_.run_until([&] { return server_.listening(); }));
  }

  // What the server says to the parts, sent one after the other as it has taken the one before.
  std::string exchange(const std::vector<std::string>& parts) {
    Client client{world_, server_.address()};
    // Else the client's system gathers small parts while it waits for an acknowledgement.
    cohort::sys::set_int_option(client.fd(), IPPROTO_TCP, TCP_NODELAY, 1);
    std::string answer;
    bool open = true;
    for (const std::string& part : parts) {
      // The server may have said its last word already; it goes on reading for a while.
      if (open) client.send(part);
      while (world_.io.poll() != 0) continue;
      open = open && read(client, answer);
    }
    if (!open) answer += "<end>";
    constexpr std::string_view kDate = "Date: ";
    for (std::size_t at = 0; (at = answer.find(kDate, at)) != std::string::npos;) {
      at += kDate.size();
      answer.replace(at, answer.find('\r', at) - at, "<date>");
    }
    return answer;
  }

 private:
  static void handle(const Request& req, const Response& res, World& world) {
    const auto url = req.url();
    if (url == "/echo") {
      std::ignore = res.write_head(200, {{"Content-Type", "text/plain"}});
      res.end(std::string{req.method()} + ' ' + std::string{url} + ' ' + std::string{req.body()} +
              '\n');
    } else if (url == "/stream") {
      for (const auto* const chunk : {"one", "two", "three"}) res.write(chunk);
      res.end();
    } else if (url == "/late") {
      world.loop.post([res] { res.end("late\n"); });
    } else if (url == "/throw") {
      throw std::runtime_error{"thrown on purpose"};
    } else if (url == "/204" || url == "/304" || url == "/404") {
      res.status_code(std::stoi(std::string{url.substr(1)}));
      res.end("body\n");
    } else if (url == "/close") {
      EXPECT_TRUE(res.set_header("Connection", "close"));
      res.end("bye\n");
    } else {
      res.end("hello\n");
    }
  }

  // All that has come; false at the end.
  static bool read(const Client& client, std::string& answer) {
    char buffer[65536];
    for (;;) {
      const ssize_t size = cohort::sys::recv(client.fd(), buffer, sizeof buffer, 0);
      if (size <= 0) return size == -1 && errno == EAGAIN;
      answer.append(buffer, static_cast<std::size_t>(size));
    }
  }

  World world_;
  cohort::http::Server server_ = cohort::http::create_server(
      world_.host, [this](const Request& req, const Response& res) { handle(req, res, world_); },
      {.header_size_max = 512, .header_count_max = 8, .body_size_max = 16});
};

class GoldenTest : public testing::Test {
 public:
  explicit GoldenTest(const Case& golden) : golden_{golden} {}
  void TestBody() override {
    ASSERT_FALSE(golden_.requests.empty());
    GoldenServer server;
    testing::internal::CaptureStderr();  // a handler that throws is reported there
    EXPECT_EQ(server.exchange(golden_.requests), golden_.response);
    if (!golden_.whole) {
      std::string all;
      for (const std::string& request : golden_.requests) all += request;
      std::vector<std::string> bytes;
      for (std::size_t i = 0; i < all.size(); ++i) {
        bytes.emplace_back(1, all[i]);
        if (i == 0) continue;
        EXPECT_EQ(server.exchange({all.substr(0, i), all.substr(i)}), golden_.response)
            << "split at " << i;
      }
      EXPECT_EQ(server.exchange(bytes), golden_.response) << "byte by byte";
    }
    testing::internal::GetCapturedStderr();
  }

 private:
  Case golden_;
};

// `Two lengths, equal` -> `TwoLengthsEqual`
std::string test_name(const std::string& title) {
  std::string name;
  bool start = true;
  for (const char c : title) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) name += start ? static_cast<char>(std::toupper(byte)) : c;
    start = std::isalnum(byte) == 0;
  }
  return name;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (const auto& entry : std::filesystem::directory_iterator{GOLDEN_DIR}) {
    if (entry.path().extension() != ".md" || entry.path().stem() == "README") continue;
    for (const Case& golden : cases_of(entry.path()))
      testing::RegisterTest(("Golden_" + golden.file).c_str(), test_name(golden.title).c_str(),
                            nullptr, nullptr, entry.path().c_str(), golden.line,
                            [golden]() -> testing::Test* { return new GoldenTest{golden}; });
  }
  return RUN_ALL_TESTS();
}
