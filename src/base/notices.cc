#include "base/notices.h"

#include <unistd.h>

#include <boost/asio/strand.hpp>

namespace cohort {

namespace asio = boost::asio;

namespace {

std::string gap_line(std::uint64_t lines) { return "cohort: " + gap_text(lines) + '\n'; }

}  // namespace

std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

std::string to_text(const Remark& remark) {
  std::string text = "cohort: " + printable(remark.text) + '\n';
  for (const auto& [name, detail] : remark.fields)
    if (const auto* lines = std::get_if<std::vector<std::string>>(&detail);
        lines != nullptr && name == "lines")
      for (const std::string& line : *lines) text += "  " + line + '\n';
  return text;
}

void say(const Loop& loop, Remark remark) {
  Notices& notices = Notices::of(loop.context());
  // Before the loop runs, too: set_policy may have something to say.
  if (notices.loop_->runs_here()) return notices.deliver(remark);
  notices.loop_->run_here([&notices, said = std::move(remark)] { notices.deliver(said); });
}

void finish_notices(asio::io_context& io) {
  Notices& notices = Notices::of(io);
  if (notices.stderr_) notices.stderr_->finish();
}

Notices::Notices(asio::execution_context& io) : asio::execution_context::service{io} {}

Notices& Notices::of(asio::io_context& io) {
  Notices& notices = asio::use_service<Notices>(io);
  // Without a Cluster there may be several loops, as strands of one io_context: another one then.
  if (!notices.loop_) {
    notices.loop_.emplace(io, asio::make_strand(io.get_executor()));
    notices.loop_->mark_started();
  }
  return notices;
}

void Notices::deliver(const Remark& remark) {
  if (handlers_.empty()) {
    if (!stderr_) stderr_.emplace(*loop_, STDERR_FILENO, gap_line);
    stderr_->write(to_text(remark));
    return;
  }
  // Not within the function that had something to say: a handler may do anything.
  loop_->post([this, remark] {
    auto left = handlers_.size();
    for (auto handler = handlers_.begin(); left > 0; ++handler, --left) (*handler)(remark);
  });
}

}  // namespace cohort
