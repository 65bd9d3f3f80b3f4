// Single and multi: the same work on one thread, on N threads, and in N processes.
//
//   single_and_multi [--megabytes 64] [--workers N]
//
// The work is to count the words of a text that is made up beforehand. Threads share the text where
// it lies; worker processes are called with a range of the file, and answer with their counts.
#include <cohort/cohort.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "flags.h"

namespace {

using Counts = std::unordered_map<std::string_view, std::uint64_t>;
using Clock = std::chrono::steady_clock;

// Words w0, w1, w2... of which the lower ones are more frequent; the same at every run.
std::string make_text(std::size_t size) {
  std::string text;
  text.reserve(size + 8);
  for (std::uint64_t state = 88172645463325252; text.size() < size;) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    const std::uint64_t word = (state % 5'000) * (state / 5'000 % 5'000) / 5'000;
    text += 'w' + std::to_string(word) + (state % 16 == 0 ? '\n' : ' ');
  }
  return text;
}

void count_words(std::string_view text, Counts& counts) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    if (end > at) ++counts[text.substr(at, end - at)];
    at = end + 1;
  }
}

// `parts` pieces of about the same size that end between words: begin, end.
std::vector<std::pair<std::size_t, std::size_t>> split(std::string_view text, unsigned parts) {
  std::vector<std::pair<std::size_t, std::size_t>> pieces;
  for (std::size_t begin = 0, i = 1; i <= parts; ++i) {
    const std::size_t end =
        i == parts ? text.size() : std::min(text.find(' ', text.size() / parts * i), text.size());
    pieces.emplace_back(begin, end);
    begin = end;
  }
  return pieces;
}

void add(Counts& sum, const Counts& part) {
  for (const auto& [word, count] : part) sum[word] += count;
}

void print(const std::string& how, Clock::time_point since, const Counts& counts) {
  const auto [word, count] = *std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) {
    return std::pair{a.second, b.first} < std::pair{b.second, a.first};
  });
  std::printf("%-12s %6.0f ms   %zu words, %.*s %llu times\n", how.c_str(),
              std::chrono::duration<double, std::milli>(Clock::now() - since).count(),
              counts.size(), static_cast<int>(word.size()), word.data(),
              static_cast<unsigned long long>(count));
}

// --- on one thread, on several

void on_threads(std::string_view text, unsigned threads) {
  const auto start = Clock::now();
  const auto pieces = split(text, threads);
  std::vector<Counts> parts(threads);
  std::vector<std::thread> running;
  for (unsigned i = 0; i < threads; ++i)
    running.emplace_back([&, i] {
      count_words(text.substr(pieces[i].first, pieces[i].second - pieces[i].first), parts[i]);
    });
  for (std::thread& thread : running) thread.join();
  Counts sum;
  for (const Counts& part : parts) add(sum, part);
  print(std::to_string(threads) + (threads == 1 ? " thread" : " threads"), start, sum);
}

// --- in several processes

int be_worker(cohort::Cluster& cluster) {
  cluster.handle("count", [](const cohort::Value& piece) -> cohort::Value {
    std::ifstream file{std::string{piece["path"].string_or("")}, std::ios::binary};
    file.seekg(piece["begin"].int64_or(0));
    std::string text(static_cast<std::size_t>(piece["size"].int64_or(0)), '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    Counts counts;
    count_words(text, counts);
    cohort::Value answer = cohort::Value::array();
    for (const auto& [word, count] : counts) answer.push_back(cohort::Value::array({word, count}));
    return answer;
  });
  return cluster.run();
}

int in_processes(cohort::Cluster& cluster, const std::string& path, std::string_view text,
                 unsigned processes) {
  // The answers own their words.
  std::vector<cohort::Value> answers;
  Clock::time_point start;
  const auto pieces = split(text, processes);
  const auto answered = [&](const cohort::Result<cohort::Value>& answer) {
    if (!answer) throw std::runtime_error{answer.error().message()};
    answers.push_back(*answer);
    if (answers.size() < processes) return;
    Counts sum;
    for (const cohort::Value& part : answers)
      for (const cohort::Value& entry : part.elements())
        sum[entry[0].string_or("")] += static_cast<std::uint64_t>(entry[1].int64_or(0));
    print(std::to_string(processes) + (processes == 1 ? " process" : " processes"), start, sum);
    cluster.disconnect();
  };
  // Measured from the call on, when all run: a server's workers run already, too.
  cluster.on_online([&, online = 0U](const cohort::Worker&) mutable {
    if (++online < processes) return;
    start = Clock::now();
    for (unsigned i = 0; i < processes; ++i)
      cluster.workers()[i].call("count",
                                {{"path", path},
                                 {"begin", pieces[i].first},
                                 {"size", pieces[i].second - pieces[i].first}},
                                answered);
  });
  for (unsigned i = 0; i < processes; ++i) cluster.fork();
  return cluster.run();
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_worker()) return be_worker(cluster);

  const unsigned workers = flags.number("--workers", cohort::available_parallelism());
  const std::string text = make_text(std::size_t{flags.number("--megabytes", 64)} << 20);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("words-" + std::to_string(getpid()))).string();
  std::ofstream{path, std::ios::binary} << text;
  on_threads(text, 1);
  on_threads(text, workers);
  const int code = in_processes(cluster, path, text, workers);
  std::filesystem::remove(path);
  return code;
}
