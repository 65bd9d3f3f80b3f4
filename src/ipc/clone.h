// Structured clone: V8's format of values (version 15), as Node writes and reads it on a channel
// with `serialization: 'advanced'`. Written is what Node 20 and 26 both read; read is what either
// writes, and the older forms that they accept.
//
// Binary data is a "host object" of Node's ChildProcessSerializer (`\`, 0, kind, size, bytes): v8's
// own `v8.serialize` differs there. Lost, as between two Nodes: which views share an ArrayBuffer,
// names and members that were added to errors, classes. Lost only here: named members of arrays.
//
// Pure. A decoder keeps memory from one message to the next; one thread at a time.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "cohort/value.h"
#include "ipc/value_node.h"

namespace cohort::ipc {

/// Objects within each other, both ways: reading and writing recurse.
inline constexpr std::size_t kCloneDepthMax = 1000;
/// Values in one message that is read; each takes at least 16 bytes of memory and one of the wire.
inline constexpr std::size_t kCloneCountMax = 1u << 24;
/// Holes in the sparse arrays of one message that is read: they take memory, but none of the wire.
inline constexpr std::size_t kCloneHolesMax = 1u << 20;
/// Strings and binary data from this size on can be sent from where they lie.
inline constexpr std::size_t kAttachedSizeMin = 64u << 10;

/// Bytes of a message that were not copied into its text.
struct Attached {
  std::size_t position;  ///< They come before the byte of the text that has this index.
  std::span<const std::byte> bytes;
  Value keeper;  ///< Whose copy keeps them alive.
};

/// The same for the reader: bytes that belong into the payload but are somewhere else.
struct SharedBytes {
  std::size_t position;  ///< They come before the byte of the payload that has this index.
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

/// Appends `value`, version bytes first. With `attached`, large strings and binary data are listed
/// there, in order, and left out of `out`. InvalidArgument, and both as they were, if it is nested
/// deeper than kCloneDepthMax.
Result<void> encode_clone(const Value& value, std::string& out,
                          std::vector<Attached>* attached = nullptr);

class CloneDecoder {
 public:
  struct Decoded {
    Value value;
    bool may_be_circular;  ///< Then `Value::drop` is what frees it.
  };

  /// The value at the beginning of `payload`; bytes behind it are ignored, as in Node. Large binary
  /// data and strings refer to `payload` if there is an `owner` that keeps it, and if they are an
  /// eighth of it or more; all else is copied. MalformedMessage, with the position, for anything
  /// that is not a value, exceeds the limits above, or has a kind that cannot be in a message. What
  /// is `shared`, in the order of positions, is always referred to.
  Result<Decoded> decode(std::string_view payload, std::shared_ptr<const void> owner = nullptr,
                         std::vector<SharedBytes> shared = {});

 private:
  using Internals = Value::Internals;

  bool fail(const char* reason);
  bool at_end() const { return next_ == end_; }
  bool read_header();
  bool peek_tag(char& tag);
  bool read_varint(std::uint32_t& number);
  bool read_double(double& number);
  bool read_bytes(std::size_t size, std::string_view& bytes);
  bool read_sized(std::string_view& bytes);
  bool read_value(Value& out, std::size_t depth_left);
  bool read_object_like(char tag, Value& out, std::size_t depth_left);
  bool read_number(char tag, double& number);
  bool read_bigint(Value& out);
  const std::shared_ptr<const void>& owner_of(std::string_view bytes) const;
  Value kept_string(std::string_view text) const;
  bool read_string(char tag, Value& out);
  bool decode_text(char tag, std::string_view bytes, std::string& text);
  bool read_string_value(Value& out);
  bool read_key(std::string_view& key);
  bool read_reference(Value& out);
  bool read_end(char tag, std::size_t count);
  bool read_object(Value& out, std::size_t depth_left);
  bool read_dense_array(Value& out, std::size_t depth_left);
  bool read_sparse_array(Value& out, std::size_t depth_left);
  bool read_map(Value& out, std::size_t depth_left);
  bool read_set(Value& out, std::size_t depth_left);
  bool read_error(Value& out, std::size_t depth_left);
  bool read_boxed(char tag, Value& out);
  bool read_regexp(Value& out);
  bool read_array_buffer(bool resizable, Value& out);
  bool read_view(Value& out);
  bool read_host_object(Value& out, std::size_t depth_left);
  Value binary(Binary kind, std::string_view bytes) const;
  void remember(const Value& value) { objects_.push_back(Internals::node(value)); }
  void finish();

  const char* begin_ = nullptr;
  const char* next_ = nullptr;
  const char* end_ = nullptr;
  std::shared_ptr<const void> owner_;
  std::vector<SharedBytes> shared_;
  std::size_t shared_read_ = 0;  ///< So many of them.
  std::uint32_t version_ = 0;
  std::size_t count_ = 0;
  std::size_t holes_ = 0;
  const char* failure_ = nullptr;
  bool may_be_circular_ = false;
  // Every object so far, by its number on the wire; null for one that cannot be referred to yet.
  // They live: each is part of `root_`, or in `dropped_`.
  std::vector<Internals::Node*> objects_;
  std::list<Value> dropped_;  ///< What was read and is not part of the value, to be referred to.
  Value root_;
  std::string text_;  ///< A key or string that had to be converted.
};

}  // namespace cohort::ipc
