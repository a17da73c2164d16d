/* The tables that vistafs and a plugin give each other.
 *
 * A plugin is a shared object that exports one function:
 *
 *     const struct vistafs_plugin_table *vistafs_plugin(const struct vistafs_host *host);
 *
 * Made from plugins/abi by `cargo xtask header`; what is promised is in PLUGIN_ABI.md.
 */

#ifndef VISTAFS_PLUGIN_H
#define VISTAFS_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/*
 The tables with another major number cannot be used at all.
 */
#define VISTAFS_ABI_MAJOR 1

/*
 Counts what has been added to the tables of one major number.
 */
#define VISTAFS_ABI_MINOR 0

/*
 Answered by `ChannelFunctions::read`: the tree's own function is to read it.
 */
#define VISTAFS_READ_BY_TREE 1

/*
 No limit.
 */
#define VISTAFS_NO_LIMIT UINT64_MAX

/*
 The configuration shows CPUs as 0, 1, 2, ... to containers.
 */
#define VISTAFS_FLAG_RENUMBER_CPUS 1

/*
 The configuration shows containers their swap.
 */
#define VISTAFS_FLAG_SWAP 2

/*
 The configuration lets a CPU quota cut the list of visible CPUs.
 */
#define VISTAFS_FLAG_CPU_QUOTA 8

/*
 The host is a captured one, of a test: only `root` leads to it.
 */
#define VISTAFS_FLAG_CAPTURED 4

/*
 It keeps something from being served.
 */
#define VISTAFS_LEVEL_ERROR 1

/*
 The administrator should look at it.
 */
#define VISTAFS_LEVEL_WARN 2

/*
 The administrator may want to know.
 */
#define VISTAFS_LEVEL_INFO 3

/*
 For developers.
 */
#define VISTAFS_LEVEL_DEBUG 4

/*
 The kind of a view: one file.
 */
#define VISTAFS_KIND_FILE 0

/*
 The kind of a view: a directory and all below it.
 */
#define VISTAFS_KIND_TREE 1

/*
 The view is off until the configuration enables it.
 */
#define VISTAFS_VIEW_OFF_BY_DEFAULT 1

/*
 The texts of one container have the same length as long as nothing but numbers in them changes.
 */
#define VISTAFS_VIEW_FIXED_LENGTH 2

/*
 The view is made from the host's file at its path: a host without that has no such view.
 */
#define VISTAFS_VIEW_NEEDS_HOST_FILE 4

/*
 The option is true or false.
 */
#define VISTAFS_OPTION_FLAG 0

/*
 The option is a whole number.
 */
#define VISTAFS_OPTION_NUMBER 1

/*
 The option is a text.
 */
#define VISTAFS_OPTION_TEXT 2

/*
 Of an open file: it will be read.
 */
#define VISTAFS_ACCESS_READ 1

/*
 Of an open file: it will be written.
 */
#define VISTAFS_ACCESS_WRITE 2

/*
 Answered by `render_on_host`: the caller sees the host's own file.
 */
#define VISTAFS_SHOW_HOSTS_OWN 1

/*
 The node is a directory.
 */
#define VISTAFS_NODE_DIRECTORY 0

/*
 The node is a file.
 */
#define VISTAFS_NODE_FILE 1

/*
 The node is a symbolic link.
 */
#define VISTAFS_NODE_LINK 2

/*
 The node's name leads to it for every caller, for ever. The kernel remembers such names.
 */
#define VISTAFS_NODE_LASTING 1

/*
 The node's mode and owner may change. The kernel then requests them before each check.
 */
#define VISTAFS_NODE_CHANGEABLE 2

/*
 `Change::mode` is set.
 */
#define VISTAFS_CHANGE_MODE 1

/*
 `Change::uid` is set.
 */
#define VISTAFS_CHANGE_UID 2

/*
 `Change::gid` is set.
 */
#define VISTAFS_CHANGE_GID 4

/*
 The caller.
 */
struct vistafs_caller {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   Number of the thread in vistafs's pid namespace; 0: it is not visible there.
   */
  uint32_t thread;
  /*
   User, in vistafs's user namespace.
   */
  uint32_t uid;
  /*
   Group, in vistafs's user namespace.
   */
  uint32_t gid;
};

/*
 A text, or any bytes: `len` of them at `ptr`, which may be null when there are none.
 */
struct vistafs_str {
  /*
   Where it begins.
   */
  const char *ptr;
  /*
   Bytes.
   */
  size_t len;
};

