// The letters of V8's format (value-serializer.cc), shared by both directions.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace cohort::ipc::clone {

inline constexpr std::uint32_t kVersionMin = 13;
inline constexpr std::uint32_t kVersion = 15;
/// From this version on, a view of an ArrayBuffer has flags.
inline constexpr std::uint32_t kViewFlagsVersion = 14;

// An enum of char without a class: they are compared with and appended as what is on the wire.
enum Tag : char {
  kVersionTag = '\xff',
  kPadding = '\0',
  kVerifyCount = '?',  ///< From old versions: a number to be skipped.
  kUndefined = '_',
  kHole = '-',
  kNull = '0',
  kTrue = 'T',
  kFalse = 'F',
  kInt32 = 'I',
  kUint32 = 'U',
  kDouble = 'N',
  kBigInt = 'Z',
  kLatin1 = '"',
  kUtf16 = 'c',
  kUtf8 = 'S',
  kReference = '^',
  kObject = 'o',
  kObjectEnd = '{',
  kDenseArray = 'A',
  kDenseArrayEnd = '$',
  kSparseArray = 'a',
  kSparseArrayEnd = '@',
  kDate = 'D',
  kTrueObject = 'y',
  kFalseObject = 'x',
  kNumberObject = 'n',
  kBigIntObject = 'z',
  kStringObject = 's',
  kRegExp = 'R',
  kMap = ';',
  kMapEnd = ':',
  kSet = '\'',
  kSetEnd = ',',
  kArrayBuffer = 'B',
  kResizableArrayBuffer = '~',
  kView = 'V',
  kError = 'r',
  kErrorMessage = 'm',
  kErrorStack = 's',
  kErrorCause = 'c',
  kErrorEnd = '.',
  kHostObject = '\\'
};

/// What follows kHostObject: a view of bytes, or the members of an object that Node implements.
inline constexpr std::uint32_t kHostView = 0;
inline constexpr std::uint32_t kHostMembers = 1;

/// The kinds of errors but for Error itself, which has no letter.
inline constexpr std::pair<char, std::string_view> kErrorNames[] = {
    {'E', "EvalError"},   {'R', "RangeError"}, {'F', "ReferenceError"},
    {'S', "SyntaxError"}, {'T', "TypeError"},  {'U', "URIError"}};

/// The bits of a RegExp's flags.
inline constexpr std::pair<std::uint32_t, char> kRegExpFlags[] = {
    {1, 'g'}, {2, 'i'}, {4, 'm'}, {8, 'y'}, {16, 'u'}, {32, 's'}, {128, 'd'}, {256, 'v'}};

}  // namespace cohort::ipc::clone
