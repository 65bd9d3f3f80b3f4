#include "base/plain_loop.h"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/strand.hpp>
#include <mutex>
#include <optional>

#include "cohort/loop_ref.h"

namespace cohort {
namespace {

namespace asio = boost::asio;

class PlainLoop : public asio::execution_context::service {
 public:
  using key_type = PlainLoop;
  inline static asio::execution_context::id id;
  explicit PlainLoop(asio::execution_context& context)
      : asio::execution_context::service{context} {}

  const Loop& loop(asio::io_context& io) {
    std::call_once(made_, [&] {
      loop_.emplace(io, asio::make_strand(io.get_executor()));
      loop_->post([loop = *loop_] { loop.mark_started(); });
    });
    return *loop_;
  }

 private:
  void shutdown() override { loop_.reset(); }

  std::once_flag made_;  // whichever thread asks first
  std::optional<Loop> loop_;
};

}  // namespace

const Loop& plain_loop(asio::io_context& io) { return asio::use_service<PlainLoop>(io).loop(io); }

LoopRef::LoopRef(asio::io_context& io) : loop_{std::make_shared<Loop>(plain_loop(io))} {}
LoopRef::LoopRef(const Loop& loop) : loop_{std::make_shared<Loop>(loop)} {}

}  // namespace cohort
