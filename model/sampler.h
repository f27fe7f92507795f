/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_SAMPLER_H
#define MODEL_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

/* Chooses a token from logits.  Owned by one thread; the same seed and logits give the same choice
 * on every machine. */
struct sampler_config {
        float temperature; /* 0: greedy */
        unsigned top_k;    /* 0: all */
        float top_p;       /* 1: all */
        uint64_t seed;
};

struct sampler;

/* n_vocab: the length of the logits that it will see. */
int sampler_new(struct sampler **ret, const struct sampler_config *config, size_t n_vocab);
struct sampler *sampler_free(struct sampler *s);

/* The chosen index.  Logits of -infinity are never chosen; ties go to the lowest index. */
int32_t sampler_choose(struct sampler *s, const float *logits);

/* What the call of sampler_choose() that comes after `ahead` others would choose from these logits;
 * none of those calls is changed by it.  With logits like those that it will see it is mostly right. */
int32_t sampler_guess(const struct sampler *s, const float *logits, unsigned ahead);

#endif
