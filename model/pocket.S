/* SPDX-License-Identifier: Apache-2.0 */
/* model/pocket.gguf as read-only data; the build passes its path as POCKET_FILE. */
        .section .rodata
        .balign 64
        .global pocket_begin
        .global pocket_end
pocket_begin:
        .incbin POCKET_FILE
pocket_end:
        .byte 0
        .section .note.GNU-stack, "", %progbits
