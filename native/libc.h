/*
 * The few C library prototypes the shim uses, declared here so that it builds with no header at
 * all: Bun's own C compiler finds none on a bare machine, and its private copies of the compiler's
 * headers lie in one temporary folder that every starting process writes again, so two at once
 * would see half a file. 64-bit Linux and macOS only.
 */
#ifndef TROUPE_LIBC_H
#define TROUPE_LIBC_H

typedef __SIZE_TYPE__ size_t;
#define NULL ((void *)0)
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
#if defined(__APPLE__)
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
typedef long int64_t;
typedef unsigned long uint64_t;
#endif
typedef long ssize_t;
#define bool _Bool
#define true 1
#define false 0

#define INT32_MIN (-2147483647 - 1)
#define INT32_MAX 2147483647
#define UINT32_MAX 4294967295u
#define UINT64_MAX 18446744073709551615ul

/* memory and strings */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void free(void *memory);
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strstr(const char *text, const char *part);
int snprintf(char *to, size_t size, const char *format, ...);
double strtod(const char *text, char **end);
long strtol(const char *text, char **end, int base);
long long strtoll(const char *text, char **end, int base);

/* numbers */
float expf(float x);
float logf(float x);
float sqrtf(float x);
double exp(double x);
double log(double x);
double sqrt(double x);
double fabs(double x);
float fabsf(float x);

/* files */
int open(const char *path, int flags, ...);
int close(int fd);
ssize_t read(int fd, void *to, size_t size);
ssize_t write(int fd, const void *from, size_t size);
int64_t lseek(int fd, int64_t offset, int whence);
int pipe(int fds[2]);
int fcntl(int fd, int command, ...);
ssize_t pread(int fd, void *to, size_t size, int64_t offset);
void *mmap(void *at, size_t bytes, int protection, int flags, int fd, int64_t offset);
int munmap(void *at, size_t bytes);
int mincore(void *at, size_t bytes, unsigned char *here);
int getpagesize(void);
#define PROT_READ 1
#define MAP_SHARED 1
#define MAP_FAILED ((void *)-1)
int rename(const char *from, const char *to);
int unlink(const char *path);
int mkdir(const char *path, unsigned mode);
int getpid(void);
#define O_RDONLY 0
#define O_WRONLY 1
#define SEEK_SET 0
#define SEEK_END 2
#define F_SETFD 2
#define F_SETFL 4
#define FD_CLOEXEC 1
#if defined(__APPLE__)
#define O_NONBLOCK 4
#define O_CREAT 0x200
#define O_TRUNC 0x400
#else
#define O_NONBLOCK 2048
#define O_CREAT 0100
#define O_TRUNC 01000
#endif

/* threads: the types are opaque and larger than every platform's own */
typedef struct troupe_pthread_opaque *pthread_t;
int pthread_create(pthread_t *thread, const void *attributes, void *(*body)(void *),
                   void *argument);
int pthread_join(pthread_t thread, void **result);

/* time: seconds and nanoseconds, both long on every 64-bit platform meant here */
struct troupe_timespec {
  long tv_sec;
  long tv_nsec;
};
int clock_gettime(int clock, struct troupe_timespec *to);
#if defined(__APPLE__)
#define TROUPE_CLOCK_MONOTONIC 6
#else
#define TROUPE_CLOCK_MONOTONIC 1
#endif

/* dynamic libraries */
void *dlopen(const char *path, int flags);
void *dlsym(void *library, const char *name);
char *dlerror(void);
#define RTLD_NOW 2
#if defined(__APPLE__)
#define RTLD_GLOBAL 8
#else
#define RTLD_GLOBAL 256
#endif

/*
 * Counting semaphores carry the ring cursors (ring.c): they publish with release and take with
 * acquire order on every processor, and need neither compiler atomics, which Bun's compiler
 * lacks, nor a lock that a preempted thread could hold.
 */
#if defined(__APPLE__)
typedef void *troupe_sem;
void *dispatch_semaphore_create(long value);
long dispatch_semaphore_signal(void *semaphore);
long dispatch_semaphore_wait(void *semaphore, uint64_t until);
void dispatch_release(void *object);
static int troupe_sem_init(troupe_sem *s) { return (*s = dispatch_semaphore_create(0)) ? 0 : -1; }
static void troupe_sem_free(troupe_sem *s) { dispatch_release(*s); }
static void troupe_sem_post(troupe_sem *s) { dispatch_semaphore_signal(*s); }
static int troupe_sem_try(troupe_sem *s) { return dispatch_semaphore_wait(*s, 0) == 0; }
static void troupe_sem_wait(troupe_sem *s) { dispatch_semaphore_wait(*s, ~(uint64_t)0); }
uint64_t dispatch_time(uint64_t when, int64_t delta_ns);
static bool troupe_sem_wait_us(troupe_sem *s, uint32_t us) {
  return dispatch_semaphore_wait(*s, dispatch_time(0, (int64_t)us * 1000)) == 0;
}
#else
typedef union {
  char bytes[64];
  long align;
} troupe_sem;
int sem_init(troupe_sem *s, int shared, unsigned value);
int sem_destroy(troupe_sem *s);
int sem_post(troupe_sem *s);
int sem_wait(troupe_sem *s);
int sem_trywait(troupe_sem *s);
int sem_timedwait(troupe_sem *s, const struct troupe_timespec *until);
static int troupe_sem_init(troupe_sem *s) { return sem_init(s, 0, 0); }
static void troupe_sem_free(troupe_sem *s) { sem_destroy(s); }
static void troupe_sem_post(troupe_sem *s) { sem_post(s); }
static int troupe_sem_try(troupe_sem *s) { return sem_trywait(s) == 0; }
static void troupe_sem_wait(troupe_sem *s) {
  while (sem_wait(s) != 0) { /* interrupted by a signal */
  }
}
/* False when the time is up; a signal ends the wait early, as if it were. */
static bool troupe_sem_wait_us(troupe_sem *s, uint32_t us) {
  struct troupe_timespec until;
  clock_gettime(0, &until); /* CLOCK_REALTIME, which sem_timedwait reads */
  until.tv_nsec += (long)us * 1000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  return sem_timedwait(s, &until) == 0;
}
#endif

#endif