/*
 The container's cgroup in one hierarchy.
 */
struct vistafs_cgroup {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   1 or 2.
   */
  uint32_t version;
  /*
   Its directory (O_PATH), for openat(2) while the function that was given the context runs.
   */
  int32_t directory;
  /*
   The hierarchy: `memory`, `cpu,cpuacct`, `name=systemd`; `unified` for version 2.
   */
  struct vistafs_str hierarchy;
  /*
   Its path in the hierarchy, as on the host: `/a/b`.
   */
  struct vistafs_str path;
};

/*
 Changes of a node.
 */
struct vistafs_change {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   `CHANGE_*`: which of these are set.
   */
  uint32_t set;
  /*
   Permission bits.
   */
  uint32_t mode;
  /*
   Owner, as vistafs sees it.
   */
  uint32_t uid;
  /*
   Group, as vistafs sees it.
   */
  uint32_t gid;
};

/*
 The caller, its container, and the host. Valid until the function that received it returns.
 */
struct vistafs_context;

/*
 Where a text is written.
 */
struct vistafs_sink;

/*
 The functions of a channel.
 */
struct vistafs_channel_functions {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   Takes what a caller writes; puts out how many bytes of it were taken.
   */
  int32_t (*write)(void *data,
                   const struct vistafs_context *context,
                   struct vistafs_str bytes,
                   size_t *taken);
  /*
   Writes into `sink` what makes the next such channel what this one is, should this process end while
   the file is open; 64 bytes at most. Asked after each write. May be null: nothing.
   */
  int32_t (*lasting)(void *data, struct vistafs_sink *sink);
  /*
   Of a file in a tree: writes the whole text into `sink`, where that has to be read by way of the
   channel; or answers `READ_BY_TREE`. May be null: the tree's own function reads it.
   */
  int32_t (*read)(void *data, const struct vistafs_context *context, struct vistafs_sink *sink);
  /*
   Frees it. Nothing is called after that.
   */
  void (*close)(void *data);
};

/*
 The object behind one open file; filled in by the plugin.
 */
struct vistafs_channel {
  /*
   Bytes of this table, as vistafs knows it; set by vistafs.
   */
  size_t size;
  /*
   The file is ready when this descriptor is. It stays the plugin's, which keeps it open until `close`.
   */
  int32_t descriptor;
  /*
   Given to each function.
   */
  void *data;
  /*
   Its functions. Null: the view has no channel, as if there were no function for it.
   */
  const struct vistafs_channel_functions *functions;
};

/*
 Whose numbers are shown.
 */
struct vistafs_container {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   Unique ID; the same in every process of this boot, and never reused.
   */
  uint64_t id;
  /*
   The cgroup path that identifies the container best: `/system.slice/x`.
   */
  struct vistafs_str name;
  /*
   ns since the container began.
   */
  uint64_t age;
  /*
   When it began: ns since the host's boot.
   */
  uint64_t start;
  /*
   Offset of its time namespace to the time since boot: seconds.
   */
  int64_t boottime_offset_seconds;
  /*
   The same: nanoseconds, added to the seconds.
   */
  int64_t boottime_offset_nanoseconds;
  /*
   How often it was found in other cgroups than before.
   */
  uint64_t moves;
};

/*
 CPU time, whatever the version: ns.
 */
struct vistafs_cpu {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   Used in user mode.
   */
  uint64_t user;
  /*
   Used in the kernel.
   */
  uint64_t system;
  /*
   Held back by a quota.
   */
  uint64_t throttled;
  /*
   The tightest quota of it and its ancestors: CPU time in each `period`; `NO_LIMIT`.
   */
  uint64_t quota;
  /*
   Wall time.
   */
  uint64_t period;
  /*
   How many CPUs it is shown.
   */
  uint32_t visible;
};

/*
 The plugin, as vistafs knows it.
 */
struct vistafs_loaded;

/*
 The options of a view that is being made.
 */
struct vistafs_settings;

/*
 The value of an option.
 */
struct vistafs_option_value {
  /*
   `OPTION_FLAG`, `OPTION_NUMBER` or `OPTION_TEXT`.
   */
  uint32_t kind;
  /*
   Of a flag: 0 or 1. Of a number: the number.
   */
  int64_t number;
  /*
   Of a text: the text, UTF-8.
   */
  struct vistafs_str text;
};

/*
 Where the entries of a directory are added.
 */
struct vistafs_listing;

