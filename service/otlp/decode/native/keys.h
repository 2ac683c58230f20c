/* What keys say: that a value is a secret or an idempotency key, and which of too many stay. */
#ifndef SPANLEDGER_KEYS_H
#define SPANLEDGER_KEYS_H

#include "pairs.h"

typedef struct {
    size_t string_bytes;
    size_t attributes;
    size_t events;
    size_t links;
    const char *kept_keys, *kept_prefixes, *kept_events; /* words, a newline after each */
    uint64_t seed[2];                                    /* of hashes */
} limits_t;

static int ends_with(slice_t s, const char *word) {
    size_t size = strlen(word);
    if (length(s) < size) return 0;
    const uint8_t *tail = s.end - size;
    for (size_t i = size; i-- > 0;) /* only a letter becomes a letter by this bit */
        if ((tail[i] | 0x20) != word[i]) return 0;
    return 1;
}

static int is_secret_word(slice_t key, const char *const *words) {
    for (; *words; words++)
        if (ends_with(key, *words)) return 1;
    return 0;
}

/* Whether a key says that its value is a secret; exactly as in secret_keys.py. Most keys are
 * told apart by their last two letters. */
static int is_secret(slice_t key) {
    static const char *const WORDS[] = {"password", "passwd", "passphrase", "secret", "token",
                                        "credential", "credentials", "cookie", "authorization",
                                        NULL};
    static const char *const KINDS[] = {"api", "access", "auth", "secret", "private", "signing",
                                        "encryption", NULL};
    if (length(key) < 5) return 0;
    switch ((key.end[-2] | 0x20) << 8 | (key.end[-1] | 0x20)) {
    case 'r' << 8 | 'd': case 'w' << 8 | 'd': case 's' << 8 | 'e': case 'e' << 8 | 't':
    case 'e' << 8 | 'n': case 'a' << 8 | 'l': case 'l' << 8 | 's': case 'i' << 8 | 'e':
    case 'o' << 8 | 'n':
        return is_secret_word(key, WORDS);
    case 'e' << 8 | 'y':
        if (!ends_with(key, "key")) return 0;
        key.end -= 3;
        if (key.end[-1] == '_' || key.end[-1] == '.' || key.end[-1] == '-') key.end--;
        return is_secret_word(key, KINDS);
    default:
        return 0;
    }
}

static int is_idempotency_key(slice_t key) {
    static const char NAME[] = "task.idempotency_key";
    return length(key) == sizeof NAME - 1 && !memcmp(key.at, NAME, sizeof NAME - 1);
}

static int is_in_words(const char *words, slice_t s) {
    if (!length(s)) return 0;
    for (size_t size; (size = strcspn(words, "\n")); words += size + 1)
        if (size == length(s) && !memcmp(words, s.at, size)) return 1;
    return 0;
}

static int begins_with_any(const char *words, slice_t s) {
    for (size_t size; (size = strcspn(words, "\n")); words += size + 1)
        if (size <= length(s) && !memcmp(words, s.at, size)) return 1;
    return 0;
}

/* Mark all but `most` of `pairs` as cut; which ones stay, `Kept.attributes` says. */
static void cut_pairs(const limits_t *limits, pair_t *pairs, size_t count, size_t most) {
    for (size_t i = 0; i < count; i++)
        pairs[i].is_cut = is_in_words(limits->kept_keys, pairs[i].key) ? 1
                          : begins_with_any(limits->kept_prefixes, pairs[i].key) ? 2 : 3;
    for (uint8_t rank = 1; rank <= 3; rank++)
        for (size_t i = 0; i < count; i++)
            if (pairs[i].is_cut == rank && most) pairs[i].is_cut = 0, most--;
}

#endif
