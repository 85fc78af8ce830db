#ifndef OPS_H
#define OPS_H
#include "kernel.h"

// What the ops share
/// Who files are made as on the host's side (STAGE_OP_FSIDS).
extern uint32_t fs_uid, fs_gid;
void switch_fsids(uint32_t uid, uint32_t gid);
/// setfsuid to another id drops the file capabilities from the effective set; this takes them up again.
long raise_all(void);
/// Moves a detached tree onto what `to` names.
long attach(int tree, int to);
/// `fd` becomes the root, and the working directory.
long enter_new_root(int fd);

// tree_ops.c
long root_tmpfs(const struct stage_op *op);
long root_tree(const struct stage_op *op);
long host_tree(const struct stage_op *op);
long root_overlay(const struct stage_op *op);
long attach_source(const struct stage_op *op);
long mount_type(const struct stage_op *op);
long overlay(const struct stage_op *op);
long read_only(const struct stage_op *op);

// file_ops.c
long directory(const struct stage_op *op);
long symbolic_link(const struct stage_op *op);
long file(const struct stage_op *op);
long copy(const struct stage_op *op);
long device(const struct stage_op *op);

// zone_ops.c
long enter_root(void);
long mask(const struct stage_op *op);
long read_only_path(const struct stage_op *op);
long pivot(void);
long let_go(void);
long loopback(void);
/// Of the network namespace that was made ahead.
extern int loopback_is_up;
long kernel_file(const struct stage_op *op);
long terminal(const struct stage_op *op);

// process_ops.c
long ids(const struct stage_op *op);
long change_directory(const struct stage_op *op);
long bounding(uint64_t keep);
long capabilities(uint64_t effective, uint64_t ambient);
long capability_sets(const struct stage_op *op);
long seccomp(const struct stage_op *op);
long keyring(void);
long landlock(const struct stage_op *op);

// home.c
long home(const struct stage_op *op);

// container_ops.c
long propagation(const struct stage_op *op);
long node(const struct stage_op *op);
long leave_root(void);
long console(const struct stage_op *op);
long stdio_owner(const struct stage_op *op);
long hard_limit(const struct stage_op *op);
long find_command(const struct stage_op *op);

// copy_up.c
/// Mounts op's tmpfs, with options `data`, on the working directory, which `to` is, with a copy of what is there.
long copy_up(int to, const struct stage_op *op, const char *source, const char *data);

// tree_ops.c
/// A mount's attributes: before it is attached.
long set_attributes(int tree, const struct stage_op *op);

#endif
