/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PICTURE_CONFINE_H
#define PICTURE_CONFINE_H

/* Gives up, for good, everything that a program can do but to compute, with the memory and the processor's time
 * of picture.h: it opens, sends, starts and signals nothing any more.  What the kernel can not take away stays; the
 * bounds of memory and time are always there.  The whole process.  0 or -errno. */
int confine(void);

/* Closes standard error and all descriptors from this one on, whoever left them open.  0 or -errno. */
int confine_descriptors(unsigned first);

#endif
