// What the library itself has to say to whoever runs the program: that accepting failed, that it
// gives up. Handed to the handlers of the Cluster of this loop (`Cluster::on_notice`); without one,
// written to stderr.
//
// Every room may `say`, on any thread. The state lives in the io_context.
#pragma once

#include <boost/asio/execution_context.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/line_output.h"
#include "base/loop.h"

namespace cohort {

/// A Notice as the lower rooms know it, which have no Value.
struct Remark {
  using Detail = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

  /// One stable word for programs: `accept_failed`. Listed in docs/errors.md.
  std::string code;
  /// For people: one line, without `cohort: ` and without its end.
  std::string text;
  /// For programs. `lines` are what another program wrote; they are printed below the text.
  std::vector<std::pair<std::string, Detail>> fields = {};
};

/// To the handlers, in a turn of their own. Without any: to stderr, now; it never blocks.
void say(const Loop& loop, Remark remark);

/// Before the process ends: writes what stderr has not taken yet, as LastPatience has it.
void finish_notices(boost::asio::io_context& io);

/// `cohort: TEXT\n`, then each of `lines` on a line of its own, indented and as it was written.
std::string to_text(const Remark& remark);
/// With `?` for each control character: one line, and nothing that a terminal obeys.
std::string printable(std::string text);

/// The handlers of one io_context.
class Notices : public boost::asio::execution_context::service {
 public:
  using key_type = Notices;
  using Handler = std::function<void(const Remark&)>;
  inline static boost::asio::execution_context::id id;
  explicit Notices(boost::asio::execution_context& io);

  static Notices& of(boost::asio::io_context& io);
  /// Handlers run on `loop` from now on. Before anything is said.
  void run_on(const Loop& loop) { loop_.emplace(loop); }
  void on(Handler handler) { handlers_.push_back(std::move(handler)); }
  void clear() { handlers_.clear(); }

 private:
  friend void say(const Loop& loop, Remark remark);
  friend void finish_notices(boost::asio::io_context& io);

  void shutdown() override {
    handlers_.clear();
    stderr_.reset();
    loop_.reset();  // its strand belongs to a service that may be gone sooner
  }
  void deliver(const Remark& remark);

  std::optional<Loop> loop_;
  std::list<Handler> handlers_;
  std::optional<LineOutput> stderr_;
};

}  // namespace cohort
