/*
 * Which of the listed tokens come first until a mass is reached: the one search behind top-k,
 * typical, top-p and the draw. Included by sampler.c alone.
 */
#ifndef TROUPE_SAMPLER_SELECT_H
#define TROUPE_SAMPLER_SELECT_H

#include "../libc.h"

#define BUCKETS 256
#define MANY 1024 /* below this a quickselect is faster than clearing the buckets */

struct candidate {
  float key; /* what the current stage sorts by, ascending; ties by id */
  float weight;
  int32_t id;
};

static bool before(const struct candidate *a, const struct candidate *b) {
  return a->key < b->key || (a->key == b->key && a->id < b->id);
}

/* Field by field, as Bun's compiler calls memmove for a struct. */
static void swap(struct candidate *a, struct candidate *b) {
  float key = a->key, weight = a->weight;
  int32_t id = a->id;
  a->key = b->key;
  a->weight = b->weight;
  a->id = b->id;
  b->key = key;
  b->weight = weight;
  b->id = id;
}

static void insertion_sort(struct candidate *c, int32_t n) {
  for (int32_t i = 1; i < n; i++) {
    struct candidate moved = c[i];
    int32_t j = i;
    for (; j > 0 && before(&moved, &c[j - 1]); j--) c[j] = c[j - 1];
    c[j] = moved;
  }
}

/* Splits n >= 3 candidates around a median of three; returns where the pivot came to lie. */
static int32_t partition(struct candidate *c, int32_t n) {
  struct candidate *mid = &c[n / 2], *last = &c[n - 1];
  struct candidate pivot;
  int32_t lo = 0, hi = n - 1;
  if (before(mid, c)) swap(mid, c);
  if (before(last, c)) swap(last, c);
  if (before(last, mid)) swap(last, mid);
  pivot = *mid;
  swap(mid, &c[n - 2]);
  hi = n - 2;
  for (;;) {
    while (before(&c[++lo], &pivot)) {
    }
    while (before(&pivot, &c[--hi])) {
    }
    if (lo >= hi) break;
    swap(&c[lo], &c[hi]);
  }
  swap(&c[lo], &c[n - 2]);
  return lo;
}

/*
 * One step of a bucket search: shrinks [lo, hi) to the bucket of 256, equal in key range, in which
 * the running mass passes `target`. False when that did not halve the range. Its branches are
 * easier to predict than a quickselect's, which counts when tens of thousands are equally likely.
 */
static bool narrow(struct candidate *c, int32_t *lo, int32_t *hi, double *below, double target) {
  double mass[BUCKETS];
  float least = c[*lo].key, most = c[*lo].key, scale;
  int32_t bucket = 0, at = *lo, end = *hi, first = *lo, before_all = *hi - *lo;
  for (int32_t i = *lo; i < *hi; i++) {
    least = c[i].key < least ? c[i].key : least;
    most = c[i].key > most ? c[i].key : most;
  }
  scale = (BUCKETS - 0.01f) / (most - least);
  if (!(scale > 0.0f) || scale - scale != 0.0f) return false; /* all alike, or out of range */
  for (int32_t i = 0; i < BUCKETS; i++) mass[i] = 0.0;
  for (int32_t i = *lo; i < *hi; i++) mass[(int32_t)((c[i].key - least) * scale)] += c[i].weight;
  while (bucket < BUCKETS - 1 && *below + mass[bucket] < target) *below += mass[bucket++];
  while (at < end) {
    int32_t b = (int32_t)((c[at].key - least) * scale);
    if (b < bucket) swap(&c[first++], &c[at++]);
    else if (b > bucket) swap(&c[at], &c[--end]);
    else at++;
  }
  *lo = first;
  *hi = end;
  return end - first < before_all / 2;
}

/*
 * Reorders so that the smallest prefix, in sorted order, whose weights reach `target` stands first
 * with its last member at its end; returns its length, n when all of the n >= 1 do not reach it.
 * Bucket search, then quickselect, over masses: no full sort.
 */
static int32_t select_mass(struct candidate *c, int32_t n, double target) {
  int32_t lo = 0, hi = n;
  double below = 0.0; /* mass of c[0..lo) */
  while (hi - lo > MANY && narrow(c, &lo, &hi, &below, target)) {
  }
  while (hi - lo > 16) {
    int32_t pivot = lo + partition(c + lo, hi - lo);
    double mass = below;
    for (int32_t i = lo; i < pivot; i++) mass += c[i].weight;
    if (mass >= target) {
      hi = pivot;
      continue;
    }
    mass += c[pivot].weight;
    if (mass >= target) return pivot + 1;
    below = mass;
    lo = pivot + 1;
  }
  insertion_sort(c + lo, hi - lo);
  for (int32_t i = lo; i < hi; i++) {
    below += c[i].weight;
    if (below >= target) return i + 1;
  }
  return hi;
}

#undef BUCKETS
#undef MANY

#endif
