/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECCOMP_H
#define BASE_SECCOMP_H

#include <endian.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

/* What filters of system calls are written with: see seccomp(2). */

/* The numbers of system calls mean something else on each of them; 0: this is one that is not known. */
#if defined(__x86_64__) && defined(__LP64__)
#define SECCOMP_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER == __LITTLE_ENDIAN
#define SECCOMP_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define SECCOMP_ARCHITECTURE 0
#endif

/* x86-64 processes can also use the system calls of x32, which have numbers from here on; aarch64 has none
 * there. */
#define SECCOMP_FOREIGN_NUMBERS 0x40000000

/* Each condition holds for the one instruction behind it. */
#define LOAD(field)      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(k)            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, 1)
#define UNLESS(k)        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 1, 0)
#define IF_FROM(k)       BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (k), 0, 1)
#define IF_ANY(mask)     BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (mask), 0, 1)
#define UNLESS_ANY(mask) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (mask), 1, 0)
#define ONLY(mask)       BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (mask))
#define ALLOW            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE(error)    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

/* The next n instructions are for this value. */
#define SKIP(k, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (n))

#endif
