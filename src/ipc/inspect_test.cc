#include "ipc/inspect.h"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <string>

namespace cohort {
namespace {

std::string printed(const Value& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TEST(Inspect, PrintsWhatConsoleLogPrintsInNode20And26) {
  struct Case {
    const char* json;
    const char* text;
  };
  // Each text is what `console.log(JSON.parse(json))` gave in both.
  const Case cases[] = {
      {R"js("text")js", R"js(text)js"},
      {R"js("")js", R"js()js"},
      {R"js(0)js", R"js(0)js"},
      {R"js(-0)js", R"js(-0)js"},
      {R"js(1e21)js", R"js(1e+21)js"},
      {R"js(1e-7)js", R"js(1e-7)js"},
      {R"js(0.1)js", R"js(0.1)js"},
      {R"js(true)js", R"js(true)js"},
      {R"js(null)js", R"js(null)js"},
      {R"js({})js", R"js({})js"},
      {R"js([])js", R"js([])js"},
      {R"js({"cmd":"notifyRequest"})js", R"js({ cmd: 'notifyRequest' })js"},
      {R"js([1,2,3])js", R"js([ 1, 2, 3 ])js"},
      {R"js([[]])js", R"js([ [] ])js"},
      {R"js([{}])js", R"js([ {} ])js"},
      {R"js({"a":{}})js", R"js({ a: {} })js"},
      {R"js({"a":"it's"})js", R"js({ a: "it's" })js"},
      {R"js(["it's \"x\""])js", R"js([ `it's "x"` ])js"},
      {R"js(["it's \"x\" `y`"])js", R"js([ 'it\'s "x" `y`' ])js"},
      {R"js(["it's \"x\" ${y}"])js", R"js([ 'it\'s "x" ${y}' ])js"},
      {R"js(["\"x\""])js", R"js([ '"x"' ])js"},
      {R"js(["tab\there","line\nfeed","back\\slash","bell\u0007","esc\u001b","del\u007f","nel\u0085","nul\u0000","\b\f\r\u000b"])js",
       R"js([
  'tab\there',
  'line\nfeed',
  'back\\slash',
  'bell\x07',
  'esc\x1B',
  'del\x7F',
  'nel\x85',
  'nul\x00',
  '\b\f\r\x0B'
])js"},
      {R"js({"a-b":1,"a b":2,"a_b":3,"$x":4,"":5,"한":6,"x1":7,"it's":8})js",
       R"js({
  'a-b': 1,
  'a b': 2,
  a_b: 3,
  '$x': 4,
  '': 5,
  '한': 6,
  x1: 7,
  "it's": 8
})js"},
      {R"js({"__proto__":1})js", R"js({ ['__proto__']: 1 })js"},
      {R"js([-0,0,null,true])js", R"js([ -0, 0, null, true ])js"},
      {R"js({"a":{"b":{"c":{"d":1}}}})js", R"js({ a: { b: { c: [Object] } } })js"},
      {R"js({"a":{"b":{"c":[1]}}})js", R"js({ a: { b: { c: [Array] } } })js"},
      {R"js({"a":{"b":{"c":{},"d":[]}}})js", R"js({ a: { b: { c: {}, d: [] } } })js"},
      {R"js([[[[1]]]])js", R"js([ [ [ [Array] ] ] ])js"},
      {R"js([[[[]]]])js", R"js([ [ [ [] ] ] ])js"},
      {R"js({"first":"a rather long string value","second":"another rather long value","x":1})js",
       R"js({
  first: 'a rather long string value',
  second: 'another rather long value',
  x: 1
})js"},
      {R"js({"first":"a rather long string value","second":"another rather long value","xy":123456789})js",
       R"js({
  first: 'a rather long string value',
  second: 'another rather long value',
  xy: 123456789
})js"},
      {R"js({"a":[1,2,3],"b":{"c":"dddddddddddddddddddddddd","e":"ffffffffffffffffffffffffffffffffffff"},"g":null})js",
       R"js({
  a: [ 1, 2, 3 ],
  b: {
    c: 'dddddddddddddddddddddddd',
    e: 'ffffffffffffffffffffffffffffffffffff'
  },
  g: null
})js"},
      {R"js({"a":{"b":{"c":{}}}})js", R"js({ a: { b: { c: {} } } })js"},
      {R"js({"a":{"b":{"c":1}},"d":{"e":1}})js", R"js({ a: { b: { c: 1 } }, d: { e: 1 } })js"},
      {R"js({"d":{"e":1},"a":{"b":{"c":1}}})js", R"js({ d: { e: 1 }, a: { b: { c: 1 } } })js"},
      {R"js({"a":{"b":{"c":1,"d":{"e":1}}}})js", R"js({ a: { b: { c: 1, d: [Object] } } })js"},
      {R"js([[1,[2,[3]]],[[4]]])js", R"js([ [ 1, [ 2, [Array] ] ], [ [ 4 ] ] ])js"},
      {R"js([0,1,2,3,4,5])js", R"js([ 0, 1, 2, 3, 4, 5 ])js"},
      {R"js([0,1,2,3,4,5,6])js",
       R"js([
  0, 1, 2, 3,
  4, 5, 6
])js"},
      {R"js([0,1,4,9,16,25,36,49,64,81,100,121,144,169,196,225,256,289,324,361,400,441,484,529,576,625])js",
       R"js([
    0,   1,   4,   9,  16,  25,  36,
   49,  64,  81, 100, 121, 144, 169,
  196, 225, 256, 289, 324, 361, 400,
  441, 484, 529, 576, 625
])js"},
      {R"js([0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,73,74,75,76,77,78,79,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,96,97,98,99])js",
       R"js([
   0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11,
  12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
  24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
  36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
  48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
  60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71,
  72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83,
  84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95,
  96, 97, 98, 99
])js"},
      {R"js([0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,73,74,75,76,77,78,79,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,96,97,98,99,100])js",
       R"js([
   0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11,
  12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
  24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
  36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
  48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
  60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71,
  72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83,
  84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95,
  96, 97, 98, 99,
  ... 1 more item
])js"},
      {R"js(["w","wx","wxx","wxxx","wxxxx","w","wx","wxx","wxxx","wxxxx","w","wx","wxx","wxxx","wxxxx","w","wx","wxx","wxxx","wxxxx","w","wx","wxx","wxxx","wxxxx","w","wx","wxx","wxxx","wxxxx"])js",
       R"js([
  'w',     'wx',    'wxx',   'wxxx',
  'wxxxx', 'w',     'wx',    'wxx',
  'wxxx',  'wxxxx', 'w',     'wx',
  'wxx',   'wxxx',  'wxxxx', 'w',
  'wx',    'wxx',   'wxxx',  'wxxxx',
  'w',     'wx',    'wxx',   'wxxx',
  'wxxxx', 'w',     'wx',    'wxx',
  'wxxx',  'wxxxx'
])js"},
      {R"js(["","xxxxx","xxxxxxxxxx","xxxxxxxxxxxxxxx","xxxxxxxxxxxxxxxxxxxx","xxxxxxxxxxxxxxxxxxxxxxxxx","xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"])js",
       R"js([
  '',
  'xxxxx',
  'xxxxxxxxxx',
  'xxxxxxxxxxxxxxx',
  'xxxxxxxxxxxxxxxxxxxx',
  'xxxxxxxxxxxxxxxxxxxxxxxxx',
  'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
  'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
])js"},
      {R"js([{"i":0},{"i":1},{"i":2},{"i":3},{"i":4},{"i":5},{"i":6},{"i":7}])js",
       R"js([
  { i: 0 }, { i: 1 },
  { i: 2 }, { i: 3 },
  { i: 4 }, { i: 5 },
  { i: 6 }, { i: 7 }
])js"},
      {R"js(["한글","한글한글","한글한글한글","한글","한글한글","한글한글한글","한글"])js",
       R"js([ '한글', '한글한글', '한글한글한글', '한글', '한글한글', '한글한글한글', '한글' ])js"},
      {R"js({"list":["s0",1,"s2",3,"s4",5,"s6",7,"s8",9,"s10",11,"s12",13,"s14",15,"s16",17,"s18",19],"nested":{"list":[0,-1,-2,-3,-4,-5,-6,-7,-8,-9,-10,-11]}})js",
       R"js({
  list: [
    's0',  1,  's2',  3,
    's4',  5,  's6',  7,
    's8',  9,  's10', 11,
    's12', 13, 's14', 15,
    's16', 17, 's18', 19
  ],
  nested: {
    list: [
        0,  -1, -2, -3, -4,
       -5,  -6, -7, -8, -9,
      -10, -11
    ]
  }
})js"},
      {R"js(["line one is here\nline two is here as well\nand a third line to exceed the width of eighty columns\n"])js",
       R"js([
  'line one is here\n' +
    'line two is here as well\n' +
    'and a third line to exceed the width of eighty columns\n'
])js"},
      {R"js({"text":"short\nlines"})js", R"js({ text: 'short\nlines' })js"},
      {R"js({"text":"one long line without any break that is wider than all eighty columns of a terminal, surely"})js",
       R"js({
  text: 'one long line without any break that is wider than all eighty columns of a terminal, surely'
})js"},
      {R"js({"emoji":"😀 ok","hangul":"안녕"})js", R"js({ emoji: '😀 ok', hangul: '안녕' })js"},
      {R"js({"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})js",
       R"js({ a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' })js"},
      {R"js({"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})js",
       R"js({ a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' })js"},
      {R"js({"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})js",
       R"js({ a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' })js"},
      {R"js({"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})js",
       R"js({
  a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
})js"},
      {R"js({"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"})js",
       R"js({
  a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
})js"},
      {R"js({"a":"😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀"})js",
       R"js({ a: '😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀' })js"},
      {R"js({"a":"😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀"})js",
       R"js({
  a: '😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀'
})js"},
      {R"js({"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":8123,"addressType":4,"backlog":0,"seq":1})js",
       R"js({
  cmd: 'NODE_CLUSTER',
  act: 'queryServer',
  index: 0,
  data: null,
  address: null,
  port: 8123,
  addressType: 4,
  backlog: 0,
  seq: 1
})js"},
      {R"js([[0,0],[1,1],[2,2],[3,3],[4,4],[5,5],[6,6],[7,7],[8,8],[9,9]])js",
       R"js([
  [ 0, 0 ], [ 1, 1 ],
  [ 2, 2 ], [ 3, 3 ],
  [ 4, 4 ], [ 5, 5 ],
  [ 6, 6 ], [ 7, 7 ],
  [ 8, 8 ], [ 9, 9 ]
])js"},
      {R"js([[1,2,[3,4,[5,[6]]],{"a":{"b":{"c":{}}}}]])js",
       R"js([ [ 1, 2, [ 3, 4, [Array] ], { a: [Object] } ] ])js"},
  };
  for (const Case& c : cases) EXPECT_EQ(printed(parse_json(c.json).value()), c.text) << c.json;
}

TEST(Inspect, PrintsValuesThatHaveNoJson) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(printed({}), "undefined");
  EXPECT_EQ(printed(infinity), "Infinity");
  EXPECT_EQ(printed(Value::object({{"a", {}}, {"b", infinity - infinity}, {"c", -infinity}})),
            "{ a: undefined, b: NaN, c: -Infinity }");
  EXPECT_EQ(printed(Value::array({Value()})), "[ undefined ]");
}

TEST(Inspect, PrintsTheKindsBeyondJsonAsNode26Does) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string stack = "TypeError: bad\n    at f (x.js:1:2)";
  const Value bad = Value::error("TypeError", "bad", stack);
  const Value why = Value::error("Error", "outer", "Error: outer\n    at a", bad);
  Value holes = Value::array_of_holes(3);
  holes[1] = 1;
  struct Case {
    Value value;
    const char* text;
  };
  // Each text is what console.log gave in Node 26; Node 20 prints the properties of ArrayBuffers
  // and DataViews without brackets.
  const Case cases[] = {
      {Value::array({bad}), "[\n  TypeError: bad\n      at f (x.js:1:2)\n]"},
      {bad, "TypeError: bad\n    at f (x.js:1:2)"},
      {Value::array({why}),
       "[\n  Error: outer\n      at a {\n    [cause]: TypeError: bad\n        at f (x.js:1:2)\n  "
       "}\n]"},
      {Value::object({{"a", {{"b", {{"c", why}}}}}}), "{ a: { b: { c: [Error] } } }"},
      {Value::error("TypeError", "x"), "[TypeError: x]"},
      {Value::array({Value::error("Error", "")}), "[ [Error] ]"},
      {Value::array({Value::error("Error", "x", "Error: x", 5)}), "[ [Error: x] { [cause]: 5 } ]"},
      {Value::object(
           {{"e3", Value::error("Error", "multi\nline", "Error: multi\nline\n    at z")}}),
       "{\n  e3: Error: multi\n  line\n      at z\n}"},
      {Value::array({Value::bigint(1), Value::bigint(-5), Value::bigint(0)}), "[ 1n, -5n, 0n ]"},
      {Value::array({Value::date(nan)}), "[ Invalid Date ]"},
      {Value::array({Value::regexp("a+b", "ig")}), "[ /a+b/gi ]"},
      {Value::map({{1, "a"}, {"k", Value::object()}}), "Map(2) { 1 => 'a', 'k' => {} }"},
      {Value::map(), "Map(0) {}"},
      {Value::set({1, "x"}), "Set(2) { 1, 'x' }"},
      {Value::object({{"a",
                       {{"b",
                         {{"c", Value::map({{1, 2}})},
                          {"d", Value::set({1})},
                          {"e", Value::map()},
                          {"f", Value::typed_array(std::vector<std::uint8_t>(1))},
                          {"g", Value::buffer("a")},
                          {"h", Value::binary(Binary::ArrayBuffer, Value::buffer("a").bytes())},
                          {"i", Value::binary(Binary::DataView, Value::buffer("a").bytes())},
                          {"j", Value::boxed(1)},
                          {"k", Value::typed_array(std::vector<std::uint8_t>())}}}}}}),
       R"js({
  a: {
    b: {
      c: [Map],
      d: [Set],
      e: Map(0) {},
      f: [Uint8Array],
      g: <Buffer 61>,
      h: [ArrayBuffer],
      i: [DataView],
      j: [Number: 1],
      k: Uint8Array(0) []
    }
  }
})js"},
      {holes, "[ <1 empty item>, 1, <1 empty item> ]"},
      {Value::array_of_holes(1), "[ <1 empty item> ]"},
      {Value::array_of_holes(1000), "[ <1000 empty items> ]"},
      {Value::typed_array(std::vector<float>{1.5f, -0.0f, std::numeric_limits<float>::quiet_NaN()}),
       "Float32Array(3) [ 1.5, -0, NaN ]"},
      {Value::typed_array(std::vector<std::int64_t>{1, -2}), "BigInt64Array(2) [ 1n, -2n ]"},
      {Value::typed_array(std::vector<std::uint8_t>(120)), R"js(Uint8Array(120) [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0,
  ... 20 more items
])js"},
      {Value::buffer("hey"), "<Buffer 68 65 79>"},
      {Value::buffer(""), "<Buffer >"},
      {Value::buffer(std::string(60, '\0')),
       "<Buffer 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
       "00 "
       "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ... 10 more bytes>"},
      {Value::binary(Binary::ArrayBuffer, Value::buffer(std::string(4, '\0')).bytes()),
       "ArrayBuffer { [Uint8Contents]: <00 00 00 00>, [byteLength]: 4 }"},
      {Value::binary(Binary::ArrayBuffer, {}),
       "ArrayBuffer { [Uint8Contents]: <>, [byteLength]: 0 }"},
      {Value::boxed(true), "[Boolean: true]"},
      {Value::boxed(-0.0), "[Number: -0]"},
      {Value::boxed("it's"), "[String: \"it's\"]"},
      {Value::boxed(Value::bigint(5)), "[BigInt: 5n]"},
      {Value::array({"\xed\xa0\x80"
                     "a",
                     "\xed\xbf\xbf"}),
       R"js([ '\ud800a', '\udfff' ])js"},
      {Value::map({{Value({{"a", 1}}), {{"b", 2}}},
                   {"a longer key that takes room",
                    "a longer value that takes room too, more than eighty"}}),
       R"js(Map(2) {
  { a: 1 } => { b: 2 },
  'a longer key that takes room' => 'a longer value that takes room too, more than eighty'
})js"},
      {Value::set({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), "Set(10) { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }"},
      {Value::array({Value::bigint(1), Value::bigint(2), Value::bigint(3), Value::bigint(4),
                     Value::bigint(5), Value::bigint(6), Value::bigint(700)}),
       "[\n    1n, 2n, 3n,\n    4n, 5n, 6n,\n  700n\n]"},
  };
  for (const Case& c : cases) EXPECT_EQ(printed(c.value), c.text);
}

TEST(Inspect, NumbersCircularReferences) {
  Value object = {{"name", "a"}};
  object["self"] = object;
  EXPECT_EQ(printed(object), "<ref *1> { name: 'a', self: [Circular *1] }");
  object.erase("self");

  Value inner = Value::object();
  Value outer = {{"x", inner}};
  inner["c"] = outer;
  inner["x"] = inner;
  EXPECT_EQ(printed(outer), "<ref *1> { x: <ref *2> { c: [Circular *1], x: [Circular *2] } }");
  inner.erase("c");
  inner.erase("x");
}

TEST(Inspect, PrintsASharedValueEachTime) {
  const Value shared = {{"k", 1}};
  EXPECT_EQ(printed(Value::array({shared, shared})), "[ { k: 1 }, { k: 1 } ]");
}

TEST(Inspect, CutsLongStringsAndArrays) {
  const std::string text = printed(Value::array({std::string(10'002, 'x')}));
  EXPECT_EQ(text.size(), 10'000 + std::string("[\n  ''... 2 more characters\n]").size());
  EXPECT_TRUE(text.ends_with("xx'... 2 more characters\n]")) << text.substr(9'950);
  EXPECT_EQ(printed(std::string(10'002, 'x')), std::string(10'002, 'x'));

  Value array = Value::array();
  for (int i = 0; i < 102; ++i) array.push_back(Value::object());
  EXPECT_TRUE(printed(array).ends_with("{}, {}, {}, {},\n  ... 2 more items\n]")) << printed(array);
}

TEST(Inspect, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(printed(Value::array({"a\xffz"})), "[ 'a\xef\xbf\xbdz' ]");
}

TEST(Inspect, QuotesAStringWhichPrintsBareByItself) {
  EXPECT_EQ(ipc::inspect("recvmsg"), "'recvmsg'");
  EXPECT_EQ(printed("recvmsg"), "recvmsg");
}

}  // namespace
}  // namespace cohort
