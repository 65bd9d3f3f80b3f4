// Single and multi: the same work on one thread, on N threads, and in N processes. One word changes
// one into the other: `Isolation::Thread`, `Isolation::Process`.
//
//   single_and_multi [--megabytes 64] [--workers N]
//
// The work is to count the words of a text, which is made up beforehand, in pieces.
#include <cohort/parallelism.h>
#include <cohort/pool.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "flags.h"

using Counts = std::unordered_map<std::string, std::uint64_t>;

struct Piece {
  std::string path;
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};
BOOST_DESCRIBE_STRUCT(Piece, (), (path, begin, size))

Counts words_of(const Piece& piece) {
  std::ifstream file{piece.path, std::ios::binary};
  file.seekg(static_cast<std::streamoff>(piece.begin));
  std::string text(piece.size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  Counts counts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    if (end > at) ++counts[text.substr(at, end - at)];
    at = end + 1;
  }
  return counts;
}
// A task has a name, by which the other processes of this program know it.
const cohort::Task count_words{"count_words", words_of};

// How many milliseconds it takes; 0: a piece has failed.
double measure(cohort::Isolation isolation, unsigned workers, const std::vector<Piece>& pieces) {
  const cohort::Pool pool{{.isolation = isolation, .max_workers = workers}};
  // Measured when all workers run, as a server's do.
  pool.map(std::vector<Piece>(workers), count_words);
  const auto start = std::chrono::steady_clock::now();
  std::vector<cohort::Future<Counts>> parts;
  for (const Piece& piece : pieces) parts.push_back(pool.run(count_words, piece));
  Counts sum;
  for (const cohort::Future<Counts>& part : parts) {
    const cohort::Result<Counts> counts = part.get();
    if (!counts) {
      std::cerr << counts.error() << '\n';
      return 0;
    }
    for (const auto& [word, count] : *counts) sum[word] += count;
  }
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  const auto [word, count] = *std::max_element(sum.begin(), sum.end(), [](auto& a, auto& b) {
    return std::pair{a.second, b.first} < std::pair{b.second, a.first};
  });
  const std::string how = isolation == cohort::Isolation::Thread ? " thread" : " process";
  const std::string plural = workers == 1                             ? ""
                             : isolation == cohort::Isolation::Thread ? "s"
                                                                      : "es";
  std::printf("%-12s %6.0f ms   %zu words, %s %llu times",
              (std::to_string(workers) + how + plural).c_str(), time.count(), sum.size(),
              word.c_str(), static_cast<unsigned long long>(count));
  return time.count();
}

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

// Pieces of about the same size that end between words.
std::vector<Piece> split(const std::string& path, const std::string& text) {
  constexpr std::size_t kParts = 32;
  std::vector<Piece> pieces;
  for (std::size_t begin = 0, i = 1; i <= kParts; ++i) {
    const std::size_t end =
        i == kParts ? text.size() : std::min(text.find(' ', text.size() / kParts * i), text.size());
    pieces.push_back({path, begin, end - begin});
    begin = end;
  }
  return pieces;
}

int main(int argc, char** argv) {
  if (const auto code = cohort::run_as_pool_worker()) return *code;
  const Flags flags{argc, argv};
  const unsigned workers = flags.number("--workers", cohort::available_parallelism());
  const std::string text = make_text(std::size_t{flags.number("--megabytes", 64)} << 20);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("words-" + std::to_string(getpid()))).string();
  std::ofstream{path, std::ios::binary} << text;
  const std::vector<Piece> pieces = split(path, text);

  const double single = measure(cohort::Isolation::Thread, 1, pieces);
  std::puts("");
  for (const auto isolation : {cohort::Isolation::Thread, cohort::Isolation::Process}) {
    const double multi = measure(isolation, workers, pieces);
    std::printf(", %.2f times as fast\n", multi > 0 ? single / multi : 0);
  }
  std::filesystem::remove(path);
}
