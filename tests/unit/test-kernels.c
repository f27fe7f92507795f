/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/half.h"
#include "tests/tap.h"
#include "tests/unit/random.h"

/* Every row of kernels, those that this processor runs and the emulated builds of those that it may
 * not, against the scalar row. */

static const enum gguf_type types[] = { GGUF_Q4_0,    GGUF_Q8_0,    GGUF_Q4_K,   GGUF_Q5_K,
                                        GGUF_Q6_K,    GGUF_Q4_1,    GGUF_Q5_0,   GGUF_Q5_1,
                                        GGUF_Q2_K,    GGUF_Q3_K,    GGUF_IQ4_NL, GGUF_IQ4_XS,
                                        GGUF_MXFP4,   GGUF_IQ2_XXS, GGUF_IQ2_XS, GGUF_IQ2_S,
                                        GGUF_IQ3_XXS, GGUF_IQ3_S,   GGUF_IQ1_S,  GGUF_IQ1_M };
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static const struct kernels *row;
static struct random rng = { 1 };

static void random_matrix(struct matrix *w, enum gguf_type type, unsigned n_rows, unsigned n_cols) {
        size_t row_size = n_cols / gguf_type_block(type) * gguf_type_block_size(type);
        unsigned char *data = malloc(n_rows * row_size);

        random_weights(&rng, data, type, (size_t) n_rows * n_cols);
        *w = (struct matrix){ data, type, n_rows, n_cols, row_size };
}

static void random_activations(struct activations *x, unsigned n_rows, unsigned n_cols) {
        size_t n_blocks = activations_blocks(n_cols);
        float *values = malloc(n_cols * sizeof(float));

        *x = (struct activations){
                .n_rows = n_rows,
                .n_cols = n_cols,
                .q = malloc(n_rows * n_blocks * QUANT_BLOCK),
                .scale = malloc(n_rows * n_blocks * sizeof(float)),
                .sum = malloc(n_rows * n_blocks * sizeof(float)),
                .half_sums = malloc(2 * n_rows * n_blocks * sizeof(float)),
                .starts = malloc(n_rows * n_blocks * sizeof(int32_t)),
                .half_starts = malloc(2 * n_rows * n_blocks * sizeof(int32_t)),
        };
        for (unsigned i = 0; i < n_rows; i++) {
                for (unsigned j = 0; j < n_cols; j++)
                        values[j] = random_normal(&rng) * (i % 3 == 2 && j < 32 ? 0.0f : 1.0f);
                kernels_scalar.quantise(values, x, i);
        }
        free(values);
}

/* Row i of x as the only one. */
static void only_row(struct activations *ret, const struct activations *x, size_t i) {
        random_activations(ret, 1, x->n_cols);
        for (size_t b = 0; b < x->n_cols / QUANT_BLOCK; b++) {
                size_t at = activations_at(x, i, b);

                memcpy(ret->q + b * QUANT_BLOCK, x->q + at * QUANT_BLOCK, QUANT_BLOCK);
                ret->scale[b] = x->scale[at];
                ret->sum[b] = x->sum[at];
                memcpy(ret->half_sums + 2 * b, x->half_sums + 2 * at, 2 * sizeof(float));
                ret->starts[b] = x->starts[at];
                memcpy(ret->half_starts + 2 * b, x->half_starts + 2 * at, 2 * sizeof(int32_t));
        }
}

static void activations_done(struct activations *x) {
        free(x->q);
        free(x->scale);
        free(x->sum);
        free(x->half_sums);
        free(x->starts);
        free(x->half_starts);
}

static float largest_difference(const float *a, const float *b, size_t n) {
        float largest = 0;

        for (size_t i = 0; i < n; i++) {
                float difference = fabsf(a[i] - b[i]);

                if (!(difference <= largest))
                        largest = difference;
        }
        return largest;
}

static float largest_value(const float *a, size_t n) {
        float largest = 0;

        for (size_t i = 0; i < n; i++)
                largest = fmaxf(largest, fabsf(a[i]));
        return largest;
}

/* Only rows first..end-1 may be written: the guard values around them must survive. */
static void check_product(enum gguf_type type,
                          unsigned n_rows,
                          unsigned n_cols,
                          unsigned n,
                          unsigned first,
                          unsigned end) {
        struct matrix w;
        struct activations x;
        size_t size = (size_t) n_rows * n;
        float *expected = malloc(size * sizeof(float)), *got = malloc(size * sizeof(float));
        _Alignas(64) static char panel[KERNELS_PANEL_SIZE];

        random_matrix(&w, type, n_rows, n_cols);
        random_activations(&x, n, n_cols);
        for (size_t i = 0; i < size; i++)
                expected[i] = got[i] = 12345;

        kernels_scalar.multiply(&w, first, end, &x, expected, n_rows, NULL);
        row->multiply(&w, first, end, &x, got, n_rows, panel);
        expect(largest_difference(expected, got, size) <= 2e-5f * largest_value(expected, size));

        free(expected);
        free(got);
        free((void *) w.data);
        activations_done(&x);
}

