/*
 * A file a block: a page of header, then the bytes, padded to a whole page for direct I/O.
 *
 *   name.PID.THREAD ──write, checksum──▶ rename ──▶ name
 *
 * A file appears whole or not at all; whatever still goes wrong with it (a power cut, a flipped
 * bit, another release) is seen by its header and its checksum when it is read.
 */
int rename(const char *from, const char *to);
int unlink(const char *path);
int posix_memalign(void **to, size_t align, size_t size);
struct kv_piece {
  void *at;
  size_t bytes;
};
ssize_t preadv(int fd, const struct kv_piece *pieces, int count, int64_t offset);
ssize_t pwritev(int fd, const struct kv_piece *pieces, int count, int64_t offset);
int getpid(void);
#if defined(__APPLE__)
int *__error(void);
#define KV_ERRNO (*__error())
#define KV_O_TRUNC 0x400
#define KV_O_DIRECT 0
#define KV_EINTR 4
#define KV_ENOENT 2
#define KV_ENOSPC 28
#define KV_EDQUOT 69
#define KV_F_NOCACHE 48
#else
int *__errno_location(void);
#define KV_ERRNO (*__errno_location())
#define KV_O_TRUNC 01000
#if defined(__aarch64__)
#define KV_O_DIRECT 0200000
#else
#define KV_O_DIRECT 040000
#endif
#define KV_EINTR 4
#define KV_ENOENT 2
#define KV_ENOSPC 28
#define KV_EDQUOT 122
#endif
#define KV_O_WRONLY 1

#define KV_FILE_MAGIC 0x314B4C42564B5254ul /* "TRKVBLK1" */

struct kv_header {
  uint64_t magic;
  uint64_t identity[2];
  uint64_t bytes; /* of the block */
  uint64_t sum;   /* of the block */
  uint64_t own;   /* of the header up to here */
  uint64_t name;  /* of the file: one under another's name is another block */
};
#define KV_HEADER_SUMMED (5 * sizeof(uint64_t))

/* A sum of the name, without its folder. */
static uint64_t file_name(const char *path) {
  const char *name = path;
  for (const char *at = path; *at != 0; at++)
    if (*at == '/') name = at + 1;
  return xxh3(name, strlen(name));
}

static size_t file_padded(uint64_t bytes) {
  return (size_t)((bytes + TR_KV_ALIGN - 1) / TR_KV_ALIGN * TR_KV_ALIGN);
}

/* Past the page cache where the file system can: the blocks are cached in memory already. */
static int file_open(const char *path, int flags) {
  int fd = -1;
  if (KV_O_DIRECT) fd = open(path, flags | KV_O_DIRECT, 0600);
  if (fd < 0) fd = open(path, flags, 0600);
#if defined(__APPLE__)
  if (fd >= 0) fcntl(fd, KV_F_NOCACHE, 1);
#endif
  return fd;
}

static int file_error(void) {
  int error = KV_ERRNO;
  if (error == KV_ENOENT) return TR_KV_ERR_MISSING;
  if (error == KV_ENOSPC || error == KV_EDQUOT) return TR_KV_ERR_NO_SPACE;
  return TR_KV_ERR_SYSTEM;
}

/* Header and block in one call: each call of direct I/O waits for the disk. */
static void file_advance(struct kv_piece *pieces, size_t done) {
  for (int i = 0; i < 2 && done > 0; i++) {
    size_t n = done < pieces[i].bytes ? done : pieces[i].bytes;
    pieces[i].at = (uint8_t *)pieces[i].at + n;
    pieces[i].bytes -= n;
    done -= n;
  }
}

/* The first piece that is not done, and behind it the others. */
static int file_left(const struct kv_piece *pieces) { return pieces[0].bytes > 0 ? 0 : 1; }

