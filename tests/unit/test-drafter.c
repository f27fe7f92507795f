/* SPDX-License-Identifier: Apache-2.0 */
#include "model/session.c"

#include <unistd.h>

#include "tests/tap.h"
#include "tests/unit/golden.h"
#include "tests/unit/random-drafter.h"

/* A drafter: what it computes is what the reference computes, and nothing that a session says
 * depends on it. */

DEFINE_CLEANUP(struct gguf *, gguf_close)
DEFINE_CLEANUP(struct engine *, engine_close)
DEFINE_CLEANUP(struct sampler *, sampler_free)

static void bail_out(const char *reason) {
        printf("Bail out! %s\n", reason);
        exit(1);
}

static void
open_engine(struct engine **ret, const struct engine_config *config, const char *drafter) {
        struct why why = { "" };

        if (engine_open(ret, config, &why) < 0 ||
            (drafter && engine_add_drafter(*ret, drafter, &why) < 0))
                bail_out(why.text);
}

static struct session *open_session(struct engine *e, const struct session_config *config) {
        struct session *s = NULL;
        struct why why = { "" };

        if (session_new(&s, e, config, &why) < 0)
                bail_out(why.text);
        return s;
}

static size_t n_vocab(const struct engine *e) {
        return tokenizer_n_tokens(engine_tokenizer(e));
}

/* Put in by the linker: a drafter whose guesses are as good as a test wants them. */
typedef void guide_fn(unsigned depth, int32_t token, float *logits);
static guide_fn *guide;
static unsigned depth;

void __real_draft_begin(struct draft *d, const float *state);
void __wrap_draft_begin(struct draft *d, const float *state);
void __real_draft_step(struct draft *d, int32_t token, float *logits);
void __wrap_draft_step(struct draft *d, int32_t token, float *logits);

void __wrap_draft_begin(struct draft *d, const float *state) {
        depth = 0;
        __real_draft_begin(d, state);
}

void __wrap_draft_step(struct draft *d, int32_t token, float *logits) {
        __real_draft_step(d, token, logits);
        if (guide)
                guide(depth, token, logits);
        depth++;
}

static float check_case(struct engine *e, const struct gguf *g, unsigned i) {
        const struct session_config config = { .max_positions = 200, .f32_cache = true };
        const struct gguf_tensor *ids = golden_part(g, i, "ids");
        const struct gguf_tensor *tokens = golden_part(g, i, "tokens");
        const float *expected = golden_part(g, i, "logits")->data;
        struct session *s = open_session(e, &config);
        struct speculation *sp = s->speculation;
        float largest = 0;

        expect(session_append_tokens(s, ids->data, ids->dims[0]) == 0 && session_logits(s));
        draft_begin(&sp->draft, sp->states);
        for (size_t step = 0; step < tokens->dims[0]; step++) {
                draft_step(&sp->draft, ((const int32_t *) tokens->data)[step], sp->logits);
                for (size_t j = 0; j < n_vocab(e); j++) {
                        float off = fabsf(sp->logits[j] - expected[step * n_vocab(e) + j]);

                        if (!(off <= largest))
                                largest = off;
                }
        }
        session_free(s);
        return largest;
}

static void check_pair(const char *golden, const char *model, const char *drafter) {
        _cleanup_(gguf_closep) struct gguf *g = open_golden(golden);
        _cleanup_(freep) char *model_path = golden_path(model);
        _cleanup_(freep) char *drafter_path = golden_path(drafter);
        const struct engine_config config = { .n_threads = 2, .model_path = model_path };
        _cleanup_(engine_closep) struct engine *e = NULL;
        uint32_t n_cases = 0;

        open_engine(&e, &config, drafter_path);
        expect(gguf_get_u32(g, "golden.n_cases", &n_cases, NULL) == 0 && n_cases > 0);
        for (unsigned i = 0; i < n_cases; i++) {
                float off = check_case(e, g, i);

                printf("# %s, case %u: logits differ by at most %.6f\n", drafter, i, (double) off);
                expect(off <= 1e-3f);
        }
}

