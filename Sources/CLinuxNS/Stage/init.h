#ifndef INIT_H
#define INIT_H
/// Never returns. `exec_pipe` ends, close-on-exec, when the command was executed.
__attribute__((noreturn)) void be_first_process(int gate, int exec_pipe);
#endif
