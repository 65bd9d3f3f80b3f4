#include "cli/load_answer.h"

#include <cstring>

namespace cohort::cli {

namespace http = boost::beast::http;
using boost::system::error_code;

void LoadAnswer::begin() {
  parser_.emplace();
  parser_->body_limit(boost::none);
  parser_->eager(true);
}

bool LoadAnswer::put(std::string_view bytes) {
  constexpr int kSwitchingProtocols = 101;
  bytes_ += bytes.size();
  std::memcpy(buffer_.prepare(bytes.size()).data(), bytes.data(), bytes.size());
  buffer_.commit(bytes.size());
  error_code error;
  while (!error && buffer_.size() > 0 && !parser_->is_done()) {
    buffer_.consume(parser_->put(buffer_.data(), error));
    // 100 Continue, 103 Early Hints: the answer is still to come.
    if (parser_->is_done() && status() / 100 == 1 && status() != kSwitchingProtocols) begin();
  }
  what_ = error.message();
  return !error || error == http::error::need_more;
}

bool LoadAnswer::end() {
  error_code error;
  if (parser_->got_some()) parser_->put_eof(error);
  return !error && parser_->is_done();
}

}  // namespace cohort::cli