static void reference(void) {
        check_pair("golden-drafter-a.gguf", "model-a.gguf", "drafter-a.gguf");
        check_pair("golden-drafter-b.gguf", "model-b.gguf", "drafter-b.gguf");
}

/* Greedy and sampled answers, bit for bit. */

enum { N_MODELS = 200, MAX_PROMPT = 190, N_ANSWER = 24 };

static struct random rng;        /* of prompts */
static struct random guesses;    /* of how good they are: how many there are may depend on time */
static int32_t answer[N_ANSWER]; /* without a drafter */
static float *answer_logits;     /* [N_ANSWER][n_vocab] */
static unsigned n_answered, prompt_length, n_all;
static const struct session *guided; /* whose answer is known */

/* Three of four guesses are right, where the answer is known. */
static void guide_by_answer(unsigned at, int32_t token, float *logits) {
        size_t i = guided->cache.n - prompt_length + at + 1;

        (void) token;
        if (i < n_answered && random_bits(&guesses) % 4)
                logits[answer[i]] = 1e6f;
}

static const float *logits_at_hand(const struct session *s) {
        return s->logits + (size_t) s->row * n_vocab(s->engine);
}

struct subject {
        enum gguf_type type, drafter_type;
        struct engine_config engine;
        struct session_config session;
        struct sampler_config sampler;
};

/* What varies: types of weights, kernels, threads, cache, guesses, sampler. */
static struct subject vary(unsigned i) {
        static const enum gguf_type types[] = { GGUF_Q4_0, GGUF_F32,  GGUF_Q8_0, GGUF_Q4_K,
                                                GGUF_F16,  GGUF_Q6_K, GGUF_BF16, GGUF_Q5_K,
                                                GGUF_Q4_1, GGUF_Q5_0, GGUF_Q2_K, GGUF_IQ4_XS };
        static const enum gguf_type drafter_types[] = { GGUF_Q4_0, GGUF_F32, GGUF_Q8_0, GGUF_BF16,
                                                        GGUF_F16 };
        unsigned n_kernels = 0;
        struct subject s = {
                .type = types[i % (sizeof(types) / sizeof(types[0]))],
                .drafter_type =
                        drafter_types[i % (sizeof(drafter_types) / sizeof(drafter_types[0]))],
                .engine = { .n_threads = 1 + i % 2 },
                .session = { .max_positions = MAX_PROMPT + N_ANSWER + 1,
                             .f32_cache = i % 5 == 0,
                             .n_guesses = i % 8 },
        };

        while (kernels_usable()[n_kernels])
                n_kernels++;
        s.engine.kernels = kernels_usable()[i / 7 % n_kernels]->name;
        if (i % 4 == 3)
                s.sampler = (struct sampler_config){
                        .temperature = 0.8f, .top_k = 20, .top_p = 0.95f, .seed = i
                };
        return s;
}

static void fill_prompt(int32_t *ids, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                ids[i] = (int32_t) (20 + random_bits(&rng) % 350);
}

/* The answer without a drafter, or with one the check that it is the same. */
static void answer_to(struct engine *e, const struct subject *t, const int32_t *ids, bool check) {
        struct session_config config = t->session;
        _cleanup_(sampler_freep) struct sampler *sampler = NULL;
        struct session *s;
        int r = 1;

        config.without_drafter = !check;
        s = open_session(e, &config);
        expect(sampler_new(&sampler, &t->sampler, n_vocab(e)) == 0);
        expect(session_append_tokens(s, ids, prompt_length) == 0);
        guided = s;
        guide = check ? guide_by_answer : NULL;
        for (unsigned i = 0; i < N_ANSWER && r == 1; i++) {
                float *logits = answer_logits + i * n_vocab(e);
                int32_t id = -1;

                r = session_next(s, sampler, &id);
                expect(session_position(s) == prompt_length + i);
                if (!check) {
                        answer[i] = id;
                        memcpy(logits, logits_at_hand(s), n_vocab(e) * sizeof(float));
                        n_answered = i + 1;
                        continue;
                }
                expect(i < n_answered && answer[i] == id);
                expect(memcmp(logits, logits_at_hand(s), n_vocab(e) * sizeof(float)) == 0);
        }
        guide = NULL;
        if (check) {
                struct session_drafting d = {};

                expect(session_drafting(s, &d) && d.n_held <= d.n_judged &&
                       d.n_judged <= d.n_guessed);
                n_all += (unsigned) d.n_held;
        }
        session_free(s);
}

