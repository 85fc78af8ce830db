// The plan a launch hands to the stage: one block of memory, sealed, mapped read-only.
// Shared by the stage (C) and by the marshaller in LinuxNS (OpTable.swift), which is its only writer.
// Offsets count bytes from the block's start; offset 0 means "none". Strings end with NUL.
#ifndef STAGE_PLAN_H
#define STAGE_PLAN_H

#include <stdint.h>

enum {
  STAGE_MAGIC = 0x454e4f5a,  // "ZONE"
  STAGE_PLAN_VERSION = 1,
};

// The stage is started with nothing but its control socket, early, and gets its orders on it. In the host tier a launch
// hears what it needs when that is known: the namespaces (STAGE_BEGIN), ids and groups (STAGE_GROUND), the plan; all others
// hear the plan alone. Descriptors that come along are numbered in their order: the groups' from STAGE_FD_GROUPS
// on, a plan's from STAGE_FD_FIRST on.
enum {
  STAGE_FD_CONTROL = 3,  // SEQPACKET to the zonectl that launched it
  STAGE_FD_GROUPS = 32,
  STAGE_MOST_GROUPS = 13,
  STAGE_FD_FIRST = 48,
  STAGE_FDS_A_MESSAGE = 16,
};

// The text of /proc/PID/uid_map and gid_map.
struct stage_ids { char uid_map[256], gid_map[256]; };

enum stage_mode {
  STAGE_LAUNCH = 1,  // become the keeper of a new zone
  STAGE_EXEC = 2,    // join a living zone and execute in it
  STAGE_FILES = 3,   // join a living zone and open its files for the launcher, who asks on fd_stdin
  STAGE_CONTAINER = 4,  // make an OCI container's process, a child of the launcher's, and end
  STAGE_ENTER = 5,      // the same for another process in one that lives
};

// Who attaches the host's trees.
enum stage_tier {
  STAGE_TIER_HOST = 1,  // the keeper, as host root, in a mount namespace the host owns
  STAGE_TIER_USER = 2,  // the joiner, as root of a first user namespace; the zone gets a second one below it
  STAGE_TIER_BARE = 3,  // nobody: there are no namespaces, and the host's tree is seen through a Landlock domain
};

enum stage_section {
  STAGE_SECTION_TREE = 0,     // the root is put together, on the host's side
  STAGE_SECTION_ZONE = 1,     // in the zone's namespaces, before the gate
  STAGE_SECTION_PROCESS = 2,  // in the first process, after the gate
  STAGE_SECTION_BEFORE = 3,   // containers and the bare tier: in the stage itself, for the process to inherit
  STAGE_SECTIONS = 4,
};

// Steps outside the op table, told in a failure as step numbers from STAGE_STEP_FIXED on.
enum stage_step {
  STAGE_STEP_FIXED = 100000,
  STAGE_STEP_PLAN = STAGE_STEP_FIXED,
  STAGE_STEP_UNSHARE,
  STAGE_STEP_PRIVATE,
  STAGE_STEP_JOINER,
  STAGE_STEP_MAP,
  STAGE_STEP_USERNS,
  STAGE_STEP_IDENTITY,
  STAGE_STEP_CGROUP,
  STAGE_STEP_CLONE,
  STAGE_STEP_NESTED_MAP,
  STAGE_STEP_LISTEN,
  STAGE_STEP_RECORD,
  STAGE_STEP_NAMESPACES,
  STAGE_STEP_FORK,
  STAGE_STEP_EXECUTE,
  STAGE_STEP_DIED,
  STAGE_STEP_SETNS,
  STAGE_STEP_TERMINALS,
  STAGE_STEP_NETWORK,
  STAGE_STEP_DETACH,
  STAGE_STEP_JOIN,
  STAGE_STEP_TIME,
  STAGE_STEP_GATE,
  STAGE_STEP_HOOK = STAGE_STEP_FIXED + 1000,  // and from here on, one for each; errno: see STAGE_HOOK_EXITED
};

// How a hook ended, where it was not by an errno.
enum { STAGE_HOOK_EXITED = 4096, STAGE_HOOK_KILLED = 8192 };

