// How long a worker takes to start that shares what was loaded once, beside a bare fork(2) of a
// process with the same memory.
//
//   preload_starts ours|bare plain|huge|shared MEGABYTES COUNT
//
// plain: memory of malloc's; huge: in huge pages; shared: a mapping that all processes have. The
// time ends with the first answer of the new process. Prints one line of JSON: the median, in
// microseconds.
#include <cohort/pool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Times = std::vector<double>;

constexpr const char* kMegabytes = "PRELOAD_STARTS_MEGABYTES";

// Volatile: it is there to be there.
char* volatile table = nullptr;

std::size_t wanted_size() {
  const char* const megabytes = std::getenv(kMegabytes);
  return std::strtoull(megabytes == nullptr ? "1" : megabytes, nullptr, 10) << 20;
}
void load_private() {
  table = static_cast<char*>(std::malloc(wanted_size()));
  std::memset(table, 1, wanted_size());
}
void load_shared() {
  void* const memory =
      mmap(nullptr, wanted_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  table = static_cast<char*>(memory);
  std::memset(table, 1, wanted_size());
}

const cohort::Preload plain{"plain", load_private};
const cohort::Preload huge{"huge", load_private, {.huge_pages = true}};
const cohort::Preload shared{"shared", load_shared};

const cohort::Task ends{"ends", [](int code) -> int { std::_Exit(code); }};
const cohort::Task answers{"answers", [](int number) { return number + table[0]; }};

double microseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::micro>(Clock::now() - since).count();
}

Times ours(const std::string& what, int count) {
  const cohort::Pool pool{
      {.isolation = cohort::Isolation::Process, .max_workers = 1, .preload = what}};
  Times times;
  for (int i = 0; i <= count; ++i) {
    const auto start = Clock::now();
    const auto answer = pool.run(answers, 1).get();
    const double time = microseconds(start);
    if (!answer) {
      std::fprintf(stderr, "preload_starts: %s\n", answer.error().message().c_str());
      std::exit(1);
    }
    if (i > 0) times.push_back(time);  // the first one waited for the loading
    std::ignore = pool.run(ends, 0).get();
  }
  return times;
}

// Of the same pages: MADV_COLLAPSE is what Preload::Options::huge_pages uses.
void into_huge_pages() {
  constexpr int kCollapse = 25;
  constexpr std::uintptr_t kHuge = std::uintptr_t{2} << 20;
  const auto begin = (reinterpret_cast<std::uintptr_t>(table) + kHuge - 1) / kHuge * kHuge;
  const std::size_t size = wanted_size() / kHuge * kHuge - kHuge;
  // Memory that is in pieces is put together meanwhile.
  int left = 10;
  while (size > 0 && madvise(reinterpret_cast<void*>(begin), size, kCollapse) == -1) {
    if (--left > 0) continue;
    std::perror("preload_starts: no huge pages");
    std::exit(1);
  }
}

Times bare(const std::string& what, int count) {
  what == "shared" ? load_shared() : load_private();
  if (what == "huge") into_huge_pages();
  int ends_of_pipe[2];
  if (pipe(ends_of_pipe) == -1) std::abort();
  Times times;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    const pid_t pid = fork();
    if (pid == 0) {
      const char answer = table[0];
      std::_Exit(write(ends_of_pipe[1], &answer, 1) == 1 ? 0 : 1);
    }
    char answer = 0;
    if (pid == -1 || read(ends_of_pipe[0], &answer, 1) != 1) std::abort();
    times.push_back(microseconds(start));
    waitpid(pid, nullptr, 0);
  }
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto code = cohort::run_as_pool_worker()) return *code;
  const std::vector<std::string> words{argv + 1, argv + argc};
  if (words.size() != 4 || (words[0] != "ours" && words[0] != "bare")) {
    std::fputs("usage: preload_starts ours|bare plain|huge|shared MEGABYTES COUNT\n", stderr);
    return 100;
  }
  setenv(kMegabytes, words[2].c_str(), 1);
  const int count = std::max(1, std::atoi(words[3].c_str()));
  Times times = words[0] == "ours" ? ours(words[1], count) : bare(words[1], count);
  std::sort(times.begin(), times.end());
  std::printf("{\"median_us\": %.1f}\n", times[times.size() / 2]);
  return 0;
}
