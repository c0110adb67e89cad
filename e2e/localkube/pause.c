/* Holds a pod's namespaces open: waits for a signal to stop, and reaps the orphans of pods that share one PID namespace. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal_number) {
  (void)signal_number;
  _exit(0);
}

static void reap(int signal_number) {
  (void)signal_number;
  while (waitpid(-1, 0, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction stopping = {.sa_handler = stop};
  struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGINT, &stopping, 0);
  sigaction(SIGTERM, &stopping, 0);
  sigaction(SIGCHLD, &reaping, 0);
  for (;;) pause();
}
