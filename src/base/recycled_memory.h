// Memory of small things that one thread makes and another ends: letters, and what Values hold.
//
// malloc is slow at that: each of the two takes the other's locks. Here memory goes back in
// batches: whoever ends such things fills one, and hands it over; whoever makes them takes one.
// What nobody takes, and what is large, goes to malloc.
//
// Any thread.
#pragma once

#include <cstddef>
#include <new>

namespace cohort {

void* take_recycled(std::size_t size);
/// What `take_recycled` gave, of this size.
void give_recycled(void* memory, std::size_t size) noexcept;

/// For containers.
template <class T>
struct RecyclingAllocator {
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  using value_type = T;
  RecyclingAllocator() = default;
  template <class U>
  RecyclingAllocator(const RecyclingAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) { return static_cast<T*>(take_recycled(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) noexcept {
    give_recycled(memory, count * sizeof(T));
  }
  friend bool operator==(RecyclingAllocator, RecyclingAllocator) { return true; }
};

}  // namespace cohort
