// Raw system calls that glibc lacks or hides behind variadic functions, for Swift.
// Each returns what the kernel returned, or -errno: never -1 with a global errno, so no message
// can be built from an errno that a later call has changed.
#ifndef LINUX_NS_H
#define LINUX_NS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Values that Swift cannot import because they are macros of computed type.
enum {
  ZNS_RESOLVE_IN_ROOT = 0x10,
  ZNS_RESOLVE_NO_SYMLINKS = 0x04,
  ZNS_RESOLVE_NO_MAGICLINKS = 0x02,
  ZNS_RESOLVE_NO_XDEV = 0x01,
  ZNS_RESOLVE_BENEATH = 0x08,
};

/// errno's place, and open(2) with the C library's own return, for a Swift that has neither macros nor variadic functions.
int *zns_errno(void);
/// What the program was started with: its name and its arguments, ended by NULL.
char *const *zns_arguments(void);
int zns_open(int directory, const char *path, int flags, mode_t mode);

/// Tried again while others' renames and mounts are in its way (EAGAIN).
long zns_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
long zns_memfd_create(const char *name, unsigned flags);
long zns_pipe2(int *ends, int flags);
long zns_fcntl(int fd, int command, long argument);
long zns_ioctl(int fd, unsigned long request, unsigned long argument);
long zns_close_range(unsigned first, unsigned last, unsigned flags);
long zns_pidfd_open(pid_t pid, unsigned flags);
long zns_pidfd_send_signal(int pidfd, int signal);
long zns_pidfd_getfd(int pidfd, int fd);
long zns_setns(int fd, int flags);
long zns_unshare(int flags);
long zns_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
long zns_umount2(const char *target, int flags);
long zns_open_tree(int directory, const char *path, unsigned flags);
long zns_move_mount(int from_directory, const char *from, int to_directory, const char *to, unsigned flags);
long zns_mount_setattr(int directory, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                       uint64_t propagation, int userns_fd);
long zns_renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path, unsigned flags);
long zns_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
long zns_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);
/// environ(7).
char *const *zns_environment(void);
long zns_gettid(void);
/// Raises the soft limit of descriptors to the hard one. What it is then.
long zns_raise_descriptor_limit(void);
/// pthread_create(3) of a thread that nobody waits for. 0, or a positive errno.
int zns_start_thread(void *(*body)(void *), void *argument);
/// Has heap.c take locks from now on.
void zns_heap_has_threads(void);
/// The exit status of a program that gets no memory: 1 until something else is said.
void zns_heap_status_when_short(int status);
/// memmove(3); it is memcpy(3) and memmove(3) of an Embedded Swift program.
void *zns_copy(void *target, const void *source, size_t count);

long zns_keyctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

/// waitid(P_PIDFD) with WEXITED and the given extra options. Fills code (CLD_*) and status. 0, or -errno.
/// With WNOHANG and nothing to reap, *code is 0.
long zns_wait_pidfd(int pidfd, int options, int *code, int *status);

/// Sends a datagram by a process of its own, for what the kernel takes long to do and nobody waits for. 0, or -errno where
/// there is no process; how the sending ended is not told.
long zns_send_aside(int socket, const void *bytes, size_t count, const void *address, unsigned length);

/// Sends bytes with up to 16 descriptors over a unix socket. MSG_NOSIGNAL. Bytes sent, or -errno.
long zns_send_fds(int socket, const void *bytes, size_t count, const int *fds, int fd_count);

/// Receives one message and its descriptors (CLOEXEC). *fd_count holds the room on entry, the number on return.
/// A message or descriptor list that did not fit is -EMSGSIZE, and descriptors that RLIMIT_NOFILE has no room for are
/// -EMFILE; all of them are closed.
long zns_receive_fds(int socket, void *bytes, size_t room, int *fds, int *fd_count, int flags);

/// SO_PEERCRED of a unix socket.
long zns_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid);

