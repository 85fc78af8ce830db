// Times commands, from the spawn until the exit is reaped, in microseconds (CLOCK_MONOTONIC).
//   timer [--fifo] ROUNDS WARMUP <list
//                        each command ROUNDS times, in turn (A B C A B C …), after WARMUP rounds that do not count;
//                        prints LABEL, median, least and the 90th percentile, tab-separated. --fifo: under SCHED_FIFO,
//                        the commands too, which keeps what else the machine does out of all the times
//   timer --once <list   each command once, in order; prints LABEL and its time
// A line of the list: LABEL, then the program's path and its arguments, separated by tabs. A command that ends with
// another status than 0 is named with what it wrote to stderr, and the timer ends with 1.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COMMANDS = 4096, MAX_WORDS = 64 };

struct command {
  char *label;
  char *argv[MAX_WORDS];
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
    int words = 0;
    for (char *word; (word = strsep(&rest, "\t"));) {
      if (words == MAX_WORDS - 1) {
        fprintf(stderr, "timer: %s: more than %d words\n", command->label, MAX_WORDS - 1);
        exit(2);
      }
      command->argv[words++] = word;
    }
    if (!words) {
      fprintf(stderr, "timer: %s: no program\n", command->label);
      exit(2);
    }
    command->samples = calloc(rounds, sizeof(double));
  }
  free(line);
}

/// Runs a command once and returns its time. What it says goes to a memory file, shown only where it fails.
static double run(const struct command *command, int words_of_it) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, words_of_it, 2);
  pid_t pid;
  int status;
  // Of the one before the kernel still takes the groups and namespaces apart, which is not this one's to pay for.
  nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  double start = now();
  int error = posix_spawn(&pid, command->argv[0], &actions, NULL, command->argv, environ);
  if (error) {
    errno = error;
    die(command->argv[0]);
  }
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) die("waitpid");
  double time = now() - start;
  posix_spawn_file_actions_destroy(&actions);
  if (status) {
    char said[2000] = "";
    ssize_t length = pread(words_of_it, said, sizeof said - 1, 0);
    fprintf(stderr, "timer: %s: %s %d: %.*s\n", command->label, WIFEXITED(status) ? "status" : "signal",
            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), (int)(length > 0 ? length : 0), said);
    exit(1);
  }
  return time;
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
