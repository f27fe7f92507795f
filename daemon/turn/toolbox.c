/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/turn/toolbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "daemon/turn/offer.h"

struct provider {
        LIST_ENTRY(provider) link;
        struct toolbox *toolbox; /* not owned */
        struct provider_config config;
        char name[OFFER_MAX_NAME + 1];
        json_t *tools; /* owned; as they were offered */
};

/* A call under way, or over and waiting to be told. */
struct pending {
        LIST_ENTRY(pending) link;
        struct toolbox *toolbox;   /* not owned */
        struct provider *provider; /* not owned; NULL: the call is over */
        uint64_t id;
        char *text, *error;       /* owned; of what came of it */
        json_t *value;            /* owned */
        struct pictures pictures; /* owned */
        void (*done)(const struct result *result, void *userdata);
        void *userdata;
        sd_event_source *late; /* owned */
};

LIST_HEAD(pendings, pending);

struct toolbox {
        sd_event *loop;              /* owned reference */
        LIST_HEAD(, provider) known; /* the newest first */
        struct pendings pending;
        sd_event_source *tell; /* owned; tells of calls that are over */
        uint64_t last_id;
        unsigned n_providers, n_pending;
        bool is_stopping;
        void (*changed)(void *userdata);
        void *userdata;
};

const char *begun_name(enum begun begun) {
        static const char *const names[] = {
                [BEGUN_TYPED] = "typed", [BEGUN_PRESSED] = "pressed", [BEGUN_PHRASE] = "phrase",
                [BEGUN_OPEN] = "open",   [BEGUN_CALL] = "call",
        };

        return names[begun];
}

static const char *name_of(const json_t *tool) {
        return json_string_value(json_object_get(tool, "name"));
}

static json_t *find_in(const struct provider *p, const char *name) {
        json_t *tool;
        size_t i;

        json_array_foreach(p->tools, i, tool) {
                if (strcmp(name_of(tool), name) == 0)
                        return tool;
        }
        return NULL;
}

/* The newest who provides it; NULL and no tool when nobody does. */
static struct provider *find(const struct toolbox *t, const char *name, json_t **ret_tool) {
        struct provider *p;

        LIST_FOREACH(p, &t->known, link) {
                json_t *tool = find_in(p, name);

                if (!tool)
                        continue;
                *ret_tool = tool;
                return p;
        }
        return NULL;
}

static struct pending *pending_free(struct pending *c) {
        if (!c)
                return NULL;

        LIST_REMOVE(c, link);
        c->toolbox->n_pending--;
        sd_event_source_disable_unref(c->late);
        json_decref(c->value);
        pictures_done(&c->pictures);
        free(c->text);
        free(c->error);
        free(c);
        return NULL;
}

static struct pending *find_pending(const struct toolbox *t, uint64_t id) {
        struct pending *c;

        LIST_FOREACH(c, &t->pending, link) {
                if (c->id == id && c->provider)
                        return c;
        }
        return NULL;
}

/* The call is over; whoever waits for it is told in a later round of the loop. */
static void end(struct pending *c) {
        c->provider = NULL;
        c->late = sd_event_source_disable_unref(c->late);
        (void) sd_event_source_set_enabled(c->toolbox->tell, SD_EVENT_ONESHOT);
}

static void fail(struct pending *c, const char *what) {
        const char *who = c->provider->name;

        if (asprintf(&c->error, "%s %s", who, what) < 0)
                c->error = NULL;
        end(c);
}

/* Nobody is asked to carry out what can not be meant. */
static void refuse(struct pending *c, const char *reason) {
        c->error = strdup(reason);
        end(c);
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata) {
        struct pending *c = userdata;

        (void) source;
        (void) usec;
        log_warning("%s did not answer call %llu in time", c->provider->name,
                    (unsigned long long) c->id);
        fail(c, "did not answer.");
        return 0;
}

/* The oldest call that is over. */
static struct pending *find_over(const struct toolbox *t) {
        struct pending *c, *oldest = NULL;

        LIST_FOREACH(c, &t->pending, link) {
                if (!c->provider)
                        oldest = c;
        }
        return oldest;
}

