/* SPDX-License-Identifier: Apache-2.0 */
#include "model/image.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHANNELS 3

/* The cubic's only parameter, and how far it reaches to either side, in pixels of the coarser grid. */
#define CUBIC_A     (-0.5)
#define CUBIC_REACH 2.0

/* Weights are rounded to so many bits behind the point that the largest fits 16 bits. */
#define MAX_PRECISION 22

static int check_sides(unsigned width, unsigned height, struct why *why) {
        if (width == 0 || height == 0)
                return because(why, -ERANGE, "a picture of %u x %u pixels", width, height);
        if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE ||
            (uint64_t) width * height > IMAGE_MAX_PIXELS)
                return because(
                        why, -ERANGE,
                        "a picture of %u x %u pixels: more than %u, or a side of more than %u",
                        width, height, IMAGE_MAX_PIXELS, IMAGE_MAX_SIDE);
        return 0;
}

static unsigned ratio(unsigned longer, unsigned shorter, unsigned most) {
        unsigned n = longer / shorter;

        return n < most ? n : most;
}

int image_fit(struct image_fit *ret,
              unsigned width,
              unsigned height,
              unsigned patch_side,
              unsigned budget,
              struct why *why) {
        double most = (double) budget * patch_side * patch_side, factor;
        struct image_fit fit;
        int r;

        r = check_sides(width, height, why);
        if (r < 0)
                return r;

        factor = sqrt(most / ((double) width * height));
        fit.rows = (unsigned) floor(factor * height / patch_side);
        fit.columns = (unsigned) floor(factor * width / patch_side);
        if (fit.rows == 0 && fit.columns == 0)
                return because(why, -ERANGE, "no patch of %u pixels fits", patch_side);
        /* Much longer than wide: one row of patches, or one column. */
        if (fit.rows == 0)
                fit = (struct image_fit){ .columns = ratio(width, height, budget), .rows = 1 };
        else if (fit.columns == 0)
                fit = (struct image_fit){ .columns = 1, .rows = ratio(height, width, budget) };

        *ret = fit;
        return 0;
}

static double cubic(double x) {
        const double a = CUBIC_A;

        x = fabs(x);
        if (x < 1)
                return ((a + 2) * x - (a + 3)) * x * x + 1;
        if (x < 2)
                return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
        return 0;
}

/* What each pixel of the output is made of along one axis. */
struct axis {
        unsigned n_in, n_out;
        unsigned n_weights; /* of an output pixel, at most */
        unsigned *first;    /* owned, [n_out]: the first input pixel */
        unsigned *n;        /* owned, [n_out]: how many */
        int16_t *weights;   /* owned, [n_out][n_weights] */
        unsigned precision; /* bits behind the point */
};

static void axis_done(struct axis *a) {
        free(a->first);
        free(a->n);
        free(a->weights);
}

/* The weights of output pixel i, which sum to one. */
static void weigh(struct axis *a, unsigned i, double scale, double reach, double *weights) {
        double center = scale * (i + 0.5), sum = 0, inverse = scale >= 1 ? 1 / scale : 1;
        double begin = center - reach + 0.5, end = center + reach + 0.5;
        unsigned first = begin > 0 ? (unsigned) begin : 0;
        unsigned n = (end < a->n_in ? (unsigned) end : a->n_in) - first;

        if (n > a->n_weights)
                n = a->n_weights;
        for (unsigned j = 0; j < n; j++)
                sum += weights[j] = cubic(((double) (j + first) - center + 0.5) * inverse);
        for (unsigned j = 0; j < n && sum != 0; j++)
                weights[j] /= sum;
        a->first[i] = first;
        a->n[i] = n;
}

