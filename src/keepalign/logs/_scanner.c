/* The hot loop of logs/scanner.py: lines by (minute, balancer, target, elb status, target status).

   A key is learnt from Python as its five texts joined by blanks, of which none has one. A line is counted when
   it has twelve blanks before its end and its key is known, or its minute and, for any minute, the rest of its
   key; any other is handed back as index, start and end.
   What a line means is Python's to say. No function keeps a pointer it was given. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct {
    uint64_t hash, count;
    size_t at, size; /* of the key, in `keys` */
    int first, until; /* the parts that it has: those of a line, its minute, or the others */
} entry;

typedef struct {
    entry *entries;
    size_t used, room;
    int64_t *slots; /* entry by hash, -1: free */
    size_t mask;
    char *keys;
    size_t keys_used, keys_room;
} table;

typedef struct {
    const char *at;
    size_t size;
} text;

/* The statuses stand side by side, in lines and in keys: they are one part. */
enum { TIME, ELB, TARGET, STATUSES, PARTS, BLANKS = 12, MINUTE = 16 };

int keepalign_version(void) { return 2; }

static uint64_t mixed(uint64_t hash, text part) {
    uint64_t word;
    size_t at = 0;
    for (; at + 8 <= part.size; at += 8) {
        memcpy(&word, part.at + at, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    for (word = part.size; at < part.size; at++) word = word << 8 | (unsigned char)part.at[at];
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const text *parts, int first, int until) {
    uint64_t hash = (uint64_t)first;
    for (int n = first; n < until; n++) hash = mixed(hash, parts[n]);
    return hash;
}

/* Minute, balancer and target hold no blanks, so that those of the stored key are where they have to be. */
static int same(const char *key, const text *parts, int first, int until) {
    for (int n = first; n < until; n++) {
        if (memcmp(key, parts[n].at, parts[n].size) != 0) return 0;
        key += parts[n].size + 1;
    }
    return 1;
}

static int64_t *slot_of(const table *of, const text *parts, int first, int until, uint64_t hash) {
    size_t size = 0;
    for (int n = first; n < until; n++) size += parts[n].size + 1;
    for (size_t slot = hash & of->mask;; slot = (slot + 1) & of->mask) {
        int64_t index = of->slots[slot];
        if (index < 0) return &of->slots[slot];
        const entry *one = &of->entries[index];
        if (one->hash == hash && one->size == size && one->first == first && one->until == until &&
            same(of->keys + one->at, parts, first, until))
            return &of->slots[slot];
    }
}

static int known(const table *of, const text *parts, int first, int until) {
    return *slot_of(of, parts, first, until, hash_of(parts, first, until)) >= 0;
}

void keepalign_free(table *of) {
    if (of == NULL) return;
    free(of->entries);
    free(of->slots);
    free(of->keys);
    free(of);
}

table *keepalign_new(void) {
    table *of = calloc(1, sizeof *of);
    if (of == NULL) return NULL;
    of->mask = 1023;
    of->slots = malloc((of->mask + 1) * sizeof *of->slots);
    if (of->slots == NULL) {
        free(of);
        return NULL;
    }
    memset(of->slots, 0xff, (of->mask + 1) * sizeof *of->slots);
    return of;
}

static int grown(table *of) {
    size_t mask = of->mask * 2 + 1;
    int64_t *slots = malloc((mask + 1) * sizeof *slots);
    if (slots == NULL) return 0;
    memset(slots, 0xff, (mask + 1) * sizeof *slots);
    for (size_t index = 0; index < of->used; index++) {
        size_t slot = of->entries[index].hash & mask;
        while (slots[slot] >= 0) slot = (slot + 1) & mask;
        slots[slot] = (int64_t)index;
    }
    free(of->slots);
    of->slots = slots;
    of->mask = mask;
    return 1;
}

/* Counts so many lines of a key, which is new or not; 0 without memory. */
static int added(table *of, const text *parts, int first, int until, uint64_t count) {
    uint64_t hash = hash_of(parts, first, until);
    int64_t *slot = slot_of(of, parts, first, until, hash);
    if (*slot >= 0) {
        of->entries[*slot].count += count;
        return 1;
    }
    if (of->used * 2 > of->mask) {
        if (!grown(of)) return 0;
        slot = slot_of(of, parts, first, until, hash);
    }
    if (of->used == of->room) {
        size_t room = of->room ? of->room * 2 : 256;
        entry *entries = realloc(of->entries, room * sizeof *entries);
        if (entries == NULL) return 0;
        of->entries = entries;
        of->room = room;
    }
    size_t size = 0;
    for (int n = first; n < until; n++) size += parts[n].size + 1;
    if (of->keys_used + size > of->keys_room) {
        size_t room = (of->keys_used + size) * 2 + 4096;
        char *keys = realloc(of->keys, room);
        if (keys == NULL) return 0;
        of->keys = keys;
        of->keys_room = room;
    }
    of->entries[of->used] = (entry){hash, count, of->keys_used, size, first, until};
    for (int n = first; n < until; n++) {
        memcpy(of->keys + of->keys_used, parts[n].at, parts[n].size);
        of->keys_used += parts[n].size;
        of->keys[of->keys_used++] = n + 1 == until ? '\n' : ' ';
    }
    *slot = (int64_t)of->used++;
    return 1;
}

/* Counts one line of a key, and knows its minute; with `rest` also what follows it, for any minute that is
   known. 0 without memory or without its parts. */
int keepalign_learn(table *of, const char *key, size_t size, int rest) {
    text parts[PARTS];
    const char *at = key, *end = key + size;
    for (int n = 0; n < PARTS; n++) {
        const char *stop = n == PARTS - 1 ? end : memchr(at, ' ', (size_t)(end - at));
        if (stop == NULL) return 0;
        parts[n] = (text){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    return added(of, parts, TIME, PARTS, 1) && added(of, parts, TIME, TIME + 1, 0) &&
           (!rest || added(of, parts, TIME + 1, PARTS, 0));
}

/* All keys, each with the end of a line behind it; those that count nothing among them. */
const char *keepalign_keys(const table *of, size_t *size, size_t *number) {
    *size = of->keys_used;
    *number = of->used;
    return of->keys;
}

/* The count of each. */
void keepalign_counts(const table *of, uint64_t *counts) {
    for (size_t index = 0; index < of->used; index++) counts[index] = of->entries[index].count;
}

/* The first BLANKS blanks of a line; fewer when there are no more. */
static int blanks_of(const char *at, const char *end, const char **blanks) {
    int seen = 0;
#ifdef __SSE2__
    const __m128i blank = _mm_set1_epi8(' ');
    for (; end - at >= 16; at += 16) {
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)at), blank));
        for (; found; found &= found - 1) {
            blanks[seen++] = at + __builtin_ctz(found);
            if (seen == BLANKS) return seen;
        }
    }
#endif
    for (; at < end; at++) {
        if (*at != ' ') continue;
        blanks[seen++] = at;
        if (seen == BLANKS) break;
    }
    return seen;
}

