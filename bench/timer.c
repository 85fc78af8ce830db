// Times commands, from the spawn until the exit is reaped, in microseconds (CLOCK_MONOTONIC).
//   timer [--fifo] ROUNDS WARMUP <list
//                        each command ROUNDS times, in turn (A B C A B C …), after WARMUP rounds that do not count;
//                        prints LABEL, median, least and the 90th percentile, tab-separated. --fifo: under SCHED_FIFO,
//                        the commands too, which keeps what else the machine does out of all the times
//   timer --once <list   each command once, in order; prints LABEL and its time
// A line of the list: LABEL, then the program's path and its arguments, separated by tabs. A word `;` begins another
// command, timed with those before as one; with `;;` it waits until all that those have left behind has ended. A first
// word `@FILE`: all commands of the line enter that mount namespace (setns(2)) before they are executed. A command that
// ends with another status than 0 is named with what it wrote to stderr, and the timer ends with 1. It is the subreaper of
// all it starts, as an engine is of its containers.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMANDS = 4096, MAX_WORDS = 128 };
static char PATIENCE[] = ";;";

struct command {
  char *label;
  int namespace;  // a descriptor of the mount namespace it runs in, or -1
  // One argument list after the other, each with a NULL behind it, and one more NULL at the end; PATIENCE before those
  // that wait for what is left of the ones before.
  char *words[MAX_WORDS];
  double *samples;
};

static struct command commands[MAX_COMMANDS];
static int command_count;
extern char **environ;

static void die(const char *what) {
  fprintf(stderr, "timer: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void read_list(int rounds) {
  char *line = NULL;
  size_t room = 0;
  for (ssize_t length; (length = getline(&line, &room, stdin)) > 0;) {
    if (line[length - 1] == '\n') line[length - 1] = 0;
    if (!line[0]) continue;
    if (command_count == MAX_COMMANDS) {
      fprintf(stderr, "timer: more than %d commands\n", MAX_COMMANDS);
      exit(2);
    }
    struct command *command = &commands[command_count++];
    char *rest = strdup(line);
    command->label = strsep(&rest, "\t");
    command->namespace = -1;
    if (rest && rest[0] == '@') {
      char *file = strsep(&rest, "\t") + 1;
      command->namespace = open(file, O_RDONLY | O_CLOEXEC);
      if (command->namespace < 0) die(file);
    }
    int words = 0;
    for (char *word; (word = strsep(&rest, "\t"));) {
      if (words >= MAX_WORDS - 3) {
        fprintf(stderr, "timer: %s: more than %d words\n", command->label, MAX_WORDS - 3);
        exit(2);
      }
      int patient = !strcmp(word, PATIENCE);
      if (!patient && strcmp(word, ";")) {
        command->words[words++] = word;
        continue;
      }
      words++;
      if (patient) command->words[words++] = PATIENCE;
    }
    // At both ends of each `;` is a program.
    for (int i = 0; i <= words; i++)
      if (!command->words[i] && (!i || !command->words[i - 1] || command->words[i - 1] == PATIENCE)) {
        fprintf(stderr, "timer: %s: no program\n", command->label);
        exit(2);
      }
    command->samples = calloc(rounds, sizeof(double));
  }
  free(line);
}

/// Starts a program as posix_spawn(3) does, which knows no setns(2). What it says on stderr goes to a memory file.
static pid_t start(char **argv, int namespace, int words_of_it) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) die("/dev/null");
  // The child has our memory until it executes, and we stand still meanwhile.
  volatile int error = 0;
  pid_t pid = vfork();
  if (pid < 0) die("vfork");
  if (pid == 0) {
    if ((namespace >= 0 && setns(namespace, CLONE_NEWNS) < 0) || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(words_of_it, 2) < 0 || execve(argv[0], argv, environ) < 0)
      error = errno;
    _exit(127);
  }
  close(null);
  if (error) {
    errno = error;
    die(argv[0]);
  }
  return pid;
}

/// Waits for a process, and reaps on the way whatever else of ours ends.
static int reaped(pid_t pid) {
  int status;
  for (pid_t one; (one = waitpid(-1, &status, 0)) != pid;)
    if (one < 0 && errno != EINTR) die("waitpid");
  return status;
}

/// Runs a line's commands once and returns their time.
static double run(const struct command *command, int words_of_it) {
  // Of the one before the kernel still takes the groups and namespaces apart, which is not this one's to pay for.
  nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  while (waitpid(-1, NULL, WNOHANG) > 0) {}
  if (ftruncate(words_of_it, 0) < 0 || lseek(words_of_it, 0, SEEK_SET) < 0) die("memory file");
  double before = now();
  for (char *const *argv = command->words; *argv; argv++) {
    if (*argv == PATIENCE) {
      while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
      argv++;
    }
    int status = reaped(start((char **)argv, command->namespace, words_of_it));
    if (status) {
      char said[2000] = "";
      ssize_t length = pread(words_of_it, said, sizeof said - 1, 0);
      fprintf(stderr, "timer: %s: %s: %s %d: %.*s\n", command->label, argv[0], WIFEXITED(status) ? "status" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), (int)(length > 0 ? length : 0), said);
      exit(1);
    }
    while (*argv) argv++;
  }
  return now() - before;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "--fifo")) {
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10}) < 0) die("SCHED_FIFO");
    argc--, argv++;
  }
  int once = argc == 2 && !strcmp(argv[1], "--once");
  if (!once && argc != 3) {
    fprintf(stderr, "usage: timer [--fifo] ROUNDS WARMUP | timer --once  (commands on stdin)\n");
    return 2;
  }
  int rounds = once ? 1 : atoi(argv[1]), warmup = once ? 0 : atoi(argv[2]);
  if (rounds < 1 || rounds > 1000000 || warmup < 0) {
    fprintf(stderr, "timer: ROUNDS must be 1 to 1000000, WARMUP 0 or more\n");
    return 2;
  }
  read_list(rounds);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) die("PR_SET_CHILD_SUBREAPER");
  int words_of_it = memfd_create("stderr", MFD_CLOEXEC);
  if (words_of_it < 0) die("memfd_create");
  for (int round = -warmup; round < rounds; round++)
    for (int i = 0; i < command_count; i++) {
      double time = run(&commands[i], words_of_it);
      if (round >= 0) commands[i].samples[round] = time;
      if (once) {
        printf("%s\t%.1f\n", commands[i].label, time);
        fflush(stdout);
      }
    }
  for (int i = 0; !once && i < command_count; i++) {
    double *samples = commands[i].samples;
    qsort(samples, rounds, sizeof *samples, ascending);
    double median = rounds % 2 ? samples[rounds / 2] : (samples[rounds / 2 - 1] + samples[rounds / 2]) / 2;
    printf("%s\t%.1f\t%.1f\t%.1f\n", commands[i].label, median, samples[0], samples[(rounds - 1) * 9 / 10]);
  }
  return 0;
}
