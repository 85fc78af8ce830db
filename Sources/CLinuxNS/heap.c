// The heap of an Embedded Swift program on musl. musl's own gives each class of sizes its pages by mmap(2) and takes them
// back as soon as they are empty: 180 calls, 0.4 ms, in a start that makes 2,000 small pieces and is over. Here a piece is
// of one of 60 sizes, lies behind one word that says which, and goes to a list of its size when it is freed; what is
// larger has a mapping to itself.
#define _GNU_SOURCE
#include "linux_ns.h"

#ifndef EMBEDDED_SWIFT
void zns_heap_has_threads(void) {}
void zns_heap_status_when_short(int status) { (void)status; }
#else

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  STEP = 16,            // bytes: what every piece is aligned to, and the distance of the small sizes
  SMALL = 512,          // bytes: up to here a size for each step, and from here on four for each doubling
  SIZES = 60,
  LARGEST = 64 << 10,   // bytes
  REGION = 1 << 20,     // bytes, asked of the kernel at a time
};

// Before a piece's bytes: how many it has room for, and where its mapping begins (0: it is no mapping of its own).
struct piece {
  size_t room;
  size_t before;
};
_Static_assert(sizeof(struct piece) == STEP, "a piece's bytes lie on a step");

static struct piece *unused[SIZES];
static _Alignas(STEP) char first[256 << 10];
static char *next = first, *end = first + sizeof first;

// A program of one thread, which nearly all of ours are, takes no lock.
static int threads;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void lock(void) {
  if (threads) while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) continue;
}
static void unlock(void) {
  if (threads) atomic_flag_clear_explicit(&busy, memory_order_release);
}

void zns_heap_has_threads(void) { threads = 1; }

/// What nearly every verb comes to touch, at one call instead of a page fault each (MADV_POPULATE_WRITE; where the kernel
/// is too old for it, they come as ever).
__attribute__((constructor)) static void touch(void) {
  uintptr_t start = ((uintptr_t)first + 4095) & ~(uintptr_t)4095;
  madvise((void *)start, 96 << 10, 23 /* MADV_POPULATE_WRITE */);
}

/// Which size holds `room` bytes, of 1 to LARGEST.
static unsigned size_for(size_t room) {
  if (room <= SMALL) return (unsigned)((room - 1) / STEP);
  unsigned power = 63 - (unsigned)__builtin_clzl(room - 1);  // 9 for 513 to 1024
  return SMALL / STEP + (power - 9) * 4 + (unsigned)((room - 1) >> (power - 2) & 3);
}

static size_t room_of(unsigned size) {
  if (size < SMALL / STEP) return (size + 1) * STEP;
  unsigned power = 9 + (size - SMALL / STEP) / 4;
  return ((size_t)1 << power) + ((size_t)((size - SMALL / STEP) % 4 + 1) << (power - 2));
}

/// A mapping of its own, of which `room` bytes from a multiple of `alignment` on are the piece's.
static void *map(size_t alignment, size_t room) {
  size_t before = alignment > STEP ? alignment : STEP;
  if (room > PTRDIFF_MAX - 2 * before - 4096) return NULL;
  size_t whole = (before + (alignment > 4096 ? alignment : 0) + room + 4095) & ~(size_t)4095;
  char *start = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return NULL;
  char *bytes = (char *)(((uintptr_t)start + before + alignment - 1) & ~(alignment - 1));
  struct piece *piece = (struct piece *)bytes - 1;
  piece->room = (size_t)(start + whole - bytes);
  piece->before = (size_t)(bytes - start);
  return bytes;
}

/// What nearly every call wants: a small piece, and nobody else about. NULL where it is not that simple.
static inline void *take_small(size_t room) {
  if (room - 1 >= SMALL || threads) return NULL;
  size_t size = (room - 1) / STEP, whole = sizeof(struct piece) + (size + 1) * STEP;
  struct piece *piece = unused[size];
  if (piece) {
    unused[size] = *(struct piece **)(piece + 1);
    return piece + 1;
  }
  if ((size_t)(end - next) < whole) return NULL;
  piece = (struct piece *)next;
  next += whole;
  *piece = (struct piece){.room = whole - sizeof *piece};
  return piece + 1;
}

