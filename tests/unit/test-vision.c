/* SPDX-License-Identifier: Apache-2.0 */
#include "model/vision.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/decoder.h"
#include "model/engine-internal.h"
#include "model/session.h"
#include "tests/tap.h"
#include "tests/unit/golden.h"

/* What is seen against the reference implementation: see tests/golden/README.md. */

#define PIXEL_BOUND 1e-5f
#define BOUND       1e-3f
#define POSITIONS   400
#define N_GREEDY    64
#define MAX_SIDE    2048

DEFINE_CLEANUP(struct gguf *, gguf_close)
DEFINE_CLEANUP(struct engine *, engine_close)
DEFINE_CLEANUP(struct session *, session_free)

/* Slopes, hard edges and noise; tests/golden/make_vision.py makes the same. */
static uint8_t pixel(uint64_t x, uint64_t y, uint64_t c, uint64_t seed) {
        switch ((x / 16 + y / 16 + seed) % 3) {
        case 0:
                return (uint8_t) ((x * 73856093 ^ y * 19349663 ^ c * 83492791 ^
                                   seed * 2654435761) >>
                                  7);
        case 1:
                return (uint8_t) (x * (3 + seed) + y * (5 + c) + c * 85);
        default:
                return (uint8_t) (((x / 7 + y / 5) & 1) * 255);
        }
}

static void draw(struct image *ret, unsigned width, unsigned height, unsigned seed) {
        static uint8_t pixels[MAX_SIDE * MAX_SIDE * 3];
        uint8_t *at = pixels;

        for (unsigned y = 0; y < height; y++)
                for (unsigned x = 0; x < width; x++)
                        for (unsigned c = 0; c < 3; c++)
                                *at++ = pixel(x, y, c, seed);
        *ret = (struct image){ pixels, width, height };
}

static int64_t number(const struct gguf *g, const char *key, size_t i) {
        struct gguf_array a;
        int64_t n = -1;

        expect(gguf_get_array(g, key, &a, NULL) == 0 && gguf_array_integer(&a, i, &n) == 0);
        return n;
}

static void check_pixels(const struct gguf *g, unsigned i) {
        char key[32];
        const struct gguf_tensor *t;
        struct image image;
        struct patches p;
        unsigned n[6], count;
        float *values, largest = 0;
        const uint8_t *expected;

        (void) snprintf(key, sizeof(key), "pixels.%u", i);
        for (unsigned k = 0; k < 6; k++)
                n[k] = (unsigned) number(g, key, k);
        t = gguf_find_tensor(g, key);
        draw(&image, n[0], n[1], i);
        expect(patches_make(&p, &image, n[3], n[2], NULL) == 0);
        expect(p.fit.columns == n[4] && p.fit.rows == n[5]);

        count = 3 * n[3] * n[3];
        expected = t->data;
        values = calloc(count, sizeof(float));
        expect(t->size >= (size_t) patches_count(&p) * count);
        for (unsigned k = 0; k < patches_count(&p); k++) {
                patches_read(&p, k, values);
                for (unsigned j = 0; j < count; j++) {
                        float d = fabsf(values[j] - (float) *expected++ / 255);

                        if (!(d <= largest))
                                largest = d;
                }
        }
        printf("# %u x %u, %u patches of %u: pixels differ by at most %.1e\n", n[0], n[1],
               patches_count(&p), n[3], (double) largest);
        expect(largest <= PIXEL_BOUND);
        free(values);
        patches_done(&p);
}

static void pixels(void) {
        _cleanup_(gguf_closep) struct gguf *g = open_golden("golden-v.gguf");
        uint32_t n = 0;

        expect(gguf_get_u32(g, "pixels.n", &n, NULL) == 0 && n >= 10);
        for (unsigned i = 0; i < n; i++)
                check_pixels(g, i);
}