static void same_answers(void) {
        answer_logits = calloc(N_ANSWER * 1024, sizeof(float));
        guesses.state = 12;
        n_all = 0;
        for (unsigned i = 0; i < N_MODELS && !tap_rule_failed; i++) {
                _cleanup_(engine_closep) struct engine *e = NULL;
                struct subject t = vary(i);
                const char *drafter = random_drafter(t.drafter_type, 1000 + i, NULL);
                int32_t ids[MAX_PROMPT];

                t.engine.model_path = random_model(t.type, false, 1 + i);
                open_engine(&e, &t.engine, drafter);
                (void) unlink(t.engine.model_path);
                (void) unlink(drafter);
                /* Some prompts are shorter than the window, some longer than the ring; plain C is
                 * not made to wait for. */
                prompt_length = i % 3 == 0 ? 5 + i % 15 : (i % 6 != 2 ? 40 : 150 + i % 40);
                if (prompt_length > 40 && strcmp(t.engine.kernels, "scalar") == 0)
                        prompt_length -= 145;
                rng.state = 14 + i;
                fill_prompt(ids, prompt_length);
                answer_to(e, &t, ids, false);
                answer_to(e, &t, ids, true);
                if (tap_rule_failed)
                        printf("# model %u: %s with %s kernels, %u guesses\n", i,
                               gguf_type_name(t.type), t.engine.kernels, t.session.n_guesses);
        }
        printf("# %u guesses of %u models held\n", n_all, N_MODELS);
        expect(n_all > 1000);
        free(answer_logits);
}

/* What a session is asked in the middle of what it has guessed. */

static struct engine *engine; /* a random model with a drafter */

static void open_random(void) {
        const char *drafter = random_drafter(GGUF_Q8_0, 3, NULL), *model;
        struct engine_config config = { .n_threads = 2 };

        config.model_path = model = random_model(GGUF_Q4_0, false, 5);
        open_engine(&engine, &config, drafter);
        (void) unlink(model);
        (void) unlink(drafter);
}

/* Two sessions, one of them with a drafter that is always right about the answer of the other. */
struct pair {
        struct session *plain, *drafting;
        struct sampler *greedy;
        int32_t ids[20];
};

static void guide_rightly(unsigned at, int32_t token, float *logits) {
        size_t i = guided->cache.n - prompt_length + at + 1;

        (void) token;
        if (i < n_answered)
                logits[answer[i]] = 1e6f;
}

static void pair_init(struct pair *p, unsigned max_positions) {
        struct session_config config = { .max_positions = max_positions, .n_guesses = 5 };

        p->drafting = open_session(engine, &config);
        config.without_drafter = true;
        p->plain = open_session(engine, &config);
        expect(sampler_new(&p->greedy, &(struct sampler_config){ .top_p = 1 }, n_vocab(engine)) ==
               0);
        prompt_length = 20;
        rng.state = 13;
        fill_prompt(p->ids, prompt_length);

        /* What it will say. */
        expect(session_append_tokens(p->plain, p->ids, prompt_length) == 0);
        for (n_answered = 0; n_answered < N_ANSWER; n_answered++)
                if (session_next(p->plain, p->greedy, &answer[n_answered]) != 1)
                        break;
        expect(session_rewind(p->plain, 0) == 0);
        guided = p->drafting;
        guide = guide_rightly;
        for (unsigned i = 0; i < 2; i++) {
                struct session *s = i ? p->plain : p->drafting;

                expect(session_append_tokens(s, p->ids, prompt_length) == 0);
        }
}