enum stage_op_code {
  STAGE_OP_NONE = 0,
  // The tree
  STAGE_OP_ROOT_TMPFS,   // tmpfs with options text[1] on the host directory text[0]; it becomes the root
  STAGE_OP_ROOT_TREE,    // the source (fd or text[1]) on the host directory text[0]; it becomes the root
  STAGE_OP_HOST_TREE,    // the source mapped over itself at the host path text[0] (layers of an overlay)
  STAGE_OP_ROOT_OVERLAY, // options text[2], paths in it from the directory text[1], on the host directory text[0]; it becomes the root
  STAGE_OP_FSIDS,        // files are made as host uid a, gid b from here on
  STAGE_OP_MKDIR,        // text[0] with mode a; an existing directory is fine
  STAGE_OP_SYMLINK,      // text[1] -> text[0]; an existing name is fine
  STAGE_OP_FILE,         // text[0] with the a bytes at text[1], mode b, replacing what is there
  STAGE_OP_COPY,         // text[0] with the content of descriptor fd, mode b (a secret)
  STAGE_OP_ATTACH,       // the source (fd or text[1]) on text[0]
  STAGE_OP_MOUNT,        // type text[1], options text[2], flags a, on text[0]
  STAGE_OP_OVERLAY,      // options text[2] on text[0], mounted with all capabilities under the current fsids; with paths in
                         // it from the directory text[1], text[3] is the target's path on the host
  STAGE_OP_DEVICE,       // character device a (makedev) at text[0], mode b, owned by the zone's root
  STAGE_OP_READ_ONLY,    // the mount at text[0], or the root's own
  // The zone
  STAGE_OP_ENTER_ROOT,   // a copy of the root's mounts that may be pivoted into
  STAGE_OP_MASK,         // nothing is to be seen at text[0]
  STAGE_OP_READ_ONLY_PATH,
  STAGE_OP_PIVOT,
  STAGE_OP_HOSTNAME,     // text[0]
  STAGE_OP_LOOPBACK,     // lo goes up
  STAGE_OP_NETWORK,      // into the network namespace that was made ahead, when it stands (host tier)
  STAGE_OP_WRITE,        // the kernel file text[0] gets text[1]
  STAGE_OP_TERMINAL,     // a terminal of the zone's devpts for the first process; a rows, b columns
  // The process
  STAGE_OP_RLIMIT,       // flags resource, a soft, b hard
  STAGE_OP_IDS,          // uid a, gid b, groups: flags of them, u32 each, at text[0]; STAGE_KEEP_GROUPS
  STAGE_OP_CHDIR,        // text[0]; STAGE_MAKE creates it
  STAGE_OP_BOUNDING,     // what is not in a leaves the bounding set
  STAGE_OP_CAPABILITIES, // effective and permitted a, inheritable and ambient b
  STAGE_OP_NO_NEW_PRIVS,
  STAGE_OP_SECCOMP,      // a instructions at text[0]
  STAGE_OP_OOM_SCORE,    // text[0]
  STAGE_OP_KEYRING,      // a new session keyring: the caller's stays his
  STAGE_OP_DEATH_SIGNAL, // SIGKILL when the keeper dies (a zone with an init of its own)
  // Of containers alone
  STAGE_OP_PROPAGATION,  // of the mount at text[0], or at the caller's own "/": mount(2)'s flags a
  STAGE_OP_ATTRIBUTES,   // of the source, before it is attached
  STAGE_OP_NODE,         // device a of mode b (type and all) at text[0], owned by uid and gid, u32 each, at text[1]
  STAGE_OP_MOUNTED,      // the mounts stand: hooks run here
  STAGE_OP_LEAVE_ROOT,   // pivots, and lets the old root go, whose mounts may be shared with the host
  STAGE_OP_DOMAINNAME,   // text[0]
  STAGE_OP_CONSOLE,      // the terminal on /dev/console
  STAGE_OP_LABEL,        // the security module's file text[0] gets text[1], for the next execve
  STAGE_OP_FIND,         // the command is there and can be executed; relative names begin at text[0]
  STAGE_OP_HARD_LIMIT,   // flags resource: its hard limit is at least b
  STAGE_OP_UMASK,        // a
  STAGE_OP_CAPABILITY_SETS,  // effective, permitted, inheritable and ambient, u64 each, at text[0]
  STAGE_OP_STDIO_OWNER,  // uid a
  STAGE_OP_HOME,         // variable b of the environment is HOME: uid a's by passwd(5), where that has one
  STAGE_OP_PERSONALITY,  // a
  STAGE_OP_SCHEDULER,    // struct sched_attr at text[0]
  STAGE_OP_IO_PRIORITY,  // a
  STAGE_OP_AFFINITY,     // a bytes of mask at text[0]
  STAGE_OP_MEMORY_POLICY,  // mode a, nodes: a mask of b bits at text[0]
  // landlock(7), in this order: what a domain rules (STAGE_MAKE: file accesses a, of TCP the low half of b, scopes the
  // high one), the accesses a below each host path text[0], and (neither) the entry into the domain
  STAGE_OP_LANDLOCK,
};

