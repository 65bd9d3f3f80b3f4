// This process's ends of a child's pipes, by descriptor of the child.
//
// Owned by whoever started the child. Loop's executor only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "cohort/child_process.h"
#include "process/stdio_stream.h"

namespace cohort::process {

class ChildStreams {
 public:
  /// Null where the descriptor is no pipe.
  using List = std::vector<std::shared_ptr<StdioStream>>;

  ChildStreams() = default;
  ChildStreams(const ChildStreams&) = delete;
  ChildStreams& operator=(const ChildStreams&) = delete;
  ~ChildStreams() {
    each([](StdioStream& stream) {
      stream.when_ended(nullptr);
      stream.when_read(nullptr);
    });
  }

  /// `ended` is called for each that can bring nothing more.
  void open(List streams, const std::function<void()>& ended) {
    streams_ = std::move(streams);
    handles_ = std::vector<ChildStream>(streams_.begin(), streams_.end());
    each([&](StdioStream& stream) { stream.when_ended(ended); });
  }
  std::size_t size() const { return streams_.size(); }
  /// An empty one where there is none.
  const ChildStream& handle(std::size_t index) const {
    static const ChildStream none;
    return index < handles_.size() ? handles_[index] : none;
  }
  /// Null where there is none.
  StdioStream* at(std::size_t index) const {
    return index < streams_.size() ? streams_[index].get() : nullptr;
  }
  bool all_ended() const {
    return std::all_of(streams_.begin(), streams_.end(),
                       [](const auto& stream) { return !stream || stream->ended(); });
  }
  template <class Do>
  void each(Do&& what) const {
    for (const auto& stream : streams_)
      if (stream) what(*stream);
  }

 private:
  List streams_;                      // shared with handles
  std::vector<ChildStream> handles_;  // of the same
};

}  // namespace cohort::process