/*
 Memory and swap, whatever the version: bytes.
 */
struct vistafs_memory {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   The effective limit: least of its own, its ancestors' and the host's total.
   */
  uint64_t limit;
  /*
   In use, page cache included.
   */
  uint64_t usage;
  /*
   Of that, what the kernel can take back.
   */
  uint64_t reclaimable;
  /*
   The effective limit of swap, or of memory and swap together where `swap_in_pool`; `NO_LIMIT`.
   */
  uint64_t swap_limit;
  /*
   Swap in use; memory and swap where `swap_in_pool`.
   */
  uint64_t swap_usage;
  /*
   1: the kernel counts memory and swap together (version 1).
   */
  uint32_t swap_in_pool;
  /*
   0: the kernel does not account swap here.
   */
  uint32_t swap_accounted;
};

/*
 Threads of the container.
 */
struct vistafs_tasks {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   All of them.
   */
  uint64_t total;
  /*
   Running, or waiting for a CPU; not the thread that asks, which waits for the answer.
   */
  uint64_t running;
  /*
   In uninterruptible sleep.
   */
  uint64_t blocked;
};

/*
 The host, and what the configuration says for all views alike.
 */
struct vistafs_host_facts {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   `FLAG_*`.
   */
  uint32_t flags;
  /*
   Its root directory (O_PATH), for openat(2) while the function that was given the context runs.
   */
  int32_t root;
  /*
   Bytes in a page.
   */
  uint64_t page_size;
  /*
   USER_HZ ticks in a second.
   */
  uint64_t clock_ticks;
  /*
   ns since boot, suspend included.
   */
  uint64_t boottime;
  /*
   TTL of host files that containers share, in ns.
   */
  uint64_t ttl;
  /*
   Bytes of memory; 0: unknown.
   */
  uint64_t memory_total;
  /*
   CPUs that are online.
   */
  uint32_t online_cpus;
};

/*
 vistafs. The first three fields are the same in every version, for ever. No function of it is null.

 The texts that they put out are there as long as what they were asked of: the context, or the settings.
 */
struct vistafs_host {
  /*
   `ABI_MAJOR` of vistafs.
   */
  uint32_t abi_major;
  /*
   `ABI_MINOR` of vistafs.
   */
  uint32_t abi_minor;
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   For `log`.
   */
  const struct vistafs_loaded *loaded;
  /*
   Writes a line (UTF-8) into the log of vistafs, under the plugin's name. At any time.
   */
  void (*log)(const struct vistafs_loaded *loaded, uint32_t level, struct vistafs_str line);
  /*
   The value of an option that the view has declared. `-ENOENT`: it has not.
   */
  int32_t (*option)(const struct vistafs_settings *settings,
                    struct vistafs_str name,
                    struct vistafs_option_value *value);
  /*
   Appends to a text. `-EFBIG`: it would be longer than vistafs lets it be; the reader gets that, too,
   whatever the plugin answers.
   */
  int32_t (*write)(struct vistafs_sink *sink, struct vistafs_str bytes);
  /*
   Adds an entry to a directory: its name, its number and its kind (`NODE_*`). `-EINVAL`: that cannot
   be a name; `-EFBIG`: there are too many.
   */
  int32_t (*add_entry)(struct vistafs_listing *listing,
                       struct vistafs_str name,
                       uint64_t id,
                       uint32_t kind);
  /*
   Says why the function will fail, in words (UTF-8) for the administrator. A failure of which nothing
   is explained is an answer to the caller, and not logged.
   */
  void (*explain)(const struct vistafs_context *context, struct vistafs_str why);
  /*
   The caller.
   */
  int32_t (*caller)(const struct vistafs_context *context, struct vistafs_caller *caller);
  /*
   Number of a process in the caller's pid namespace, for one in vistafs's; 0: not visible there.
   */
  int32_t (*pid_for_caller)(const struct vistafs_context *context, uint32_t pid, uint32_t *shown);
  /*
   Whose numbers are shown. `-ENOENT`: the host's; so do the functions that are about it.
   */
  int32_t (*container)(const struct vistafs_context *context, struct vistafs_container *container);
  /*
   The plugin's state of the container: created by `make` at the first call, freed by `free`
   when the container has ended. The same for all views of the plugin.
   */
  int32_t (*remember)(const struct vistafs_context *context,
                      void *(*make)(void),
                      void (*free)(void *data),
                      void **data);
  /*
   The container's cgroup in the hierarchy that has a controller, by its v1 name. `-ENODEV`: in none.
   */
  int32_t (*cgroup)(const struct vistafs_context *context,
                    struct vistafs_str controller,
                    struct vistafs_cgroup *cgroup);
  /*
   The container's cgroup number `index`, counted from 0. `-ENODEV`: there are no more.
   */
  int32_t (*cgroup_at)(const struct vistafs_context *context,
                       size_t index,
                       struct vistafs_cgroup *cgroup);
  /*
   Memory and swap. `-ENODEV`: no memory controller counts for the container.
   */
  int32_t (*memory)(const struct vistafs_context *context, struct vistafs_memory *memory);
  /*
   CPU time, quota and visible CPUs. Without a controller that counts, the times are 0.
   */
  int32_t (*cpu)(const struct vistafs_context *context, struct vistafs_cpu *cpu);
  /*
   Writes the CPUs that the container is shown, as a list: `0-3,8`.
   */
  int32_t (*visible_cpus)(const struct vistafs_context *context, struct vistafs_sink *sink);
  /*
   Its threads. `-ENODEV`: no hierarchy distinguishes them from the host's.
   */
  int32_t (*tasks)(const struct vistafs_context *context, struct vistafs_tasks *tasks);
  /*
   The host.
   */
  int32_t (*host)(const struct vistafs_context *context, struct vistafs_host_facts *facts);
  /*
   Writes a file of the host's, by its path below `/`, as it is now.
   */
  int32_t (*host_file)(const struct vistafs_context *context,
                       struct vistafs_str path,
                       struct vistafs_sink *sink);
};

