// Callbacks that end with their object.
#pragma once

#include <memory>
#include <utility>

namespace cohort {

/// A member of an object whose address its callbacks hold: those that have not run when the object
/// is destroyed never will. Make and run them on one executor.
class CallbackScope {
 public:
  CallbackScope() = default;
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;

  template <class Callback>
  auto wrap(Callback callback) const {
    return [alive = std::weak_ptr{alive_}, callback = std::move(callback)](auto&&... args) mutable {
      if (!alive.expired()) callback(std::forward<decltype(args)>(args)...);
    };
  }

 private:
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace cohort
