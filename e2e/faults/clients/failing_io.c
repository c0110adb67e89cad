// Loaded into a broker with LD_PRELOAD: while the file FAILING_IO_SWITCH exists, what it names fails with EIO for files below
// FAILING_IO_FOLDER. Its content is "write" (data and sync) or "sync" (only fsync, fdatasync). Each refusal adds a byte to
// FAILING_IO_SWITCH.count, so that a test can prove that the fault had effect.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int wanted(int fd, int is_write) {
  const char* name = getenv("FAILING_IO_SWITCH");
  const char* folder = getenv("FAILING_IO_FOLDER");
  if (name == NULL || folder == NULL || syscall(SYS_access, name, F_OK) != 0) return 0;
  char link[64], path[PATH_MAX], what[8] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  if (strncmp(path, folder, strlen(folder)) != 0) return 0;
  const int control = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
  if (control < 0) return 0;
  const long got = syscall(SYS_read, control, what, sizeof what - 1);
  syscall(SYS_close, control);
  if (got <= 0 || (is_write && strncmp(what, "write", 5) != 0)) return 0;
  char count[PATH_MAX];
  snprintf(count, sizeof count, "%s.count", name);
  const int counter = (int)syscall(SYS_openat, AT_FDCWD, count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (counter >= 0) {
    syscall(SYS_write, counter, "x", 1);
    syscall(SYS_close, counter);
  }
  errno = EIO;
  return 1;
}

#define REAL(type, name, ...)                              \
  static type (*real)(__VA_ARGS__);                        \
  if (real == NULL) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void* data, size_t size) {
  REAL(ssize_t, write, int, const void*, size_t);
  return wanted(fd, 1) ? -1 : real(fd, data, size);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  REAL(ssize_t, pwrite64, int, const void*, size_t, off64_t);
  return wanted(fd, 1) ? -1 : real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec* parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec*, int);
  return wanted(fd, 1) ? -1 : real(fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) {
  REAL(ssize_t, pwritev64, int, const struct iovec*, int, off64_t);
  return wanted(fd, 1) ? -1 : real(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }

int fsync(int fd) {
  REAL(int, fsync, int);
  return wanted(fd, 0) ? -1 : real(fd);
}

int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  return wanted(fd, 0) ? -1 : real(fd);
}
