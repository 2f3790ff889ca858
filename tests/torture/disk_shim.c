/* Stands between a server and its disk (LD_PRELOAD): writes down what reaches database files and sockets, in one order, and fails on demand.
 *
 * DISK_SHIM_LOG      the record, appended: one entry for each write, truncation, sync and sent answer
 * DISK_SHIM_CONTROL  four bytes, read at every call: errno for writes, errno for syncs, errno for reads (0: work as usual), 1 to record
 *
 * Only files whose name holds ".sqlite" count, and of those not the shared memory (-shm), which no power cut needs to survive.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FDS 65536
#define FAIL_WRITE 0
#define FAIL_SYNC 1
#define FAIL_READ 2
#define RECORD 3

struct entry {
    char kind; /* W write, T truncate, B sync begins, E sync ended well, F sync failed, S sent to a socket, O opened, U unlinked */
    char pad[3];
    int32_t file; /* the number of a file's name, or the socket */
    int64_t offset;
    int64_t length; /* bytes that follow */
} __attribute__((packed));

static int record_fd = -1;
static volatile unsigned char *control;
static unsigned char quiet[4];
static int files[MOST_FDS]; /* 0: not a database file, else the number of its name */
static char *names[256];
static int named;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_pread)(int, void *, size_t, off64_t);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off64_t);
static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void begin(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    real_send = dlsym(RTLD_NEXT, "send");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    control = quiet;
    const char *path = getenv("DISK_SHIM_CONTROL");
    int fd = path ? real_open(path, O_RDWR) : -1;
    if (fd >= 0) {
        void *mapped = mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);
        if (mapped != MAP_FAILED) control = mapped;
        real_close(fd);
    }
    path = getenv("DISK_SHIM_LOG");
    if (path) record_fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(char kind, int file, int64_t offset, const void *data, int64_t length) {
    if (record_fd < 0 || !control[RECORD]) return;
    struct entry head = {kind, {0, 0, 0}, file, offset, data ? length : 0};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, data ? (size_t)length : 0}};
    pthread_mutex_lock(&lock);
    if (real_writev(record_fd, parts, data ? 2 : 1) != (ssize_t)(sizeof head + head.length)) abort();
    pthread_mutex_unlock(&lock);
}

static int number_of(int fd) { return fd >= 0 && fd < MOST_FDS ? files[fd] : 0; }

/* The number of a database file's name, made if it is new; 0 for any other file. */
static int number_for(const char *path) {
    if (!strstr(path, ".sqlite") || strstr(path, "-shm")) return 0;
    pthread_mutex_lock(&lock);
    int number = 0;
    while (number < named && strcmp(names[number], path)) number++;
    int is_new = number == named;
    if (is_new && named == 255) abort();
    if (is_new) names[named++] = strdup(path);
    pthread_mutex_unlock(&lock);
    if (is_new) put('O', number + 1, 0, path, strlen(path));
    return number + 1;
}

static void opened(int fd, const char *path) {
    if (fd >= 0 && fd < MOST_FDS) files[fd] = number_for(path);
}

static int fails(int what, int fd) {
    if (!number_of(fd) || !control[what]) return 0;
    errno = control[what];
    return 1;
}

static int any_open(const char *path, int flags, mode_t mode) {
    int fd = real_open(path, flags, mode);
    int kept = errno;
    opened(fd, path);
    errno = kept;
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return any_open(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return any_open(path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < MOST_FDS) files[fd] = 0;
    return real_close(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    if (fails(FAIL_WRITE, fd)) return -1;
    ssize_t written = real_pwrite(fd, data, length, offset);
    if (written > 0 && number_of(fd)) put('W', number_of(fd), offset, data, written);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t pread64(int fd, void *data, size_t length, off64_t offset) {
    if (fails(FAIL_READ, fd)) return -1;
    return real_pread(fd, data, length, offset);
}

ssize_t pread(int fd, void *data, size_t length, off_t offset) { return pread64(fd, data, length, offset); }

int ftruncate64(int fd, off64_t length) {
    if (fails(FAIL_WRITE, fd)) return -1;
    int result = real_ftruncate(fd, length);
    if (!result && number_of(fd)) put('T', number_of(fd), length, NULL, 0);
    return result;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int unlink(const char *path) {
    int result = real_unlink(path);
    int file = result ? 0 : number_for(path);
    if (file) put('U', file, 0, NULL, 0);
    return result;
}

static int any_sync(int fd, int (*real)(int)) {
    int file = number_of(fd);
    if (!file) return real(fd);
    put('B', file, 0, NULL, 0);
    if (fails(FAIL_SYNC, fd)) {
        put('F', file, 0, NULL, 0);
        errno = control[FAIL_SYNC] ? control[FAIL_SYNC] : EIO;
        return -1;
    }
    /* The disk is a record here: what the real one does with it costs time and shows nothing. */
    put('E', file, 0, NULL, 0);
    return 0;
}

int fsync(int fd) { return any_sync(fd, real_fsync); }
int fdatasync(int fd) { return any_sync(fd, real_fdatasync); }

ssize_t send(int fd, const void *data, size_t length, int flags) {
    put('S', fd, 0, data, length);
    return real_send(fd, data, length, flags);
}