static void pair_done(struct pair *p) {
        guide = NULL;
        session_free(p->plain);
        session_free(p->drafting);
        sampler_free(p->greedy);
}

/* One call of each, which must say the same. */
static int pair_next(struct pair *p, int32_t *ret) {
        int32_t other = -1;
        int r = session_next(p->plain, p->greedy, ret);

        expect(session_next(p->drafting, p->greedy, &other) == r && (r < 0 || other == *ret));
        expect(session_position(p->plain) == session_position(p->drafting));
        return r;
}

static void expect_same_logits(struct pair *p) {
        const float *a = session_logits(p->plain), *b = session_logits(p->drafting);

        expect(!a == !b);
        expect(!a || memcmp(a, b, n_vocab(engine) * sizeof(float)) == 0);
        expect(session_position(p->plain) == session_position(p->drafting));
}

static void in_the_middle(void) {
        struct pair p;
        int32_t id;

        pair_init(&p, 100);
        for (unsigned i = 0; i < 3; i++)
                expect(pair_next(&p, &id) == 1);
        expect(speculation_ahead(p.drafting->speculation) == 4);

        /* Only the token that is not in the cache of the one is taken back: the choice stays. */
        expect(session_rewind(p.plain, 22) == 0 && session_rewind(p.drafting, 22) == 0);
        expect(pair_next(&p, &id) == 1 && id == answer[2]);
        expect_same_logits(&p);

        /* Something else is said. */
        for (unsigned i = 0; i < 2; i++) {
                struct session *s = i ? p.plain : p.drafting;

                expect(session_append_tokens(s, p.ids, 3) == 0);
        }
        expect_same_logits(&p);
        expect(pair_next(&p, &id) == 1 && pair_next(&p, &id) == 1);

        /* Far back, and beyond the end. */
        expect(session_rewind(p.drafting, session_position(p.drafting) + 1) == -ERANGE);
        expect(session_rewind(p.plain, 10) == 0 && session_rewind(p.drafting, 10) == 0);
        expect_same_logits(&p);
        expect(session_append_tokens(p.plain, p.ids + 10, 10) == 0 &&
               session_append_tokens(p.drafting, p.ids + 10, 10) == 0);
        for (unsigned i = 0; i < 8; i++)
                expect(pair_next(&p, &id) == 1 && id == answer[i]);
        pair_done(&p);
}

static void full_cache(void) {
        struct pair p;
        int32_t id;

        pair_init(&p, 20 + N_ANSWER / 2);
        for (unsigned i = 0; i < N_ANSWER / 2; i++)
                expect(pair_next(&p, &id) == 1);
        expect(pair_next(&p, &id) == -ENOSPC && pair_next(&p, &id) == -ENOSPC);
        expect(session_append_tokens(p.drafting, p.ids, 1) == -ENOSPC);
        expect(session_append_tokens(p.plain, p.ids, 1) == -ENOSPC);
        pair_done(&p);
}

static void guesses_in_use(void) {
        struct session_drafting d = {};
        struct pair p;
        int32_t id;

        pair_init(&p, 100);
        for (unsigned i = 0; i < 19; i++)
                expect(pair_next(&p, &id) == 1);
        expect(!session_drafting(p.plain, &d));
        expect(session_drafting(p.drafting, &d));
        /* One token by the prompt, then one and its five guesses to a pass. */
        expect(d.n_passes == 3 && d.n_guessed == 15 && d.n_judged == 15 && d.n_held == 15);
        expect(d.n_wanted == 5 && d.acceptance > 0.7 && d.acceptance <= 1);
        pair_done(&p);
}

/* Sampling keeps the distribution: all of three tokens, of which each is one of three. */

enum { N_KINDS = 3, N_NODES = 1 + N_KINDS + N_KINDS * N_KINDS, N_DRAWS = 4000 };

#define TEMPERATURE 3
#define TOP_P       0.93

static const struct sampler_config dice = {
        .temperature = TEMPERATURE, .top_k = N_KINDS, .top_p = (float) TOP_P, .seed = 2026
};
static float *tree[N_NODES]; /* logits by what was said, [n_vocab] */
static int32_t kinds[N_NODES][N_KINDS];
static double chances[N_NODES][N_KINDS];
static unsigned guessed_node; /* what was said before the token that is given next */

