// A handler as a parameter: anything that can be called so, a lambda that captures a `unique_ptr`
// too. A function of yours can take one and hand it on.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace cohort {

template <class Signature>
class Callback;

/// Made from a callable, which it then owns; nothing, and an empty std::function, are no handler.
template <class Returned, class... Args>
class Callback<Returned(Args...)> {
 public:
  Callback() = default;
  Callback(std::nullptr_t) {}
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> &&
             std::is_invocable_r_v<Returned, std::decay_t<F>&, Args...>)
  Callback(F&& callable) {
    // std::function wants to be able to copy it.
    if constexpr (std::is_copy_constructible_v<std::decay_t<F>>)
      function_ = std::forward<F>(callable);
    else
      function_ = [owned = std::make_shared<std::decay_t<F>>(std::forward<F>(callable))](
                      Args... args) -> Returned { return (*owned)(std::forward<Args>(args)...); };
  }

  explicit operator bool() const { return static_cast<bool>(function_); }
  /// As the library keeps it.
  operator std::function<Returned(Args...)>() && { return std::move(function_); }

 private:
  std::function<Returned(Args...)> function_;
};

}  // namespace cohort