static void odd_pictures(void) {
        const uint8_t one[3] = { 10, 20, 30 };
        struct image_fit fit;
        struct why why = { "" };
        struct image image = { one, 1, 1 };
        struct patches p;
        float values[27];

        expect(image_fit(&fit, 0, 5, 48, 280, &why) == -ERANGE);
        expect(image_fit(&fit, 5, 0, 48, 280, &why) == -ERANGE);
        expect(image_fit(&fit, 65536, 1, 48, 280, &why) == -ERANGE && strstr(why.text, "65536"));
        expect(image_fit(&fit, 40000, 40000, 48, 280, &why) == -ERANGE);
        for (unsigned w = 1; w <= IMAGE_MAX_SIDE; w = w * 3 + 1)
                for (unsigned h = 1; h <= IMAGE_MAX_SIDE; h = h * 2 + 1) {
                        if ((uint64_t) w * h > IMAGE_MAX_PIXELS)
                                continue;
                        expect(image_fit(&fit, w, h, 48, 280, NULL) == 0);
                        expect(fit.columns > 0 && fit.rows > 0 && fit.columns * fit.rows <= 280);
                }

        /* A single pixel fills everything. */
        expect(patches_make(&p, &image, 3, 70, NULL) == 0);
        patches_read(&p, patches_count(&p) - 1, values);
        for (unsigned i = 0; i < 27; i++)
                expect(fabsf(values[i] - (float) one[i / 9] / 255) < 1e-6f);
        patches_done(&p);
}

/* One sequence: its ids with a placeholder at rows of sound and pictures. */
struct golden_case {
        const struct gguf *g;
        unsigned index;
        const int32_t *ids;
        unsigned n;
        const float *frames;
        const float *rows;   /* [patches][width] */
        const float *logits; /* [n][n_vocab] */
        const int32_t *greedy;
        unsigned budget;
};

static struct golden_case read_case(const struct gguf *g, unsigned i) {
        const struct gguf_tensor *ids = golden_part(g, i, "ids"), *frames = golden_part(g, i, "frames");
        struct golden_case c = {
                .g = g,
                .index = i,
                .ids = ids->data,
                .n = (unsigned) ids->dims[0],
                .frames = frames ? frames->data : NULL,
                .rows = golden_part(g, i, "rows")->data,
                .logits = golden_part(g, i, "logits")->data,
                .greedy = golden_part(g, i, "greedy")->data,
        };
        char key[32];

        (void) snprintf(key, sizeof(key), "case.%u.budget", i);
        expect(gguf_get_u32(g, key, &c.budget, NULL) == 0);
        return c;
}

static void
read_picture(const struct golden_case *c, unsigned which, unsigned side, struct patches *ret) {
        char key[32];
        unsigned n[3];
        struct image image;

        (void) snprintf(key, sizeof(key), "case.%u.pictures", c->index);
        for (unsigned k = 0; k < 3; k++)
                n[k] = (unsigned) number(c->g, key, which * 3 + k);
        draw(&image, n[0], n[1], n[2]);
        expect(patches_make(ret, &image, side, c->budget, NULL) == 0);
}

static struct engine *open_engine(const char *kernels) {
        _cleanup_(freep) char *model = golden_path("model-v.gguf");
        _cleanup_(freep) char *projector = golden_path("mmproj-v.gguf");
        struct engine_config config = {
                .model_path = model, .projector_path = projector, .n_threads = 2, .kernels = kernels
        };
        struct engine *e = NULL;
        struct why why = { "" };

        if (engine_open(&e, &config, &why) < 0) {
                printf("Bail out! %s\n", why.text);
                exit(1);
        }
        return e;
}

enum kind { TEXT, SOUND, PICTURE };

static enum kind kind_of(const struct engine *e, int32_t id) {
        const struct tokenizer *t = e->tokenizer;
        struct gguf_string piece = tokenizer_piece(t, id);

        if (id == tokenizer_special(t)->audio_frame)
                return SOUND;
        return piece.size == 9 && memcmp(piece.text, "<|image|>", 9) == 0 ? PICTURE : TEXT;
}

/* Follows a case with a decoder that computes every row of the last layer, too. */
struct follower {
        struct engine *e;
        struct kvcache cache;
        struct decoder d;
        struct vision vision;
        float *logits; /* owned */
        float largest; /* difference of logits */
        float largest_row;
};

static void follower_init(struct follower *f, struct engine *e, unsigned budget, bool is_f32) {
        *f = (struct follower){ .e = e, .logits = calloc(e->params.n_vocab, sizeof(float)) };
        expect(kvcache_init(&f->cache, &e->params, POSITIONS,
                            budget > DECODER_MAX_ROWS ? budget : DECODER_MAX_ROWS, is_f32) == 0);
        expect(decoder_init(&f->d, e->kernels, e->pool, &e->params, &e->weights, &f->cache,
                            budget) == 0);
        expect(vision_init(&f->vision, &e->weights.vision, e->kernels, e->pool) == 0);
        f->d.all_rows = true;
}

