/* proc/entropy: how much randomness the kernel has for those who ask, and how often a container has asked.
 *
 *     $ cat /proc/entropy
 *     available: 256 of 256 bits
 *     state: enough
 *     asked: 3
 *
 * A plugin in C needs the header alone. This one shows each of its parts once: a view of one file, an
 * option, something that is remembered of each container, files of the host, the log, an explained failure.
 *
 * Its functions are called by several threads at once. What they share is written before the first
 * reading (`host`, `low`) or is atomic.
 */

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vistafs_plugin.h>

#define STR(literal) { (literal), sizeof(literal) - 1 }

static const struct vistafs_host *host;

/* Below so many bits there is little of it. */
static int64_t low;

static struct vistafs_str str(const char *text)
{
    return (struct vistafs_str){ text, strlen(text) };
}

/* Says what failed and returns the error, as a function of a view does. */
static int32_t failed(const struct vistafs_context *context, const char *path, int error)
{
    char why[160];
    int length = snprintf(why, sizeof(why), "/%s: error %d", path, error);

    if (length > 0)
        host->explain(context, str(why));
    return -error;
}

/* Reads a file of one number below the host's root. */
static int32_t read_number(const struct vistafs_context *context, int root, const char *path,
                           uint64_t *number)
{
    char text[32];
    size_t length = 0;
    char *end = NULL;
    int file = openat(root, path, O_RDONLY | O_CLOEXEC);

    if (file < 0)
        return failed(context, path, errno);
    while (length < sizeof(text) - 1) {
        ssize_t got = read(file, text + length, sizeof(text) - 1 - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;

            /* Nothing was written: what close could say is of no use. */
            (void)close(file);
            return failed(context, path, error);
        }
        if (got == 0)
            break;
        length += (size_t)got;
    }
    (void)close(file);
    text[length] = '\0';
    /* strtoumax would take blanks and a sign before it. */
    if (text[0] < '0' || text[0] > '9')
        return failed(context, path, EIO);
    errno = 0;
    *number = strtoumax(text, &end, 10);
    if (errno != 0 || (*end != '\n' && *end != '\0'))
        return failed(context, path, EIO);
    return 0;
}

/* What is remembered of a container: how often it has asked. */
static void *make_count(void)
{
    atomic_uint_fast64_t *count = malloc(sizeof(*count));

    if (count != NULL)
        atomic_init(count, 0);
    return count;
}

static void free_count(void *count)
{
    free(count);
}

/* Gives the reader what snprintf(3) has made in a buffer of `room` bytes, and answered with `length`. */
static int32_t write_made(struct vistafs_sink *sink, const char *text, int length, size_t room)
{
    if (length < 0 || (size_t)length >= room)
        return -EIO;
    return host->write(sink, (struct vistafs_str){ text, (size_t)length });
}

static int32_t write_state(const struct vistafs_context *context, struct vistafs_sink *sink)
{
    struct vistafs_host_facts facts = { .size = sizeof(facts) };
    uint64_t available = 0;
    uint64_t pool = 0;
    char text[96];
    bool is_low;
    int length;
    int32_t result = host->host(context, &facts);

    if (result < 0)
        return result;
    result = read_number(context, facts.root, "proc/sys/kernel/random/entropy_avail", &available);
    if (result < 0)
        return result;
    result = read_number(context, facts.root, "proc/sys/kernel/random/poolsize", &pool);
    if (result < 0)
        return result;
    is_low = low > 0 && available < (uint64_t)low;
    length = snprintf(text, sizeof(text),
                      "available: %" PRIu64 " of %" PRIu64 " bits\nstate: %s\n", available, pool,
                      is_low ? "low" : "enough");
    return write_made(sink, text, length, sizeof(text));
}

/* For readers in a container. */
static int32_t render(void *view, const struct vistafs_context *context, struct vistafs_sink *sink)
{
    void *count = NULL;
    uint64_t asked;
    char line[32];
    int32_t result;
    int length;

    (void)view;
    result = host->remember(context, make_count, free_count, &count);
    if (result < 0)
        return result;
    if (count == NULL)
        return -ENOMEM;
    asked = atomic_fetch_add((atomic_uint_fast64_t *)count, 1) + 1;
    result = write_state(context, sink);
    if (result < 0)
        return result;
    length = snprintf(line, sizeof(line), "asked: %" PRIu64 "\n", asked);
    return write_made(sink, line, length, sizeof(line));
}

/* For readers on the host, of whom nothing is remembered. */
static int32_t render_on_host(void *view, const struct vistafs_context *context,
                              struct vistafs_sink *sink)
{
    (void)view;
    return write_state(context, sink);
}

/* Reads the option; vistafs has checked kind and range. */
static int32_t make(const struct vistafs_view *table, const struct vistafs_settings *settings,
                    void **view)
{
    struct vistafs_option_value value = { .kind = VISTAFS_OPTION_NUMBER };
    int32_t result = host->option(settings, str("low"), &value);

    if (result < 0)
        return result;
    low = value.number;
    if (low > 256)
        host->log(host->loaded, VISTAFS_LEVEL_WARN,
                  str("low is more than 256, which is all that Linux 5.18 and later ever have"));
    *view = table->data;
    return 0;
}

static const struct vistafs_option_spec low_option = {
    .size = sizeof(low_option),
    .name = STR("low"),
    .summary = STR("below how many bits available the state is low"),
    .default_value = { .kind = VISTAFS_OPTION_NUMBER, .number = 128, .text = { NULL, 0 } },
    .least = 0,
    .most = 4096,
};

static const struct vistafs_option_spec *const options[] = { &low_option };

static const struct vistafs_view entropy = {
    .size = sizeof(entropy),
    .name = STR("entropy"),
    .path = STR("proc/entropy"),
    .summary = STR("the randomness that the kernel has, and how often the container has asked"),
    .kind = VISTAFS_KIND_FILE,
    .mode = 0444,
    .flags = 0,
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .make = make,
    .render = render,
    .render_on_host = render_on_host,
};

static const struct vistafs_view *const views[] = { &entropy };

static const struct vistafs_plugin_table plugin = {
    .abi_major = VISTAFS_ABI_MAJOR,
    .abi_minor = VISTAFS_ABI_MINOR,
    .size = sizeof(plugin),
    .name = STR("entropy"),
    .version = STR("0.1.0"),
    .views = views,
    .view_count = sizeof(views) / sizeof(views[0]),
};

const struct vistafs_plugin_table *vistafs_plugin(const struct vistafs_host *given)
{
    /* vistafs refuses another major version by the numbers above, and nothing that is used here was added
     * to a table after its first release. */
    host = given;
    return &plugin;
}
