#include "cli/own_application.h"

#include <boost/asio/use_awaitable.hpp>
#include <csignal>

#include "manager/service_manager.h"

namespace cohort::cli {
namespace {

constexpr std::size_t kLastWordsMax = 4096;

SpawnOptions without_a_terminal() {
  (void)manager::take_service_wishes();  // What runs here is no service of systemd.
  SpawnOptions options;
  options.argv0 = "cohort";
  options.stdio = {Stdio::Ignore, Stdio::Pipe, Stdio::Pipe};
  options.process_group = 0;  // Ctrl-C is for the verb, which stops it when nobody asks any more.
  options.parent_death_signal = SIGTERM;
  return options;
}

}  // namespace

OwnApplication::OwnApplication(boost::asio::io_context& io, const std::vector<std::string>& words)
    : child_{spawn(io, "/proc/self/exe", words, without_a_terminal())} {
  child_.on_error([this](const Error& error) { keep(error.code.message() + '\n'); });
  for (const ChildStream* stream : {&child_.stdout_(), &child_.stderr_()})
    stream->on_data([this](std::string_view printed) { keep(printed); });
}

void OwnApplication::keep(std::string_view printed) {
  last_words_ += printed;
  if (last_words_.size() > kLastWordsMax) last_words_.erase(0, last_words_.size() - kLastWordsMax);
}

std::optional<Running> OwnApplication::serving() const {
  for (Running& each : applications())
    if (each.pid == child_.pid() && !each.status["ports"].elements().empty() &&
        is_settled(each.status))
      return std::move(each);
  return std::nullopt;
}

boost::asio::awaitable<Exit> OwnApplication::stop() {
  child_.kill(SIGTERM);
  co_return co_await child_.async_exit(boost::asio::use_awaitable);
}

}  // namespace cohort::cli
