/*
 * The model's files come into the system's memory piece by piece, before llama.cpp maps them: so the
 * start tells how far it is, and can be given up. (Mapped as they lie on the disk they would be read
 * within one call.) Pieces that are in memory already are not read again, so that a machine's second
 * worker of a model has nothing to wait for. Where the system does not tell what is in memory, which
 * Linux keeps from those who could not write the file, that one call reads what is missing.
 */
#define PAGES_PIECE (16u << 20)
#define PAGES_READ (1u << 20)

static bool pages_are_here(uint8_t *at, uint64_t bytes, uint8_t *here) {
  uint64_t page = (uint64_t)getpagesize();
  if (mincore(at, bytes, here) != 0) return false;
  for (uint64_t i = 0; i < (bytes + page - 1) / page; i++)
    if (!(here[i] & 1)) return false;
  return true;
}

static void pages_count(struct tr_engine *e, uint64_t bytes) {
  double before = e->stats[TR_STAT_READ_BYTES], percent = e->stats[TR_STAT_FILE_BYTES] / 100;
  e->stats[TR_STAT_READ_BYTES] = before + (double)bytes;
  if ((int32_t)((before + (double)bytes) / percent) != (int32_t)(before / percent)) engine_wake(e);
}

/* `room`: PAGES_READ bytes, and one for each page of a piece behind them. */
static void pages_read(struct tr_engine *e, int fd, uint64_t size, uint8_t *room) {
  uint8_t *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  for (uint64_t at = 0; at < size && !e->closing; at += PAGES_PIECE) {
    uint64_t end = at + PAGES_PIECE < size ? at + PAGES_PIECE : size, from = at;
    if (map != MAP_FAILED && pages_are_here(map + at, end - at, room + PAGES_READ)) {
      pages_count(e, end - at);
      continue;
    }
    while (from < end && !e->closing) {
      uint64_t wanted = end - from < PAGES_READ ? end - from : PAGES_READ;
      ssize_t got = pread(fd, room, wanted, (int64_t)from);
      if (got <= 0) break; /* whoever maps the file says what is wrong */
      from += (uint64_t)got;
      pages_count(e, (uint64_t)got);
    }
  }
  if (map != MAP_FAILED) munmap(map, size);
}

/* The path of part `part`, from 1 on, of a model whose first part is `path`. */
static void pages_path(const char *path, uint64_t part, uint64_t parts, char *to, size_t size) {
  char first[40];
  snprintf(first, sizeof first, "-00001-of-%05llu.gguf", (unsigned long long)parts);
  size_t length = strlen(path), end = strlen(first);
  bool numbered = parts > 1 && length > end && strcmp(path + length - end, first) == 0;
  snprintf(to, size, "%s", path);
  if (numbered && length < size)
    snprintf(to + length - end, size - (length - end), "-%05llu-of-%05llu.gguf",
             (unsigned long long)part, (unsigned long long)parts);
}

/* Bytes of all parts of the model; of those that are not there none. */
static uint64_t pages_bytes(const char *path, uint64_t parts) {
  char part[4096];
  uint64_t bytes = 0;
  for (uint64_t i = 1; i <= parts; i++) {
    pages_path(path, i, parts, part, sizeof part);
    int fd = open(part, O_RDONLY);
    int64_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (fd >= 0) close(fd);
    if (size > 0) bytes = gguf_plus(bytes, (uint64_t)size);
  }
  return bytes;
}

/* Without memory for its own reading it leaves all to the library. */
static void pages_fetch(struct tr_engine *e, uint64_t parts) {
  char part[4096];
  uint8_t *room = malloc(PAGES_READ + PAGES_PIECE / (uint64_t)getpagesize());
  for (uint64_t i = 1; room && i <= parts && !e->closing; i++) {
    pages_path(e->model_path, i, parts, part, sizeof part);
    int fd = open(part, O_RDONLY);
    if (fd < 0) continue;
    int64_t size = lseek(fd, 0, SEEK_END);
    if (size > 0) pages_read(e, fd, (uint64_t)size, room);
    close(fd);
  }
  free(room);
}
