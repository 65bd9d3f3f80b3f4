#include "ipc/outbox.h"

#include <iterator>
#include <string_view>
#include <utility>

#include "ipc/message.h"
#include "ipc/shared_pool.h"

namespace cohort::ipc {
namespace {

// A parcel that is this long gets no more messages, so that memory is freed as it is written.
constexpr std::size_t kParcelSize = 65536;

bool takes_more(const Parcel& parcel) {
  return parcel.fds.empty() && parcel.attached.empty() && parcel.text.size() < kParcelSize;
}

// The first one is written. The last of a lane stays, empty: its memory is for the next message.
void finish(std::deque<Parcel>& parcels) {
  Parcel& parcel = parcels.front();
  if (parcels.size() > 1 || !parcel.attached.empty() || parcel.text.capacity() > 2 * kParcelSize)
    return parcels.pop_front();
  parcel.text.clear();
  parcel.done.clear();
}

}  // namespace

std::size_t Parcel::size() const {
  std::size_t size = text.size();
  for (const Attached& bytes : attached) size += bytes.bytes.size();
  return size;
}

// Filling.

std::string& Outbox::tail(Lane lane) {
  Queue& parcels = queue(lane);
  if (parcels.empty() || !takes_more(parcels.back())) parcels.emplace_back();
  return parcels.back().text;
}

void Outbox::added(Lane lane, std::size_t size, Parcel::Done done) {
  if (lane == Lane::Data) data_waiting_ += size;
  if (done) queue(lane).back().done.push_back(std::move(done));
}

void Outbox::push(Lane lane, Parcel parcel) {
  Queue& parcels = queue(lane);
  if (!parcels.empty() && parcels.back().text.empty()) parcels.pop_back();  // an unused tail
  parcels.push_back(std::move(parcel));
  if (lane == Lane::Data) data_waiting_ += parcels.back().size();
}

void Outbox::pop(Lane lane) {
  if (lane == Lane::Data) data_waiting_ -= queue(lane).back().size();
  queue(lane).pop_back();
}

// Choosing.

bool Outbox::empty() const {
  for (const Queue& parcels : lanes_)
    for (const Parcel& parcel : parcels)
      if (!parcel.text.empty()) return false;
  return true;
}

bool Outbox::may_start(const Parcel& parcel, Lane lane, std::uint64_t gathered) const {
  const std::size_t under_way_max = descriptors_may_follow_ ? kDescriptorsMax : 1;
  if (!parcel.fds.empty() && !unanswered_.empty() && under_way_ + parcel.fds.size() > under_way_max)
    return false;
  return lane != Lane::Data || hurried_ || window_ == 0 ||
         written_ + gathered - processed_ < window_;
}

// The bytes from `offset` on; false if there is no room for all of them.
bool Outbox::add(const Parcel& parcel, std::size_t offset, Batch& batch) {
  const auto piece = [&](std::string_view bytes) {
    if (offset >= bytes.size()) {
      offset -= bytes.size();
      return true;
    }
    if (batch.count == batch.data.size()) return false;
    bytes.remove_prefix(std::exchange(offset, 0));
    batch.data[batch.count++] = {const_cast<char*>(bytes.data()), bytes.size()};
    return true;
  };
  const std::string_view text = parcel.text;
  std::size_t position = 0;
  for (const Attached& attached : parcel.attached) {
    if (!piece(text.substr(position, attached.position - position)) ||
        !piece({reinterpret_cast<const char*>(attached.bytes.data()), attached.bytes.size()}))
      return false;
    position = attached.position;
  }
  return piece(text.substr(position));
}

void Outbox::share(Parcel& parcel, Lane lane) {
  if (!pool_ || parcel.attached.empty()) return;
  const std::size_t before = parcel.size();
  if (pool_->share(parcel) && lane == Lane::Data) data_waiting_ -= before - parcel.size();
}

// As much of a lane as may go now, but for what is begun; false if there is no room for more.
bool Outbox::gather(Lane lane, std::uint64_t& gathered, Batch& batch) {
  Queue& parcels = queue(lane);
  for (std::size_t i = open_ == lane ? 1 : 0; i < parcels.size(); ++i) {
    Parcel& parcel = parcels[i];
    if (parcel.text.empty()) break;  // an unused tail
    if (!may_start(parcel, lane, gathered)) break;
    if (!parcel.fds.empty()) {
      if (batch.count > 0) return false;
      batch.fds = parcel.fds;
    }
    share(parcel, lane);
    gathered_.push_back(lane);
    if (!add(parcel, 0, batch)) return false;
    gathered += parcel.size();
  }
  return true;
}

bool Outbox::next(Batch& batch) {
  batch.count = 0;
  batch.fds = {};
  gathered_.clear();
  std::uint64_t gathered = 0;
  if (open_) {
    const Parcel& begun = queue(*open_).front();
    gathered_.push_back(*open_);
    if (!add(begun, offset_, batch)) return true;
    gathered = begun.size() - offset_;
  }
  for (const Lane lane : {Lane::Answer, Lane::Control, Lane::Data})
    if (!gather(lane, gathered, batch)) break;
  return batch.count > 0;
}

void Outbox::written(std::size_t size, std::vector<Parcel::Done>& done) {
  written_ += size;
  for (const Lane lane : gathered_) {
    if (size == 0) break;
    Parcel& parcel = queue(lane).front();
    if (!parcel.fds.empty()) {  // they went with the first byte
      unanswered_.push_back({std::move(parcel.answered), parcel.fds.size()});
      under_way_ += parcel.fds.size();
      parcel.fds.clear();
      parcel.own.clear();
    }
    const std::size_t left = parcel.size() - offset_;
    const std::size_t now = std::min(size, left);
    size -= now;
    if (lane == Lane::Data) data_waiting_ -= now;
    if (now < left) {
      open_ = lane;
      offset_ += now;
      break;
    }
    std::move(parcel.done.begin(), parcel.done.end(), std::back_inserter(done));
    finish(queue(lane));
    open_.reset();
    offset_ = 0;
  }
}

std::vector<Parcel::Done> Outbox::drop() {
  std::vector<Parcel::Done> dropped;
  for (Queue& parcels : lanes_) {
    for (Parcel& parcel : parcels) {
      std::move(parcel.done.begin(), parcel.done.end(), std::back_inserter(dropped));
      if (parcel.answered) unanswered_.push_back({std::move(parcel.answered), 0});
    }
    parcels.clear();
  }
  open_.reset();
  offset_ = 0;
  data_waiting_ = 0;
  return dropped;
}

bool Outbox::answer(Delivery delivery) {
  if (unanswered_.empty()) return false;
  under_way_ -= unanswered_.front().descriptors;
  const Parcel::Answered answered = std::move(unanswered_.front().answered);
  unanswered_.pop_front();
  if (answered) answered(delivery);
  return true;
}

}  // namespace cohort::ipc