/* Lines from *at on, until `room` of them are handed back or the block ends; *at and *lines move along. */
size_t keepalign_block(table *of, const char *block, size_t size, uint64_t *odd, size_t room, uint64_t *at,
                       uint64_t *lines) {
    const char *end = block + size, *start = block + *at;
    size_t found = 0;
    while (start < end && found < room) {
        const char *blanks[BLANKS];
        const char *stop = memchr(start, '\n', (size_t)(end - start));
        const char *next = stop == NULL ? end : stop + 1;
        int counted = 0;
        if (blanks_of(start, stop == NULL ? end : stop, blanks) == BLANKS) {
            /* Each part begins behind a blank and ends at one: the fields 1, 2, 4, and 8 with 9. */
            const int begin[PARTS] = {0, 1, 3, 7}, until[PARTS] = {1, 2, 4, 9};
            text parts[PARTS];
            for (int n = 0; n < PARTS; n++) {
                const char *first = blanks[begin[n]] + 1;
                parts[n] = (text){first, (size_t)(blanks[until[n]] - first)};
            }
            if (parts[TIME].size > MINUTE) parts[TIME].size = MINUTE;
            int64_t index = *slot_of(of, parts, TIME, PARTS, hash_of(parts, TIME, PARTS));
            if (index >= 0) {
                of->entries[index].count++;
                counted = 1;
            } else if (known(of, parts, TIME, TIME + 1) && known(of, parts, TIME + 1, PARTS)) {
                counted = added(of, parts, TIME, PARTS, 1);
            }
        }
        if (!counted) {
            odd[3 * found] = *lines;
            odd[3 * found + 1] = (uint64_t)(start - block);
            odd[3 * found + 2] = (uint64_t)(next - block);
            found++;
        }
        ++*lines;
        start = next;
    }
    *at = (uint64_t)(start - block);
    return found;
}
