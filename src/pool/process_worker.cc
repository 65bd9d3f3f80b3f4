#include "pool/process_worker.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "base/sealed_memory.h"
#include "base/sys.h"

namespace cohort::pool {
namespace {

std::uint32_t number_of(Has has) { return static_cast<std::uint32_t>(has); }

// What is not answered of a job.
Result<Packed> pack_values(const Job& job, std::size_t limit) {
  if (job.first == 0) return pack(job.inputs, job.name, limit);
  Value inputs = Value::array();
  for (const Value& each : job.inputs.elements().subspan(job.first)) inputs.push_back(each);
  return pack(inputs, job.name, limit);
}

Result<Packed> pack_frames(const Job& job) {
  FrameReader frames{job.frames};
  for (std::size_t i = 0; i < job.first; ++i) frames.next();
  return Packed{.text = with_name(job.name, frames.left()), .in_lane = false, .lane = {}};
}

// Once for all: it is the same program even if its file is another by now.
constexpr const char* kThisProgram = "/proc/self/exe";

SpawnOptions spawn_options(const PoolOptions& options) {
  SpawnOptions spawning = options.spawn;
  if (!spawning.stdio.given()) spawning.stdio = Stdio::Inherit;
  if (spawning.argv0.empty()) spawning.argv0 = options.name + "-worker";
  return spawning;
}

}  // namespace

Result<std::unique_ptr<PoolWorker>> ProcessWorker::start(const Loop& loop, int number, int bell,
                                                         const PoolOptions& options,
                                                         const ChildImpl::Spawner& spawner,
                                                         Ended ended) {
  auto fd = create_sealed_memory(WorkerLink::kSize);
  if (!fd) return fd.error();
  auto memory = map_sealed_memory(fd->get(), WorkerLink::kSize, MemoryAccess::ReadWrite);
  if (!memory) return memory.error();
  std::unique_ptr<ProcessWorker> worker{new ProcessWorker(number, *std::move(memory))};

  SpawnOptions spawning = spawn_options(options);
  std::vector<ChildStdio> stdio = spawning.stdio.entries();
  while (stdio.size() < 3) stdio.emplace_back(Stdio::Inherit);
  const auto first = stdio.size();
  stdio.emplace_back(fd->get());
  stdio.emplace_back(bell);
  spawning.stdio = StdioList{std::move(stdio)};
  spawning.add_env.emplace_back(kWorkerVariable,
                                std::to_string(first) + ' ' + std::to_string(first + 1));
  ChildProcess child = process::spawn_by(spawner, LoopRef{loop}, kThisProgram, {}, spawning);
  const auto why = std::make_shared<std::optional<Error>>();
  child.on_error([why](const Error& error) { *why = error; });
  // Its streams may be held open by what it has started. One that was never there has only a close.
  const auto told = std::make_shared<bool>(false);
  const auto tell = [why, told, ended = std::move(ended)](const Exit& exit) {
    if (!std::exchange(*told, true)) ended(exit, *why);
  };
  child.on_exit(tell);
  child.on_close(tell);
  worker->child_.emplace(std::move(child));
  return std::unique_ptr<PoolWorker>{std::move(worker)};
}

Result<std::unique_ptr<process::Zygote>> ProcessWorker::start_zygote(
    const Loop& loop, const PoolOptions& options, std::function<void()> changed) {
  process::ChildLaunch launch;
  const auto prepared =
      process::prepare(loop, process::LaunchKind::Spawn, kThisProgram, {},
                       process::options_of_loader(spawn_options(options)), launch);
  if (!prepared) return prepared.error();
  return process::Zygote::start(loop, launch.request, options.preload, std::move(changed));
}

Result<bool> ProcessWorker::give(const Job& job) {
  auto packed =
      job.framed > 0 ? pack_frames(job) : pack_values(job, link_.requests.record_max() / 4);
  if (!packed) return packed.error();
  if (packed->text.size() > link_.requests.record_max())
    return make_error(Errc::MessageTooLarge, "give a task to a worker", "its name is too long");
  Record* const record = link_.requests.reserve(packed->text.size());
  if (record == nullptr) return false;
  record->id = job.id;
  record->index = static_cast<std::uint32_t>(job.left());
  record->kind = static_cast<std::uint32_t>(Kind::Run);
  record->flags = (packed->in_lane ? std::uint32_t{kInLane} : 0) |
                  (job.framed > 0 ? std::uint32_t{kInFrames} : 0);
  std::memcpy(record->bytes(), packed->text.data(), packed->text.size());
  link_.requests.publish(*record);
  given_.push_back({job.id, job.first, record, std::move(packed->lane)});
  wake();
  return true;
}

void ProcessWorker::wake() {
  RingHead& head = link_.requests.head();
  if (head.reader_sleeps.load(std::memory_order_seq_cst) == 0 ||
      head.reader_sleeps.exchange(0) == 0)
    return;
  head.came.fetch_add(1, std::memory_order_seq_cst);
  sys::futex_wake(head.came, 1, true);
}

std::optional<std::uint64_t> ProcessWorker::take_back_newest() {
  if (given_.size() < 2) return std::nullopt;
  const std::uint64_t id = given_.back().id;
  if (!take_back(id)) return std::nullopt;
  return id;
}

bool ProcessWorker::take_back(std::uint64_t id) {
  const auto found =
      std::find_if(given_.begin(), given_.end(), [id](const Given& each) { return each.id == id; });
  if (found == given_.end()) return true;
  auto nobody = number_of(Has::Nobody);
  if (!found->record->state.compare_exchange_strong(nobody, number_of(Has::TakenBack)))
    return false;
  given_.erase(found);
  return true;
}

std::optional<std::uint64_t> ProcessWorker::begun() const {
  // The newest: those before it are done, though nobody may have read that yet.
  for (auto each = given_.rbegin(); each != given_.rend(); ++each)
    if (each->record->state.load(std::memory_order_acquire) == number_of(Has::Worker))
      return each->id;
  return std::nullopt;
}

void ProcessWorker::forget(std::uint64_t id) {
  std::erase_if(given_, [id](const Given& each) { return each.id == id; });
}

std::optional<ProcessWorker::Answer> ProcessWorker::next_answer() {
  Record* record = nullptr;
  std::string_view text;
  const auto look = link_.answers.front(record, text);
  is_malformed_ = is_malformed_ || look == SharedRing::Look::Malformed;
  if (look != SharedRing::Look::Record || is_malformed_) return std::nullopt;
  has_worked_ = true;
  auto answer = record->kind == static_cast<std::uint32_t>(Kind::Answers)
                    ? read_frames(*record, text)
                    : std::optional{read(*record, text)};
  if (!answer) return std::nullopt;
  link_.answers.pop();
  RingHead& head = link_.answers.head();
  if (head.writer_waits.load(std::memory_order_seq_cst) != 0) {
    head.went.fetch_add(1, std::memory_order_seq_cst);
    sys::futex_wake(head.went, 1, true);
  }
  return answer;
}

std::optional<ProcessWorker::Answer> ProcessWorker::last_answer() {
  std::string_view text;
  Record* const record = link_.answers.left_open(text);
  if (record == nullptr || record->at.load(std::memory_order_acquire) == 0) return std::nullopt;
  return read_frames(*record, text);
}

std::size_t ProcessWorker::first_of(std::uint64_t id) const {
  const auto found =
      std::find_if(given_.begin(), given_.end(), [id](const Given& each) { return each.id == id; });
  return found == given_.end() ? 0 : found->first;
}

ProcessWorker::Answer ProcessWorker::read(const Record& record, std::string_view text) {
  const auto kind = static_cast<Kind>(record.kind);
  const bool in_lane = (record.flags & kInLane) != 0;
  Answer answer{.id = record.id, .time_ns = record.time_ns, .result = Value()};
  answer.input = first_of(answer.id) + record.index;
  answer.is_progress = kind == Kind::Progress;
  auto unpacked = unpack(text, in_lane, decoder_);
  if (unpacked)
    answer.result = std::move(unpacked->value);
  else if (in_lane)
    answer.result = make_error(Errc::WorkerDied, "read the result of a task",
                               "it was lost with its worker: " + unpacked.error().message());
  else
    answer.result = unpacked.error();
  if (kind == Kind::Failure && answer.result) answer.result = error_of_value(*answer.result);
  return answer;
}

// As many as it says, in a copy that the worker cannot change.
std::optional<ProcessWorker::Answer> ProcessWorker::read_frames(const Record& record,
                                                                std::string_view text) {
  const std::size_t count = record.at.load(std::memory_order_acquire);
  Answer answer{.id = record.id,
                .time_ns = record.time_ns,
                .count = count,
                .frames = std::string{text},
                .result = Value()};
  answer.input = first_of(answer.id) + record.index;
  FrameReader frames{answer.frames};
  std::size_t whole = 0;
  while (whole < count && frames.next()) ++whole;
  if (count > 0 && whole == count) return answer;
  is_malformed_ = true;
  return std::nullopt;
}

bool ProcessWorker::wants_a_bell(bool wants) {
  RingHead& head = link_.answers.head();
  head.reader_sleeps.store(wants ? 1 : 0, std::memory_order_seq_cst);
  return !wants || link_.answers.is_empty();
}

void ProcessWorker::end() {
  Record* const record = link_.requests.reserve(0);
  if (record == nullptr) return kill();
  record->kind = static_cast<std::uint32_t>(Kind::End);
  link_.requests.publish(*record);
  wake();
}

}  // namespace cohort::pool
