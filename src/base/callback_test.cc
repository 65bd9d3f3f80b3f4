#include "cohort/callback.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

namespace cohort {
namespace {

using Function = std::function<std::string(int, std::string)>;

Function kept(Callback<std::string(int, std::string)> callback) { return callback; }

TEST(CallbackTest, OwnsWhatItIsMadeFrom) {
  const Function copyable =
      kept([](int n, const std::string& text) { return text + char('0' + n); });
  EXPECT_EQ(copyable(1, "a"), "a1");
  auto owned = std::make_unique<int>(0);
  const Function move_only = kept([owned = std::move(owned)](int n, std::string text) {
    *owned += n;
    return text + std::to_string(*owned);
  });
  const Function copy = move_only;
  EXPECT_EQ(move_only(1, "a"), "a1");
  EXPECT_EQ(copy(1, "b"), "b2") << "the same object";
}

TEST(CallbackTest, GivesMoveOnlyArgumentsOn) {
  const std::function<int(std::unique_ptr<int>)> function = Callback<int(std::unique_ptr<int>)>{
      [owned = std::make_unique<int>(2)](std::unique_ptr<int> given) { return *given * *owned; }};
  EXPECT_EQ(function(std::make_unique<int>(21)), 42);
}

TEST(CallbackTest, IsEmptyWhereThereIsNoHandler) {
  EXPECT_FALSE(kept({}));
  EXPECT_FALSE(kept(nullptr));
  EXPECT_FALSE(kept(Function{}));
  std::string (*pointer)(int, std::string) = nullptr;
  EXPECT_FALSE(kept(pointer));
}

// So that functions can be told apart by what their handlers take.
static_assert(std::is_convertible_v<void (*)(int), Callback<void(int)>>);
static_assert(!std::is_convertible_v<void (*)(int), Callback<void(std::string)>>);
static_assert(!std::is_convertible_v<int, Callback<void()>>);

}  // namespace
}  // namespace cohort
