// A structured clone from a peer: the decoder neither crashes nor takes memory out of proportion,
// and what it read can be written, read again, and is then written as the same bytes.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ipc/clone.h"
#include "ipc/inspect.h"

namespace {

using cohort::Value;
using cohort::ipc::CloneDecoder;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

/// What was read, freed with the object.
class Read {
 public:
  Read(std::string_view bytes, std::shared_ptr<const void> owner = nullptr)
      : result_{CloneDecoder().decode(bytes, std::move(owner))} {}
  ~Read() {
    if (result_ && result_->may_be_circular) Value::drop(std::move(result_->value));
  }
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;

  explicit operator bool() const { return result_.has_value(); }
  const Value& value() const { return result_->value; }

 private:
  cohort::Result<CloneDecoder::Decoded> result_;
};

std::string written(const Value& value) {
  std::string out;
  require(cohort::ipc::encode_clone(value, out).has_value(), "what was read can be written");
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Memory of exactly this size, so that a byte too far is seen.
  const auto bytes = std::make_shared<std::vector<char>>(data, data + size);
  const std::string_view text(bytes->data(), bytes->size());
  const Read first(text);
  const Read owned(text, bytes);
  require(static_cast<bool>(first) == static_cast<bool>(owned), "the owner does not matter");
  if (!first) return 0;
  cohort::ipc::inspect(first.value());
  std::string json;
  std::ignore = cohort::append_json(first.value(), json);

  const std::string once = written(first.value());
  require(once == written(owned.value()), "the owner does not matter");
  const Read second(once);
  require(static_cast<bool>(second), "what was written can be read");
  require(once == written(second.value()), "it is then written the same");
  require(cohort::ipc::inspect(first.value()) == cohort::ipc::inspect(second.value()),
          "it prints the same");
  Value copy = first.value().clone();
  require(once == written(copy), "a clone is written the same");
  Value::drop(std::move(copy));
  return 0;
}
