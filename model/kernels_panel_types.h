/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_KERNELS_PANEL_TYPES_H
#define MODEL_KERNELS_PANEL_TYPES_H

/* Part of kernels_panel.h: the types that are multiplied as GGUF_Q2_K or as GGUF_IQ4_NL are put into
 * the panel here, all that comes of PANEL_BLOCKS blocks of PANEL_ROWS rows: bytes, and for each half of
 * a block a scale and what is added (GGUF_IQ4_NL: only the scale). These are called once for many
 * products, so they need not be inlined, and there is one copy of each. */

#define NOT_INLINE static __attribute__((noinline))

static ALWAYS_INLINE void
set_half(struct panel *p, unsigned block, unsigned half, vec_f scale, vec_f offset) {
        f_store(p->scale[block][half], scale);
        f_store(p->offset[block][half], offset);
}

static ALWAYS_INLINE void set_both(struct panel *p, unsigned block, vec_f scale, vec_f offset) {
        set_half(p, block, 0, scale, offset);
        set_half(p, block, 1, scale, offset);
}

/* 32 weights of four bits, and a fifth bit of each in the 32 bits of every lane of high. */
static ALWAYS_INLINE void set_five_bits(
        struct panel *p, unsigned block, const unsigned char *quants, size_t stride, vec_b high) {
        vec_b v[4];

        load_columns(v, quants, stride);
        UNROLL
        for (unsigned j = 0; j < 4; j++) {
                b_store(p->bytes[block][j], b_or(low_nibbles(v[j]), b_fifth_bits(high, j)));
                b_store(p->bytes[block][4 + j],
                        b_or(high_nibbles(v[j]), b_fifth_bits(high, 4 + j)));
        }
}

NOT_INLINE void
fill_q5_0(struct panel *p, const unsigned char *at, size_t stride, unsigned n_blocks) {
        vec_b head[4];

        for (unsigned b = 0; b < n_blocks; b++, at += Q5_0_SIZE) {
                vec_f d;

                load_columns(head, at, stride); /* the scale, then the 32 bits */
                d = f_low_half(head[0]);
                set_both(p, b, d, f_mul(d, f_set1(-16)));
                set_five_bits(p, b, at + Q5_0_QUANTS, stride, b_middle(head[0], head[1]));
        }
}

NOT_INLINE void
fill_q5_1(struct panel *p, const unsigned char *at, size_t stride, unsigned n_blocks) {
        vec_b head[4];

        for (unsigned b = 0; b < n_blocks; b++, at += Q5_1_SIZE) {
                load_columns(head, at, stride); /* scale and smallest value, then the 32 bits */
                set_both(p, b, f_low_half(head[0]), f_high_half(head[0]));
                set_five_bits(p, b, at + Q5_1_QUANTS, stride, head[1]);
        }
}

/* Two bits of each weight of the four blocks from block `first` on, and of Q3_K a third. */
static ALWAYS_INLINE void set_two_bits(struct panel *p,
                                       unsigned first,
                                       const unsigned char *quants,
                                       size_t stride,
                                       const vec_b third[8]) {
        vec_b v[8], two = b_set1(0x03), bit = b_set1(0x04);

        load_columns(v, quants, stride);
        load_columns(v + 4, quants + 16, stride);
        UNROLL
        for (unsigned j = 0; j < 8; j++) {
                vec_b w[4] = { b_and(v[j], two), b_and(b_shift_right(v[j], 2), two),
                               b_and(b_shift_right(v[j], 4), two),
                               b_and(b_shift_right(v[j], 6), two) };

                if (third) {
                        /* Bits 0 to 3 of what is left of them. */
                        w[0] = b_or(w[0], b_and(b_shift_left2(third[j]), bit));
                        w[1] = b_or(w[1], b_and(b_shift_left1(third[j]), bit));
                        w[2] = b_or(w[2], b_and(third[j], bit));
                        w[3] = b_or(w[3], b_and(b_shift_right(third[j], 1), bit));
                }
                for (unsigned i = 0; i < 4; i++)
                        b_store(p->bytes[first + i][j], w[i]);
        }
}

