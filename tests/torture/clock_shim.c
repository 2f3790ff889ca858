/* Sets the wall clock of one process to another time, and lets it jump: preload it (Linux).
 *
 * CLOCK_SHIM_CONTROL names a file of eight bytes: by how many nanoseconds the wall clock is off, as a signed integer of the machine. The file is mapped,
 * so that a change is seen at once. The monotonic clock and all timers of the system are as they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL

static volatile int64_t *off;
static int64_t none;

static int64_t offset(void)
{
    if (!off) {
        const char *name = getenv("CLOCK_SHIM_CONTROL");
        int file = name ? open(name, O_RDONLY) : -1;
        void *map = file >= 0 ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
        off = map == MAP_FAILED ? &none : map;
        if (file >= 0)
            close(file);
    }
    return *off;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, at);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t now = at->tv_sec * BILLION + at->tv_nsec + offset();
        at->tv_sec = now / BILLION;
        at->tv_nsec = now % BILLION;
    }
    return status;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    int status = clock_gettime(CLOCK_REALTIME, &now);
    (void)zone;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return status;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