enum stage_op_flag {
  STAGE_RECURSIVE = 1,   // with what is mounted below
  STAGE_IDMAP = 2,       // seen through the zone's id map
  STAGE_MAKE = 4,        // make the target where it is missing
  STAGE_OPTIONAL = 8,    // a missing source or target is fine
  STAGE_KEEP_GROUPS = 16,
  STAGE_FRESH = 32,      // the root was made by us in this launch: plain calls resolve nothing foreign
  STAGE_FOLLOW = 64,     // links on the way are followed, inside the root
  STAGE_COPY_UP = 128,   // what was there is copied into the new tmpfs
  STAGE_STRAIGHT = 256,  // no link is on the way to the source, which is a path
  STAGE_KEEP_MODE = 512, // the new file system's root has the mode of the directory that it covers, if there was one
  STAGE_KEEP_OWNER = 1024,  // with STAGE_COPY_UP: and its owner
};

struct stage_op {
  uint16_t code;
  uint16_t flags;
  int32_t fd;        // a descriptor of the plan, or -1
  uint32_t text[4];  // STAGE_OP_MOUNT: text[3] is the source, where it is not the type
  uint64_t a, b;
};

/// Of a container: createContainer and startContainer. The container's state is its standard input.
struct stage_hook { uint32_t path, argv, argc, envp, envc, timeout; };  // seconds; 0: none

struct stage_range { uint32_t first, count; };

struct stage_plan {
  uint32_t magic, version, size, mode, tier;
  struct stage_range section[STAGE_SECTIONS];  // indices into ops
  uint32_t ops;           // offset of struct stage_op[]
  uint32_t joiner_flags;  // clone3 flags of the joiner (user tier: CLONE_NEWUSER | CLONE_NEWNS)
  uint32_t zone_flags;    // clone3 flags of the zone's first process; setns flags for STAGE_EXEC
  uint32_t uid_map, gid_map;                // text for /proc/PID/…_map; 0: zonectl maps (newuidmap)
  uint32_t nested_uid_map, nested_gid_map;  // user tier: the zone's own map
  uint32_t deny_setgroups;
  uint32_t own_init;      // the command is pid 1
  uint32_t terminal;
  uint32_t keep_namespaces;  // open them while the zone's first process is still ours (user tier)
  uint32_t ends_with_launcher;  // one that goes takes the zone along
  uint32_t keep_identity; // STAGE_EXEC, STAGE_FILES: the zone has no uid 0 to become
  uint32_t hand_over;     // at the end execute zonectl even where the launcher still listens
  uint32_t open_gate;     // nothing is to be done at the gate: the first process passes it at once
  uint32_t direct;        // the launcher's own stdio was given: nothing is copied or logged
  uint32_t argv, argc, envp, envc, path;    // offsets of u32[] of offsets; path: u32 offset of the PATH to search
  uint32_t zonectl, zonectl_argv, zonectl_argc, zonectl_envp, zonectl_envc;
  uint32_t log_name;      // file name below fd_log_dir
  uint64_t log_limit;     // bytes before rotation
  uint32_t zone_root_uid, zone_root_gid;    // host ids
  uint32_t owner_uid;     // who may speak to the keeper, besides root
  // containers
  uint32_t late_flags;    // namespaces that the first process makes itself, when it is where they are to begin
  uint32_t joins_user;    // one of fd_join_ns is a user namespace
  uint32_t builder;       // the stage puts the root together, on the host's side of a user namespace
  uint32_t time_offsets;  // the text of /proc/PID/timens_offsets
  uint32_t outer_hooks;   // the launcher has hooks to run when the mounts stand
  uint32_t hooks, hook_count, start_hook_count;  // struct stage_hook[]: createContainer's, then startContainer's
  uint32_t preserved;     // descriptors that the process keeps, from 3 on
  // descriptors, or -1; for stdio -1 is a pipe to the keeper
  int32_t fd_stdin, fd_stdout, fd_stderr;
  int32_t fd_cgroup;                        // v2 directory; in the host tier a launch has them by STAGE_GROUND
  int32_t fd_tasks[12];                     // v1 tasks files; the same
  int32_t fd_run;                           // the zone's run directory
  int32_t fd_log_dir;
  int32_t fd_zonectl;                       // the executable, should its path have gone
  int32_t fd_oom;                           // memory.events or memory.oom_control
  int32_t fd_join;                          // STAGE_EXEC, STAGE_ENTER: pidfd
  int32_t fd_join_ns[8];                    // STAGE_EXEC in the user tier, STAGE_CONTAINER: the namespaces, in their order
  int32_t fd_cgroup_ns;                     // STAGE_CONTAINER: one that the first process enters when it is in its groups
  int32_t fd_gate;                          // STAGE_CONTAINER: where its start is told; -1: by the launcher
  int32_t fd_preserved;                     // the first of them
  int32_t fd_watch;                         // STAGE_LAUNCH: the listener of the command's filter goes there; -1: there is none
  int32_t fd_sources;                       // from here on the sources of ops, which nobody needs once the tree stands
};

