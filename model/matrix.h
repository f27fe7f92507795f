/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MATRIX_H
#define MODEL_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

#include "model/gguf.h"

/* A weight matrix in the mapped file: y = W x with n_rows outputs and n_cols inputs, row after
 * row.  Owns nothing. */
struct matrix {
        const unsigned char *data;
        enum gguf_type type;
        unsigned n_rows;
        unsigned n_cols;
        size_t row_size; /* bytes */
};

static inline const unsigned char *matrix_row(const struct matrix *m, size_t row) {
        return m->data + row * m->row_size;
}

/* Whether it is multiplied in integers (block formats) or in floats. */
static inline bool matrix_is_quantised(const struct matrix *m) {
        return m->type != GGUF_F32 && m->type != GGUF_F16 && m->type != GGUF_BF16;
}

#endif
