/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/server-link.h"

#include <errno.h>

#include "base/clock.h"

bool server_link_turn(struct server_link *l) {
        uint64_t now = clock_now_ns();

        return now < l->until_ns &&
               pa_mainloop_prepare(l->loop, (int) ((l->until_ns - now) / 1000)) >= 0 &&
               pa_mainloop_poll(l->loop) >= 0 && pa_mainloop_dispatch(l->loop) >= 0;
}

static bool is_good(const struct server_link *l) {
        return PA_CONTEXT_IS_GOOD(pa_context_get_state(l->context));
}

int server_link_error(const struct server_link *l) {
        return clock_now_ns() >= l->until_ns ? -ETIMEDOUT : -ENOTCONN;
}

int server_link_open(struct server_link *l, uint64_t patience_ns) {
        *l = (struct server_link){ .loop = pa_mainloop_new() };
        l->context = l->loop ? pa_context_new(pa_mainloop_get_api(l->loop), "gemmad") : NULL;
        if (!l->context)
                return -ENOMEM;

        l->until_ns = clock_now_ns() + patience_ns;
        if (pa_context_connect(l->context, NULL, PA_CONTEXT_NOAUTOSPAWN, NULL) < 0)
                return -ENOTCONN;
        while (is_good(l)) {
                if (pa_context_get_state(l->context) == PA_CONTEXT_READY)
                        return 0;
                if (!server_link_turn(l))
                        break;
        }
        return server_link_error(l);
}

void server_link_close(struct server_link *l) {
        if (l->context) {
                pa_context_disconnect(l->context);
                pa_context_unref(l->context);
        }
        if (l->loop)
                pa_mainloop_free(l->loop);
        *l = (struct server_link){};
}

bool server_link_wait(struct server_link *l, pa_operation *operation) {
        bool is_done;

        if (!operation)
                return false;
        while (pa_operation_get_state(operation) == PA_OPERATION_RUNNING && is_good(l) &&
               server_link_turn(l))
                ;
        is_done = pa_operation_get_state(operation) == PA_OPERATION_DONE;
        pa_operation_unref(operation);
        return is_done;
}