static void products(void) {
        for (unsigned t = 0; t < N_TYPES; t++) {
                for (unsigned n = 1; n <= 15; n++)
                        check_product(types[t], 40, 512, n, 0, 40);
                check_product(types[t], 37, 768, 25, 0, 37);
                check_product(types[t], 115, 512, 9, 0, 115);
                check_product(types[t], 64, 256, 130, 0, 64);
                check_product(types[t], 5, 256, 3, 0, 5);
                check_product(types[t], 100, 256, 3, 33, 71);
        }
        check_product(GGUF_Q4_0, 32, 32, 3, 0, 32);
        check_product(GGUF_Q4_0, 32, 352, 3, 0, 32);
        check_product(GGUF_Q8_0, 32, 640, 5, 0, 32);
        for (unsigned t = 0; t < N_TYPES; t++)
                for (unsigned n = 1; n <= 3 && gguf_type_block(types[t]) == 32; n += 2)
                        check_product(types[t], 32, 352, n, 0, 32);
}

/* How many inputs there are, and how many rows, changes no bit of a product. */
static void alone_or_among_others(void) {
        enum { N = 512 + 256, ROWS = 112, INPUTS = 25 };
        _Alignas(64) static char panel[KERNELS_PANEL_SIZE];

        for (unsigned t = 0; t < N_TYPES; t++) {
                struct matrix w;
                struct activations x, one;
                static float all[INPUTS * ROWS], alone[ROWS], third[ROWS];

                random_matrix(&w, types[t], ROWS, N);
                random_activations(&x, INPUTS, N);
                row->multiply(&w, 0, ROWS, &x, all, ROWS, panel);
                for (unsigned i = 0; i < INPUTS; i++) {
                        only_row(&one, &x, i);
                        row->multiply(&w, 0, ROWS, &one, alone, ROWS, panel);
                        expect(memcmp(alone, all + i * ROWS, sizeof(alone)) == 0);
                        row->multiply(&w, 16, 32, &one, third, ROWS, panel);
                        expect(memcmp(third + 16, alone + 16, 16 * sizeof(float)) == 0);
                        activations_done(&one);
                }
                free((void *) w.data);
                activations_done(&x);
        }
}

/* The largest weights and inputs of one sign must not overflow any intermediate sum. */
static void extremes(void) {
        enum { N = 256, ROWS = 16 };
        _Alignas(64) static char panel[KERNELS_PANEL_SIZE];

        for (unsigned t = 0; t < N_TYPES; t++)
                for (int fill = 0; fill < 2; fill++) {
                        struct matrix w;
                        struct activations x;
                        float expected[ROWS], got[ROWS];

                        random_matrix(&w, types[t], ROWS, N);
                        random_extreme_weights((unsigned char *) w.data, types[t],
                                               (size_t) ROWS * N, fill);
                        random_activations(&x, 1, N);
                        memset(x.q, fill ? 127 : -127, N);
                        for (unsigned b = 0; b < N / 32; b++) {
                                x.scale[b] = 1;
                                x.sum[b] = (fill ? 127 : -127) * 32;
                                x.half_sums[2 * b] = x.half_sums[2 * b + 1] = x.sum[b] / 2;
                                x.starts[b] = -8 * (int32_t) x.sum[b];
                                x.half_starts[2 * b] = x.half_starts[2 * b + 1] = x.starts[b] / 2;
                        }
                        kernels_scalar.multiply(&w, 0, ROWS, &x, expected, ROWS, NULL);
                        row->multiply(&w, 0, ROWS, &x, got, ROWS, panel);
                        expect(largest_difference(expected, got, ROWS) <=
                               2e-5f * largest_value(expected, ROWS));
                        free((void *) w.data);
                        activations_done(&x);
                }
}

