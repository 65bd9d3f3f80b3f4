// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which of an address's slots gets a new connection, decided in the kernel: the eligible one with
// the fewest connections waiting, in turns. Also which one gets those that waited in the queue of a
// socket that was shut down. queue_steering.h loads it.
//
// The length of a queue is what the kernel says it is. Counted here (assigned, less accepted) it
// would drift with every unfinished SYN, SYN cookie and kill.
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
  __u16 places[SLOTS_MAX];  // in the kernel's group
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

__u32 next;  // whose turn it is among equals

struct search {
  struct sock_reuseport* group;
  const struct choice* choice;
  __u32 first;
  __u32 best;
  __u32 fewest;
  __u32 by_share;
};

static long look(__u32 step, struct search* search) {
  __u32 slot = search->first + step;
  if (slot >= search->choice->slots) slot -= search->choice->slots;
  if (slot >= SLOTS_MAX) return 1;
  const __u32 share = search->choice->shares[slot];
  if (share == 0) return 0;
  if (search->by_share && share < WHOLE_SHARE && (bpf_get_prandom_u32() & 255) >= share) return 0;
  const __u32 place = search->choice->places[slot];
  if (place >= SLOTS_MAX) return 0;
  struct sock* sk = 0;
  struct sock_reuseport* group = search->group;
  bpf_probe_read_kernel(&sk, sizeof sk, &group->socks[place]);
  const __u32 waiting = BPF_CORE_READ(sk, sk_ack_backlog);
  if (waiting < search->fewest) {
    search->fewest = waiting;
    search->best = slot;
  }
  return waiting == 0;
}

SEC("sk_reuseport/migrate")
int choose_slot(struct sk_reuseport_md* connection) {
  const __u32 zero = 0;
  const struct choice* choice = bpf_map_lookup_elem(&choices, &zero);
  if (!choice || choice->slots == 0) return SK_PASS;
  struct sock* sk = BPF_CORE_READ((struct sk_reuseport_kern*)connection, sk);
  struct search search = {
      .group = BPF_CORE_READ(sk, sk_reuseport_cb),
      .choice = choice,
      .first = next < choice->slots ? next : 0,
      .best = SLOTS_MAX,
      .fewest = 0xffffffff,
      .by_share = 1,
  };
  bpf_loop(choice->slots, look, &search, 0);
  if (search.best >= SLOTS_MAX) {  // it was nobody's turn
    search.by_share = 0;
    bpf_loop(choice->slots, look, &search, 0);
  }
  // Without a choice the kernel makes one, by a hash of the addresses.
  if (search.best >= SLOTS_MAX) return SK_PASS;
  next = search.best + 1;
  bpf_sk_select_reuseport(connection, &sockets, &search.best, 0);
  return SK_PASS;
}
