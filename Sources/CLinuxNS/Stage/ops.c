// Runs the plan's ops. They know no policy: what to do, in which order and with what is the plan's.
#include "container.h"
#include "inside.h"
#include "network.h"
#include "ops.h"

int root_fd = -1, userns_fd = -1, master_fd = -1, slave_fd = -1, devpts_fd = -1;
uint32_t fs_uid, fs_gid;

long attach(int tree, int to) {
  forget_parent();
  return SYS5(__NR_move_mount, tree, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

long enter_new_root(int fd) {
  forget_parent();
  if (root_fd >= 0) sys_close(root_fd);
  root_fd = fd;
  return SYS1(__NR_fchdir, fd);
}

/// Each change makes new credentials (1 us), and neighbours mostly want the same.
void switch_fsids(uint32_t uid, uint32_t gid) {
  static uint32_t now_uid, now_gid;
  if (uid == now_uid && gid == now_gid) return;
  SYS1(__NR_setfsgid, gid);
  SYS1(__NR_setfsuid, uid);
  now_uid = uid, now_gid = gid;
}

long raise_all(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  long result = SYS2(__NR_capget, &header, data);
  if (result < 0) return result;
  data[0].effective = data[0].permitted;
  data[1].effective = data[1].permitted;
  return SYS2(__NR_capset, &header, data);
}

static long run_op(const struct stage_op *op) {
  // Devices are the host's to make.
  if (op->code == STAGE_OP_DEVICE) switch_fsids(0, 0);
  else switch_fsids(fs_uid, fs_gid);
  switch (op->code) {
    case STAGE_OP_NONE: return 0;
    case STAGE_OP_ROOT_TMPFS: return root_tmpfs(op);
    case STAGE_OP_ROOT_TREE: return root_tree(op);
    case STAGE_OP_HOST_TREE: return host_tree(op);
    case STAGE_OP_ROOT_OVERLAY: return root_overlay(op);
    case STAGE_OP_FSIDS:
      fs_uid = (uint32_t)op->a, fs_gid = (uint32_t)op->b;
      switch_fsids(fs_uid, fs_gid);
      return 0;
    case STAGE_OP_MKDIR: return directory(op);
    case STAGE_OP_SYMLINK: return symbolic_link(op);
    case STAGE_OP_FILE: return file(op);
    case STAGE_OP_COPY: return copy(op);
    case STAGE_OP_ATTACH: return attach_source(op);
    case STAGE_OP_MOUNT: return mount_type(op);
    case STAGE_OP_OVERLAY: return overlay(op);
    case STAGE_OP_DEVICE: return device(op);
    case STAGE_OP_READ_ONLY: return read_only(op);
    case STAGE_OP_ENTER_ROOT: return enter_root();
    case STAGE_OP_MASK: return mask(op);
    case STAGE_OP_READ_ONLY_PATH: return read_only_path(op);
    case STAGE_OP_PIVOT: return pivot();
    case STAGE_OP_HOSTNAME: return SYS2(__NR_sethostname, text(op->text[0]), length(text(op->text[0])));
    case STAGE_OP_LOOPBACK: return loopback_is_up ? 0 : loopback();
    case STAGE_OP_NETWORK: return enter_network(&zone_network);
    case STAGE_OP_WRITE: return kernel_file(op);
    case STAGE_OP_TERMINAL: return terminal(op);
    case STAGE_OP_RLIMIT: {
      uint64_t limit[2] = {op->a, op->b};
      return SYS4(__NR_prlimit64, 0, op->flags, limit, 0);
    }
    case STAGE_OP_IDS: return ids(op);
    case STAGE_OP_CHDIR: return change_directory(op);
    case STAGE_OP_BOUNDING: return bounding(op->a);
    case STAGE_OP_CAPABILITIES: return capabilities(op->a, op->b);
    case STAGE_OP_NO_NEW_PRIVS: return sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    case STAGE_OP_SECCOMP: return seccomp(op);
    case STAGE_OP_OOM_SCORE: return write_file("/proc/self/oom_score_adj", text(op->text[0]));
    case STAGE_OP_KEYRING: return keyring();
    case STAGE_OP_DEATH_SIGNAL: return sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    case STAGE_OP_PROPAGATION: return propagation(op);
    case STAGE_OP_ATTRIBUTES: return set_attributes(op->fd, op);
    case STAGE_OP_NODE: return node(op);
    case STAGE_OP_MOUNTED: return mounted();
    case STAGE_OP_LEAVE_ROOT: return leave_root();
    case STAGE_OP_DOMAINNAME: return SYS2(__NR_setdomainname, text(op->text[0]), length(text(op->text[0])));
    case STAGE_OP_CONSOLE: return console(op);
    case STAGE_OP_LABEL: return write_file(text(op->text[0]), text(op->text[1]));
    case STAGE_OP_FIND: return find_command(op);
    case STAGE_OP_HARD_LIMIT: return hard_limit(op);
    case STAGE_OP_UMASK: return SYS1(__NR_umask, op->a), 0;
    case STAGE_OP_CAPABILITY_SETS: return capability_sets(op);
    case STAGE_OP_STDIO_OWNER: return stdio_owner(op);
    case STAGE_OP_HOME: return home(op);
    case STAGE_OP_PERSONALITY: return SYS1(__NR_personality, op->a);
    case STAGE_OP_SCHEDULER: return SYS3(__NR_sched_setattr, 0, text(op->text[0]), 0);
    case STAGE_OP_IO_PRIORITY: return SYS3(__NR_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, op->a);
    case STAGE_OP_AFFINITY: return SYS3(__NR_sched_setaffinity, 0, op->a, text(op->text[0]));
    case STAGE_OP_MEMORY_POLICY: return SYS3(__NR_set_mempolicy, op->a, op->b ? text(op->text[0]) : 0, op->b);
    case STAGE_OP_LANDLOCK: return landlock(op);
    default: return -ENOSYS;
  }
}

long run_section(int section, int32_t *step) {
  struct stage_range range = plan->section[section];
  for (uint32_t i = 0; i < range.count; i++) {
    long result = run_op(op_at(range.first + i));
    if (result < 0) {
      *step = (int32_t)(range.first + i);
      return result;
    }
  }
  forget_parent();
  fs_uid = fs_gid = 0;
  if (section == STAGE_SECTION_TREE) switch_fsids(0, 0), raise_all();
  return 0;
}