/* It is out of the list before anybody can ask for it to be forgotten. */
static void tell(struct pending *c) {
        _cleanup_(freep) char *text = TAKE_PTR(c->text);
        _cleanup_(freep) char *error = TAKE_PTR(c->error);
        json_t *value = TAKE_PTR(c->value);
        _cleanup_(pictures_done) struct pictures pictures = pictures_take(&c->pictures);
        const struct result result = { text, value, error, &pictures };
        void (*done)(const struct result *, void *) = c->done;
        void *userdata = c->userdata;

        pending_free(c);
        done(&result, userdata);
        json_decref(value);
}

static int on_tell(sd_event_source *source, void *userdata) {
        struct toolbox *t = userdata;
        struct pending *c;

        (void) source;
        while ((c = find_over(t))) {
                tell(c);
        }
        return 0;
}

int toolbox_new(struct toolbox **ret,
                sd_event *loop,
                void (*changed)(void *userdata),
                void *userdata) {
        _cleanup_(toolbox_freep) struct toolbox *t = NULL;
        int r;

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->loop = sd_event_ref(loop);
        t->changed = changed;
        t->userdata = userdata;

        r = sd_event_add_defer(loop, &t->tell, on_tell, t);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(t->tell, SD_EVENT_OFF);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(t);
        return 0;
}

void toolbox_stop(struct toolbox *t) {
        t->is_stopping = true;
        t->changed = NULL;
}

struct toolbox *toolbox_free(struct toolbox *t) {
        struct provider *p;

        if (!t)
                return NULL;

        toolbox_stop(t);
        while (!LIST_EMPTY(&t->pending))
                pending_free(LIST_FIRST(&t->pending));
        while ((p = LIST_FIRST(&t->known)))
                provider_free(p);
        sd_event_source_disable_unref(t->tell);
        sd_event_unref(t->loop);
        free(t);
        return NULL;
}

static void say_taken_over(const struct toolbox *t, const struct provider *p) {
        json_t *tool, *other;
        size_t i;

        json_array_foreach(p->tools, i, tool) {
                const struct provider *before = find(t, name_of(tool), &other);

                if (before)
                        log_notice("%s provides %s now instead of %s", p->name, name_of(tool),
                                   before->name);
        }
}

static void tell_changed(struct toolbox *t) {
        if (t->changed)
                t->changed(t->userdata);
}

int toolbox_provide(struct toolbox *t,
                    struct provider **ret,
                    const struct provider_config *config) {
        struct provider *p;

        if (t->n_providers == TOOLBOX_MAX_PROVIDERS)
                return -EBUSY;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->tools = json_deep_copy(config->tools);
        if (!p->tools) {
                free(p);
                return -ENOMEM;
        }
        p->toolbox = t;
        p->config = *config;
        p->config.tools = NULL;
        p->config.name = NULL;
        (void) snprintf(p->name, sizeof(p->name), "%s", config->name);

        log_notice("%s provides %zu tools", p->name, json_array_size(p->tools));
        say_taken_over(t, p);
        LIST_INSERT_HEAD(&t->known, p, link);
        t->n_providers++;
        *ret = p;
        tell_changed(t);
        return 0;
}

struct provider *provider_free(struct provider *p) {
        struct toolbox *t;
        struct pending *c;

        if (!p)
                return NULL;

        t = p->toolbox;
        LIST_FOREACH(c, &t->pending, link) {
                if (c->provider == p)
                        fail(c, "did not answer.");
        }
        LIST_REMOVE(p, link);
        t->n_providers--;
        if (!t->is_stopping)
                log_notice("%s has gone, and its tools with it", p->name);
        json_decref(p->tools);
        free(p);
        tell_changed(t);
        return NULL;
}

static uint64_t usec_for(const json_t *tool) {
        double seconds = json_number_value(json_object_get(tool, "timeout"));

        return (uint64_t) ((seconds > 0 ? seconds : OFFER_SECONDS) * 1e6);
}

static bool needs_confirmation(const json_t *tool) {
        return json_is_true(json_object_get(tool, "confirm"));
}

