// Big binary work for a Node program, in C++: `examples/node/binary_parent.js` and `pool.js` fork
// it.
//
//   child.send({ id: 1, op: 'digest', data })
//   child.send({ id: 2, op: 'digest', path: '/a/large/file' })
//   child.send({ id: 3, op: 'blur', data, radius: 8, passes: 3, shrink: 2, out: lane.ref() })
//   child.send({ id: 4, op: 'aggregate', data, key: 'host', value: 'bytes' })
//
// `data` is a Buffer (serialization: 'advanced'), or what `lane.ref(size)` of examples/node/lane.js
// gives: { lane: path, size }, data that is mapped instead of sent. Answers are { id, result } or
// { id, error }; before a long digest, { id, progress: 0..1 }.
//   digest     { sha256: hex, bytes, histogram: Float64Array(256) }
//   blur       { width, height, bytes, image: Buffer }, a PPM image (P6, 8 bits); no `image` with
//              `out`: it is then in that lane
//   aggregate  Map of { count, sum, min, max }
#include <cohort/cohort.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "binary_work.h"

using cohort::Lane;
using cohort::Value;

namespace {

Lane open_lane(const Value& ref, std::uint64_t size, Lane::Access access) {
  return Lane::open(std::string{ref["lane"].string_or("")}, size, access).value();
}

// The bytes of a job, wherever they are, and whether they stayed there.
class Data {
 public:
  explicit Data(const Value& data) : value_{data} {
    if (!data.is_object()) return;
    const std::uint64_t size = data["size"].uint64_or(UINT64_MAX);
    if (size == UINT64_MAX) throw std::runtime_error{"a lane needs its size in bytes"};
    lane_ = open_lane(data, size, Lane::Access::Read);
  }
  std::string_view bytes() const {
    const auto bytes = lane_ ? lane_->bytes() : value_.bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  Source source() const {
    return {bytes().size(), [this](std::uint64_t offset, std::span<std::byte> to) {
              if (lane_) return lane_->read(offset, to).value();
              std::ranges::copy(value_.bytes().subspan(offset, to.size()), to.begin());
            }};
  }
  void check() const {
    if (lane_) lane_->intact().value();
  }

 private:
  const Value value_;
  std::optional<Lane> lane_;
};

Value blur(Source ppm, const Value& job) {
  const ImageJob wanted{.radius = job["radius"].uint64_or(4),
                        .passes = job["passes"].uint64_or(1),
                        .shrink = job["shrink"].uint64_or(1)};
  const Image image = decode_ppm(std::move(ppm));
  const Shape shape = shape_after(image, wanted);
  Value result{{"width", shape.width}, {"height", shape.height}, {"bytes", shape.bytes}};
  if (job["out"].is_object()) {
    const Lane out = open_lane(job["out"], shape.bytes, Lane::Access::ReadWrite);
    blur_and_shrink(image, wanted, out.writable_bytes());
    out.intact().value();
  } else {
    std::string file(shape.bytes, '\0');
    blur_and_shrink(image, wanted, std::as_writable_bytes(std::span(file)));
    result["image"] = Value::buffer(std::move(file));
  }
  return result;
}

Value work(const Value& job, const Progress& progress) {
  if (job["op"] == "digest" && job["path"].is_string())
    return digest_of_file(std::string{job["path"].string_or("")});
  const Data data{job["data"]};
  const Value result = [&]() -> Value {
    if (job["op"] == "digest") return digest(data.bytes(), progress);
    if (job["op"] == "blur") return blur(data.source(), job);
    if (job["op"] == "aggregate")
      return aggregate(data.source(), job["key"].string_or(""), job["value"].string_or(""));
    throw std::runtime_error{"no such op"};
  }();
  data.check();
  return result;
}

void answer(const cohort::Worker& parent, const Value& job) {
  const Value id = job["id"];
  try {
    const Value result =
        work(job, [&](double done) { parent.send({{"id", id}, {"progress", done}}); });
    parent.send({{"id", id}, {"result", result}});
  } catch (const std::exception& error) {
    parent.send({{"id", id}, {"error", error.what()}});
  }
}

}  // namespace

int main() {
  cohort::Cluster cluster;
  const cohort::Worker parent = cluster.worker();
  // Beside the loop, one job after the other: what is sent meanwhile leaves at once.
  boost::asio::thread_pool jobs{1};
  parent.on_message([&jobs, parent](const Value& job) {
    boost::asio::post(jobs, [parent, job] { answer(parent, job); });
  });
  return cluster.run();
}
