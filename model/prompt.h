/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PROMPT_H
#define MODEL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/why.h"
#include "model/tokenizer.h"

/* The chat layout of Gemma 4 as token ids.  A prompt is a growing list of ids, cut into the pieces
 * that the session appends at different times: the prefix before anybody speaks, the opening of the
 * user's turn, the audio between its markers, and the tail when the user has finished.  Owned by
 * one thread. */
struct prompt {
        int32_t *ids; /* owned */
        size_t n_ids;
};

void prompt_done(struct prompt *p);

/* Forgets the ids, keeps the memory. */
void prompt_clear(struct prompt *p);

/* A tool that the model may call.  The parameters are a JSON Schema object (type "object" with
 * "properties" and "required") in text form. */
struct tool {
        const char *name;
        const char *description;
        const char *parameters_json; /* NULL: no parameters */
};

/* All functions below return 0, -ENOMEM, or -ENOTSUP when the vocabulary lacks a marker that the
 * layout needs; after a failure the prompt is as before.  Every text is trimmed, and markers in it
 * are ordinary text. */

/* bos, and the system turn if there is a text, a tool or thinking.  Also -EBADMSG with the reason
 * when a tool's name or schema can not be written in the grammar. */
int prompt_begin(struct prompt *p,
                 const struct tokenizer *t,
                 const char *system_text,
                 const struct tool *tools,
                 size_t n_tools,
                 bool thinking,
                 struct why *why);

/* A past exchange, as text, closed.  Thoughts in the model's text are dropped. */
int prompt_add_exchange(struct prompt *p,
                        const struct tokenizer *t,
                        const char *user_text,
                        const char *model_text);

/* The user's turn: opened, filled in any order, closed.  Audio frames are appended by the session
 * between the two audio markers, the patches of a picture between its two.  Text between two audios comes in one call, since what is cut is
 * not the same tokens. */
int prompt_open_user(struct prompt *p, const struct tokenizer *t);
int prompt_add_user_text(struct prompt *p,
                         const struct tokenizer *t,
                         const char *text,
                         size_t size);
int prompt_open_audio(struct prompt *p, const struct tokenizer *t);
int prompt_close_audio(struct prompt *p, const struct tokenizer *t);
int prompt_open_image(struct prompt *p, const struct tokenizer *t);
int prompt_close_image(struct prompt *p, const struct tokenizer *t);

/* Ends the user's turn and opens the model's; without thinking an empty thought is closed at
 * once. */
int prompt_close_user(struct prompt *p, const struct tokenizer *t, bool thinking);

/* The result of a call, inside the model's turn, after the model stopped at <|tool_response>.
 * result_json is a JSON object, or any other JSON value, which becomes {value:...}.  The first
 * response of a turn writes the token that the model stopped at, as the model did not append it. */
int prompt_add_tool_response(struct prompt *p,
                             const struct tokenizer *t,
                             const char *name,
                             const char *result_json,
                             struct why *why);

/* The beginning of a thought, with which a model that thinks goes on after its last response. */
int prompt_open_thought(struct prompt *p, const struct tokenizer *t);

/* The end of a thought that the model did not end by itself. */
int prompt_close_thought(struct prompt *p, const struct tokenizer *t);

#endif
