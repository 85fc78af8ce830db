#ifndef INSIDE_H
#define INSIDE_H
#include "kernel.h"

/// statx(2) of what `fd` and `path` name, and its mode alone.
long status_of(int fd, const char *path, int flags, struct statx *status);
long kind_of(int fd, const char *path, int flags, uint32_t *mode);

/// A device's number, as mknod(2) takes it.
uint64_t device_of(const struct statx *status);

/// Opens `path` below the root: a descriptor, or -errno. Links are followed, and never lead out.
long inside(const char *path, uint64_t flags, uint64_t mode);

/// The directory that holds `path`'s last name, which *name is pointed at. It stays open until another one is asked for,
/// or until something is mounted.
long parent_of(const char *path, const char **name);
void forget_parent(void);

/// The same, with every directory on the way made that is missing.
long made_parent_of(const char *path, const char **name);

/// An existing directory is fine.
long make_directory(const char *path, uint64_t mode);

/// Makes every missing directory of `path`; existing links are followed inside the root.
long make_directories(const char *path);

/// A new file in the place of whatever is there, open for writing: never through a link, never into a FIFO or device.
long new_file(const char *path, uint64_t mode);

/// The target of a mount, made where the op says so: a directory, or a file where the source is one.
long mount_point(const struct stage_op *op, const char *path, int is_file);

#endif
