/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/why.h"
#include "model/grammar.h"
#include "model/sampler.h"
#include "model/tokenizer.h"

/* A loaded model: mapped weights, the tokenizer, the kernels for this processor and the worker
 * pool.  Immutable after engine_open(), but its pool serves one session at a time: all sessions of
 * an engine belong to one thread. */
struct engine;

struct engine_config {
        const char *model_path;     /* NULL: the embedded pocket model */
        const char *projector_path; /* NULL: the projector is in the model file, or there is none */
        unsigned n_threads;         /* 0: one per physical core */
        const char *kernels;        /* NULL: the best row for this processor; else its name */
};

int engine_open(struct engine **ret, const struct engine_config *config, struct why *why);
struct engine *engine_close(struct engine *e);

/* Gives the engine a drafter, before the first session: see drafter.h.  0, or -errno with a reason
 * that begins with the name of the file; then the engine is as it was. */
int engine_add_drafter(struct engine *e, const char *path, struct why *why);

const struct tokenizer *engine_tokenizer(const struct engine *e);

/* general.name of the model file, or the file's own name. */
const char *engine_name(const struct engine *e);

/* Whether there is an audio projector. */
bool engine_hears(const struct engine *e);

/* Whether there is a projector for pictures. */
bool engine_sees(const struct engine *e);

/* Whether the answer to speech is its transcript followed by a tool call (a model of ours, key
 * gemmad.answer = "transcript-call") and not a free answer. */
bool engine_answers_with_transcript(const struct engine *e);

/* Whether the file has a grammar of the answers that the model can give: see
 * session_constrain(). */
bool engine_has_grammar(const struct engine *e);

/* The grammar itself, as long as the engine lives; NULL: the file has none. */
const struct grammar *engine_grammar(const struct engine *e);

/* The least session_log_probability() of an answer that is to be believed, as calibrated when the
 * model was made; -infinity when the file says nothing. */
float engine_least_log_probability(const struct engine *e);

/* The same of an answer of one word, and of the wake phrase alone: short sounds are taken for these most easily.
 * As above when the file says nothing of it. */
float engine_least_short_log_probability(const struct engine *e);

/* The same two of a spoken command that was heard several times, of session_log_share(), with all wordings of it that were
 * looked for.  -infinity when the file says nothing of it: then the above count for it. */
float engine_least_log_share(const struct engine *e);
float engine_least_short_log_share(const struct engine *e);

/* Puts in what the file says of how its tokens are to be chosen (general.sampling.*), and leaves alone
 * what it says nothing of. */
void engine_recommend(const struct engine *e, struct sampler_config *config);

/* Looks for numbers in the weights that are none (NaN, infinite), which takes long: for a model that computes
 * none.  0, or -EBADMSG with a reason that names file and tensor. */
int engine_find_damage(const struct engine *e, struct why *why);

/* Gives the memory of the weights back; they stay mapped, and what is used of them is read again from
 * the file.  Not while a session of the engine computes.  The embedded model is left alone: it is small,
 * and others use it. */
void engine_release(struct engine *e);

/* Begins to read them again, beside whoever uses them, and does not wait for it. */
void engine_fetch(struct engine *e);

/* The longest context that the model was made for, in positions. */
uint32_t engine_max_positions(const struct engine *e);

/* Name of the kernel row and number of threads in use, for status and benchmarks. */
const char *engine_kernels(const struct engine *e);
unsigned engine_n_threads(const struct engine *e);

#endif
