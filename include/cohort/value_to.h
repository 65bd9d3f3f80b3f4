// Structs to and from messages, without writing a parser.
//
//   struct Size {
//     int width = 0;
//     int height = 0;
//   };
//   BOOST_DESCRIBE_STRUCT(Size, (), (width, height))
//
//   struct Job {
//     std::string path;
//     Size size;
//     std::vector<std::string> tags;
//     std::optional<double> quality;
//   };
//   BOOST_DESCRIBE_STRUCT(Job, (), (path, size, tags, quality))
//
//   worker.send(cohort::value_from(job));   // { path: ..., size: { width: ..., ... }, tags: [...]
//   }
//
//   const cohort::Result<Job> job = cohort::value_to<Job>(message);
//   if (!job) std::clog << job.error();     // read size.width: invalid argument (a string where a
//                                           // number should be)
//
// What converts: bool, integers, floating-point numbers, std::string, Value, std::optional,
// std::vector, std::map and std::unordered_map with string keys, structs described by
// BOOST_DESCRIBE_STRUCT (Boost.Describe; those of their bases are members like their own), and all
// of these within each other. A std::vector<std::byte> is a Buffer.
//
// Not in cohort/cohort.h: Boost.Describe takes its time to compile. Pure; any thread.
#pragma once

#include <boost/describe.hpp>
#include <boost/mp11/algorithm.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cohort/error.h"
#include "cohort/value.h"

namespace cohort {

/// A struct that BOOST_DESCRIBE_STRUCT was said of.
template <class T>
concept DescribedStruct = std::is_class_v<T> && boost::describe::has_describe_members<T>::value;

namespace detail {

/// Where a value is not what it should be, from the inside out.
struct Mismatch {
  std::string path;  ///< `size.width`, `tags[2]`
  std::string what;  ///< `a string where a number should be`
};

bool mismatch(const Value& found, std::string_view expected, Mismatch& why);
/// False; for the member `name` of what was read.
bool within(std::string_view name, Mismatch& why);
bool within(std::size_t index, Mismatch& why);
Error to_error(const Mismatch& why);
Value integer_value(bool negative, std::uint64_t magnitude);

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;
template <class T>
inline constexpr bool kIsMap<std::unordered_map<std::string, T>> = true;

template <class T>
using MembersOf = boost::describe::describe_members<T, boost::describe::mod_any_access |
                                                           boost::describe::mod_inherited>;

template <class T>
bool read(const Value& value, T& out, Mismatch& why);

template <class T>
bool read_integer(const Value& value, T& out, Mismatch& why) {
  if (!value.is_number() && !value.is_bigint()) return mismatch(value, "a number", why);
  // Zero is not its own fallback only once.
  if constexpr (std::is_signed_v<T>) {
    const std::int64_t number = value.int64_or(0);
    if (number == value.int64_or(1) && std::in_range<T>(number)) {
      out = static_cast<T>(number);
      return true;
    }
  } else {
    const std::uint64_t number = value.uint64_or(0);
    if (number == value.uint64_or(1) && std::in_range<T>(number)) {
      out = static_cast<T>(number);
      return true;
    }
  }
  return mismatch(value,
                  "a whole number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                      std::to_string(std::numeric_limits<T>::max()),
                  why);
}

template <class T>
bool read_vector(const Value& value, std::vector<T>& out, Mismatch& why) {
  out.clear();
  if constexpr (BinaryElement<T>) {
    if (value.binary_kind() == kBinaryOf<T>) {
      out = value.typed_elements<T>();
      return true;
    }
  }
  if (!value.is_array()) return mismatch(value, "an array", why);
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    T element{};
    if (!read(value[i], element, why)) return within(i, why);
    out.push_back(std::move(element));
  }
  return true;
}

template <class Map>
bool read_map(const Value& value, Map& out, Mismatch& why) {
  if (!value.is_object()) return mismatch(value, "an object", why);
  out.clear();
  for (const auto& [key, member] : value.members())
    if (!read(member, out[key], why)) return within(key, why);
  return true;
}

template <class T>
bool read_struct(const Value& value, T& out, Mismatch& why) {
  if (!value.is_object()) return mismatch(value, "an object", why);
  bool good = true;
  boost::mp11::mp_for_each<MembersOf<T>>([&](auto member) {
    if (good && !read(value[std::string_view(member.name)], out.*member.pointer, why))
      good = within(std::string_view(member.name), why);
  });
  return good;
}

template <class T>
bool read(const Value& value, T& out, Mismatch& why) {
  if constexpr (std::same_as<T, Value>) {
    out = value;
    return true;
  } else if constexpr (std::same_as<T, bool>) {
    out = value.bool_or(false);
    return value.is_bool() || mismatch(value, "a boolean", why);
  } else if constexpr (ValueInteger<T>) {
    return read_integer(value, out, why);
  } else if constexpr (std::floating_point<T>) {
    out = static_cast<T>(value.number_or(0));
    return value.is_number() || mismatch(value, "a number", why);
  } else if constexpr (std::same_as<T, std::string>) {
    out = value.string_or({});
    return value.is_string() || mismatch(value, "a string", why);
  } else if constexpr (kIsOptional<T>) {
    out.reset();
    return value.is_undefined() || value.is_null() || read(value, out.emplace(), why);
  } else if constexpr (std::same_as<T, std::vector<std::byte>>) {
    out.assign(value.bytes().begin(), value.bytes().end());
    return value.is_binary() || mismatch(value, "binary data", why);
  } else if constexpr (kIsVector<T>) {
    return read_vector(value, out, why);
  } else if constexpr (kIsMap<T>) {
    return read_map(value, out, why);
  } else {
    static_assert(DescribedStruct<T>, "say BOOST_DESCRIBE_STRUCT(T, (), (members)) of this type");
    return read_struct(value, out, why);
  }
}

}  // namespace detail

