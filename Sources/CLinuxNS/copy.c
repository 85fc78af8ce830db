// memcpy(3) and memmove(3) for an Embedded Swift program on musl, whose own for x86-64 is `rep movsq` whatever the size:
// 20 to 40 ns before the first byte. Swift copies strings of ten bytes and structs of a few hundred, and `list` of 1,000
// zones was in memcpy for a sixth of its own time. Here what is short is loaded whole before any of it is stored, so that
// overlaps need no care.
#include "linux_ns.h"

#include <stdint.h>

#ifdef __x86_64__

typedef uint64_t two_words __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));
typedef uint32_t half __attribute__((aligned(1), may_alias));

enum { WIDE = sizeof(two_words), BY_THE_KERNELS_WAY = 2048 };

#define AT(type, address) (*(type *)(address))
#define FROM(type, address) (*(const type *)(address))
// Else the compiler knows it for what it is, and calls memcpy.
#define KEEP_THE_LOOP __asm__ volatile("" : : : "memory")

static inline void copy_short(char *to, const char *from, size_t count) {
  if (count >= sizeof(word)) {
    word first = FROM(word, from), last = FROM(word, from + count - sizeof(word));
    AT(word, to) = first, AT(word, to + count - sizeof(word)) = last;
  } else if (count >= sizeof(half)) {
    half first = FROM(half, from), last = FROM(half, from + count - sizeof(half));
    AT(half, to) = first, AT(half, to + count - sizeof(half)) = last;
  } else if (count > 0) {
    char first = from[0], middle = from[count / 2], last = from[count - 1];
    to[0] = first, to[count / 2] = middle, to[count - 1] = last;
  }
}

/// Of WIDE to 8 * WIDE bytes: as many from the beginning as from the end.
static inline void copy_middling(char *to, const char *from, size_t count) {
  const char *behind = from + count;
  char *end = to + count;
  two_words a = FROM(two_words, from), z = FROM(two_words, behind - WIDE);
  if (count > 2 * WIDE) {
    two_words b = FROM(two_words, from + WIDE), y = FROM(two_words, behind - 2 * WIDE);
    if (count > 4 * WIDE) {
      two_words c = FROM(two_words, from + 2 * WIDE), x = FROM(two_words, behind - 3 * WIDE);
      two_words d = FROM(two_words, from + 3 * WIDE), w = FROM(two_words, behind - 4 * WIDE);
      AT(two_words, to + 2 * WIDE) = c, AT(two_words, end - 3 * WIDE) = x;
      AT(two_words, to + 3 * WIDE) = d, AT(two_words, end - 4 * WIDE) = w;
    }
    AT(two_words, to + WIDE) = b, AT(two_words, end - 2 * WIDE) = y;
  }
  AT(two_words, to) = a, AT(two_words, end - WIDE) = z;
}

void *zns_copy(void *target, const void *source, size_t count) {
  char *to = target;
  const char *from = source;
  if (count <= WIDE) {
    copy_short(to, from, count);
  } else if (count <= 8 * WIDE) {
    copy_middling(to, from, count);
  } else if ((uintptr_t)to - (uintptr_t)from >= count) {
    // Forwards. What a later step of the loop would find changed, the end, is taken first.
    two_words last = FROM(two_words, from + count - WIDE);
    char *end = to + count;
    if (count >= BY_THE_KERNELS_WAY && (uintptr_t)from - (uintptr_t)to >= count) {
      __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
      return target;
    }
    for (; to + WIDE < end; to += WIDE, from += WIDE) {
      AT(two_words, to) = FROM(two_words, from);
      KEEP_THE_LOOP;
    }
    AT(two_words, end - WIDE) = last;
  } else {
    two_words first = FROM(two_words, from);
    char *end = to + count;
    for (from += count; to + WIDE < end; end -= WIDE, from -= WIDE) {
      AT(two_words, end - WIDE) = FROM(two_words, from - WIDE);
      KEEP_THE_LOOP;
    }
    AT(two_words, to) = first;
  }
  return target;
}

#ifdef EMBEDDED_SWIFT
void *memcpy(void *restrict to, const void *restrict from, size_t count) __attribute__((alias("zns_copy")));
void *memmove(void *to, const void *from, size_t count) __attribute__((alias("zns_copy")));
#endif

#else

#include <string.h>

void *zns_copy(void *target, const void *source, size_t count) { return memmove(target, source, count); }

#endif
