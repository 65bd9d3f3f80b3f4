#include "pool/worker_link.h"

#include <cstring>
#include <span>

#include "base/sealed_memory.h"

namespace cohort::pool {
namespace {

// Numbers of a few bytes at the head of a text.
void put(std::string& text, std::uint64_t number) {
  text.append(reinterpret_cast<const char*>(&number), sizeof number);
}
void put(std::string& text, std::string_view string) {
  put(text, string.size());
  text += string;
}

// Reads what `put` wrote; false once there was too little.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_{text} {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    if (text_.size() < sizeof value) return fail();
    std::memcpy(&value, text_.data(), sizeof value);
    text_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view string() {
    const std::uint64_t size = number();
    if (size > text_.size()) fail();
    const auto string = text_.substr(0, is_good_ ? size : 0);
    text_.remove_prefix(string.size());
    return string;
  }
  std::string_view rest() const { return text_; }
  bool is_good() const { return is_good_; }

 private:
  std::uint64_t fail() {
    is_good_ = false;
    text_ = {};
    return 0;
  }
  std::string_view text_;
  bool is_good_ = true;
};

constexpr std::uint64_t kPartsMax = 1 << 16;
constexpr std::size_t kAlign = 64;

std::size_t aligned(std::size_t offset) { return (offset + kAlign - 1) & ~(kAlign - 1); }

Error malformed() {
  return make_error(Errc::MalformedMessage, "read what a worker of a pool wrote");
}

}  // namespace

Result<Packed> pack(const Value& value, std::string_view name, std::size_t limit) {
  Packed packed;
  put(packed.text, name);
  std::string encoded;
  std::vector<ipc::Attached> parts;
  if (auto written = ipc::encode_clone(value, encoded, &parts); !written) return written.error();
  if (parts.empty() && packed.text.size() + encoded.size() <= limit) {
    packed.text += encoded;
    return packed;
  }
  // The text first, then each part.
  std::size_t size = encoded.size();
  for (const ipc::Attached& part : parts) size = aligned(size) + part.bytes.size();
  auto lane = Lane::create(size);
  if (!lane) return lane.error();
  std::byte* const memory = lane->writable_bytes().data();
  std::memcpy(memory, encoded.data(), encoded.size());
  put(packed.text, lane->path());
  put(packed.text, size);
  put(packed.text, encoded.size());
  put(packed.text, parts.size());
  std::size_t offset = encoded.size();
  for (const ipc::Attached& part : parts) {
    offset = aligned(offset);
    std::memcpy(memory + offset, part.bytes.data(), part.bytes.size());
    put(packed.text, part.position);
    put(packed.text, offset);
    put(packed.text, part.bytes.size());
    offset += part.bytes.size();
  }
  packed.in_lane = true;
  packed.lane = *std::move(lane);
  return packed;
}

Result<Unpacked> unpack(std::string_view text, bool in_lane, ipc::CloneDecoder& decoder) {
  Reader reader{text};
  Unpacked unpacked{.name = std::string{reader.string()}, .value = {}};
  if (!reader.is_good()) return malformed();
  if (!in_lane) {
    auto decoded = decoder.decode(reader.rest());
    if (!decoded) return decoded.error();
    unpacked.value = std::move(decoded->value);
    return unpacked;
  }
  const std::string path{reader.string()};
  const std::uint64_t size = reader.number();
  const std::uint64_t encoded = reader.number();
  const std::uint64_t count = reader.number();
  if (!reader.is_good() || encoded > size || count > kPartsMax) return malformed();
  // No `Lane`: whoever keeps many results keeps no descriptors, and its size is sealed.
  auto lane = open_sealed_memory(path, size, MemoryAccess::Read);
  if (!lane) return lane.error();
  const std::span<const std::byte> memory{lane->get(), size};
  std::vector<ipc::SharedBytes> parts;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t position = reader.number();
    const std::uint64_t offset = reader.number();
    const std::uint64_t bytes = reader.number();
    if (!reader.is_good() || offset > size || bytes > size - offset) return malformed();
    parts.push_back({position, memory.subspan(offset, bytes), *lane});
  }
  const std::string_view payload{reinterpret_cast<const char*>(memory.data()), encoded};
  auto decoded = decoder.decode(payload, *lane, std::move(parts));
  if (!decoded) return decoded.error();
  unpacked.value = std::move(decoded->value);
  return unpacked;
}

bool append_frame(std::string& frames, Kind kind, const Value& value, std::size_t limit) {
  const std::size_t begin = frames.size();
  const std::size_t head = begin + 2 * sizeof(std::uint32_t);
  frames.resize(head);
  std::vector<ipc::Attached> parts;
  const auto written = ipc::encode_clone(value, frames, &parts);
  if (!written || !parts.empty() || frames.size() - begin > limit) {
    frames.resize(begin);
    return false;
  }
  const auto size = static_cast<std::uint32_t>(frames.size() - head);
  std::memcpy(frames.data() + begin, &size, sizeof size);
  std::memcpy(frames.data() + begin + sizeof size, &kind, sizeof kind);
  return true;
}

bool FrameReader::next() {
  std::uint32_t size = 0;
  if (left_.size() < sizeof size + sizeof kind_) return false;
  std::memcpy(&size, left_.data(), sizeof size);
  std::memcpy(&kind_, left_.data() + sizeof size, sizeof kind_);
  left_.remove_prefix(sizeof size + sizeof kind_);
  if (size > left_.size()) return false;
  value_ = left_.substr(0, size);
  left_.remove_prefix(size);
  return true;
}

std::string with_name(std::string_view name, std::string_view frames) {
  std::string text;
  text.reserve(sizeof(std::uint64_t) + name.size() + frames.size());
  put(text, name);
  text += frames;
  return text;
}

Result<std::string_view> name_of(std::string_view text, std::string_view& frames) {
  Reader reader{text};
  const std::string_view name = reader.string();
  if (!reader.is_good()) return malformed();
  frames = reader.rest();
  return name;
}

// Codes of the system and our own survive; any other is a call that failed.
Value value_of_error(const Error& error) {
  const bool is_system = error.code.category() == boost::system::system_category();
  const bool is_own = error.code.category() == cohort_category();
  return Value::array(
      {is_system, is_system || is_own ? error.code.value() : static_cast<int>(Errc::CallFailed),
       error.op, error.detail});
}

Error error_of_value(const Value& value) {
  const auto code = static_cast<int>(value[1].int64_or(static_cast<int>(Errc::CallFailed)));
  const std::string op{value[2].string_or("run a task")};
  const std::string detail{value[3].string_or("")};
  if (value[0].bool_or(false)) return system_error(code, op, detail);
  return make_error(static_cast<Errc>(code), op, detail);
}

}  // namespace cohort::pool
