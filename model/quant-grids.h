/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_QUANT_GRIDS_H
#define MODEL_QUANT_GRIDS_H

#include "model/quant.h"

/* The IQ types of one to three bits, super-blocks of 256 whose weights are stored as places in a grid of
 * likely rows, eight (in the IQ3 types four) at a time. */

/* quant_read_block() for IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS and IQ3_S: q is a weight plus
 * QUANT_IQ4_ZERO.  Any thread; the first call fills the tables. */
void quant_read_grid_block(struct quant_block *ret,
                           enum gguf_type type,
                           const unsigned char *row,
                           size_t block);

/* The same for all eight blocks of a super-block. */
void quant_read_grid_super(struct quant_block ret[static 8],
                           enum gguf_type type,
                           const unsigned char *super);

#endif
