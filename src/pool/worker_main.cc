// A process of a pool: takes tasks from its ring, runs them, and writes the answers.
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <utility>

#include "base/sealed_memory.h"
#include "base/sys.h"
#include "cohort/pool.h"
#include "pool/task_registry.h"
#include "pool/worker_link.h"
#include "process/zygote_main.h"
#include "thread/spin.h"

namespace cohort {
namespace pool {
namespace {

using Clock = std::chrono::steady_clock;

// The pool is told of answers at once if it sleeps and this one has nothing more to do, or when so
// much time has passed.
constexpr std::chrono::microseconds kTellEvery{200};
// An answer up to so many bytes goes into a record with others, of so many at most.
constexpr std::size_t kShortAnswer = 1024;
constexpr std::size_t kOpenSize = 16 << 10;

class WorkerProcess {
 public:
  WorkerProcess(std::shared_ptr<std::byte> memory, int bell)
      : link_{std::move(memory)}, bell_{bell} {
    progress_.options.on_progress = [this](const Value& value) {
      answer(Kind::Progress, value);
      tell();
    };
  }

  int run() {
    for (;;) {
      Record* record = nullptr;
      std::string_view text;
      const auto look = link_.requests.front(record, text);
      if (look == SharedRing::Look::Malformed) return 1;
      if (look == SharedRing::Look::Empty) {
        tell();
        wait();
        continue;
      }
      if (record->kind == static_cast<std::uint32_t>(Kind::End)) return 0;
      auto nobody = static_cast<std::uint32_t>(Has::Nobody);
      if (record->state.compare_exchange_strong(nobody, static_cast<std::uint32_t>(Has::Worker)))
        run(*record, text);
      link_.requests.pop();
      // What the pool has not opened would go with this process, should the next task end it.
      while (!lanes_.empty()) wait_until_read();
    }
  }

 private:
  void wait() {
    RingHead& head = link_.requests.head();
    if (thread::spin_until([this] { return !link_.requests.is_empty(); })) return;
    head.reader_sleeps.store(1, std::memory_order_seq_cst);
    const auto seen = head.came.load(std::memory_order_seq_cst);
    if (link_.requests.is_empty())
      sys::futex_wait(head.came, seen, std::chrono::nanoseconds{-1}, true);
    head.reader_sleeps.store(0, std::memory_order_relaxed);
  }

  void run(Record& record, std::string_view text) {
    id_ = record.id;
    began_ = Clock::now();
    if ((record.flags & kInFrames) != 0)
      run_frames(record, text);
    else
      run_values(record, text);
    close();
  }

  void run_values(Record& record, std::string_view text) {
    auto given = unpack(text, (record.flags & kInLane) != 0, decoder_);
    const auto* const task = given ? find_task(given->name) : nullptr;
    const std::size_t count = given ? given->value.size() : record.index;
    for (std::size_t i = 0; i < count; ++i)
      run_one(record, i, given ? Result<const Value*>{&given->value[i]} : given.error(), task,
              given ? given->name : std::string_view{});
  }

  void run_frames(Record& record, std::string_view text) {
    std::string_view inputs;
    const auto name = name_of(text, inputs);
    const auto* const task = name ? find_task(*name) : nullptr;
    FrameReader frames{inputs};
    for (std::size_t i = 0; frames.next(); ++i) {
      const auto given = decoder_.decode(frames.value());
      run_one(record, i, given ? Result<const Value*>{&given->value} : given.error(), task,
              name ? *name : std::string_view{});
    }
  }

  void run_one(Record& record, std::size_t index, const Result<const Value*>& given,
               const detail::NamedTask* task, std::string_view name) {
    index_ = static_cast<std::uint32_t>(index);
    record.at.store(index_, std::memory_order_release);
    const detail::Running running{&progress_};
    const auto result =
        !given ? Result<Value>{given.error()}
        : task == nullptr
            ? Result<Value>{make_error(Errc::NoSuchMethod, "run the task " + std::string{name})}
            : detail::outcome<Value>([&] { return (*task)(**given); });
    const auto now = Clock::now();
    time_ = static_cast<std::uint64_t>((now - began_).count());
    began_ = now;
    const Kind kind = result ? Kind::Answer : Kind::Failure;
    const Value value = result ? *result : value_of_error(result.error());
    if ((record.flags & kInFrames) == 0 || !answer_shortly(kind, value)) answer(kind, value);
    if (now - told_ > kTellEvery) tell();
  }