/*
 Attributes of a node for stat(2); filled in by the plugin.
 */
struct vistafs_node {
  /*
   Bytes of this table, as vistafs knows it; set by vistafs.
   */
  size_t size;
  /*
   Number of the node, below 2^56; 0 is the top. It means the same node in every process.
   */
  uint64_t id;
  /*
   Bytes in the file.
   */
  uint64_t bytes;
  /*
   `NODE_DIRECTORY`, `NODE_FILE` or `NODE_LINK`.
   */
  uint32_t kind;
  /*
   Permission bits.
   */
  uint32_t mode;
  /*
   Owner, as vistafs sees it.
   */
  uint32_t uid;
  /*
   Group, as vistafs sees it.
   */
  uint32_t gid;
  /*
   `NODE_LASTING`, `NODE_CHANGEABLE`.
   */
  uint32_t flags;
};

/*
 An option of a view: a key of its table in the configuration, `[view.NAME]`.
 */
struct vistafs_option_spec {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   The key: `a`-`z`, `0`-`9`, `_`.
   */
  struct vistafs_str name;
  /*
   One line for people.
   */
  struct vistafs_str summary;
  /*
   The default; its kind is the kind of the option.
   */
  struct vistafs_option_value default_value;
  /*
   Of a number: the least that it takes.
   */
  int64_t least;
  /*
   Of a number: the most that it takes. Less than `least`: any number will do.
   */
  int64_t most;
};

/*
 The functions of a tree, which serves callers in containers and on the host alike. `view` is what the
 view's `make` has put out. Those that say so may be null.

 Node numbers come from callers and may be invented or obsolete: each function checks whether
 this caller may see that node, and answers `-ENOENT` or `-ESTALE` if not.
 */
