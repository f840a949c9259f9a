/*
 * A look at the GGUF file before llama.cpp sees it: a truncated download or a corrupt header gets
 * one clear line instead of whatever a parser further in makes of it. Format:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
struct gguf_reader {
  int fd;
  uint64_t size;     /* of the file */
  uint64_t position; /* of buffer[at] */
  uint32_t at;
  uint32_t filled;
  bool failed; /* sticky: read past the end, or a length that cannot be */
  uint8_t buffer[65536];
};

struct gguf_facts {
  uint64_t file_bytes;
  uint64_t n_tensors;
  uint64_t n_splits;
  uint64_t n_heads; /* tensors of a classification head */
};

/* Sums and products of what a header claims: they end at the largest number, and never wrap. */
static uint64_t gguf_plus(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }
static uint64_t gguf_times(uint64_t a, uint64_t b) {
  return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static void gguf_bytes(struct gguf_reader *r, void *to, uint64_t n) {
  uint8_t *out = to;
  if (r->failed || n > r->size - r->position) {
    r->failed = true;
    if (out) memset(out, 0, n);
    return;
  }
  r->position += n;
  while (n > 0) {
    if (r->at == r->filled) {
      if (!out && n > sizeof r->buffer) { /* skip what nobody reads */
        lseek(r->fd, (int64_t)r->position, SEEK_SET);
        r->at = r->filled = 0;
        return;
      }
      ssize_t got = read(r->fd, r->buffer, sizeof r->buffer);
      if (got <= 0) {
        r->failed = true;
        return;
      }
      r->at = 0;
      r->filled = (uint32_t)got;
    }
    uint64_t part = r->filled - r->at;
    if (part > n) part = n;
    if (out) {
      memcpy(out, r->buffer + r->at, part);
      out += part;
    }
    r->at += (uint32_t)part;
    n -= part;
  }
}

static uint32_t gguf_u32(struct gguf_reader *r) {
  uint32_t value = 0;
  gguf_bytes(r, &value, 4);
  return value;
}

static uint64_t gguf_u64(struct gguf_reader *r) {
  uint64_t value = 0;
  gguf_bytes(r, &value, 8);
  return value;
}

/* Reads a string, keeping at most size-1 bytes of it. */
static void gguf_string(struct gguf_reader *r, char *to, uint64_t size) {
  uint64_t length = gguf_u64(r);
  uint64_t kept = length < size - 1 ? length : size - 1;
  to[0] = 0;
  if (r->failed || length > r->size) {
    r->failed = true;
    return;
  }
  gguf_bytes(r, to, kept);
  to[kept] = 0;
  gguf_bytes(r, NULL, length - kept);
}

/* Bytes of a scalar of GGUF value type `type`; 0 for strings (8), arrays (9) and unknown ones. */
static uint32_t gguf_scalar_bytes(uint32_t type) {
  static const uint8_t bytes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < 13 ? bytes[type] : 0;
}

/* Reads past one value; an integer's value is returned, everything else gives 0. */
static uint64_t gguf_value(struct gguf_reader *r, uint32_t type) {
  char skipped[8];
  uint64_t value = 0;
  if (type == 8) {
    gguf_string(r, skipped, sizeof skipped);
  } else if (type == 9) {
    uint32_t element = gguf_u32(r);
    uint64_t count = gguf_u64(r);
    uint32_t bytes = gguf_scalar_bytes(element);
    if (count > r->size || (!bytes && element != 8)) r->failed = true;
    if (r->failed) return 0;
    if (bytes) gguf_bytes(r, NULL, gguf_times(count, bytes));
    for (uint64_t i = 0; !bytes && i < count && !r->failed; i++)
      gguf_string(r, skipped, sizeof skipped);
  } else {
    uint32_t bytes = gguf_scalar_bytes(type);
    if (!bytes) r->failed = true;
    gguf_bytes(r, &value, bytes);
  }
  return value;
}

/* A vocabulary that has a token twice: llama.cpp aborts the process on one. */
struct gguf_twins {
  bool found;
  uint32_t first, second; /* their numbers */
  char text[48];          /* how the token begins */
};

struct gguf_token {
  uint64_t hash;
  uint32_t number; /* from 1; 0: free */
};

/* Reads a string as gguf_string does and gives the hash of all its bytes. */
static uint64_t gguf_hashed(struct gguf_reader *r, char *to, uint64_t size) {
  uint64_t length = gguf_u64(r), hash = 14695981039346656037ull;
  uint64_t kept = 0;
  if (length > r->size) r->failed = true;
  while (length > 0 && !r->failed) {
    uint8_t part[256];
    uint64_t n = length < sizeof part ? length : sizeof part;
    gguf_bytes(r, part, n);
    for (uint64_t i = 0; i < n; i++) {
      hash = (hash ^ part[i]) * 1099511628211ull; /* FNV-1a */
      if (kept < size - 1) to[kept++] = (char)part[i];
    }
    length -= n;
  }
  to[kept] = 0;
  return hash ^ hash >> 32;
}

/* Reads past the list of tokens, type and count included, and looks for twins. */
static void gguf_tokens(struct gguf_reader *r, struct gguf_twins *twins) {
  uint32_t element = gguf_u32(r);
  uint64_t count = gguf_u64(r);
  /* A token has at least its length in the file. */
  if (element != 8 || r->failed || count > r->size / 8) {
    r->failed = true;
    return;
  }
  uint64_t places = 1;
  while (places < count * 2) places *= 2;
  struct gguf_token *seen = calloc(places, sizeof *seen);
  for (uint64_t i = 0; i < count && !r->failed; i++) {
    char text[sizeof twins->text];
    uint64_t hash = gguf_hashed(r, text, sizeof text);
    /* llama.cpp gives empty ones names of their own; without memory all are taken for unlike. */
    if (text[0] == 0 || twins->found || !seen) continue;
    uint64_t at = hash & (places - 1);
    while (seen[at].number != 0 && seen[at].hash != hash) at = (at + 1) & (places - 1);
    if (seen[at].number == 0) {
      seen[at].hash = hash;
      seen[at].number = (uint32_t)i + 1;
    } else if (!r->failed) {
      twins->found = true;
      twins->first = seen[at].number - 1;
      twins->second = (uint32_t)i;
      memcpy(twins->text, text, sizeof text);
    }
  }
  free(seen);
}

/* The end of a tensor's data relative to the data section, or 0 when its description is absurd. */
static uint64_t gguf_tensor_end(struct gguf_reader *r, const struct llama_api *api,
                                uint64_t alignment, char name[128]) {
  uint64_t elements = 1, first = 1;
  gguf_string(r, name, 128);
  uint32_t dimensions = gguf_u32(r);
  if (dimensions > 4) return 0;
  for (uint32_t d = 0; d < dimensions; d++) {
    uint64_t extent = gguf_u64(r);
    if (extent == 0 || extent > (uint64_t)1 << 40 || elements > ((uint64_t)1 << 62) / extent)
      return 0;
    elements *= extent;
    if (d == 0) first = extent;
  }
  uint32_t type = gguf_u32(r);
  uint64_t offset = gguf_u64(r);
  if (r->failed || type > 42 || offset % alignment != 0) return 0;
  uint64_t block = (uint64_t)api->ggml_blck_size((int)type);
  uint64_t bytes = api->ggml_type_size((int)type);
  if (block == 0 || bytes == 0 || first % block != 0) return 0;
  return gguf_plus(offset, gguf_times(elements / block, bytes));
}

static bool gguf_ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

/* Numbers that llama.cpp answers with an abort of the process: LLAMA_MAX_LAYERS and _EXPERTS. */
static bool gguf_plausible(const char *key, uint64_t value) {
  if (gguf_ends_with(key, ".block_count")) return value >= 1 && value <= 512;
  return !gguf_ends_with(key, ".expert_count") || value <= 1024;
}

/*
 * TR_OK with the facts, or TR_ERR_MODEL with a line. Only what can be said without knowing the
 * architecture is checked: lengths, types, and that every tensor lies inside the file.
 */
static int32_t gguf_check(const char *path, const struct llama_api *api, struct gguf_facts *facts,
                          char *message, size_t size) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) {
    snprintf(message, size, "cannot read the model %s: give the path of a .gguf file", path);
    return TR_ERR_MODEL;
  }
  struct gguf_reader *r = calloc(1, sizeof *r);
  if (!r) {
    close(fd);
    return TR_ERR_MEMORY;
  }
  int64_t file_size = lseek(fd, 0, SEEK_END);
  lseek(fd, 0, SEEK_SET);
  r->fd = fd;
  r->size = file_size > 0 ? (uint64_t)file_size : 0;
  const char *wrong = NULL;
  struct gguf_twins twins = {0};
  uint64_t alignment = 32, end = 0;
  uint32_t magic = gguf_u32(r), version = gguf_u32(r);
  uint64_t n_tensors = gguf_u64(r), n_values = gguf_u64(r);
  facts->file_bytes = r->size;
  facts->n_tensors = n_tensors;
  facts->n_splits = 1;
  facts->n_heads = 0;
  if (r->failed || magic != 0x46554747u)
    wrong = "is not a GGUF file";
  else if (version < 2 || version > 3)
    wrong = "is a GGUF file of a version other than 2 and 3";
  for (uint64_t i = 0; !wrong && !r->failed && i < n_values; i++) {
    char key[96];
    gguf_string(r, key, sizeof key);
    uint32_t type = gguf_u32(r);
    uint64_t value = 0;
    if (type == 9 && strcmp(key, "tokenizer.ggml.tokens") == 0) gguf_tokens(r, &twins);
    else value = gguf_value(r, type);
    if (!r->failed && !gguf_plausible(key, value)) wrong = "is corrupt: impossible size";
    if (strcmp(key, "general.alignment") == 0) alignment = value;
    if (strcmp(key, "split.count") == 0 && value > 0 && value < 100000) facts->n_splits = value;
  }
  if (!wrong && (alignment == 0 || alignment > 65536 || (alignment & (alignment - 1))))
    wrong = "is corrupt: impossible alignment";
  for (uint64_t i = 0; !wrong && !r->failed && i < n_tensors; i++) {
    char name[128];
    uint64_t tensor = gguf_tensor_end(r, api, alignment, name);
    if (strcmp(name, "cls.weight") == 0 || strcmp(name, "cls.output.weight") == 0)
      facts->n_heads++;
    if (tensor == 0 && !r->failed) wrong = "is corrupt: impossible tensor";
    if (tensor > end) end = tensor;
  }
  uint64_t data = (r->position + alignment - 1) / alignment * alignment;
  uint64_t needed = gguf_plus(data, end);
  if (!wrong && (r->failed || needed > r->size))
    snprintf(message, size,
             "the model %s is truncated: %llu bytes are there, its header asks for %s%llu; "
             "download it again",
             path, (unsigned long long)r->size, r->failed ? "more than " : "",
             (unsigned long long)(r->failed ? r->size : needed));
  else if (wrong)
    snprintf(message, size, "the model %s %s; download it again", path, wrong);
  else if (twins.found)
    snprintf(message, size,
             "the model %s has the token '%s' twice in its vocabulary, as %u and %u, which llama.cpp "
             "cannot load: convert it again, or take another file",
             path, twins.text, twins.first, twins.second);
  int32_t code =
      wrong || r->failed || needed > r->size || twins.found ? TR_ERR_MODEL : TR_OK;
  free(r);
  close(fd);
  return code;
}