/* The likeliest three and their shares, computed anew. */
static void fill_node(unsigned node, const float *logits) {
        double sum = 0, kept = 0;

        tree[node] = malloc(n_vocab(engine) * sizeof(float));
        memcpy(tree[node], logits, n_vocab(engine) * sizeof(float));
        for (unsigned k = 0; k < N_KINDS; k++) {
                size_t best = n_vocab(engine);

                for (size_t i = 0; i < n_vocab(engine); i++) {
                        bool is_taken = false;

                        for (unsigned j = 0; j < k; j++)
                                is_taken |= kinds[node][j] == (int32_t) i;
                        if (!is_taken && (best == n_vocab(engine) || logits[i] > logits[best]))
                                best = i;
                }
                kinds[node][k] = (int32_t) best;
                chances[node][k] = exp(((double) logits[best] - (double) logits[kinds[node][0]]) /
                                       TEMPERATURE);
                sum += chances[node][k];
        }
        for (unsigned k = 0; k < N_KINDS; k++) {
                if (kept >= TOP_P * sum)
                        chances[node][k] = 0;
                kept += chances[node][k];
        }
        for (unsigned k = 0; k < N_KINDS; k++)
                chances[node][k] /= kept;
}

static unsigned child(unsigned node, unsigned k) {
        return N_KINDS * node + 1 + k;
}

static unsigned kind_of(unsigned node, int32_t token) {
        for (unsigned k = 0; k < N_KINDS; k++)
                if (kinds[node][k] == token)
                        return k;
        return N_KINDS;
}

static void grow(struct session *s, unsigned node, unsigned level) {
        unsigned position = session_position(s);
        const float *logits = session_logits(s);

        fill_node(node, logits);
        for (unsigned k = 0; k < N_KINDS && level < 2; k++) {
                expect(session_append_tokens(s, &kinds[node][k], 1) == 0);
                grow(s, child(node, k), level + 1);
                expect(session_rewind(s, position) == 0);
        }
}

/* Logits like the model's, somewhat askew, so that a guess is mostly right and by no means always. */
static void guide_nearly(unsigned at, int32_t token, float *logits) {
        unsigned k = guessed_node < N_NODES ? kind_of(guessed_node, token) : N_KINDS;

        (void) at;
        guessed_node = k < N_KINDS ? child(guessed_node, k) : N_NODES;
        for (size_t i = 0; guessed_node < N_NODES && i < n_vocab(engine); i++)
                logits[i] = tree[guessed_node][i] + 1.5f * random_normal(&guesses);
}

static void distribution(void) {
        struct session_config config = { .max_positions = 64, .n_guesses = 2 };
        struct session *s = open_session(engine, &config);
        unsigned counts[N_KINDS * N_KINDS * N_KINDS] = { 0 }, n_kinds = 0;
        _cleanup_(sampler_freep) struct sampler *sampler = NULL;
        struct session_drafting d = {};
        double chi_square = 0;
        int32_t ids[20];

        rng.state = 15;
        guesses.state = 16;
        fill_prompt(ids, 20);
        expect(sampler_new(&sampler, &dice, n_vocab(engine)) == 0);
        expect(session_append_tokens(s, ids, 20) == 0);
        grow(s, 0, 0);
        guide = guide_nearly;
        for (unsigned i = 0; i < N_DRAWS; i++) {
                unsigned node = 0, place = 0;

                expect(session_rewind(s, 19) == 0 && session_append_tokens(s, ids + 19, 1) == 0);
                for (unsigned level = 0; level < 3; level++) {
                        int32_t id;
                        unsigned k;

                        /* Guesses begin with the token that was said last. */
                        guessed_node = level > 0 ? (node - 1) / N_KINDS : N_NODES;
                        if (session_next(s, sampler, &id) != 1)
                                bail_out("a random model ended its turn");
                        k = kind_of(node, id);
                        expect(k < N_KINDS);
                        place = place * N_KINDS + k;
                        node = child(node, k);
                }
                counts[place]++;
        }
        guide = NULL;

        for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                unsigned a = i / 9, b = i / 3 % 3, c = i % 3;
                double expected = N_DRAWS * chances[0][a] * chances[child(0, a)][b] *
                                  chances[child(child(0, a), b)][c];

                expect(expected > 0 || counts[i] == 0);
                if (expected == 0)
                        continue;
                n_kinds++;
                chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
        }
        expect(session_drafting(s, &d));
        printf("# chi-square %.1f of %u kinds, %llu of %llu guesses held\n", chi_square, n_kinds,
               (unsigned long long) d.n_held, (unsigned long long) d.n_judged);
        /* Of 21 degrees of freedom, as here, one in a thousand is above 47. */
        expect(n_kinds > 15 && n_kinds < 27 && chi_square < 47);
        expect(d.n_held > d.n_judged / 2 && d.n_held < d.n_judged);
        for (unsigned i = 0; i < N_NODES; i++)
                free(tree[i]);
        session_free(s);
}

