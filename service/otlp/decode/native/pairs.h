/* Lists that grow, and the attributes of a message by key.
 *
 * Keys are hashed by SipHash-1-3 (Aumasson, Bernstein) with a secret seed, so that nobody can
 * choose keys that collide and many are found by a table; a few are compared one by one.
 */
#ifndef SPANLEDGER_PAIRS_H
#define SPANLEDGER_PAIRS_H

#include "pack.h"

enum { FEW_PAIRS = 32 };

typedef struct {
    slice_t *at;
    size_t count, room;
} list_t;

typedef struct {
    slice_t key, value;
    uint32_t hash;
    uint8_t is_cut;
} pair_t;

/* The pairs of all maps that are open, one behind the other: an inner one ends before its outer. */
typedef struct {
    pair_t *at;
    size_t count, room;
} pairs_t;

/* Which places of `pairs` hold a hash: place + 1, or 0. `mask` + 1 is a power of two. */
typedef struct {
    uint32_t *slots;
    size_t mask;
} table_t;

/* Room for one more of `size` bytes in `items`; 0 when memory is short. */
static int make_room(void **items, size_t count, size_t *room, size_t size) {
    if (count < *room) return 1;
    size_t more = *room ? 2 * *room : 32;
    void *grown = realloc(*items, more * size);
    if (!grown) return 0;
    *items = grown;
    *room = more;
    return 1;
}

/* What was never sent is empty and nowhere, which memcmp may not be given. */
static int same(slice_t a, slice_t b) {
    return length(a) == length(b) && (!length(a) || !memcmp(a.at, b.at, length(a)));
}

#define ROTATED(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = ROTATED(v[1], 13) ^ v[0], v[0] = ROTATED(v[0], 32);
    v[2] += v[3], v[3] = ROTATED(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = ROTATED(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = ROTATED(v[1], 17) ^ v[2], v[2] = ROTATED(v[2], 32);
}

static uint32_t hash_of(const uint64_t seed[2], slice_t s) {
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    uint64_t last = (uint64_t)length(s) << 56;
    for (uint64_t word; length(s) >= 8; s.at += 8) {
        memcpy(&word, s.at, 8);
        v[3] ^= word, sip_round(v), v[0] ^= word;
    }
    for (size_t i = 0; i < length(s); i++) last |= (uint64_t)s.at[i] << 8 * i;
    v[3] ^= last, sip_round(v), v[0] ^= last;
    v[2] ^= 0xff, sip_round(v), sip_round(v), sip_round(v);
    uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (uint32_t)(hash ^ hash >> 32);
}

/* What tells most keys of a small map apart: how a key ends, and its length. */
static inline uint32_t mark_of(slice_t s) {
    uint32_t end = 0;
    if (length(s) >= sizeof end) memcpy(&end, s.end - sizeof end, sizeof end);
    return end * 31 + (uint32_t)length(s);
}

static void fill_slot(table_t *table, uint32_t hash, size_t place) {
    size_t slot = hash & table->mask;
    while (table->slots[slot]) slot = (slot + 1) & table->mask;
    table->slots[slot] = (uint32_t)place + 1;
}

/* See to it that `count` pairs fill less than half of the table; 0 when memory is short. Pairs have
 * marks until there is a table, then hashes. */
static int widen(table_t *table, pair_t *pairs, size_t count, const uint64_t seed[2]) {
    if (table->slots && 2 * count <= table->mask) return 1;
    size_t size = table->slots ? 2 * (table->mask + 1) : 4 * FEW_PAIRS;
    for (size_t i = 0; !table->slots && i < count; i++) pairs[i].hash = hash_of(seed, pairs[i].key);
    free(table->slots);
    if (!(table->slots = calloc(size, sizeof *table->slots))) return 0;
    table->mask = size - 1;
    for (size_t i = 0; i < count; i++) fill_slot(table, pairs[i].hash, i);
    return 1;
}

/* The place of the pair of `count` that has the key of `pair`; `count` if there is none. */
static size_t place_of(const table_t *table, const pair_t *pairs, size_t count, const pair_t *pair) {
    size_t i = 0;
    if (!table->slots) {
        while (i < count && !(pairs[i].hash == pair->hash && same(pairs[i].key, pair->key))) i++;
        return i;
    }
    for (size_t slot = pair->hash & table->mask; (i = table->slots[slot]); slot = (slot + 1) & table->mask)
        if (pairs[i - 1].hash == pair->hash && same(pairs[i - 1].key, pair->key)) return i - 1;
    return count;
}

#endif
