/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum { BLOCK_SIZE = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* bytes in data */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

static struct arena_block *new_block(size_t need)
{
    size_t size = need > BLOCK_SIZE ? need : BLOCK_SIZE;
    struct arena_block *block = malloc(sizeof *block + size);
    if (block != NULL)
        *block = (struct arena_block){.size = size};
    return block;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    if (n > SIZE_MAX - align)
        return NULL;
    const size_t padded = (n + align - 1) / align * align;
    if (padded > a->max - a->used)
        return NULL;
    struct arena_block *block = a->blocks;
    if (block == NULL || padded > block->size - block->used) {
        block = new_block(padded);
        if (block == NULL)
            return NULL;
        block->next = a->blocks;
        a->blocks = block;
    }
    void *p = block->data + block->used;
    block->used += padded;
    a->used += padded;
    memset(p, 0, padded);
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return arena_alloc(a, count * size);
}

char *arena_strndup(struct arena *a, const char *text, size_t n)
{
    char *copy = n == SIZE_MAX ? NULL : arena_alloc(a, n + 1);
    if (copy != NULL)
        memcpy(copy, text, n);
    return copy;
}

static void release(struct arena *a, struct arena_block *keep)
{
    struct arena_block *block = a->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        secret_wipe(block->data, block->used);
        if (block != keep)
            free(block);
        block = next;
    }
    a->blocks = keep;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    /* A block made for one large allocation is not worth keeping. */
    struct arena_block *keep = a->blocks;
    while (keep != NULL && keep->size != BLOCK_SIZE)
        keep = keep->next;
    release(a, keep);
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
}

void arena_free(struct arena *a)
{
    release(a, NULL);
}