struct vistafs_tree {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   Looks up `name` in the directory `parent`.
   */
  int32_t (*lookup)(void *view,
                    const struct vistafs_context *context,
                    uint64_t parent,
                    struct vistafs_str name,
                    struct vistafs_node *node);
  /*
   Attributes of a node.
   */
  int32_t (*attributes)(void *view,
                        const struct vistafs_context *context,
                        uint64_t id,
                        struct vistafs_node *node);
  /*
   Adds each entry of a directory with `Host::add_entry`, `.` and `..` left out.
   */
  int32_t (*list)(void *view,
                  const struct vistafs_context *context,
                  uint64_t id,
                  struct vistafs_listing *listing);
  /*
   Whether the caller may open the file so (`ACCESS_*`). May be null: the mode alone decides.
   */
  int32_t (*open)(void *view, const struct vistafs_context *context, uint64_t id, uint32_t access);
  /*
   Writes the whole text of a file into `sink`.
   */
  int32_t (*read)(void *view,
                  const struct vistafs_context *context,
                  uint64_t id,
                  struct vistafs_sink *sink);
  /*
   Writes where a symbolic link leads into `sink`. May be null: there are none.
   */
  int32_t (*read_link)(void *view,
                       const struct vistafs_context *context,
                       uint64_t id,
                       struct vistafs_sink *sink);
  /*
   As `View::channel`, of a file that was opened for `access`. May be null: not writable, always ready.
   */
  int32_t (*channel)(void *view,
                     const struct vistafs_context *context,
                     uint64_t id,
                     uint32_t access,
                     struct vistafs_str lasting,
                     struct vistafs_channel *channel);
  /*
   Makes a directory. May be null: `-EPERM`.
   */
  int32_t (*make_directory)(void *view,
                            const struct vistafs_context *context,
                            uint64_t parent,
                            struct vistafs_str name,
                            uint32_t mode,
                            struct vistafs_node *node);
  /*
   Removes a directory. May be null: `-EPERM`.
   */
  int32_t (*remove_directory)(void *view,
                              const struct vistafs_context *context,
                              uint64_t parent,
                              struct vistafs_str name);
  /*
   Changes mode or owner. May be null: `-EPERM`.
   */
  int32_t (*change)(void *view,
                    const struct vistafs_context *context,
                    uint64_t id,
                    const struct vistafs_change *change);
};

/*
 A view. Of the functions, those that say so may be null.

 `view` is what `make` has put out.
 */
struct vistafs_view {
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   Its name: `a`-`z`, `0`-`9`, `-`, `_`.
   */
  struct vistafs_str name;
  /*
   Where it stands below the mount: below `proc/` or `sys/`.
   */
  struct vistafs_str path;
  /*
   One line for people.
   */
  struct vistafs_str summary;
  /*
   `KIND_FILE` or `KIND_TREE`.
   */
  uint32_t kind;
  /*
   Permission bits of a file. A file without a write bit has no channel.
   */
  uint32_t mode;
  /*
   `VIEW_*`.
   */
  uint32_t flags;
  /*
   Where its numbers are from, for people: a controller of cgroups by its v1 name, or `processes`.
   */
  const struct vistafs_str *sources;
  /*
   How many.
   */
  size_t source_count;
  /*
   Its options, one pointer for each.
   */
  const struct vistafs_option_spec *const *options;
  /*
   How many.
   */
  size_t option_count;
  /*
   For the plugin's own use, for example to identify the view in shared functions.
   */
  void *data;
  /*
   Makes the view, once; puts out what the other functions are given. May be null: then that is
   `data`.
   */
  int32_t (*make)(const struct vistafs_view *table,
                  const struct vistafs_settings *settings,
                  void **view);
  /*
   Of a file: writes the whole text for the container into `sink`.
   */
  int32_t (*render)(void *view, const struct vistafs_context *context, struct vistafs_sink *sink);
  /*
   Of a file: the same for callers on the host, or `SHOW_HOSTS_OWN`. May be null: the host's own.
   */
  int32_t (*render_on_host)(void *view,
                            const struct vistafs_context *context,
                            struct vistafs_sink *sink);
  /*
   Of a file: opens its channel for a caller that writes to it or polls it: when it is opened
   for writing, else at the first poll. Callers on the host come as well. `lasting` is what an earlier
   process has left of the same open file (`ChannelFunctions::lasting`); empty: a new one. May be null:
   not writable, always ready.
   */
  int32_t (*channel)(void *view,
                     const struct vistafs_context *context,
                     struct vistafs_str lasting,
                     struct vistafs_channel *channel);
  /*
   Of a tree: its functions.
   */
  const struct vistafs_tree *tree;
};

/*
 A plugin. The first three fields are the same in every version, for ever.
 */
struct vistafs_plugin_table {
  /*
   `ABI_MAJOR` of the header that the plugin was made with.
   */
  uint32_t abi_major;
  /*
   `ABI_MINOR` of the same.
   */
  uint32_t abi_minor;
  /*
   Bytes of this table.
   */
  size_t size;
  /*
   For people.
   */
  struct vistafs_str name;
  /*
   For people.
   */
  struct vistafs_str version;
  /*
   Its views, one pointer for each.
   */
  const struct vistafs_view *const *views;
  /*
   How many.
   */
  size_t view_count;
};

#endif  /* VISTAFS_PLUGIN_H */

#ifdef __cplusplus
extern "C" {
#endif
/* What a plugin exports. */
const struct vistafs_plugin_table *vistafs_plugin(const struct vistafs_host *host);
#ifdef __cplusplus
}
#endif