NOT_INLINE void fill_q2_k(struct panel *p, const unsigned char *super, size_t stride) {
        vec_b both[4], end[4];
        vec_f d, dmin;

        load_columns(both, super, stride);
        load_columns(end, super + Q2_K_SIZE - 16, stride);
        d = f_low_half(end[3]);
        dmin = f_mul(f_high_half(end[3]), f_set1(-1));
        UNROLL
        for (int n = 0; n < 16; n++)
                set_half(p, (unsigned) n / 2, (unsigned) n % 2,
                         f_mul(d, f_from_i(i_byte(low_nibbles(both[n / 4]), n % 4))),
                         f_mul(dmin, f_from_i(i_byte(high_nibbles(both[n / 4]), n % 4))));
        for (unsigned b = 0; b < 8; b += 4)
                set_two_bits(p, b, super + Q2_K_QUANTS + 8 * b, stride, NULL);
}

/* The lower four bits are in eight bytes, the upper two in the four after them. */
static ALWAYS_INLINE void
set_q3_k_scales(struct panel *p, const unsigned char *super, size_t stride) {
        vec_b end[4], low, next, high, scales[4], upper_two = b_set1(0x30);
        vec_f d;

        load_columns(end, super + Q3_K_SIZE - 16, stride);
        d = f_high_half(end[3]);
        low = b_middle(end[0], end[1]);
        next = b_middle(end[1], end[2]);
        high = b_middle(end[2], end[3]);
        scales[0] = b_or(low_nibbles(low), b_and(b_shift_left4(high), upper_two));
        scales[1] = b_or(low_nibbles(next), b_and(b_shift_left2(high), upper_two));
        scales[2] = b_or(high_nibbles(low), b_and(high, upper_two));
        scales[3] = b_or(high_nibbles(next), b_and(b_shift_right(high, 2), upper_two));
        UNROLL
        for (int n = 0; n < 16; n++) {
                vec_f six = f_from_i(i_byte(scales[n / 4], n % 4));
                vec_f scale = f_fma(d, six, f_mul(d, f_set1(-32)));

                set_half(p, (unsigned) n / 2, (unsigned) n % 2, scale, f_mul(scale, f_set1(-4)));
        }
}

NOT_INLINE void fill_q3_k(struct panel *p, const unsigned char *super, size_t stride) {
        vec_b third[8];

        set_q3_k_scales(p, super, stride);
        load_columns(third, super + Q3_K_HIGH, stride);
        load_columns(third + 4, super + Q3_K_HIGH + 16, stride);
        set_two_bits(p, 0, super + Q3_K_QUANTS, stride, third);
        UNROLL
        for (unsigned j = 0; j < 8; j++)
                third[j] = b_shift_right(third[j], 4);
        set_two_bits(p, 4, super + Q3_K_QUANTS + 32, stride, third);
}

/* 32 weights of four bits that say which value of a table each has. */
static ALWAYS_INLINE void set_values(
        struct panel *p, unsigned block, const unsigned char *quants, size_t stride, vec_b table) {
        vec_b v[4];

        load_columns(v, quants, stride);
        UNROLL
        for (unsigned j = 0; j < 4; j++) {
                b_store(p->bytes[block][j], b_lookup(table, low_nibbles(v[j])));
                b_store(p->bytes[block][4 + j], b_lookup(table, high_nibbles(v[j])));
        }
}

static ALWAYS_INLINE vec_b iq4_table(void) {
        return b_xor(b_table(quant_iq4_values), b_set1(PANEL_Q8_SIGNED ? QUANT_IQ4_ZERO : 0));
}

NOT_INLINE void
fill_iq4_nl(struct panel *p, const unsigned char *at, size_t stride, unsigned n_blocks) {
        vec_b table = iq4_table();

        for (unsigned b = 0; b < n_blocks; b++, at += IQ4_NL_SIZE) {
                vec_f d = f_gather_half(at, stride);

                set_both(p, b, d, f_zero());
                set_values(p, b, at + IQ4_NL_QUANTS, stride, table);
        }
}