/* Files that are no drafter for this model. */

static void misfits(void) {
        static const struct {
                struct misfit misfit;
                const char *reason;
        } rows[] = {
                { { .architecture = "gemma4" },
                  "key 'general.architecture' is 'gemma4', not 'gemma4-assistant'" },
                { { .width_out = 512 },
                  "key 'gemma4-assistant.embedding_length_out' is 512, and the model is 256 wide" },
                { { .window = 25 },
                  "key 'gemma4-assistant.attention.sliding_window' is 25, and 24 in the model" },
                { { .head_size = 64 },
                  "key 'gemma4-assistant.attention.key_length' is 64, and 128 in the global layers "
                  "of the model" },
                { { .heads = 3 },
                  "key 'gemma4-assistant.attention.head_count' is 3, which does not divide among "
                  "the 2 key-value heads of the model" },
                { { .other_token = true },
                  "key 'tokenizer.ggml.tokens': token 300 is another than in the model" },
                { { .fewer_tokens = true },
                  "key 'tokenizer.ggml.tokens' has 373 entries, and 374 in the model" },
                { { .missing = "nextn.post_projection.weight" },
                  "no tensor 'nextn.post_projection.weight'" },
                { { .missing = "blk.1.ffn_up.weight" }, "no tensor 'blk.1.ffn_up.weight'" },
        };
        struct why why = { "" };

        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *path = random_drafter(GGUF_F16, 1, &rows[i].misfit);
                char expected[400];

                (void) snprintf(expected, sizeof(expected), "%s: %s", path, rows[i].reason);
                expect(engine_add_drafter(engine, path, &why) < 0);
                if (strcmp(why.text, expected) != 0)
                        printf("# '%s'\n", why.text);
                expect(strcmp(why.text, expected) == 0);
                (void) unlink(path);
        }

        {
                const char *path =
                        random_drafter(GGUF_F16, 1, &(struct misfit){ .is_short = true });

                expect(engine_add_drafter(engine, path, &why) == -EBADMSG);
                expect(strncmp(why.text, path, strlen(path)) == 0);
                (void) unlink(path);
        }
        expect(engine_add_drafter(engine, "/nowhere/drafter.gguf", &why) == -ENOENT);
        expect(strcmp(why.text, "/nowhere/drafter.gguf: No such file or directory") == 0);
        expect(engine->drafter != NULL);
}

int main(void) {
        open_random();
        rule("a drafter's logits are those of transformers", reference);
        rule("no bit of an answer depends on a drafter", same_answers);
        rule("guesses ahead of the position are nobody's business", in_the_middle);
        rule("a full cache is as full with a drafter", full_cache);
        rule("one pass brings all guesses that hold, and one token more", guesses_in_use);
        rule("sampling with a drafter keeps the distribution", distribution);
        rule("a drafter that does not fit is refused with a reason", misfits);
        engine_close(engine);
        return tap_done();
}
