/* Writes down what a process does to the files below one folder: every write, truncation, name and sync, in order.
 *
 * Loaded before the C library (LD_PRELOAD), so that it sees the database's calls as well as Python's. A record is a
 * head and a body; `tests/chaos/disk.py` reads them. A sync is written down when it begins and when it has ended: what
 * was written before it began is on the disk once it has ended, and nothing else is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPENED = 1, WRITTEN, CUT, SYNC_BEGUN, SYNC_ENDED, RENAMED, REMOVED };

struct head {
    uint32_t kind, pid;
    uint64_t file;    /* number of an open file within its process, or of a sync */
    uint64_t offset;  /* of a write, size of a truncation, flags of an opening */
    uint64_t length;  /* of the body */
} __attribute__((packed));

#define MOST 65536
static uint64_t files[MOST];
static uint64_t last;
static int log_fd = -1;
static char root[4096];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("DISK_LOG_ROOT"), *path = getenv("DISK_LOG");
    if (!folder || !path) return;
    strncpy(root, folder, sizeof root - 1);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int wanted(const char *path) {
    size_t n = strlen(root), length = path ? strlen(path) : 0;
    if (log_fd < 0 || !path || strncmp(path, root, n) || (path[n] && path[n] != '/')) return 0;
    return !(length > 4 && !strcmp(path + length - 4, "-shm"));
}

static void note(uint32_t kind, uint64_t file, uint64_t offset, const void *body, uint64_t length) {
    struct head head = {kind, (uint32_t)getpid(), file, offset, length};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)body, length}};
    int saved = errno;
    (void)!syscall(SYS_writev, log_fd, parts, body ? 2 : 1);
    errno = saved;
}

static int followed(int fd) { return log_fd >= 0 && fd >= 0 && fd < MOST && files[fd]; }

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    if (folder != AT_FDCWD || !wanted(path)) return (int)syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && fd < MOST) {
        files[fd] = ++last;
        note(OPENED, last, (uint64_t)flags, path, strlen(path));
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE_OF(flags) return open_at(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE_OF(flags) return open_at(folder, path, flags, mode); }

int close(int fd) {
    if (log_fd >= 0 && fd == log_fd) return 0;
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < MOST) files[fd] = 0;
    int done = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    if (!followed(fd)) return syscall(SYS_write, fd, data, size);
    pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_write, fd, data, size);
    if (done > 0) note(WRITTEN, files[fd], (uint64_t)(syscall(SYS_lseek, fd, 0, SEEK_CUR) - done), data, (uint64_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t write_at(int fd, const void *data, size_t size, off64_t offset) {
    if (!followed(fd)) return syscall(SYS_pwrite64, fd, data, size, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, offset);
    if (done > 0) note(WRITTEN, files[fd], (uint64_t)offset, data, (uint64_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return write_at(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return write_at(fd, data, size, offset); }

static int cut(int fd, off64_t size) {
    if (!followed(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (!done) note(CUT, files[fd], (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut(fd, size); }

static int sync_with(long number, int fd) {
    if (!followed(fd)) return (int)syscall(number, fd);
    pthread_mutex_lock(&lock);
    uint64_t sync = ++last;
    note(SYNC_BEGUN, files[fd], sync, NULL, 0);
    pthread_mutex_unlock(&lock);
    int done = (int)syscall(number, fd);
    if (!done) {
        pthread_mutex_lock(&lock);
        note(SYNC_ENDED, sync, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }

int rename(const char *from, const char *to) {
    if (!wanted(from) || !wanted(to)) return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    char both[8192];
    size_t n = strlen(from) + 1, m = strlen(to);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (!done && n + m < sizeof both) {
        memcpy(both, from, n);
        memcpy(both + n, to, m);
        note(RENAMED, 0, 0, both, n + m);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    if (!wanted(path)) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!done) note(REMOVED, 0, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    return done;
}