static void follower_done(struct follower *f) {
        vision_done(&f->vision);
        decoder_done(&f->d);
        kvcache_done(&f->cache);
        free(f->logits);
}

static float difference(const float *x, const float *expected, size_t n) {
        float largest = 0;

        for (size_t v = 0; v < n; v++) {
                float d = fabsf(x[v] - expected[v]);

                if (!(d <= largest))
                        largest = d;
        }
        return largest;
}

static void compare_rows(struct follower *f,
                         const struct golden_case *c,
                         const float *rows,
                         unsigned first,
                         unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                float d;

                decoder_logits_of(&f->d, rows + (size_t) i * f->e->params.width, 1, f->logits);
                d = difference(f->logits, c->logits + (size_t) (first + i) * f->e->params.n_vocab,
                               f->e->params.n_vocab);
                if (!(d <= f->largest))
                        f->largest = d;
        }
}

static void follow(struct follower *f, const struct golden_case *c, unsigned most) {
        unsigned n_frames = 0, n_pictures = 0, n_rows = 0, n;

        for (unsigned i = 0; i < c->n; i += n) {
                enum kind kind = kind_of(f->e, c->ids[i]);
                struct patches p;
                float d;

                for (n = 1; i + n < c->n && kind_of(f->e, c->ids[i + n]) == kind &&
                            (n < most || kind == PICTURE);)
                        n++;
                if (kind == TEXT)
                        decoder_embed_tokens(&f->d, c->ids + i, n);
                else if (kind == SOUND)
                        decoder_embed_frames(&f->d, c->frames + (size_t) n_frames * 640, n);
                if (kind != PICTURE) {
                        decoder_forward(&f->d, n, 1);
                        n_frames += kind == SOUND ? n : 0;
                        compare_rows(f, c, f->d.h, i, n);
                        continue;
                }
                read_picture(c, n_pictures++, f->e->weights.vision.side, &p);
                expect(patches_count(&p) == n);
                vision_embed(&f->vision, &p, f->d.block);
                patches_done(&p);
                d = difference(f->d.block, c->rows + (size_t) n_rows * f->e->params.width,
                               (size_t) n * f->e->params.width);
                if (!(d <= f->largest_row))
                        f->largest_row = d;
                n_rows += n;
                expect(decoder_forward_block(&f->d, n, NULL, NULL) == 0);
                compare_rows(f, c, f->d.block, i, n);
        }
}

static void positions_on(const struct kernels *kernels, const char *label, unsigned n_cases) {
        _cleanup_(gguf_closep) struct gguf *g = open_golden("golden-v.gguf");
        _cleanup_(engine_closep) struct engine *e = open_engine(NULL);
        static const unsigned pieces[] = { 1, 7, 128 };

        e->kernels = kernels;
        for (unsigned i = 0; i < n_cases; i++) {
                struct golden_case c = read_case(g, i);

                expect(c.n > 3 * e->params.window);
                for (unsigned j = 0; j < 3; j++) {
                        _cleanup_(follower_done) struct follower f;

                        follower_init(&f, e, c.budget, true);
                        follow(&f, &c, pieces[j]);
                        printf("# %s, case %u of %u positions, %u at once: rows differ by at most "
                               "%.1e, logits by %.1e\n",
                               label, i, c.n, pieces[j], (double) f.largest_row,
                               (double) f.largest);
                        expect(f.largest_row <= BOUND);
                        expect(f.largest <= BOUND);
                }
        }
}

#if HAVE_EMULATED
extern const struct kernels emulated_avx512, emulated_avxvnni, emulated_neon, emulated_i8mm;
#endif

/* Those that this processor runs, and one case on those that it may not. */
static void positions(void) {
        for (const struct kernels *const *k = kernels_usable(); *k; k++)
                positions_on(*k, (*k)->name, 3);
#if HAVE_EMULATED
        positions_on(&emulated_avx512, "avx512 (emulated)", 1);
        positions_on(&emulated_avxvnni, "avxvnni (emulated)", 1);
        positions_on(&emulated_neon, "neon (emulated)", 1);
        positions_on(&emulated_i8mm, "i8mm (emulated)", 1);
#endif
}

static int32_t best(const struct engine *e, const float *logits) {
        unsigned best = 0;

        for (unsigned v = 1; v < e->params.n_vocab; v++)
                if (logits[v] > logits[best])
                        best = v;
        return (int32_t) best;
}