NOT_INLINE void fill_iq4_xs(struct panel *p, const unsigned char *super, size_t stride) {
        vec_b head[4], table = iq4_table();
        vec_f d;

        load_columns(head, super, stride); /* d and the upper two bits, then the lower four */
        d = f_low_half(head[0]);
        UNROLL
        for (int b = 0; b < 8; b++) {
                vec_b low = b % 2 ? high_nibbles(head[1]) : low_nibbles(head[1]);
                vec_b high = b_and(b_shift_right(head[0], 2 * (b % 4)), b_set1(0x03));
                vec_f four = f_from_i(i_byte(low, b / 2)), two = f_from_i(i_byte(high, 2 + b / 4));
                vec_f six = f_fma(two, f_set1(16), f_fma(four, f_set1(1), f_set1(-32)));

                set_both(p, (unsigned) b, f_mul(d, six), f_zero());
                set_values(p, (unsigned) b, super + IQ4_XS_QUANTS + 16 * b, stride, table);
        }
}

NOT_INLINE void
fill_mxfp4(struct panel *p, const unsigned char *at, size_t stride, unsigned n_blocks) {
        vec_b table = b_table(quant_mxfp4_values);
        float scales[PANEL_ROWS];

        for (unsigned b = 0; b < n_blocks; b++, at += MXFP4_SIZE) {
                vec_f d;

                for (unsigned lane = 0; lane < PANEL_ROWS; lane++)
                        scales[lane] = quant_mxfp4_scale(at[lane * stride]);
                d = f_load(scales);
                set_both(p, b, d, f_mul(d, f_set1(-QUANT_MXFP4_ZERO)));
                set_values(p, b, at + MXFP4_QUANTS, stride, table);
        }
}

/* A super-block of one row whose weights are rows of a grid. */
static void fill_grid_lane(struct panel *p, const struct quant_block q[8], unsigned lane) {
        for (unsigned b = 0; b < 8; b++) {
                UNROLL
                for (unsigned j = 0; j < 8; j++) {
                        uint32_t four;

                        memcpy(&four, q[b].q + 4 * j, 4);
                        four ^= PANEL_Q8_SIGNED ? 0x01010101u * QUANT_IQ4_ZERO : 0;
                        memcpy(p->bytes[b][j][lane], &four, 4);
                }
                p->scale[b][0][lane] = q[b].scale[0];
                p->scale[b][1][lane] = q[b].scale[1];
        }
}

NOT_INLINE void
fill_grid(struct panel *p, enum gguf_type type, const unsigned char *super, size_t stride) {
        struct quant_block q[8];

        for (unsigned lane = 0; lane < PANEL_ROWS; lane++) {
                quant_read_grid_super(q, type, super + lane * stride);
                fill_grid_lane(p, q, lane);
        }
}

/* n_blocks blocks of PANEL_ROWS rows of w, at `at`. */
static void
fill_panel(struct panel *p, const struct matrix *w, const unsigned char *at, unsigned n_blocks) {
        size_t stride = w->row_size;

        switch (w->type) {
        case GGUF_Q5_0:
                fill_q5_0(p, at, stride, n_blocks);
                return;
        case GGUF_Q5_1:
                fill_q5_1(p, at, stride, n_blocks);
                return;
        case GGUF_Q2_K:
                fill_q2_k(p, at, stride);
                return;
        case GGUF_Q3_K:
                fill_q3_k(p, at, stride);
                return;
        case GGUF_IQ4_NL:
                fill_iq4_nl(p, at, stride, n_blocks);
                return;
        case GGUF_IQ4_XS:
                fill_iq4_xs(p, at, stride);
                return;
        case GGUF_MXFP4:
                fill_mxfp4(p, at, stride, n_blocks);
                return;
        default:
                fill_grid(p, w->type, at, stride);
                return;
        }
}

#endif
