// The host of an io_context: its Cluster's, or else one that binds by itself.
//
// Owned by the io_context: servers end with it, at the latest. Loop's executor only.
#pragma once

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "net/direct_host.h"

namespace cohort::net {

class HostOfLoop : public boost::asio::execution_context::service {
 public:
  using key_type = HostOfLoop;
  inline static boost::asio::execution_context::id id;
  explicit HostOfLoop(boost::asio::execution_context& context);

  static HostOfLoop& of(boost::asio::io_context& io);
  /// Servers that are created from now on are those of `host`, which outlives them, or says
  /// nullptr.
  void use(Host* host) { given_ = host; }
  Host& host(boost::asio::io_context& io);

 private:
  void shutdown() override;

  Host* given_ = nullptr;
  std::optional<DirectHost> direct_;
};

}  // namespace cohort::net
