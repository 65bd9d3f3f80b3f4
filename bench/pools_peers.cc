// What others do with the empty tasks of bench/pools.cc: oneTBB and Asio.
//
//   pools_peers WHAT COUNT
//
// tbb_enqueue, asio_post: by one thread from outside; _all: by as many as there are CPUs.
// asio_post_inside, tbb_group: by a task, the latter by a task_group. tbb_for: parallel_for with a
// grain of 1. Prints as pools.cc does. Uses nothing of cohort.
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string_view>
#include <thread>
#include <vector>

#include "tasks_done.h"

namespace {

using Clock = std::chrono::steady_clock;

TasksDone done;

const unsigned kCpus = std::thread::hardware_concurrency();

template <class Give>
double give_by(unsigned threads, int count, const Give& give) {
  const int each = count / static_cast<int>(threads);
  const auto start = Clock::now();
  std::vector<std::jthread> givers;
  for (unsigned k = 1; k < threads; ++k)
    givers.emplace_back([&] {
      for (int i = 0; i < each; ++i) give();
    });
  for (int i = 0; i < each; ++i) give();
  done.wait_for(static_cast<std::uint64_t>(each) * threads);
  return seconds_since(start);
}

double tbb_enqueue(unsigned threads, int count) {
  tbb::task_arena arena;
  return give_by(threads, count, [&] { arena.enqueue([] { done.one(); }); });
}

double asio_post(unsigned threads, int count) {
  boost::asio::thread_pool pool{kCpus};
  return give_by(threads, count, [&] { boost::asio::post(pool, [] { done.one(); }); });
}

double asio_post_inside(int count) {
  boost::asio::thread_pool pool{kCpus};
  const auto start = Clock::now();
  boost::asio::post(pool, [&] {
    for (int i = 0; i < count; ++i) boost::asio::post(pool, [] { done.one(); });
  });
  done.wait_for(static_cast<std::uint64_t>(count));
  return seconds_since(start);
}

double tbb_group(int count) {
  tbb::task_arena arena;
  const auto start = Clock::now();
  arena.execute([&] {
    tbb::task_group group;
    for (int i = 0; i < count; ++i) group.run([] { done.one(); });
    group.wait();
  });
  return seconds_since(start);
}

double tbb_for(int count) {
  const auto start = Clock::now();
  tbb::parallel_for(
      tbb::blocked_range<int>{0, count, 1},
      [](const tbb::blocked_range<int>& range) {
        for (int i = range.begin(); i < range.end(); ++i) asm volatile("" ::"r"(i));
      },
      tbb::simple_partitioner{});
  return seconds_since(start);
}

const std::map<std::string_view, std::function<double(int)>> kRows{
    {"tbb_enqueue", [](int count) { return tbb_enqueue(1, count); }},
    {"tbb_enqueue_all", [](int count) { return tbb_enqueue(kCpus, count); }},
    {"tbb_group", tbb_group},
    {"tbb_for", tbb_for},
    {"asio_post", [](int count) { return asio_post(1, count); }},
    {"asio_post_all", [](int count) { return asio_post(kCpus, count); }},
    {"asio_post_inside", asio_post_inside},
};

}  // namespace

int main(int argc, char** argv) {
  const auto row = argc == 3 ? kRows.find(argv[1]) : kRows.end();
  if (row == kRows.end()) {
    std::fputs("usage: pools_peers WHAT COUNT\n", stderr);
    return 100;
  }
  const int count = std::atoi(argv[2]);
  const double seconds = row->second(count);
  std::printf("{\"what\": \"%s\", \"count\": %d, \"seconds\": %.6f, \"per_second\": %.0f}\n",
              argv[1], count, seconds, count / seconds);
  return 0;
}
