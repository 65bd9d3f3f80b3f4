// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which of an address's slots gets a new connection, decided in the kernel: the eligible one with
// the fewest connections waiting, then the one with the fewest open, in turns. Also which one gets
// those that waited in the queue of a socket that was shut down. queue_steering.h loads it.
//
// The length of a queue is what the kernel says it is. Counted here (assigned, less accepted) it
// would drift with every unfinished SYN, SYN cookie and kill. How many are open is what the workers
// publish, copied here whenever the primary looks (every few milliseconds while connections wait);
// what is given since is added.
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

// The helpers that read kernel memory are for programs whose licence is compatible with its own.
char LICENSE[] SEC("license") = "Dual BSD/GPL";

// What is read of the kernel's own structures; libbpf finds where the running kernel has it.
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sock_reuseport;
struct sock {
  __u32 sk_ack_backlog;
  struct sock_reuseport* sk_reuseport_cb;
};
struct sock_reuseport {
  __u16 num_socks;
  struct sock* socks[];
};
struct sk_reuseport_kern {
  struct sock* sk;
};
#pragma clang attribute pop

#define SLOTS_MAX 1024  // as net::kSlotsMax

#define WHOLE_SHARE 255  // as net::kWholeShare

struct choice {
  __u32 slots;
  __u16 led_port;  // connections from there...
  __u16 led_to;    // ... come to this slot; port 0: none do
  __u16 positions[SLOTS_MAX];  // in the kernel's group
  __u8 shares[SLOTS_MAX];   // 0: not eligible; less than WHOLE_SHARE: not every time
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct choice);
} choices SEC(".maps");

// By slot number.
struct {
  __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
  __uint(max_entries, SLOTS_MAX);
  __type(key, __u32);
  __type(value, __u64);
} sockets SEC(".maps");

struct load {
  __u32 open;   // connections of the slot's worker, when that was copied
  __u32 given;  // to the slot since
};

// The primary writes it as memory of its own.
struct loads {
  __u32 told;    // not 0: what follows is kept up to date
  __u32 enough;  // nobody's load is smaller
  struct load of[SLOTS_MAX];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct loads);
} all_loads SEC(".maps");

__u32 next;  // whose turn it is among equals

struct search {
  struct sock_reuseport* group;
  const struct choice* choice;
  struct loads* loads;
  __u32 first;
  __u32 best;
  __u32 fewest;
  __u32 least;
  __u32 minimum;
  __u32 by_share;
};

static long look(__u32 step, struct search* search) {
  __u32 slot = search->first + step;
  if (slot >= search->choice->slots) slot -= search->choice->slots;
  if (slot >= SLOTS_MAX) return 1;
  const __u32 share = search->choice->shares[slot];
  if (share == 0) return 0;
  const struct load* of = &search->loads->of[slot];
  __u32 load = 0;
  if (search->loads->told) load = (of->open + of->given) * WHOLE_SHARE / share;
  if (load < search->minimum) search->minimum = load;
  if (search->by_share && share < WHOLE_SHARE && (bpf_get_prandom_u32() & 255) >= share) return 0;
  const __u32 position = search->choice->positions[slot];
  if (position >= SLOTS_MAX) return 0;
  struct sock* sk = 0;
  struct sock_reuseport* group = search->group;
  bpf_probe_read_kernel(&sk, sizeof sk, &group->socks[position]);
  const __u32 waiting = BPF_CORE_READ(sk, sk_ack_backlog);
  if (waiting < search->fewest || (waiting == search->fewest && load < search->least)) {
    search->fewest = waiting;
    search->least = load;
    search->best = slot;
  }
  return waiting == 0 && load <= search->loads->enough;
}

SEC("sk_reuseport/migrate")
int choose_slot(struct sk_reuseport_md* connection) {
  const __u32 zero = 0;
  const struct choice* choice = bpf_map_lookup_elem(&choices, &zero);
  struct loads* loads = bpf_map_lookup_elem(&all_loads, &zero);
  if (!choice || !loads || choice->slots == 0) return SK_PASS;
  // The segment begins with its ports.
  const __u16* ports = connection->data;
  if (choice->led_port && (const void*)(ports + 1) <= connection->data_end &&
      *ports == choice->led_port) {
    __u32 slot = choice->led_to;
    bpf_sk_select_reuseport(connection, &sockets, &slot, 0);
    return SK_PASS;
  }
  struct sock* sk = BPF_CORE_READ((struct sk_reuseport_kern*)connection, sk);
  struct search search = {
      .group = BPF_CORE_READ(sk, sk_reuseport_cb),
      .choice = choice,
      .loads = loads,
      .first = next < choice->slots ? next : 0,
      .best = SLOTS_MAX,
      .fewest = 0xffffffff,
      .least = 0xffffffff,
      .minimum = 0xffffffff,
      .by_share = 1,
  };
  const long looked_at = bpf_loop(choice->slots, look, &search, 0);
  // Loads only grow until the next copy: this stays true.
  if (looked_at == choice->slots) loads->enough = search.minimum;
  if (search.best >= SLOTS_MAX) {  // it was nobody's turn
    search.by_share = 0;
    bpf_loop(choice->slots, look, &search, 0);
  }
  // Without a choice the kernel makes one, by a hash of the addresses.
  __u32 best = search.best;
  if (best >= SLOTS_MAX) return SK_PASS;
  next = best + 1;
  ++loads->of[best].given;
  bpf_sk_select_reuseport(connection, &sockets, &best, 0);
  return SK_PASS;
}
