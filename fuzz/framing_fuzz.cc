// Bytes of a peer, in any pieces and with any descriptors: the decoder neither crashes nor depends
// on the pieces, what it gives can be written and read back, and every descriptor is given out or
// closed. Compiled once for each serialization (COHORT_FUZZ_SERIALIZATION).
//
// The first byte of the input seeds the sizes of the pieces; the rest is what the peer sends.
#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sys.h"
#include "ipc/framing.h"
#include "ipc/inspect.h"

namespace {

using cohort::OwnFd;
using cohort::Result;
using cohort::ipc::Decoder;
using cohort::ipc::Incoming;

constexpr auto kSerialization = cohort::Serialization::COHORT_FUZZ_SERIALIZATION;
constexpr std::size_t kMessageSizeMax = 2000;  // small, so that the limit is met

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

/// What a decoder gave: each message, then the failure.
struct Outcome {
  std::vector<std::string> messages;
  std::optional<int> failure;
  std::size_t fds = 0;
  bool operator==(const Outcome&) const = default;
};

/// What was read can be written for a peer that reads the same.
[[maybe_unused]] void check_frame(const cohort::Value& value) {
  std::string frame;
  require(cohort::ipc::encode_message(value, kSerialization, frame).has_value(), "it is written");
  Decoder decoder(kMessageSizeMax * 4, kSerialization);
  decoder.feed(frame);
  const Result<std::optional<Incoming>> again = decoder.next();
  require(again && *again, "what was written can be read");
  // A message within a NODE_HANDLE is a NODE_HANDLE only once.
  require(
      (*again)->was_handle || cohort::ipc::inspect((*again)->value) == cohort::ipc::inspect(value),
      "it reads back as the same");
}

/// What was read prints as one line that reads back as the same.
[[maybe_unused]] void check_line(const cohort::Value& value) {
  std::string line;
  if (!cohort::ipc::encode_line(value, line)) return;  // undefined: a NODE_HANDLE without msg
  require(line.find('\n') == line.size() - 1, "a message is one line");
  const auto again = cohort::parse_json(line);
  require(again.has_value(), "what was printed can be read");
  require(*again == value || line.find("null") != line.npos, "it reads back as the same");
  require(value.clone() == value, "a clone is equal");
}

void drain(Decoder& decoder, Outcome& outcome) {
  for (;;) {
    Result<std::optional<Incoming>> next = decoder.next();
    if (!next) {
      outcome.failure = next.error().code.value();
      return;
    }
    if (!*next) return;
    const Incoming& incoming = **next;
    require(incoming.was_handle || !incoming.fd, "only a NODE_HANDLE has a descriptor");
    if constexpr (kSerialization == cohort::Serialization::Json)
      check_line(incoming.value);
    else
      check_frame(incoming.value);
    outcome.messages.push_back(cohort::ipc::inspect(incoming.value) + incoming.handle_type +
                               (incoming.was_handle ? "+" : "-"));
    if (incoming.fd) ++outcome.fds;
  }
}

/// Shared memory that a peer may refer to.
std::shared_ptr<const std::byte> lend(std::size_t offset, std::size_t size) {
  static const std::vector<std::byte> memory(4096, std::byte{'L'});
  if (offset > memory.size() || size > memory.size() - offset) return nullptr;
  return {memory.data() + offset, [](const std::byte*) {}};
}

/// Feeds the bytes in pieces that `random` chooses (0: all at once), with up to two descriptors
/// each.
Outcome decode(std::string_view bytes, std::uint32_t random, bool with_fds) {
  Outcome outcome;
  Decoder decoder(kMessageSizeMax, kSerialization);
  decoder.set_lend(lend);
  std::size_t sent = 0;
  std::string piece;
  while (!bytes.empty() && !outcome.failure) {
    random = random * 1664525u + (random ? 1013904223u : 0u);
    const std::size_t size =
        random ? std::min<std::size_t>(1 + (random >> 16) % 40, bytes.size()) : bytes.size();
    std::vector<OwnFd> fds;
    for (std::size_t n = with_fds ? random >> 8 & 3 : 0; n > 1; --n, ++sent)
      fds.push_back(cohort::sys::open("/dev/null", O_RDONLY));
    piece = bytes.substr(0, size);  // gone with the next one, as in a read buffer
    decoder.feed(piece, std::move(fds));
    drain(decoder, outcome);
    bytes.remove_prefix(size);
  }
  require(outcome.fds <= sent, "no descriptor is given twice");
  return outcome;
}

/// The lowest free descriptor: it tells whether one leaked.
int lowest_free() { return cohort::sys::open("/dev/null", O_RDONLY).get(); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint32_t seed = data[0] + 1u;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = decode(bytes, 0, false);
  require(whole == decode(bytes, seed, false), "the pieces do not matter");
  const int before = lowest_free();
  decode(bytes, seed, true);
  require(before == lowest_free(), "every descriptor is closed");
  return 0;
}
