/* A block from one place in memory to another, and its checksum, in one pass over the bytes. */

/* Whether `carry` takes blocks of this shape: every plane consists of whole blocks of the sum. */
static bool carry_fits(const struct tr_kv_job *j) {
  return j->plane_bytes > 0 && (j->plane_bytes | j->to_plane_stride | j->to_block_stride) % 16 == 0 &&
         j->plane_bytes % XXH_BLOCK == 0;
}

/* Returns the checksum. Source and target do not overlap; the target is aligned to 16. */
static uint64_t carry(const struct tr_kv_job *j, const uint8_t *from, uint8_t *to) {
  uint64_t acc[XXH_LANES];
  xxh_begin(acc);
  for (uint32_t p = 0; p + 1 < j->planes; p++) {
    const uint8_t *source = from + p * j->from_plane_stride;
    xxh_blocks_carried(acc, source, j->plane_bytes / XXH_BLOCK, to + p * j->to_plane_stride);
  }
  uint64_t before = j->plane_bytes - XXH_BLOCK;
  const uint8_t *last = from + (j->planes - 1) * j->from_plane_stride;
  uint8_t *target = to + (j->planes - 1) * j->to_plane_stride;
  xxh_blocks_carried(acc, last, before / XXH_BLOCK, target);
  memcpy(target + before, last + before, XXH_BLOCK);
  xxh_carried_fence();
  return xxh_end(acc, last + before, XXH_BLOCK, j->planes * j->plane_bytes);
}