static void append_case(struct session *s, struct engine *e, const struct golden_case *c) {
        unsigned n_frames = 0, n_pictures = 0, n, side, most;

        for (unsigned i = 0; i < c->n; i += n) {
                enum kind kind = kind_of(e, c->ids[i]);
                struct patches p;

                for (n = 1; i + n < c->n && kind_of(e, c->ids[i + n]) == kind;)
                        n++;
                if (kind == TEXT)
                        expect(session_append_tokens(s, c->ids + i, n) == 0);
                if (kind == SOUND) {
                        expect(session_append_frames(s, c->frames + (size_t) n_frames * 640, n) ==
                               0);
                        n_frames += n;
                }
                if (kind == PICTURE) {
                        expect(session_image_format(s, &side, &most) == 0 && most == c->budget);
                        read_picture(c, n_pictures++, side, &p);
                        expect(session_append_image(s, &p, NULL, NULL) == 0);
                        patches_done(&p);
                }
        }
}

static void greedy(void) {
        _cleanup_(gguf_closep) struct gguf *g = open_golden("golden-v.gguf");
        _cleanup_(engine_closep) struct engine *e = open_engine(NULL);

        expect(engine_sees(e) && engine_hears(e));
        for (unsigned i = 0; i < 3; i++) {
                struct golden_case c = read_case(g, i);
                struct session_config sc = { .max_positions = POSITIONS,
                                             .f32_cache = true,
                                             .image_positions = c.budget };
                _cleanup_(session_freep) struct session *s = NULL;
                unsigned n_same;

                expect(session_new(&s, e, &sc, NULL) == 0);
                append_case(s, e, &c);
                expect(session_position(s) == c.n);
                for (n_same = 0; n_same < N_GREEDY; n_same++) {
                        int32_t id = best(e, session_logits(s));

                        if (id != c.greedy[n_same] || session_append_tokens(s, &id, 1) < 0)
                                break;
                }
                expect(n_same == N_GREEDY);

                /* Once more in the same session, of which all is taken back. */
                expect(session_rewind(s, 0) == 0);
                append_case(s, e, &c);
                expect(best(e, session_logits(s)) == c.greedy[0]);
        }
}

/* Halves in the cache, and a number of threads: only rounding differs, and the second not even that. */
static void halves(void) {
        _cleanup_(gguf_closep) struct gguf *g = open_golden("golden-v.gguf");
        _cleanup_(engine_closep) struct engine *e = open_engine(NULL);
        struct golden_case c = read_case(g, 2);
        _cleanup_(follower_done) struct follower f;

        follower_init(&f, e, c.budget, false);
        follow(&f, &c, 128);
        printf("# halves: logits differ by at most %.1e\n", (double) f.largest);
        expect(f.largest > 0 && f.largest <= 0.3f);
}

static bool goes_on_once(void *userdata) {
        unsigned *n = userdata;

        return (*n)++ < 1;
}

/* Given up within, nothing of it is left, also where the ring has gone round. */
static void given_up(void) {
        _cleanup_(gguf_closep) struct gguf *g = open_golden("golden-v.gguf");
        _cleanup_(engine_closep) struct engine *e = open_engine(NULL);
        struct golden_case c = read_case(g, 1);
        struct session_config sc = { .max_positions = POSITIONS,
                                     .f32_cache = true,
                                     .image_positions = c.budget };
        _cleanup_(session_freep) struct session *s = NULL;
        unsigned n_asked = 0, position;
        float *before = calloc(e->params.n_vocab, sizeof(float));
        struct patches p;
        int32_t id;

        expect(session_new(&s, e, &sc, NULL) == 0);
        append_case(s, e, &c);
        position = session_position(s);
        memcpy(before, session_logits(s), e->params.n_vocab * sizeof(float));
        read_picture(&c, 0, e->weights.vision.side, &p);
        expect(session_append_image(s, &p, goes_on_once, &n_asked) == -ECANCELED && n_asked == 2);
        patches_done(&p);
        expect(session_position(s) == position);
        expect(memcmp(session_logits(s), before, e->params.n_vocab * sizeof(float)) == 0);
        /* And it goes on as if nothing had been. */
        for (unsigned i = 0; i < N_GREEDY; i++) {
                id = best(e, session_logits(s));
                expect(id == c.greedy[i]);
                expect(session_append_tokens(s, &id, 1) == 0);
        }
        free(before);
}