/// What the child of zns_spawn does before execveat; no allocation, no locks.
struct zns_spawn {
  int executable;            // an open file to execute, or -1 to execute `path`
  const char *path;
  char *const *argv;
  char *const *envp;
  const int *fds;            // descriptors the program gets as 0, 1, 2, …; -1 leaves that number closed
  int fd_count;
  int new_session;           // setsid
  int blocked;               // the program begins with every signal blocked, as a stage expects
  int cgroup;                // a v2 group's directory that it is born in (CLONE_INTO_CGROUP), or -1
};

/// clone3(CLONE_VM | CLONE_VFORK | CLONE_PIDFD) + execveat. Safe from a thread of a multi-threaded process:
/// the child runs on its own stack, touches only the struct, and every signal is blocked meanwhile.
/// Returns the pid and sets *pidfd, or -errno (also of a failed execveat).
long zns_spawn(const struct zns_spawn *spawn, int *pidfd);

/// statfs(2)'s f_type, or -errno.
long zns_filesystem_type(const char *path);

/// "EINVAL", or NULL.
const char *zns_errno_name(int number);
/// "Invalid argument", or NULL.
const char *zns_errno_text(int number);

/// signalfd4(2) of the signals 1…64 whose bit (number - 1) is set; CLOEXEC and NONBLOCK. Blocks none of them.
long zns_signalfd(uint64_t signals);

/// eventfd2(2): CLOEXEC and NONBLOCK.
long zns_eventfd(void);

/// The number of the next signal that waits in a signalfd, or -EAGAIN.
long zns_read_signalfd(int fd);

/// capset(2) of the calling thread: effective, permitted and inheritable all empty.
long zns_drop_capabilities(void);

/// Mounts the ext4 in a file, detached, by a loop device that goes with its last mount; all mounts of a file are of one file
/// system. For who has CAP_SYS_ADMIN on the host: fsmount(2)'s descriptor, or -errno of `step`.
long zns_mount_disk(const char *path, const char **step);
/// The loop device that has a file: 0 and its numbers, -ENOENT where none has it, or -errno.
long zns_disk_device(const char *path, unsigned *major_number, unsigned *minor_number);
/// Attaches a detached mount to a directory, in a mount namespace of the calling thread's own: it goes with us.
long zns_show_mount(int mount, const char *at, const char **step);

/// What a quota has counted.
struct zns_quota_use {
  uint64_t bytes;
  uint64_t files;  // 0 where they are not counted
  uint64_t limit;  // in bytes; 0: none
  uint64_t file_limit;
};
/// Whether the file system of a directory holds its projects to their limits (quotactl_fd(2), Linux 5.14): 0 or 1.
/// -ENOSYS: this kernel has no such call.
long zns_project_quotas(int directory);
/// The project that a file or directory is counted for (ioctl_xfs_fsgetxattr(2)); not of what was opened with O_PATH.
long zns_project(int file, uint32_t *id);
/// Has it counted for another; what is made in a directory from then on, too. Takes CAP_FOWNER, and no user namespace.
long zns_set_project(int file, uint32_t id, int is_directory);
/// Of a project that nobody has: zeros.
long zns_project_use(int directory, uint32_t id, struct zns_quota_use *use);
/// In bytes, rounded up to 1,024, and a file for each 4,096 and 256 more; 0: none. Takes CAP_SYS_ADMIN.
long zns_limit_project(int directory, uint32_t id, uint64_t bytes);
/// btrfs: makes a subvolume in a directory.
long zns_make_subvolume(int directory, const char *name);
/// Whether btrfs counts (btrfs-quota(8)): 0 or 1.
long zns_subvolume_quotas(int directory);
/// What a subvolume may refer to, in bytes; 0: as much as there is. Takes CAP_SYS_ADMIN, and a directory of the same file
/// system outside: in a full one even this call is EDQUOT.
long zns_limit_subvolume(int subvolume, int outside, uint64_t bytes);
/// As of the file system's last commit.
long zns_subvolume_use(int subvolume, struct zns_quota_use *use);

/// The Landlock ABI version (landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION), -ENOSYS or -EOPNOTSUPP.
long zns_landlock_abi(void);

/// Whether the caller can make a user namespace and act in it: a child tries. 0, or -errno.
long zns_try_user_namespace(void);


