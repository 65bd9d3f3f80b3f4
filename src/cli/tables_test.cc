#include "cli/tables.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

Value json(std::string_view text) { return *parse_json(text); }

const Value& status() {
  static const Value value = json(R"({"name":"shop","program":"server.js","directory":"/srv",
    "version":"0.1.0","pid":69,"uptime":192,"phase":"running","places":2,"generation":2,
    "rollout":{"generation":3,"phase":"replacing","replaced":1},"deaths":4,
    "workers":[
      {"id":12,"pid":712,"slot":1,"generation":2,"state":"listening","held":true,"uptime":190,
       "cpu_time":75.5,"memory":45200000},
      {"id":13,"pid":713,"slot":1,"generation":3,"kept":true,"state":"listening","held":false,"leader":true,"uptime":1.25,
       "cpu_time":0.5,"memory":45200000,"requests":51234},
      {"id":7,"pid":707,"slot":0,"generation":2,"state":"online","held":false,"uptime":3.5}],
    "ports":[{"address":"*:3000","policy":"adaptive","waiting":2,"workers":[12,13]}]})");
  return value;
}

TEST(Tables, TimesAndSizesAreShort) {
  EXPECT_EQ(duration_text(0.05), "0.1s");
  EXPECT_EQ(duration_text(9.94), "9.9s");
  EXPECT_EQ(duration_text(59), "59s");
  EXPECT_EQ(duration_text(192), "3m 12s");
  EXPECT_EQ(duration_text(3600 * 26.5), "1d 2h");
  EXPECT_EQ(duration_text(3600 * 2 + 61), "2h 1m");
  EXPECT_EQ(memory_text(0), "0.0 kB");
  EXPECT_EQ(memory_text(45'200'000), "45 MB");
  EXPECT_EQ(memory_text(1.5e12), "1.5 TB");
  EXPECT_EQ(amount_text(0), "0");
  EXPECT_EQ(amount_text(9999), "9999");
  EXPECT_EQ(amount_text(12'345), "12k");
  EXPECT_EQ(amount_text(1'250'000), "1.2M");
  EXPECT_EQ(amount_text(7.7e12), "7700G");
}

TEST(Tables, LsHasALineForEach) {
  EXPECT_EQ(ls_text({status()}),
            "NAME  PID  WORKERS  GENERATION  UPTIME  DEATHS  CPU     MEMORY  LISTENS ON\n"
            "shop  69   1/2      2           3m 12s  4       1m 16s  90 MB   *:3000\n");
  EXPECT_EQ(ls_text({}), "No application runs under cohort. Start one: cohort run server.js\n");
}

TEST(Tables, StatusHasEveryWorkerBySlot) {
  EXPECT_EQ(status_text(status()),
            "shop: 1 of 2 workers listen, generation 2, up 3m 12s\n"
            "reload   generation 3: 1 of 2 replaced\n"
            "program  server.js in /srv (primary: pid 69, cohort 0.1.0)\n"
            "port     *:3000, adaptive, 2 connections wait\n"
            "\n"
            "SLOT  WORKER  PID  STATE              GEN  UPTIME  CPU     MEMORY  REQUESTS\n"
            "0     7       707  online             2    3.5s    0.0s    0.0 kB  -\n"
            "1     12      712  held               2    3m 10s  1m 15s  45 MB   -\n"
            "1     13      713  listening, leader  3    1.2s    0.5s    45 MB   51k\n");
}

TEST(Tables, StatusFitsTheWidthOfAScreen) {
  const std::string text = status_text(json(R"({"name":"shop","places":1,"workers":[
      {"id":1013,"pid":4194303,"slot":100,"generation":213,"kept":true,"state":"listening",
       "leader":true,"uptime":3599,"cpu_time":3599,"memory":999000000,"requests":9999}]})"));
  EXPECT_EQ(text.substr(text.rfind("SLOT")),
            "SLOT  WORKER  PID      STATE              GEN  UPTIME   CPU      MEMORY  REQUESTS\n"
            "100   1013    4194303  listening, leader  213  59m 59s  59m 59s  999 MB  9999\n");
}

TEST(Tables, StatusHasThePlacesThatAreClosed) {
  EXPECT_EQ(status_text(json(R"({"name":"shop","program":"server.js","directory":"/srv",
    "version":"0.1.0","pid":69,"uptime":192,"phase":"running","places":2,"generation":2,
    "closed":[{"slot":0,"worker":4}],"ports":[],
    "workers":[{"id":7,"pid":707,"slot":1,"generation":2,"kept":true,"state":"listening","uptime":3.5}]})")),
            "shop: 1 of 2 workers are ready, generation 2, up 3m 12s\n"
            "program  server.js in /srv (primary: pid 69, cohort 0.1.0)\n"
            "\n"
            "SLOT  WORKER  PID  STATE      GEN  UPTIME  CPU   MEMORY  REQUESTS\n"
            "0     4       -    closed     -    -       -     -       -\n"
            "1     7       707  listening  2    3.5s    0.0s  0.0 kB  -\n");
}

TEST(Tables, StatusSaysWhichPlacesFail) {
  const std::string text = status_text(json(R"({"name":"shop","places":3,"phase":"running",
    "failing":[{"slot":0,"deaths":4,"next":0.8},{"slot":2,"deaths":2,"next":0}]})"));
  EXPECT_NE(text.find(", degraded\n"), text.npos) << text;
  EXPECT_NE(
      text.find("\nfailing  slot 0: 4 workers have died in a row, the next one starts in 0.8s; "
                "slot 2: 2 workers have died in a row, the next one runs (cohort why)\n"),
      text.npos)
      << text;
}

TEST(Tables, StatusSaysWhyAWorkerIsMissing) {
  const Value status = json(R"({"name":"shop","places":2,"why_missing":"spawn node: no"})");
  EXPECT_NE(status_text(status).find(
                "\nmissing  a worker cannot be started, and is tried again: spawn node: no\n"),
            std::string::npos);
  EXPECT_EQ(missing_text(json(R"({"why_missing":null})")), "");
}

TEST(Tables, AnEndThatClosedItsPlaceSaysSo) {
  const Value status = json(R"({"closed":[{"slot":0,"worker":4}]})");
  EXPECT_TRUE(is_closed_by(status, Value(4)));
  EXPECT_FALSE(is_closed_by(status, Value(5)));
  EXPECT_FALSE(is_closed_by(Value::object(), Value(4)));
  EXPECT_EQ(sequel_text(json(R"({"worker":4})"), {}, status),
            "its place is closed: `cohort reload` starts it again");
}

TEST(Tables, AnEndSaysWhatCameOfIt) {
  const Value status = json(R"({"workers":[{"id":9,"slot":1},{"id":8,"slot":0}],
    "failing":[{"slot":2,"deaths":3,"next":0.4}]})");
  const std::vector<Value> ends{json(R"({"worker":2,"slot":1})"), json(R"({"worker":5,"slot":1})"),
                                json(R"({"worker":7,"slot":2})"), json(R"({"worker":6,"slot":3})"),
                                json(R"({"worker":10,"slot":0})")};
  std::vector<std::string> texts;
  for (const Value& end : ends) texts.push_back(sequel_text(end, ends, status));
  EXPECT_EQ(texts,
            (std::vector<std::string>{"worker 5 came in its slot", "worker 9 is in its slot now",
                                      "another one starts in its slot in 0.4s", "",
                                      "worker 8 serves on in its slot"}));
}