static int file_write_all(int fd, struct kv_piece *pieces) {
  int64_t at = 0;
  for (int first; (first = file_left(pieces)) == 0 || pieces[1].bytes > 0;) {
    ssize_t done = pwritev(fd, pieces + first, 2 - first, at);
    if (done < 0 && KV_ERRNO == KV_EINTR) continue;
    if (done <= 0) return done < 0 ? file_error() : TR_KV_ERR_NO_SPACE;
    file_advance(pieces, (size_t)done);
    at += done;
  }
  return TR_KV_OK;
}

/* Bytes read, fewer than there is room for at the end of the file. Below 0: a code. */
static int64_t file_read_all(int fd, struct kv_piece *pieces) {
  int64_t at = 0;
  for (int first; (first = file_left(pieces)) == 0 || pieces[1].bytes > 0;) {
    ssize_t done = preadv(fd, pieces + first, 2 - first, at);
    if (done < 0 && KV_ERRNO == KV_EINTR) continue;
    if (done < 0) return file_error();
    if (done == 0) break;
    file_advance(pieces, (size_t)done);
    at += done;
  }
  return at;
}

/* `page` is scratch: TR_KV_ALIGN bytes, aligned. `bytes` is aligned and readable up to the padding. */
static int file_store(const char *path, uint8_t *page, const uint8_t *bytes, uint64_t n,
                      const uint64_t *identity, uint64_t sum, int32_t thread) {
  char temporary[1100];
  int length = snprintf(temporary, sizeof temporary, "%s.%d.%d", path, getpid(), (int)thread);
  if (length < 0 || (size_t)length >= sizeof temporary) return TR_KV_ERR_BAD;
  struct kv_header header = {KV_FILE_MAGIC, {identity[0], identity[1]}, n, sum, 0, file_name(path)};
  header.own = xxh3(&header, KV_HEADER_SUMMED);
  memset(page, 0, TR_KV_ALIGN);
  memcpy(page, &header, sizeof header);
  int fd = file_open(temporary, KV_O_WRONLY | KV_O_CREAT | KV_O_TRUNC);
  if (fd < 0) return file_error();
  struct kv_piece pieces[2] = {{page, TR_KV_ALIGN}, {(void *)bytes, file_padded(n)}};
  int code = file_write_all(fd, pieces);
  if (close(fd) != 0 && code == TR_KV_OK) code = file_error();
  if (code == TR_KV_OK && rename(temporary, path) != 0) code = file_error();
  if (code != TR_KV_OK) unlink(temporary);
  return code;
}

/* `to` is aligned and writable up to the padding. `*sum`: what the header says, once it is read. */
static int file_load(const char *path, uint8_t *page, uint8_t *to, uint64_t n,
                     const uint64_t *identity, uint64_t *sum) {
  struct kv_header header;
  int fd = file_open(path, O_RDONLY);
  if (fd < 0) return file_error();
  struct kv_piece pieces[2] = {{page, TR_KV_ALIGN}, {to, file_padded(n)}};
  int64_t got = file_read_all(fd, pieces);
  memcpy(&header, page, sizeof header);
  int code = got < 0 ? (int)got : TR_KV_OK;
  if (code == TR_KV_OK && got < TR_KV_ALIGN) code = TR_KV_ERR_TORN;
  if (code == TR_KV_OK && header.magic != KV_FILE_MAGIC) code = TR_KV_ERR_FOREIGN;
  if (code == TR_KV_OK && header.own != xxh3(&header, KV_HEADER_SUMMED))
    code = TR_KV_ERR_TORN;
  if (code == TR_KV_OK && (header.bytes != n || header.identity[0] != identity[0] ||
                           header.identity[1] != identity[1] || header.name != file_name(path)))
    code = TR_KV_ERR_FOREIGN;
  if (code == TR_KV_OK && got < (int64_t)(TR_KV_ALIGN + file_padded(n))) code = TR_KV_ERR_TORN;
  if (code == TR_KV_OK && xxh3(to, (size_t)n) != header.sum) code = TR_KV_ERR_CORRUPT;
  *sum = header.sum;
  close(fd);
  return code;
}