/// What stat(2) tells of a file, in types that Swift sees in one module only: `struct stat` is in as many as are imported.
struct zns_file_facts {
  uint64_t inode;
  uint64_t device_major;
  uint64_t device_minor;
  int64_t size;
  int64_t modified_seconds;
  int64_t modified_nanoseconds;
  uint32_t mode;
  uint32_t uid;
};
long zns_file_facts(const char *path, int follow, struct zns_file_facts *facts);

/// The pid of a child that has ended and was not waited for yet, left as it is (waitid(2), WNOWAIT); 0: there is none.
long zns_ended_child(void);

// Whether a capability is in the bounding set: 0 or 1; -EINVAL for one that the kernel does not have.
long zns_has_bounding(int capability);

// Removing trees: remove_tree.c.

/// Why a tree could not be removed.
enum zns_removal_why {
  ZNS_REMOVAL_CALL = 0,         // the call failed as errno says
  ZNS_REMOVAL_MOUNT = 1,        // something is mounted there
  ZNS_REMOVAL_IMMUTABLE = 2,    // chattr +i
  ZNS_REMOVAL_APPEND_ONLY = 3,  // chattr +a
  ZNS_REMOVAL_WRITER = 4,       // somebody goes on making files in it
};
/// What chattr(1) has set of that which keeps a name from being removed; with "" the directory itself. Opens nothing.
/// ZNS_REMOVAL_IMMUTABLE, ZNS_REMOVAL_APPEND_ONLY, or ZNS_REMOVAL_CALL where neither is set or statx(2) fails.
int zns_file_flags(int directory, const char *name);
/// xattr(7): user.* but overlayfs' own, and system.posix_acl_*. What is another's to read is left out. 0, or -errno.
long zns_copy_attributes(const char *from, const char *to);
/// Whether two have the same of those. 1, 0 or an error.
/// @param other NULL: something that has none.
long zns_same_attributes(const char *path, const char *other);
/// rmdir(2) of a control group and all below, the deepest first; one that is gone is fine. 0, or -errno of the last.
long zns_remove_groups(const char *path);
/// sync_file_range(2): what was written begins its way to the disk. Only a hint.
void zns_start_writing(int fd);

struct zns_removal {
  int error;      // errno
  int why;        // enum zns_removal_why
  const char *call;  // the system call's name
  char path[1024];   // below the tree's own path, with a leading '/'; empty: the tree itself. The end of it, where it is longer.
};

/// Removes what is at a path, and all below it: any names, any depth, 34 descriptors at most, no memory but 300 KB.
/// Follows no link, enters no mount (openat2(2), RESOLVE_NO_XDEV), and stops at the first thing that it cannot remove.
/// A missing path is fine. The path's own ancestors are resolved as usual.
/// 0, or -errno with *result filled.
long zns_remove_tree(const char *path, struct zns_removal *result);

/// A process of ours in a user namespace of its own that waits for its id maps, to remove a tree as their root.
struct zns_removal_helper {
  int pid;
  int pidfd;
  int go;                      // written to when the maps stand; closed without a word, it ends
  struct zns_removal *result;  // shared with it
};

/// Safe in a multi-threaded process: the child makes system calls only. 0, or -errno.
long zns_removal_begin(const char *path, struct zns_removal_helper *helper);
/// Lets it work where `go` is set, waits for its end, and releases what `begin` made. As zns_remove_tree;
/// -ECANCELED where it was not let work or was killed.
long zns_removal_end(struct zns_removal_helper *helper, int go, struct zns_removal *result);

// Whether somebody else can redirect a path: path_trust.c.

enum zns_trust_why {
  ZNS_TRUST_CALL = 0,
  ZNS_TRUST_OWNER = 1,         // belongs to somebody else
  ZNS_TRUST_LINK = 2,          // a link that belongs to somebody else
  ZNS_TRUST_WRITABLE = 3,      // others may write there, and it is not sticky
  ZNS_TRUST_NO_DIRECTORY = 4,
  ZNS_TRUST_OPEN = 5,          // the last one: others may read or enter it
};

struct zns_trust {
  int why;         // enum zns_trust_why
  uint32_t owner;  // uid
  const char *path; // the directory or link that is meant: of this thread, until its next look. (No array: Swift would
                    // make the type of a tuple of 4,096 bytes at run time, 0.5 ms of a start.)
};

