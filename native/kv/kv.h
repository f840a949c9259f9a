/*
 * KV blocks outside the engine: memory that holds them, and threads that carry them.
 *
 *   JavaScript thread                               mover threads (mover.c)
 *   tr_kv_open, tr_kv_region_*                      copy blocks between regions, checksum them,
 *   tr_kv_submit ───────────────────ring──────────▶ write them to files and read them back
 *   tr_kv_done   ◀──────────────────ring─────────── one record a job: code, checksum a block
 *   reads a pipe (tr_kv_wake_fd)    ◀──1 byte──────
 *
 * A region is one piece of memory that many blocks lie in: of this process, shared with other
 * processes of the machine, or a device's. A job moves `blocks` blocks from one region to another
 * and may change their layout on the way; where the bytes of a plane (one layer's keys, say) lie is
 * said by strides. Nothing here knows which block is which: actors/kv owns the slots.
 *
 * All calls of one mover are made by one thread. None waits, but tr_kv_close and tr_kv_region_free,
 * which say so. Memory is counted by kind: tr_kv_memory.
 */
#ifndef TROUPE_KV_H
#define TROUPE_KV_H

#include "../libc.h"

#define TR_KV_OK 0
#define TR_KV_ERR_FULL (-1)     /* as many jobs as may be are on their way: ask again */
#define TR_KV_ERR_BAD (-2)      /* a job that does not fit its regions */
#define TR_KV_ERR_MEMORY (-3)   /* no memory, or the limit of its kind is reached */
#define TR_KV_ERR_SYSTEM (-4)   /* the system refused: tr_kv_message */
#define TR_KV_ERR_MISSING (-5)  /* there is no such file */
#define TR_KV_ERR_TORN (-6)     /* shorter than it says, or its header is not whole */
#define TR_KV_ERR_FOREIGN (-7)  /* of another model, layout, library or format version */
#define TR_KV_ERR_CORRUPT (-8)  /* the bytes do not have the checksum that was written */
#define TR_KV_ERR_NO_SPACE (-9) /* the disk is full */
#define TR_KV_ERR_NO_DEVICE (-10)
#define TR_KV_ERR_DEVICE (-11) /* a call of the driver failed: the device is given up */

/* Kinds of memory. */
#define TR_KV_HOST 0   /* of this process */
#define TR_KV_SHARED 1 /* a named segment that other processes map too */
#define TR_KV_DEVICE 2 /* of a CUDA device */
#define TR_KV_KINDS 3

/* A block in memory is aligned so, and its stride a multiple of it: direct I/O wants that. */
#define TR_KV_ALIGN 4096
#define TR_KV_MAX_REGIONS 64
#define TR_KV_MAX_BLOCKS 256 /* of one job */
#define TR_KV_MAX_MOVERS 16

/* What a job does. */
#define TR_KV_COPY 1   /* region → region */
#define TR_KV_STORE 2  /* region → a file a block */
#define TR_KV_LOAD 3   /* a file a block → region */
#define TR_KV_SUM 4    /* checksums alone: what lies in `from` */
#define TR_KV_REMOVE 5 /* the files */

/*
 * A job as JavaScript lays it out: 64-bit fields first, so that there is no padding. Bytes of plane
 * p of block b lie at b * block_stride + p * plane_stride, `plane_bytes` of them.
 */
struct tr_kv_job {
  uint64_t id;
  uint64_t plane_bytes;
  uint64_t from_block_stride;
  uint64_t from_plane_stride;
  uint64_t to_block_stride;
  uint64_t to_plane_stride;
  uint64_t identity[2]; /* of files: model, quantization, layout, library */
  uint32_t kind;
  uint32_t planes;
  uint32_t blocks;
  uint32_t from; /* region */
  uint32_t to;
  uint32_t verify; /* 1: `sums` are what the source has to have */
};

/*
 * Records of tr_kv_done, 32-bit words:
 *   id (2 words), n, then for each block: code, checksum (2 words)
 */

/* Counters of tr_kv_memory, doubles: for each kind bytes in use, the most there were, regions. */
#define TR_KV_MEMORY_COUNT (TR_KV_KINDS * 3)

struct tr_kv;

/*
 * `threads` movers (1..16), and room for `jobs` jobs on their way at each. `cuda`: the driver's
 * library ("libcuda.so.1"), or NULL where there is to be no device. NULL: no memory or no thread.
 */
struct tr_kv *tr_kv_open(int32_t threads, int32_t jobs, const char *cuda);
/* Joins the movers once what they have begun is done; regions that are left are freed. */
void tr_kv_close(struct tr_kv *kv);
/* One line: why the last call of this thread failed. */
int32_t tr_kv_message(struct tr_kv *kv, char *to, int32_t size);
int32_t tr_kv_wake_fd(struct tr_kv *kv);

/*
 * A region of `bytes` (as two halves: Bun passes 32-bit integers), or a code. `name` of a shared
 * one begins with "/": `create` 1 makes it and fails where it exists, 0 maps what is there.
 * `device`: which one.
 */
int32_t tr_kv_region(struct tr_kv *kv, int32_t kind, uint32_t bytes_low, uint32_t bytes_high,
                     const char *name, int32_t create, int32_t device);
/* TR_KV_ERR_FULL: jobs that use it are on their way. A shared one's name stays: tr_kv_unlink. */
int32_t tr_kv_region_free(struct tr_kv *kv, int32_t region);
/* Where a region of this process's memory lies; NULL for a device's. */
void *tr_kv_region_memory(struct tr_kv *kv, int32_t region);
/* Removes the name: who has mapped the segment keeps it. */
int32_t tr_kv_unlink(const char *name);
/* Removes the name of a segment whose maker is gone. 1: it did. */
int32_t tr_kv_sweep(const char *name);
/* A segment that another process made, for who has no movers; NULL: there is none of that size. */
void *tr_kv_map(const char *name, uint32_t bytes_low, uint32_t bytes_high);
void tr_kv_unmap(void *memory, uint32_t bytes_low, uint32_t bytes_high);
/* A handle by which another process of this machine opens a device's region, 64 bytes. */
int32_t tr_kv_ipc_handle(struct tr_kv *kv, int32_t region, uint8_t *to);
/* The region of another process. It is freed before its owner frees it. */
int32_t tr_kv_ipc_open(struct tr_kv *kv, const uint8_t *handle, uint32_t bytes_low,
                       uint32_t bytes_high, int32_t device);
int32_t tr_kv_memory(struct tr_kv *kv, double *to);

/*
 * Takes the job, or says why not. `from` and `to` hold the block numbers (NULL where a file is),
 * `sums` a checksum each with `verify`, `paths` the files, each ended by 0, one behind the other.
 * Everything is copied. Jobs end in any order.
 */
int32_t tr_kv_submit(struct tr_kv *kv, const struct tr_kv_job *job, const uint32_t *from,
                     const uint32_t *to, const uint64_t *sums, const char *paths,
                     int32_t paths_bytes);
/* Whole records of jobs that ended, as many as fit. Returns the words written. */
int32_t tr_kv_done(struct tr_kv *kv, uint32_t *to, int32_t size);

/* XXH3, 64 bits, seed 0; for JavaScript that has the bytes already. Low half, high half. */
void tr_kv_sum(const void *bytes, uint32_t size, uint32_t *to);

#endif
