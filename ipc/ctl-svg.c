/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/ctl-svg.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* In units of the drawing, which any viewer scales. */
#define WIDTH      760.0
#define LABELS     190.0 /* how wide the column of the labels is */
#define FIGURES    90.0  /* and that of the figures */
#define ROW        28.0
#define TOP        56.0
#define BAR_HEIGHT 16.0

#define N_TICKS 6

/* Characters of XML 1.0, those that mean something in it escaped; all others are left out. */
static void write_text(FILE *to, const char *text) {
        while (*text) {
                int size = utf8_character(text, 4);
                uint32_t c = size > 0 ? utf8_code(text, size) : 0;

                if (c == '<' || c == '>' || c == '&' || c == '"')
                        (void) fprintf(to, "&#%u;", c);
                else if (c == '\t' || c == '\n' || c == '\r')
                        (void) fputc(' ', to);
                else if (c >= 0x20 && c != 0xfffe && c != 0xffff)
                        (void) fwrite(text, 1, (size_t) size, to);
                text += size > 0 ? size : 1;
        }
}

/* The step between ticks: 1, 2 or 5 times a power of ten, so that there are at most N_TICKS. */
static double tick_step(double total) {
        double rough = total / N_TICKS, power = pow(10, floor(log10(rough)));

        for (unsigned i = 0; i < 3; i++) {
                static const double factors[] = { 1, 2, 5 };

                if (factors[i] * power >= rough)
                        return factors[i] * power;
        }
        return 10 * power;
}

static double x_of(double ms, double total) {
        return LABELS + (total > 0 ? ms / total : 0) * (WIDTH - LABELS - FIGURES);
}

static void write_axis(FILE *to, double total, double bottom) {
        double step = total > 0 ? tick_step(total) : 0;

        for (unsigned i = 0; step > 0 && i * step <= total; i++) {
                double x = x_of(i * step, total);

                (void) fprintf(
                        to,
                        "<line class=\"tick\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                        "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g%s"
                        "</text>\n",
                        x, TOP - 6, x, bottom, x, bottom + 16, i * step, i == 0 ? " ms" : "");
        }
}

static void write_step(FILE *to, const struct svg_step *step, double y, double total) {
        double from = x_of(step->from, total), to_x = x_of(step->to, total);

        (void) fprintf(to, "<text x=\"12\" y=\"%.1f\">", y + BAR_HEIGHT - 3);
        write_text(to, step->label);
        (void) fprintf(
                to,
                "</text><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.1f ms</text>\n",
                from, y, fmax(to_x - from, 1), BAR_HEIGHT, WIDTH - 12, y + BAR_HEIGHT - 3,
                step->to - step->from);
}

static void write_drawing(FILE *to, const struct svg_drawing *d) {
        double bottom = TOP + ROW * (double) d->n_steps, height = bottom + 52;

        (void) fprintf(
                to,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                "font-family=\"sans-serif\" font-size=\"13\">\n"
                "<style>svg{background:#fff}text{fill:#222}rect{fill:#2a6fbb}.faint{fill:#777}"
                ".tick{stroke:#ddd}.title{font-size:15px;font-weight:bold}"
                "@media(prefers-color-scheme:dark){svg{background:#1b1b1b}text{fill:#ddd}"
                "rect{fill:#5b9ee1}.faint{fill:#999}.tick{stroke:#444}}</style>\n"
                "<text class=\"title\" x=\"12\" y=\"26\">",
                WIDTH, height);
        write_text(to, d->title);
        (void) fputs("</text>\n", to);
        write_axis(to, d->total, bottom);
        for (size_t i = 0; i < d->n_steps; i++)
                write_step(to, &d->steps[i], TOP + ROW * (double) i, d->total);
        (void) fprintf(to, "<text class=\"faint\" x=\"12\" y=\"%.1f\">", bottom + 40);
        write_text(to, d->note);
        (void) fputs("</text>\n</svg>\n", to);
}

int svg_write(const char *path, const struct svg_drawing *drawing, struct why *why) {
        FILE *to = fopen(path, "we");
        int r = 0;

        if (!to)
                return because(why, -errno, "%s: %s", path, strerror(errno));
        write_drawing(to, drawing);
        if (ferror(to))
                r = -EIO;
        if (fclose(to) < 0 && r == 0)
                r = -errno;
        return r < 0 ? because(why, r, "%s: %s", path, strerror(-r)) : 0;
}