/// Looks at every directory and link on the way to an absolute path: each must belong to root or to `self`, and nobody
/// else may write there unless it is sticky. What is missing is fine. One lstat(2) a name.
/// 0: trusted, 1: not, and *result says why; -errno. Whether the last one may be read by others is told last, as
/// ZNS_TRUST_OPEN, after it was found to be a directory of `self`.
long zns_trust_path(const char *path, uint32_t self, struct zns_trust *result);

/// A user namespace in which the caller's ids are root's, and a network namespace of it that forwards IPv4. The caller
/// stays where it is and gets both as descriptors (CLOEXEC). *step says what failed: 0 clone, 1 the id maps, 2 the
/// namespaces' files, 3 forwarding. 0, or -errno.
long zns_make_user_network(int *user_namespace, int *network_namespace, int *step);

/// Loads a program of BPF_PROG_TYPE_CGROUP_DEVICE and attaches it to a v2 group (a descriptor of its directory), beside those
/// of other groups. It goes with the group. 0, or -errno.
long zns_attach_device_program(int group, const uint64_t *instructions, unsigned count);

/// A user namespace with these maps (the texts of /proc/PID/uid_map and gid_map) and nobody in it. A descriptor (CLOEXEC),
/// or -errno.
long zns_user_namespace(const char *uid_map, const char *gid_map);

/// fork(2), for a program of one thread: what the copy does is not bounded by what is safe after a fork of more.
long zns_copy_of_us(void);

// A process that works on what a stranger made: walled.c.

/// As fork(2), for a program of one thread: the child is the first process of new pid, ipc and (empty) network namespaces,
/// all of a new user namespace without ids. The pid, and a pidfd (CLOEXEC); 0 in the child.
long zns_begin_walled(int *pidfd);
/// The caller is killed when its parent's thread ends (prctl(2), PR_SET_PDEATHSIG); asked anew after each change of powers.
long zns_end_with_parent(void);
/// Puts the calling process, which has the powers of its user namespace, into a mount namespace of its own with nothing in
/// it but a read-only tmpfs, `directory` as /layer (links are not followed there) and a /proc of processes alone. /layer,
/// opened (CLOEXEC); or -errno, with the call in *step.
long zns_wall_in(int directory, const char **step);
/// What layers show together, read-only, in a mount namespace of the caller's own. O_PATH (CLOEXEC); or -errno, with the call
/// in *step.
/// - layers: names in the directory `links`, the uppermost first, with colons between.
long zns_merge_layers(const char *links, const char *layers, const char **step);
/// RLIMIT_AS in bytes, RLIMIT_NOFILE, and no core.
long zns_bound_process(uint64_t address_space, unsigned descriptors);
/// Leaves these capabilities, to the process alone: not to what it would execute. Sets no_new_privs.
long zns_keep_capabilities(uint64_t kept);
/// prctl(PR_SET_NO_NEW_PRIVS): what an ordinary user needs to load a filter.
long zns_no_new_privs(void);
/// setgroups(2) with none.
long zns_no_groups(void);
/// A program of BPF for seccomp(2), as many bytes, on the calling thread.
long zns_load_filter(const void *program, size_t count);

/// As zns_spawn, for a program that is to be root of a user namespace of the caller's: the child joins it first.
long zns_spawn_in(int user_namespace, const struct zns_spawn *spawn, int *pidfd);

/// What socket(2) takes.
struct zns_socket_kind { int domain, type, protocol; };

/// Sockets of another network namespace, made by a child that joins the user namespace which owns it and then itself
/// (setns(2)): for callers who have power over that user namespace and none in their own, or who are root in it. CLOEXEC.
/// 0, or -errno, and then no descriptor is left.
long zns_sockets_in(int network_namespace, const struct zns_socket_kind *kinds, int count, int *sockets);

/// The two ends of an IPv4 datagram, in network byte order.
struct zns_datagram_ends {
  uint32_t peer;
  uint16_t port;
  uint32_t own;              // of the addresses of this host (ip(7), IP_PKTINFO)
};

