// Loaded into a broker with LD_PRELOAD: its time of day is off by the seconds that the file FALSE_CLOCK holds, read again every 50 ms;
// clocks that only measure run on unchanged. Each new value is noted in FALSE_CLOCK.seen, so that a test can prove that it had effect.
// (libfaketime does more, but a JVM does not start under it.)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec*);
static atomic_long offset, next_look_ns;

__attribute__((constructor)) static void find(void) {
  real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
}

static void look(const char* name) {
  char text[32] = "", seen[PATH_MAX];
  const int file = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
  if (file < 0) return;
  const long got = syscall(SYS_read, file, text, sizeof text - 1);
  syscall(SYS_close, file);
  const long value = got > 0 ? atol(text) : 0;
  if (atomic_exchange(&offset, value) == value) return;
  snprintf(seen, sizeof seen, "%s.seen", name);
  const int note = (int)syscall(SYS_openat, AT_FDCWD, seen, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (note < 0) return;
  syscall(SYS_write, note, text, got);
  syscall(SYS_close, note);
}

static long off(void) {
  const char* name = getenv("FALSE_CLOCK");
  struct timespec now;
  if (name == NULL || real == NULL || real(CLOCK_MONOTONIC, &now) != 0) return 0;
  const long ns = now.tv_sec * 1000000000L + now.tv_nsec;
  long due = atomic_load(&next_look_ns);
  if (ns >= due && atomic_compare_exchange_strong(&next_look_ns, &due, ns + 50000000L)) look(name);
  return atomic_load(&offset);
}

int clock_gettime(clockid_t clock, struct timespec* out) {
  if (real == NULL) find();
  const int result = real(clock, out);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += off();
  return result;
}

int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  (void)zone;
  struct timespec now;
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return result;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