static void check_attention(unsigned n_queries, size_t n_keys, unsigned size) {
        float *q = random_floats(&rng, n_queries * size), *k = random_floats(&rng, n_keys * size);
        uint16_t *halves = malloc(n_keys * size * sizeof(uint16_t));
        size_t stride = n_keys + 3;
        float *expected = calloc(n_queries * stride, sizeof(float));
        float *got = calloc(n_queries * stride, sizeof(float));
        float *mixed = random_floats(&rng, n_queries * size);
        float *mixed_expected = malloc(n_queries * size * sizeof(float));

        memcpy(mixed_expected, mixed, n_queries * size * sizeof(float));
        row->to_half(halves, k, n_keys * size);

        kernels_scalar.score(q, n_queries, halves, n_keys, size, expected, stride);
        row->score(q, n_queries, halves, n_keys, size, got, stride);
        expect(largest_difference(expected, got, n_queries * stride) <=
               1e-5f * largest_value(expected, n_queries * stride));

        kernels_scalar.mix(expected, stride, n_queries, halves, n_keys, size, mixed_expected);
        row->mix(expected, stride, n_queries, halves, n_keys, size, mixed);
        expect(largest_difference(mixed_expected, mixed, n_queries * size) <=
               1e-5f * largest_value(mixed_expected, n_queries * size));

        free(q);
        free(k);
        free(halves);
        free(expected);
        free(got);
        free(mixed);
        free(mixed_expected);
}

static void attention(void) {
        for (unsigned n = 1; n <= KERNELS_MAX_QUERIES; n++) {
                check_attention(n, 33, 64);
                check_attention(n, 5, 256);
        }
        check_attention(4, 7, 24);
        check_attention(3, 7, 10);
        check_attention(2, 70, 512);
        check_attention(KERNELS_MAX_QUERIES, 100, 512);
}

/* What is beside a query or a key changes no bit of a score, and no bit of a mixture. */
static void a_query_alone(void) {
        enum { N = KERNELS_MAX_QUERIES, KEYS = 43, SIZE = 272 };
        float *q = random_floats(&rng, N * SIZE), *k = random_floats(&rng, KEYS * SIZE);
        static uint16_t halves[KEYS * SIZE];
        static float all[N * KEYS], alone[KEYS], mixed[N * SIZE], mixed_alone[SIZE];

        row->to_half(halves, k, KEYS * SIZE);
        row->score(q, N, halves, KEYS, SIZE, all, KEYS);
        memset(mixed, 0, sizeof(mixed));
        row->mix(all, KEYS, N, halves, KEYS, SIZE, mixed);
        for (unsigned i = 0; i < N; i++) {
                row->score(q + i * SIZE, 1, halves, KEYS, SIZE, alone, KEYS);
                expect(memcmp(alone, all + i * KEYS, sizeof(alone)) == 0);
                row->score(q + i * SIZE, 1, halves + 7 * SIZE, 1, SIZE, alone + 7, KEYS);
                expect(memcmp(alone, all + i * KEYS, sizeof(alone)) == 0);
                memset(mixed_alone, 0, sizeof(mixed_alone));
                row->mix(alone, KEYS, 1, halves, 11, SIZE, mixed_alone);
                row->mix(alone + 11, KEYS, 1, halves + 11 * SIZE, KEYS - 11, SIZE, mixed_alone);
                expect(memcmp(mixed_alone, mixed + i * SIZE, sizeof(mixed_alone)) == 0);
        }
        free(q);
        free(k);
}

/* All 65,536 halves there and back; floats that round, overflow and underflow. */
static void halves(void) {
        static uint16_t in[65536], back[65536];
        static float wide[65536], expected[65536];
        unsigned n_wrong = 0;

        for (unsigned i = 0; i < 65536; i++)
                in[i] = (uint16_t) i;
        row->from_half(wide, in, 65536);
        kernels_scalar.from_half(expected, in, 65536);
        row->to_half(back, wide, 65536);
        for (unsigned i = 0; i < 65536; i++) {
                if (isnan(expected[i]))
                        n_wrong += !isnan(wide[i]) || (back[i] & 0x7c00) != 0x7c00;
                else
                        n_wrong += memcmp(&wide[i], &expected[i], 4) != 0 || back[i] != in[i];
        }
        expect(n_wrong == 0);

        for (unsigned i = 0; i < 65536; i++)
                wide[i] = ldexpf(random_normal(&rng), (int) (i % 48) - 30);
        row->to_half(back, wide, 65536);
        kernels_scalar.to_half(in, wide, 65536);
        expect(memcmp(back, in, sizeof(in)) == 0);
}

static double exact_gelu(double z) {
        return 0.5 * z * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (z + 0.044715 * z * z * z)));
}

