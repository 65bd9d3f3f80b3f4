#include "base/loop.h"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

namespace cohort {

namespace asio = boost::asio;

void Loop::post(std::function<void()> task) const { asio::post(executor_, std::move(task)); }

void Loop::run_here(std::function<void()> task) const { asio::dispatch(executor_, std::move(task)); }

bool Loop::runs_here() const {
  if (!*started_) return std::this_thread::get_id() == maker_;
  using Strand = asio::strand<asio::io_context::executor_type>;
  const auto* strand = executor_.target<Strand>();
  return strand != nullptr ? strand->running_in_this_thread()
                           : io_.get_executor().running_in_this_thread();
}

// One pending wait. It outlives its Watch until Asio has run the completion handler, which has to set
// the work count right even when nobody listens any more.
struct Watch::Wait {
  Callback ready;
  bool counted = true;  // false while its share of the work count is given back
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

void Watch::start(std::shared_ptr<Wait>& slot, asio::posix::descriptor_base::wait_type type,
                  Callback ready) {
  auto wait = std::make_shared<Wait>();
  wait->ready = std::move(ready);
  slot = wait;
  const auto io_executor = loop_.context().get_executor();
  descriptor_.async_wait(type, [wait, io_executor, executor = loop_.executor()](auto) {
    if (!wait->counted) io_executor.on_work_started();
    wait->counted = true;
    asio::dispatch(executor, [wait] {
      // Emptied by drop(): the Watch is gone, or waits no more.
      if (auto callback = std::exchange(wait->ready, nullptr)) callback();
    });
  });
  if (!ref_) {
    wait->counted = false;
    io_executor.on_work_finished();
  }
}

void Watch::set_ref(bool ref) {
  if (ref_ == ref) return;
  ref_ = ref;
  const auto io_executor = loop_.context().get_executor();
  for (const auto& wait : {reading_, writing_}) {
    if (!wait || !wait->ready || wait->counted == ref) continue;
    wait->counted = ref;
    ref ? io_executor.on_work_started() : io_executor.on_work_finished();
  }
}

void Watch::drop(std::shared_ptr<Wait>& wait) {
  if (!wait) return;
  wait->ready = nullptr;
  // The aborted operation still has to be run by the loop, so it counts again.
  if (!wait->counted) {
    wait->counted = true;
    loop_.context().get_executor().on_work_started();
  }
  wait.reset();
}

OwnFd Watch::release() {
  drop(reading_);
  drop(writing_);
  fd_ = -1;
  return OwnFd{descriptor_.release()};
}

}  // namespace cohort