/// The value of a C++ thing. Integers beyond 2^53 become BigInts, so that nothing is lost (as JSON
/// they then cannot be sent). An empty optional is undefined, which JSON leaves out.
template <class T>
Value value_from(const T& from) {
  if constexpr (ValueInteger<T>) {
    const auto bits = static_cast<std::uint64_t>(from);
    return std::cmp_less(from, 0) ? detail::integer_value(true, 0 - bits)
                                  : detail::integer_value(false, bits);
  } else if constexpr (std::convertible_to<const T&, Value>) {
    return from;
  } else if constexpr (detail::kIsOptional<T>) {
    return from ? value_from(*from) : Value();
  } else if constexpr (std::same_as<T, std::vector<std::byte>>) {
    return Value::binary(Binary::Buffer, from);
  } else if constexpr (detail::kIsVector<T>) {
    Value array = Value::array();
    for (auto&& element : from) array.push_back(value_from<typename T::value_type>(element));
    return array;
  } else if constexpr (detail::kIsMap<T>) {
    Value object = Value::object();
    for (const auto& [key, member] : from) object[key] = value_from(member);
    return object;
  } else {
    static_assert(DescribedStruct<T>, "say BOOST_DESCRIBE_STRUCT(T, (), (members)) of this type");
    Value object = Value::object();
    boost::mp11::mp_for_each<detail::MembersOf<T>>([&](auto member) {
      object[std::string_view(member.name)] = value_from(from.*member.pointer);
    });
    return object;
  }
}

/// The C++ thing that a value holds. InvalidArgument, which names the member and what was there, if
/// it is not all there: a missing member (unless optional: undefined and null are then empty), one
/// of another type, a number out of range. Members that T does not have are ignored. Nothing is
/// converted from one kind to another, but a BigInt in range is an integer, and a typed array the
/// std::vector of its elements.
template <class T>
Result<T> value_to(const Value& value) {
  T out{};
  detail::Mismatch why;
  if (detail::read(value, out, why)) return out;
  return detail::to_error(why);
}

}  // namespace cohort