static void refusals(void) {
        _cleanup_(engine_closep) struct engine *e = open_engine(NULL);
        _cleanup_(engine_closep) struct engine *blind = NULL;
        _cleanup_(session_freep) struct session *s = NULL;
        _cleanup_(session_freep) struct session *none = NULL;
        _cleanup_(freep) char *path = golden_path("model-a.gguf");
        struct engine_config config = { .model_path = path, .n_threads = 1 };
        struct session_config sc = { .max_positions = 60, .image_positions = 70 };
        struct image image;
        struct patches p;
        unsigned side, most;

        draw(&image, 64, 64, 1);
        expect(session_new(&s, e, &sc, NULL) == 0);
        expect(session_image_format(s, &side, &most) == 0 && side == 6 && most == 70);
        expect(patches_make(&p, &image, side, most, NULL) == 0);
        expect(session_append_image(s, &p, NULL, NULL) == -ENOSPC && session_position(s) == 0);
        patches_done(&p);
        expect(patches_make(&p, &image, side + 1, most, NULL) == 0);
        expect(session_append_image(s, &p, NULL, NULL) == -EINVAL && session_position(s) == 0);
        patches_done(&p);
        expect(patches_make(&p, &image, side, 140, NULL) == 0);
        expect(session_append_image(s, &p, NULL, NULL) == -EINVAL && session_position(s) == 0);

        expect(engine_open(&blind, &config, NULL) == 0 && !engine_sees(blind));
        expect(session_new(&none, blind, &sc, NULL) == 0);
        expect(session_image_format(none, &side, &most) == -EOPNOTSUPP);
        expect(session_append_image(none, &p, NULL, NULL) == -EOPNOTSUPP);
        patches_done(&p);
        none = session_free(none);

        /* No more than it has places for. */
        sc.image_positions = 280;
        expect(session_new(&none, e, &sc, NULL) == 0);
        expect(session_image_format(none, &side, &most) == 0 && most == 160);
}

/* Reads the projector with one name in it changed. */
static void read_changed(const char *from, const char *to, const char *expected) {
        _cleanup_(freep) char *path = golden_path("mmproj-v.gguf");
        static unsigned char data[1 << 20] __attribute__((aligned(GGUF_ALIGNMENT)));
        _cleanup_(gguf_closep) struct gguf *g = NULL;
        struct vision_weights w;
        struct why why = { "" };
        FILE *f = fopen(path, "re");
        size_t size = f ? fread(data, 1, sizeof(data), f) : 0;
        void *at = memmem(data, size, from, strlen(from));

        if (f)
                (void) fclose(f);
        expect(size > 0 && at != NULL);
        memcpy(at, to, strlen(to));
        expect(gguf_open_memory(&g, data, size, "mmproj", &why) == 0);
        expect(vision_read(&w, g, 32, &why) < 0);
        printf("# %s\n", why.text);
        expect(strstr(why.text, expected) != NULL);
        expect(w.dense.data == NULL);
}

static void damaged_files(void) {
        static const char *const tensors[] = {
                "v.patch_norm.1.weight", "v.patch_norm.3.bias",        "v.patch_embd.bias",
                "v.patch_embd.weight",   "mm.input_projection.weight", "v.position_embd.weight",
        };

        read_changed("gemma4uv", "gemma4xx", "clip.vision.projector_type");
        read_changed("clip.vision.patch_size", "clip.vision.patch_tize", "clip.vision.patch_size");
        read_changed("clip.vision.embedding_length", "clip.vision.embedding_lengtx",
                     "clip.vision.embedding_length");
        for (unsigned i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
                char other[64];

                (void) snprintf(other, sizeof(other), "%s", tensors[i]);
                other[2] = 'X';
                read_changed(tensors[i], other, tensors[i]);
        }
        /* A bias in the place of another of a different length. */
        read_changed("v.patch_norm.2.bias", "v.patch_norm.7.bias", "v.patch_norm.2.bias");
}

int main(void) {
        rule("pictures are scaled to the reference's pixels", pixels);
        rule("odd sides are refused or fit", odd_pictures);
        rule("rows of pictures and the logits at every position are the reference's, on every row "
             "of kernels",
             positions);
        rule("the session goes on with the reference's tokens", greedy);
        rule("a cache of halves only rounds", halves);
        rule("a picture that is given up leaves no trace", given_up);
        rule("what can not be seen is refused", refusals);
        rule("a damaged projector is refused with the key or the tensor", damaged_files);
        return tap_done();
}