  // Behind those before it, in the record that is open. False: it is too long for that.
  bool answer_shortly(Kind kind, const Value& value) {
    frame_.clear();
    if (!append_frame(frame_, kind, value, kShortAnswer)) return false;
    if (open_ != nullptr && open_->size + frame_.size() > kOpenSize) close();
    if (open_ == nullptr) {
      while ((open_ = link_.answers.open(kOpenSize)) == nullptr) wait_for_room();
      open_->id = id_;
      open_->kind = static_cast<std::uint32_t>(Kind::Answers);
      open_->index = index_;
    }
    std::memcpy(open_->bytes() + open_->size, frame_.data(), frame_.size());
    open_->size += static_cast<std::uint32_t>(frame_.size());
    open_->time_ns += time_;
    // Now it counts, whatever becomes of this process.
    open_->at.fetch_add(1, std::memory_order_release);
    return true;
  }

  void close() {
    if (open_ != nullptr) link_.answers.publish(*std::exchange(open_, nullptr));
  }

  void answer(Kind kind, const Value& value) {
    close();
    auto packed = pack(value, {}, link_.answers.record_max() / 2);
    if (!packed) {
      kind = Kind::Failure;
      packed = pack(value_of_error(packed.error()), {}, SIZE_MAX);
    }
    Record* place = link_.answers.reserve(packed->text.size());
    while (place == nullptr) {
      wait_for_room();
      place = link_.answers.reserve(packed->text.size());
    }
    place->id = id_;
    place->kind = static_cast<std::uint32_t>(kind);
    place->index = index_;
    place->flags = packed->in_lane ? std::uint32_t{kInLane} : 0;
    place->time_ns = time_;
    std::memcpy(place->bytes(), packed->text.data(), packed->text.size());
    const std::uint64_t end = link_.answers.publish(*place);
    if (packed->lane) lanes_.emplace_back(end, *std::move(packed->lane));
  }

  void wait_until_read() {
    RingHead& head = link_.answers.head();
    tell();
    head.writer_waits.store(1, std::memory_order_seq_cst);
    const auto seen = head.went.load(std::memory_order_seq_cst);
    drop_lanes();
    if (!lanes_.empty()) sys::futex_wait(head.went, seen, std::chrono::nanoseconds{-1}, true);
    head.writer_waits.store(0, std::memory_order_relaxed);
    drop_lanes();
  }

  void wait_for_room() {
    RingHead& head = link_.answers.head();
    tell();
    head.writer_waits.store(1, std::memory_order_seq_cst);
    const auto seen = head.went.load(std::memory_order_seq_cst);
    // Half of it: else each record would wait.
    if (head.written.load() - head.read.load(std::memory_order_seq_cst) > WorkerLink::kRingSize / 2)
      sys::futex_wait(head.went, seen, std::chrono::nanoseconds{-1}, true);
    head.writer_waits.store(0, std::memory_order_relaxed);
  }

  // That there are answers.
  void tell() {
    close();
    told_ = Clock::now();
    RingHead& head = link_.answers.head();
    if (link_.answers.is_empty() || head.reader_sleeps.load(std::memory_order_seq_cst) == 0) return;
    if (head.reader_sleeps.exchange(0) == 0) return;
    const std::uint64_t one = 1;
    sys::write(bell_, &one, sizeof one);
  }

  // Those that the pool has opened.
  void drop_lanes() {
    const auto read = link_.answers.head().read.load(std::memory_order_acquire);
    while (!lanes_.empty() && lanes_.front().first <= read) lanes_.pop_front();
  }

  WorkerLink link_;
  const int bell_;
  ipc::CloneDecoder decoder_;
  detail::StateOf<Value> progress_;
  std::deque<std::pair<std::uint64_t, Lane>> lanes_;  // by the end of the record that has it
  std::uint64_t id_ = 0;
  std::uint32_t index_ = 0;
  std::uint64_t time_ = 0;
  Record* open_ = nullptr;  // what short answers are appended to
  std::string frame_;
  Clock::time_point began_{};
  Clock::time_point told_{};
};

}  // namespace
}  // namespace pool

std::optional<int> run_as_pool_worker() {
  process::become_worker_if_zygote(nullptr);
  const char* const given = std::getenv(pool::kWorkerVariable);
  if (given == nullptr) return std::nullopt;
  int memory = -1, bell = -1;
  if (std::sscanf(given, "%d %d", &memory, &bell) != 2) return std::nullopt;
  // What this process starts is no worker.
  ::unsetenv(pool::kWorkerVariable);
  sys::set_cloexec(memory, true);
  sys::set_cloexec(bell, true);
  auto mapped = map_sealed_memory(memory, pool::WorkerLink::kSize, MemoryAccess::ReadWrite);
  if (!mapped) {
    std::fprintf(stderr, "cohort: a worker of a pool: %s\n", mapped.error().message().c_str());
    return 1;
  }
  // The terminal's Ctrl-C is for the one who has the pool; what a task starts has it as ever.
  struct sigaction nothing{};
  nothing.sa_handler = [](int) {};
  nothing.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &nothing, nullptr);
  return pool::WorkerProcess{*std::move(mapped), bell}.run();
}

}  // namespace cohort