void *malloc(size_t room) {
  void *small = take_small(room);
  if (small) return small;
  if (room > LARGEST) {
    void *bytes = map(STEP, room);
    if (!bytes) errno = ENOMEM;
    return bytes;
  }
  unsigned size = size_for(room ? room : 1);
  lock();
  struct piece *piece = unused[size];
  if (piece) {
    unused[size] = *(struct piece **)(piece + 1);
  } else {
    size_t whole = sizeof *piece + room_of(size);
    if ((size_t)(end - next) < whole) {
      char *region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (region == MAP_FAILED) {
        unlock();
        errno = ENOMEM;
        return NULL;
      }
      next = region, end = region + REGION;
    }
    piece = (struct piece *)next;
    next += whole;
    piece->room = whole - sizeof *piece;
    piece->before = 0;
  }
  unlock();
  return piece + 1;
}

void free(void *bytes) {
  if (!bytes) return;
  struct piece *piece = (struct piece *)bytes - 1;
  if (piece->before) {  // a mapping
    int error = errno;  // which free(3) keeps
    munmap((char *)bytes - piece->before, piece->before + piece->room);
    errno = error;
    return;
  }
  unsigned size = size_for(piece->room);
  lock();
  *(struct piece **)bytes = unused[size];
  unused[size] = piece;
  unlock();
}

void *calloc(size_t count, size_t each) {
  size_t room;
  if (__builtin_mul_overflow(count, each, &room)) {
    errno = ENOMEM;
    return NULL;
  }
  void *bytes = malloc(room);
  return bytes ? memset(bytes, 0, room) : NULL;
}

void *realloc(void *bytes, size_t room) {
  if (!bytes) return malloc(room);
  size_t old = ((struct piece *)bytes - 1)->room;
  if (room <= old) return bytes;
  void *more = malloc(room);
  if (!more) return NULL;
  memcpy(more, bytes, old);
  free(bytes);
  return more;
}

static int status_when_short = 1;
void zns_heap_status_when_short(int status) { status_when_short = status; }

/// Swift asks here, and uses what it gets unseen: where there is nothing to give, the program says so and ends, and the next
/// command takes away what it has made, as after a kill.
static void end_for_want(void) __attribute__((noreturn, cold));
static void end_for_want(void) {
  static const char said[] =
      ": out of memory; free some, or raise its limit (ulimit -v and -d, memory.max of the control group)\n";
  const char *name = zns_arguments()[0] ? zns_arguments()[0] : "zonectl", *slash = strrchr(name, '/');
  if (slash) name = slash + 1;
  struct iovec parts[] = {{(char *)name, strlen(name)}, {(char *)said, sizeof said - 1}};
  ssize_t told = writev(2, parts, 2);
  (void)told;
  _exit(status_when_short);
}

int posix_memalign(void **bytes, size_t alignment, size_t room) {
  void *small = alignment == STEP || alignment == sizeof(void *) ? take_small(room) : NULL;
  if (small) {
    *bytes = small;
    return 0;
  }
  if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
  int error = errno;
  void *made = alignment <= STEP ? malloc(room) : map(alignment, room);
  errno = error;
  if (!made) end_for_want();
  *bytes = made;
  return 0;
}

void *aligned_alloc(size_t alignment, size_t room) {
  void *bytes;
  int error = posix_memalign(&bytes, alignment < sizeof(void *) ? sizeof(void *) : alignment, room);
  if (error == 0) return bytes;
  errno = error;
  return NULL;
}

size_t malloc_usable_size(void *bytes) { return bytes ? ((struct piece *)bytes - 1)->room : 0; }
#endif