TEST(Tables, AnEndSaysAllThatIsKnown) {
  EXPECT_EQ(end_text(json(R"({"time":"2026-11-29T22:14:03.123Z","event":"died",
    "message":"worker 3 (pid 70) died: killed by SIGSEGV","slot":1,"generation":2,"uptime":192,
    "listened":true,"exit":{"userTime":1,"systemTime":0.5,"peakMemory":45200000,
    "stderr":["a","b"]}})")),
            "2026-11-29T22:14:03.123Z worker 3 (pid 70) died: killed by SIGSEGV\n"
            "  slot 1, generation 2, after 3m 12s; CPU 1.5s, peak memory 45 MB\n"
            "  the last lines on stderr:\n"
            "  a\n"
            "  b\n");
}

TEST(Tables, AnEndForHangingSaysWhereItWas) {
  const std::string text = end_text(
      json(R"({"hung":{"message":"worker 3 hangs: it is killed. It is here:","lines":["#0  spin"]},
               "exit":{"stderr":["a"]}})"),
      "worker 4 is in its slot now");
  EXPECT_NE(text.find("  worker 4 is in its slot now\n"
                      "  worker 3 hangs: it is killed. It is here:\n"
                      "  #0  spin\n"
                      "  the last lines on stderr:\n"),
            text.npos)
      << text;
}

TEST(Tables, WhatIsMissingBreaksNothing) {
  EXPECT_EQ(status_text(Value::object()).substr(0, 2), ": ");
  EXPECT_NE(end_text(Value::object()), "");
  EXPECT_NE(event_text(json("[1]")), "");
  EXPECT_NE(ls_text({Value{}}), "");
}

}  // namespace
}  // namespace cohort::cli