static int16_t to_fixed(double weight, unsigned precision) {
        double scaled = weight * (double) (1u << precision);

        return (int16_t) (scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* The most bits with which the largest weight still fits. */
static unsigned precision_for(double largest) {
        unsigned bits = 0;

        while (bits < MAX_PRECISION &&
               (int) (0.5 + largest * (double) (1u << (bits + 1))) < 1 << 15)
                bits++;
        return bits;
}

static int axis_init(struct axis *a, unsigned n_in, unsigned n_out) {
        double scale = (double) n_in / n_out, largest = 0;
        double reach = scale >= 1 ? CUBIC_REACH * scale : CUBIC_REACH;
        _cleanup_(freep) double *weights = NULL;
        size_t total;

        *a = (struct axis){
                .n_in = n_in,
                .n_out = n_out,
                .n_weights = (unsigned) ceil(reach) * 2 + 1,
                .first = calloc(n_out, sizeof(*a->first)),
                .n = calloc(n_out, sizeof(*a->n)),
        };
        total = (size_t) n_out * a->n_weights;
        a->weights = calloc(total, sizeof(*a->weights));
        weights = calloc(total, sizeof(*weights));
        if (!a->first || !a->n || !a->weights || !weights) {
                axis_done(a);
                return -ENOMEM;
        }

        for (unsigned i = 0; i < n_out; i++)
                weigh(a, i, scale, reach, weights + (size_t) i * a->n_weights);
        for (size_t i = 0; i < total; i++)
                largest = weights[i] > largest ? weights[i] : largest;
        a->precision = precision_for(largest);
        for (size_t i = 0; i < total; i++)
                a->weights[i] = to_fixed(weights[i], a->precision);
        return 0;
}

static uint8_t to_byte(const struct axis *a, int sum) {
        sum >>= a->precision;
        return (uint8_t) (sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void mix_row(const struct axis *a, const uint8_t *in, uint8_t *out) {
        for (unsigned x = 0; x < a->n_out; x++, out += CHANNELS) {
                const int16_t *w = a->weights + (size_t) x * a->n_weights;
                const uint8_t *at = in + (size_t) a->first[x] * CHANNELS;
                int half = 1 << (a->precision - 1), red = half, green = half, blue = half;

                for (unsigned j = 0; j < a->n[x]; j++, at += CHANNELS) {
                        red += w[j] * at[0];
                        green += w[j] * at[1];
                        blue += w[j] * at[2];
                }
                out[0] = to_byte(a, red);
                out[1] = to_byte(a, green);
                out[2] = to_byte(a, blue);
        }
}

/* Output row y, from rows of `width` pixels; sums has room for one, so that rows are read as they lie. */
static void mix_columns(const struct axis *a,
                        unsigned y,
                        const uint8_t *in,
                        size_t width,
                        int *sums,
                        uint8_t *out) {
        const int16_t *w = a->weights + (size_t) y * a->n_weights;
        size_t n = width * CHANNELS;

        for (size_t x = 0; x < n; x++)
                sums[x] = 1 << (a->precision - 1);
        for (unsigned j = 0; j < a->n[y]; j++) {
                const uint8_t *row = in + (a->first[y] + j) * n;

                for (size_t x = 0; x < n; x++)
                        sums[x] += w[j] * row[x];
        }
        for (size_t x = 0; x < n; x++)
                out[x] = to_byte(a, sums[x]);
}

/* First all rows become as wide as they shall be, then all columns as high; each is rounded to bytes. */
static int scale(const struct image *image, uint8_t *ret, unsigned width, unsigned height) {
        _cleanup_(axis_done) struct axis across = { 0 };
        _cleanup_(axis_done) struct axis down = { 0 };
        size_t in_size = (size_t) image->width * CHANNELS, size = (size_t) width * CHANNELS;
        _cleanup_(freep) uint8_t *narrow = NULL;
        _cleanup_(freep) int *sums = NULL;
        const uint8_t *rows = image->rgb;

        if (axis_init(&across, image->width, width) < 0 ||
            axis_init(&down, image->height, height) < 0)
                return -ENOMEM;
        sums = calloc(size, sizeof(*sums));
        if (!sums)
                return -ENOMEM;

        if (image->width != width) {
                rows = narrow = malloc(size * image->height);
                if (!narrow)
                        return -ENOMEM;
                for (unsigned y = 0; y < image->height; y++)
                        mix_row(&across, image->rgb + y * in_size, narrow + y * size);
        }
        if (image->height == height) {
                memcpy(ret, rows, size * height);
                return 0;
        }
        for (unsigned y = 0; y < height; y++)
                mix_columns(&down, y, rows, width, sums, ret + y * size);
        return 0;
}

int patches_make(struct patches *ret,
                 const struct image *image,
                 unsigned patch_side,
                 unsigned budget,
                 struct why *why) {
        struct patches p = { .side = patch_side };
        unsigned width, height;
        int r;

        r = image_fit(&p.fit, image->width, image->height, patch_side, budget, why);
        if (r < 0)
                return r;
        width = p.fit.columns * patch_side;
        height = p.fit.rows * patch_side;

        p.rgb = malloc((size_t) width * height * CHANNELS);
        r = p.rgb ? scale(image, p.rgb, width, height) : -ENOMEM;
        if (r < 0) {
                free(p.rgb);
                return because(why, r, "no memory for a picture of %u x %u pixels", image->width,
                               image->height);
        }
        *ret = p;
        return 0;
}

void patches_done(struct patches *p) {
        free(p->rgb);
        *p = (struct patches){ 0 };
}

unsigned patches_count(const struct patches *p) {
        return p->fit.columns * p->fit.rows;
}

void patches_read(const struct patches *p, unsigned i, float *ret) {
        size_t side = p->side, stride = p->fit.columns * side * CHANNELS;
        size_t column = i % p->fit.columns, row = i / p->fit.columns;
        const uint8_t *corner = p->rgb + row * side * stride + column * side * CHANNELS;

        for (size_t c = 0; c < CHANNELS; c++)
                for (size_t y = 0; y < side; y++)
                        for (size_t x = 0; x < side; x++)
                                *ret++ = (float) corner[y * stride + x * CHANNELS + c] *
                                         (1.0f / 255.0f);
}