// Messages: one byte of kind, then a payload. Both directions, on the control socket and on the keeper's.
enum stage_message {
  // from the stage
  STAGE_SAYS_MAP = 'M',      // i32 pid: write its id maps, answer STAGE_MAPPED
  STAGE_SAYS_READY = 'Y',    // i32 pid of the zone's first process: it waits at the gate
  STAGE_SAYS_NETWORK = 'w',  // with SCM_RIGHTS: the zone's network namespace, before its first process is in it
  STAGE_SAYS_STARTED = 'S',  // i32 pid of the command
  STAGE_SAYS_FAILED = 'F',   // i32 section, i32 step, i32 errno
  STAGE_SAYS_ENDED = 'X',    // i32 code, i32 signal, i32 oom
  STAGE_SAYS_OUTPUT = 'O',
  STAGE_SAYS_ERROR = 'R',
  STAGE_SAYS_DESCRIPTORS = 'D',  // with SCM_RIGHTS
  STAGE_SAYS_NO = 'N',           // i32 errno
  STAGE_SAYS_GOING_ON = 'U',     // to STAGE_GOING_ON: it is on record
  STAGE_SAYS_PROCESS = 'P',      // i32 pid of a container's process, a child of the launcher's
  STAGE_SAYS_MOUNTED = 'H',      // its mounts stand: answer STAGE_GO, with its state
  // to the stage
  STAGE_BEGIN = 'B',         // u32 zone_flags, as in the plan; u8: whether STAGE_SAYS_NETWORK is wanted
  STAGE_AHEAD = 'b',         // u32 flags of namespaces that a container's stage makes while the launcher plans
  STAGE_GROUND = 'g',        // u8 has_group, struct stage_ids; descriptors: as the plan's fd_run, fd_cgroup (if has_group), fd_tasks
  STAGE_PLAN = 'p',          // u8: whether more descriptors follow in another one; the first one's first is the plan
  STAGE_MAPPED = 'm',
  STAGE_GO = 'G',            // to a container, where it has hooks: with its state
  STAGE_ATTACH = 'A',        // send me the output
  STAGE_INPUT = 'I',
  STAGE_INPUT_END = 'E',
  STAGE_WINDOW = 'W',        // u16 rows, u16 columns
  STAGE_SIGNAL = 'K',        // i32 signal, to the command
  STAGE_STOPPING = 'Q',      // what comes is asked for: no restart
  STAGE_GOING_ON = 'q',      // it could not be asked to end: as it was
  STAGE_NAMESPACES = 'n',    // answer with the namespaces' descriptors
  STAGE_TERMINAL = 't',      // answer with the master of a new terminal of the zone
};

enum { STAGE_MESSAGE_ROOM = 16384 };

// STAGE_FILES: what is asked in the zone, on a SEQPACKET socket. The answer is STAGE_SAYS_DESCRIPTORS, or
// STAGE_SAYS_NO with an errno (0: done).
enum stage_file_request {
  STAGE_FILE_OPEN = 'o',     // i32 flags, i32 mode, path
  STAGE_FILE_MKDIR = 'd',    // i32 0, i32 mode, path
  STAGE_FILE_SYMLINK = 's',  // i32 0, i32 length of the target, target, path
};

#endif
