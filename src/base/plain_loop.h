// The loop of whatever is given a plain io_context: children, servers. One strand for all of it, so
// that their handlers run one at a time also where several threads run the io_context.
#pragma once

#include "base/loop.h"

namespace cohort {

/// Owned by `io`.
const Loop& plain_loop(boost::asio::io_context& io);

}  // namespace cohort
