/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_POCKET_H
#define MODEL_POCKET_H

/* The embedded pocket model: the bytes of model/pocket.gguf, put into the program by pocket.S and
 * aligned as GGUF tensors want. */
extern const unsigned char pocket_begin[], pocket_end[];

#endif