static int pending_new(struct toolbox *t,
                       struct pending **ret,
                       struct provider *p,
                       const struct errand *errand,
                       uint64_t usec) {
        struct pending *c;
        int r;

        if (t->n_pending == TOOLBOX_MAX_CALLS)
                return -EBUSY;
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        r = sd_event_add_time_relative(t->loop, &c->late, CLOCK_MONOTONIC, usec, 0, on_late, c);
        if (r < 0) {
                free(c);
                return r;
        }
        c->toolbox = t;
        c->provider = p;
        c->id = ++t->last_id;
        c->done = errand->done;
        c->userdata = errand->userdata;
        LIST_INSERT_HEAD(&t->pending, c, link);
        t->n_pending++;
        *ret = c;
        return 0;
}

int toolbox_call(struct toolbox *t, const struct errand *errand, uint64_t *ret) {
        struct pending *c;
        struct provider *p;
        struct why why = {};
        json_t *tool;
        int r;

        p = find(t, errand->name, &tool);
        if (!p)
                return -ENOENT;
        if (needs_confirmation(tool) && errand->begun == BEGUN_OPEN)
                return -EPERM;
        r = pending_new(t, &c, p, errand, usec_for(tool));
        if (r < 0)
                return r;

        *ret = c->id;
        if (offer_check_arguments(tool, errand->arguments, &why) < 0)
                refuse(c, why.text);
        else
                p->config.carry_out(c->id, errand, p->config.userdata);
        return 0;
}

void toolbox_forget(struct toolbox *t, uint64_t id) {
        struct pending *c;

        LIST_FOREACH(c, &t->pending, link) {
                if (c->id == id)
                        break;
        }
        pending_free(c);
}

static int copy_text(char **ret, const char *text) {
        if (!text)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

int toolbox_respond(struct toolbox *t,
                    uint64_t id,
                    const struct result *result,
                    const char **ret_fault) {
        struct pending *c = find_pending(t, id);
        int r;

        if (!c)
                return -ENOENT;
        *ret_fault = offer_check_result(result->text, result->value, result->error);
        if (*ret_fault) {
                fail(c, "gave an answer that can not be used.");
                return -EINVAL;
        }

        r = copy_text(&c->error, result->error);
        if (r >= 0 && !result->error)
                r = copy_text(&c->text, result->text);
        if (r < 0)
                return r;
        if (!result->error)
                c->value = json_incref(result->value);
        if (!result->error && result->pictures)
                c->pictures = pictures_take(result->pictures);
        end(c);
        return 0;
}

bool toolbox_has_provider(const struct toolbox *t, const char *name) {
        const struct provider *p;

        LIST_FOREACH(p, &t->known, link) {
                if (strcmp(p->name, name) == 0)
                        return true;
        }
        return false;
}

bool toolbox_has(const struct toolbox *t, const char *name) {
        json_t *tool;

        return find(t, name, &tool);
}

/* All that there is, by name. */
static json_t *collect(const struct toolbox *t) {
        json_t *all = json_object(), *tool;
        const struct provider *p;
        size_t i;

        LIST_FOREACH(p, &t->known, link) {
                json_array_foreach(p->tools, i, tool) {
                        const char *name = name_of(tool);

                        if (!json_object_get(all, name))
                                (void) json_object_set(all, name, tool);
                }
        }
        return all;
}

static int by_name(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void tell_tool(const struct toolbox *t,
                      const char *name,
                      void (*each)(const struct tool_info *info, void *userdata),
                      void *userdata) {
        json_t *tool = NULL;
        const struct provider *p = find(t, name, &tool);
        struct tool_info info = {
                .name = name,
                .description = json_string_value(json_object_get(tool, "description")),
                .provider = p->name,
                .parameters = json_object_get(tool, "parameters"),
                .needs_confirmation = needs_confirmation(tool),
        };

        each(&info, userdata);
}

void toolbox_list(const struct toolbox *t,
                  void (*each)(const struct tool_info *info, void *userdata),
                  void *userdata) {
        const char *names[TOOLBOX_MAX_PROVIDERS * OFFER_MAX_TOOLS];
        json_t *all = collect(t), *tool;
        const char *name;
        size_t n = 0;

        json_object_foreach(all, name, tool) names[n++] = name;
        qsort(names, n, sizeof(names[0]), by_name);
        for (size_t i = 0; i < n; i++)
                tell_tool(t, names[i], each, userdata);
        json_decref(all);
}