/// recvmsg(2) and sendmsg(2) of one datagram, never waiting, on a socket with IP_PKTINFO. Bytes, or -errno.
long zns_receive_datagram(int socket, void *bytes, size_t room, struct zns_datagram_ends *ends);
long zns_send_datagram(int socket, const void *bytes, size_t count, const struct zns_datagram_ends *ends);

/// epoll(7), level-triggered, with the descriptor itself as the data.
enum { ZNS_EPOLL_IN = 0x1, ZNS_EPOLL_OUT = 0x4, ZNS_EPOLL_ADD = 1, ZNS_EPOLL_DELETE = 2, ZNS_EPOLL_MODIFY = 3 };
long zns_epoll_create(void);
long zns_epoll_control(int epoll, int operation, int fd, uint32_t events);
/// Fills the descriptors that are ready, at most 64. Their number, or -errno.
long zns_epoll_wait(int epoll, int *ready, int timeout);

// Files of a tree that a stranger has filled: tree_files.c. 0 or a count, or -errno.

struct zns_tree_facts {
  uint64_t inode, device, special, links;
  int64_t size;
  int64_t modified, changed;  // nanoseconds since 1970
  uint32_t mode, uid, gid;
};
/// Of a name in a directory, no link followed; with "" of the descriptor itself.
long zns_tree_facts(int directory, const char *name, struct zns_tree_facts *facts);
/// Extended attributes of what a descriptor is open on, also one opened with O_PATH.
long zns_list_xattrs(int fd, char *names, size_t room);
long zns_get_xattr(int fd, const char *name, void *value, size_t room);
long zns_set_xattr(int fd, const char *name, const void *value, size_t size);
long zns_remove_xattr(int fd, const char *name);
/// chmod(2) and open(2) of the same.
long zns_change_mode(int fd, uint32_t mode);
long zns_reopen(int fd, int flags);
/// Of a name in a directory, or with "" of the descriptor; the time of the last access stays.
long zns_set_modified(int directory, const char *name, int64_t modified);
/// FICLONE: the first has the second's content, by the same blocks. -EOPNOTSUPP, -EXDEV, -EINVAL where that cannot be.
long zns_share_content(int to, int from);
/// What overlayfs leaves for a name that was deleted; an ordinary user may make it.
long zns_make_whiteout(int directory, const char *name);
long zns_make_fifo(int directory, const char *name);
/// A name that nobody listens at.
long zns_make_socket(int directory, const char *name);
/// Another name of what a descriptor is open on, also of a symbolic link's own (O_PATH | O_NOFOLLOW).
long zns_link_open(int file, int directory, const char *name);
/// lseek(2): where data, or a hole, is next. -ENXIO behind the last.
long zns_seek_data(int fd, int64_t offset);
long zns_seek_hole(int fd, int64_t offset);
long zns_sync_filesystem(int fd);
/// statfs(2)'s f_fsid, the same after a reboot where the file system has a UUID.
long zns_filesystem_id(int fd, uint64_t *id);
long zns_random(void *bytes, size_t count);

// Answering system calls that a filter hands to us: watch.c (seccomp_unotify(2)). 0 or a count, or -errno.

/// A call that waits for an answer. Of the pid: a thread's, as this process sees it; 0 where it cannot.
struct zns_call {
  uint64_t id;
  uint32_t pid;
  uint32_t number;
  uint32_t machine;  // AUDIT_ARCH_*
  uint64_t instruction;
  uint64_t arguments[6];
};
long zns_call_receive(int listener, struct zns_call *call);
/// Lets the kernel go on with the call, as its filter says beside us; with an errno answers that, and the call is not made.
long zns_call_answer(int listener, uint64_t id, int error);
/// Whether the call still waits, so that what was read of its process was that process'. 0, or -ENOENT.
long zns_call_waits(int listener, uint64_t id);
/// Of another process' memory (process_vm_readv(2)); as much as is there.
long zns_read_memory(uint32_t pid, uint64_t address, void *bytes, size_t room);
/// The same up to a NUL, which is not counted. -ENAMETOOLONG where none comes.
long zns_read_text(uint32_t pid, uint64_t address, char *bytes, size_t room);

#endif
