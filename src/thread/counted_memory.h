// Memory of the heap that is counted, and not given beyond a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>

namespace cohort::thread {

/// One thread's.
class CountedMemory final : public std::pmr::memory_resource {
 public:
  explicit CountedMemory(std::optional<std::uint64_t> max) : max_{max} {}

  std::uint64_t used() const { return used_; }
  /// It was asked for more than the limit.
  bool refused() const { return refused_; }

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (max_ && (size > *max_ || used_ > *max_ - size)) {
      refused_ = true;
      throw std::bad_alloc{};
    }
    void* const memory = std::pmr::new_delete_resource()->allocate(size, alignment);
    used_ += size;
    return memory;
  }
  void do_deallocate(void* memory, std::size_t size, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(memory, size, alignment);
    used_ -= size;
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::optional<std::uint64_t> max_;
  std::uint64_t used_ = 0;
  bool refused_ = false;
};

}  // namespace cohort::thread
