#include "base/loop.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

namespace cohort {

namespace asio = boost::asio;

void Loop::post(std::function<void()> task) const { asio::post(executor_, std::move(task)); }

void Loop::run_here(std::function<void()> task) const {
  asio::dispatch(executor_, std::move(task));
}

bool Loop::runs_here() const {
  if (!*started_) return std::this_thread::get_id() == maker_;
  using Strand = asio::strand<asio::io_context::executor_type>;
  const auto* strand = executor_.target<Strand>();
  return strand != nullptr ? strand->running_in_this_thread()
                           : io_.get_executor().running_in_this_thread();
}

// One pending wait. It outlives its Watch until Asio has run the completion handler, which has to
// set the work count right even when nobody listens any more. That handler runs on any thread of
// the io_context, and before the callback, which may have to queue for a strand: hence the atomic,
// and the state in which the count is no longer the Watch's to change.
struct Watch::Wait {
  enum class Share { Counted, GivenBack, Completed };
  using Executor = asio::io_context::executor_type;

  Callback ready;
  std::atomic<Share> share = Share::Counted;

  void give_back(const Executor& io) {
    Share counted = Share::Counted;
    if (!share.compare_exchange_strong(counted, Share::GivenBack)) return;
    // Before the loop runs the count may fall to 0, which stops an io_context for good; within it,
    // the handler that calls us counts.
    if (!io.running_in_this_thread()) asio::post(io, [] {});
    io.on_work_finished();
  }
  void take_again(const Executor& io) {
    Share given_back = Share::GivenBack;
    if (share.compare_exchange_strong(given_back, Share::Counted)) io.on_work_started();
  }
  void complete(const Executor& io) {
    if (share.exchange(Share::Completed) == Share::GivenBack) io.on_work_started();
  }
};

Watch::Watch(const Loop& loop, OwnFd fd)
    : loop_{loop}, descriptor_{loop.context().get_executor(), fd.get()}, fd_{fd.release()} {}

Watch::~Watch() {
  drop(reading_);
  drop(writing_);
}

void Watch::wait_readable(Callback ready) {
  start(reading_, asio::posix::descriptor_base::wait_read, std::move(ready));
}

void Watch::wait_writable(Callback ready) {
  start(writing_, asio::posix::descriptor_base::wait_write, std::move(ready));
}

bool Watch::waiting_readable() const { return reading_ && reading_->ready; }
bool Watch::waiting_writable() const { return writing_ && writing_->ready; }

void Watch::start(std::shared_ptr<Wait>& slot, asio::posix::descriptor_base::wait_type type,
                  Callback ready) {
  drop(slot);  // one that is waited for in vain by now
  auto wait = std::make_shared<Wait>();
  wait->ready = std::move(ready);
  slot = wait;
  const auto io = loop_.context().get_executor();
  // `ready` is emptied by drop(): the Watch is gone, or waits no more.
  if (loop_.executor().target<Wait::Executor>() != nullptr) {
    descriptor_.async_wait(type, [wait, io](auto) {
      wait->complete(io);
      if (auto callback = std::exchange(wait->ready, nullptr)) callback();
    });
  } else {
    descriptor_.async_wait(type, [wait, io, executor = loop_.executor()](auto) {
      wait->complete(io);
      asio::dispatch(executor, [wait] {
        if (auto callback = std::exchange(wait->ready, nullptr)) callback();
      });
    });
  }
  if (!ref_) wait->give_back(io);
}

void Watch::set_ref(bool ref) {
  if (ref_ == ref) return;
  ref_ = ref;
  const auto io = loop_.context().get_executor();
  for (const auto& wait : {reading_, writing_})
    if (wait) ref ? wait->take_again(io) : wait->give_back(io);
}

Watch::Callback Watch::drop(std::shared_ptr<Wait>& wait) {
  if (!wait) return nullptr;
  // The aborted operation still has to be run by the loop, so it counts again.
  wait->take_again(loop_.context().get_executor());
  return std::exchange(std::exchange(wait, nullptr)->ready, nullptr);
}

OwnFd Watch::release() {
  // What the callbacks own, perhaps this very Watch, goes last.
  const Callback reading = drop(reading_);
  const Callback writing = drop(writing_);
  fd_ = -1;
  return OwnFd{descriptor_.release()};
}

}  // namespace cohort