/* Against the formulas in double precision, not against another row. */
static void formulas(void) {
        enum { N = 1003 };
        float *x = random_floats(&rng, N), *weight = random_floats(&rng, N), y[N], largest;
        double sum = 0, total = 0, max = -1e30;

        for (unsigned i = 0; i < N; i++)
                sum += (double) x[i] * (double) x[i];
        row->rms_norm(y, x, weight, N, 1e-6f);
        for (unsigned i = 0; i < N; i++)
                expect(fabs((double) y[i] -
                            (double) x[i] / sqrt(sum / N + 1e-6) * (double) weight[i]) < 1e-5);

        for (unsigned i = 0; i < N; i++) {
                x[i] *= 20;
                y[i] = i == 500 ? -INFINITY : x[i];
                max = i == 500 ? max : fmax(max, (double) x[i]);
        }
        sum = (double) row->exponentials(y, N, &largest);
        for (unsigned i = 0; i < N; i++) {
                double wanted = i == 500 ? 0 : exp((double) x[i] - max);

                total += wanted;
                expect(fabs((double) y[i] - wanted) < 1e-6);
        }
        expect(y[500] == 0 && largest == (float) max && fabs(sum - total) < 1e-6 * total);

        for (unsigned i = 0; i < N; i++)
                y[i] = x[i];
        row->blend(y, 0.25f, weight, 3, N);
        for (unsigned i = 0; i < N; i++)
                expect(fabs((double) y[i] - 0.25 * (double) x[i] - 3.0 * (double) weight[i]) < 1e-5);

        for (unsigned i = 0; i < N; i++)
                y[i] = x[i];
        row->gelu_multiply(y, weight, N);
        for (unsigned i = 0; i < N; i++)
                expect(fabs((double) y[i] - exact_gelu((double) x[i]) * (double) weight[i]) <
                       1e-5 * (1 + fabs((double) x[i] * (double) weight[i])));

        for (unsigned i = 0; i < N; i++)
                y[i] = x[i];
        row->soft_cap(y, N, 30);
        for (unsigned i = 0; i < N; i++)
                expect(fabs((double) y[i] - 30 * tanh((double) x[i] / 30)) < 2e-5);
        free(x);
        free(weight);
}

static void quantisation(void) {
        enum { N = 32 * 13, ROWS = 2 };
        float *x = random_floats(&rng, N);
        struct activations a;

        memset(x + 32, 0, 32 * sizeof(float));
        x[64] = -1e20f;
        random_activations(&a, ROWS, N);
        row->quantise(x, &a, 1);
        for (unsigned b = 0; b < N / 32; b++) {
                size_t at = activations_at(&a, 1, b);
                const int8_t *q = a.q + at * QUANT_BLOCK;
                int totals[2] = { 0, 0 };

                for (unsigned i = 0; i < 32; i++) {
                        expect(fabsf(x[32 * b + i] - a.scale[at] * q[i]) <= a.scale[at] * 0.501f);
                        expect(q[i] >= -127);
                        totals[i / 16] += q[i];
                }
                for (unsigned half = 0; half < 2; half++) {
                        expect(a.half_sums[2 * at + half] == a.scale[at] * (float) totals[half]);
                        expect(a.half_starts[2 * at + half] == -8 * totals[half]);
                }
                expect(a.sum[at] == a.scale[at] * (float) (totals[0] + totals[1]));
                expect(a.starts[at] == -8 * (totals[0] + totals[1]));
        }
        free(x);
        activations_done(&a);
}

extern const struct kernels emulated_avx512, emulated_avxvnni, emulated_neon, emulated_i8mm;

int main(void) {
        const struct kernels *rows[16] = { &emulated_avx512, &emulated_avxvnni, &emulated_neon,
                                           &emulated_i8mm };
        const char *labels[16] = { "avx512 (emulated)", "avxvnni (emulated)", "neon (emulated)",
                                   "i8mm (emulated)" };
        unsigned n = 4;
        static const struct {
                const char *name;
                void (*run)(void);
        } rules[] = {
                { "products equal the scalar ones for every type and awkward sizes", products },
                { "an input alone gives the same bits as among others", alone_or_among_others },
                { "extreme weights and inputs do not overflow", extremes },
                { "attention equals the scalar one", attention },
                { "halves convert exactly", halves },
                { "norm, exponentials, blend, GELU and soft cap follow their formulas", formulas },
                { "what is beside a query or a key changes no bit", a_query_alone },
                { "inputs are quantised to half a step", quantisation },
        };

        for (unsigned i = 0; kernels_usable()[i]; i++) {
                rows[n] = kernels_usable()[i];
                labels[n++] = kernels_usable()[i]->name;
        }
        for (unsigned k = 0; k < n; k++)
                for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
                        char name[160];

                        row = rows[k];
                        (void) snprintf(name, sizeof(name), "%s: %s", labels[k], rules[i].name);
                        rule(name, rules[i].run);
                }
        return tap_done();
}
