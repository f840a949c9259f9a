/* How much memory is free, so that a model that cannot fit is refused instead of being killed. */

/* The first number after `key` in the file, or -1. */
static int64_t memory_number(const char *path, const char *key) {
  char text[4096];
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return -1;
  text[got] = 0;
  char *at = strstr(text, key);
  if (!at) return -1;
  char *from = at + strlen(key), *end = from;
  int64_t value = strtoll(from, &end, 10);
  return end == from ? -1 : value;
}

#if defined(__APPLE__)
int sysctlbyname(const char *name, void *to, size_t *size, void *from, size_t from_size);
#endif

/* Bytes this process may still take: the machine's, or its control group's when that is less. */
static uint64_t memory_available(void) {
#if defined(__APPLE__)
  uint64_t bytes = 0;
  size_t size = sizeof bytes;
  return sysctlbyname("hw.memsize", &bytes, &size, NULL, 0) == 0 ? bytes : UINT64_MAX;
#else
  int64_t kib = memory_number("/proc/meminfo", "MemAvailable:");
  uint64_t free_bytes = kib < 0 ? UINT64_MAX : (uint64_t)kib * 1024;
  int64_t limit = memory_number("/sys/fs/cgroup/memory.max", "");
  int64_t used = memory_number("/sys/fs/cgroup/memory.current", "");
  /* Clean page cache counts as used there, but gives way. */
  int64_t cache = memory_number("/sys/fs/cgroup/memory.stat", "inactive_file ");
  if (limit > 0 && used >= 0) {
    int64_t left = limit - used + (cache > 0 ? cache : 0);
    if (left < 0) left = 0;
    if ((uint64_t)left < free_bytes) free_bytes = (uint64_t)left;
  }
  return free_bytes;
#endif
}
