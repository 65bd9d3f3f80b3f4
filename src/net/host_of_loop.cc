#include "net/host_of_loop.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/plain_loop.h"
#include "cohort/net.h"

namespace cohort::net {

namespace asio = boost::asio;

// Services end in the reverse order of their creation: those that connections use are made first.
HostOfLoop::HostOfLoop(asio::execution_context& context)
    : asio::execution_context::service{context} {
  auto& io = static_cast<asio::io_context&>(context);
  const asio::posix::stream_descriptor descriptor{io};
  const asio::steady_timer timer{io};
  plain_loop(io);
}

HostOfLoop& HostOfLoop::of(asio::io_context& io) { return asio::use_service<HostOfLoop>(io); }

Host& HostOfLoop::host(asio::io_context& io) {
  if (given_ != nullptr) return *given_;
  if (!direct_) direct_.emplace(plain_loop(io));
  return *direct_;
}

void HostOfLoop::shutdown() {
  if (direct_) direct_->abandon();
  direct_.reset();
}

Host& host(asio::io_context& io) { return HostOfLoop::of(io).host(io); }

}  // namespace cohort::net
